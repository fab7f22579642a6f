"""Patients with treatments, plans, visits and coded photos, on the clinic of the FHIR tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from consent.regions import regions
from consent.store.engine import reading
from consent.types import Request, Requester
from dicom_bridge.gaps.report import Report, of_clinic, of_patient
from dicom_bridge.objects.vocabulary import Term, find_expression, find_view
from dicom_bridge.protocols.protocol import Protocol
from fhir_mapping.resources.document_reference import EXPRESSION_EXTENSION, VIEW_EXTENSION
from tests.fhir.clinic import Clinic, context, region
from tests.gaps.sentences import protocols

ZONE = ZoneInfo("Europe/Athens")
ASKS = Request(Requester("clinician", ("TREAT",), reference="Practitioner/d"), "TREAT")


def at(day: str, hour: int = 12) -> datetime:
    """A moment of a day in the clinic."""
    return datetime.fromisoformat(f"{day}T{hour:02}:00:00").replace(tzinfo=ZONE)


def treated(clinic: Clinic, name: str, day: str, *, patient: str = "anna", **more: Any) -> None:
    """A session of toxin of the glabella."""
    area = regions().by_name("glabella")
    assert area is not None
    clinic.put(
        {
            "resourceType": "Procedure",
            "id": name,
            "status": "completed",
            "code": {"text": "Toxin"},
            "subject": {"reference": f"Patient/{patient}"},
            "bodySite": [{"coding": [{"system": area.system, "code": area.value}]}],
            "performedDateTime": f"{day}T11:00:00+02:00",
        }
        | more
    )


def photographed(clinic: Clinic, name: str, day: str, expression: str, *, patient: str = "anna", **more: Any) -> int:
    """A photo of the glabella from the front."""
    area = regions().by_name("glabella")
    assert area is not None
    shows = [region({"system": area.system, "code": area.value}), stated(VIEW_EXTENSION, find_view("frontal"))]
    shows += [stated(EXPRESSION_EXTENSION, find_expression(expression))] if expression else []
    visit = {"anna": "v1", "ben": "v2"}[patient]
    return clinic.photo(name, patient, visit, context=context(visit, f"{day}T10:30:00+02:00"), extension=shows, **more)


def here(clinic: Clinic, name: str, moment: datetime, *, patient: str = "anna", status: str = "arrived") -> None:
    """A visit."""
    clinic.put(
        {
            "resourceType": "Encounter",
            "id": name,
            "status": status,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": f"Patient/{patient}"},
            "period": {"start": moment.isoformat()},
        }
    )


def booked(clinic: Clinic, name: str, moment: datetime, *, patient: str = "anna", status: str = "booked") -> None:
    """An appointment."""
    clinic.put(
        {
            "resourceType": "Appointment",
            "id": name,
            "status": status,
            "start": moment.isoformat(),
            "end": moment.replace(minute=30).isoformat(),
            "participant": [{"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"}],
        }
    )


def of_one(
    clinic: Clinic,
    moment: datetime,
    *,
    patient: str = "anna",
    request: Request = ASKS,
    known: Sequence[Protocol] | None = None,
) -> Report:
    """What is missing of a patient, by the protocols of the folder where no others are given."""
    asked = protocols() if known is None else known
    with reading(clinic.engine) as connection:
        return of_patient(
            clinic.node.decisions, connection, clinic.record, request, patient, asked, moment, route="test"
        )


def of_all(clinic: Clinic, moment: datetime, *, request: Request = ASKS) -> Report:
    """What is missing in the clinic."""
    with reading(clinic.engine) as connection:
        return of_clinic(clinic.node.decisions, connection, clinic.record, request, protocols(), moment, route="test")


def stated(url: str, term: Term) -> dict[str, Any]:
    """The extension that names a view or an expression."""
    return {
        "url": url,
        "valueCodeableConcept": {"coding": [{"system": term.system, "code": term.value, "display": term.meaning}]},
    }
