"""A clinic whose patient had toxin in the glabella, and photos as the protocol wants them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from consent.regions import regions
from consent.types import Request, Requester, Right
from dicom_bridge.objects.vocabulary import find_expression, find_view
from dicom_bridge.protocols.closings import Closings
from dicom_bridge.protocols.reading import all_protocols
from tests.fhir.clinic import Clinic, build, context, open_clinic, region
from tests.fhir.test_course import NOW

VISIT = "v5"
REST, FROWN = "toxin-glabella/frontal-rest", "toxin-glabella/frontal-frown"


def request(account: str = "nurse", *rights: Right) -> Request:
    """Who closes."""
    return Request(
        Requester(account, ("TREAT",), frozenset(rights or {Right.RECORD}), reference="Practitioner/d"), "TREAT"
    )


def opened(folder: Path, number: int | None = 1) -> Clinic:
    """Anna is here; her glabella was treated, and nothing was photographed yet."""
    build(folder)
    made = open_clinic(folder)
    made.put(
        {
            "resourceType": "Encounter",
            "id": VISIT,
            "status": "in-progress",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": "Patient/anna"},
            "period": {"start": "2026-06-15T11:30:00+03:00"},
        }
    )
    glabella = regions().by_name("glabella")
    assert glabella is not None
    session = {} if number is None else {"extension": [{"url": "urn:photospine:session", "valuePositiveInt": number}]}
    made.put(
        session
        | {
            "resourceType": "Procedure",
            "id": "tox",
            "status": "completed",
            "code": {"text": "Botulinum toxin, glabella"},
            "subject": {"reference": "Patient/anna"},
            "encounter": {"reference": f"Encounter/{VISIT}"},
            "bodySite": [{"coding": [{"system": glabella.system, "code": glabella.value}]}],
            "performedDateTime": "2026-06-15T12:00:00+03:00",
        }
    )
    return made


def shot(
    clinic: Clinic, name: str, expression: str, *, visit: str = VISIT, taken: str = "2026-06-15T11:40:00+03:00"
) -> None:
    """A frontal photo of the face."""
    face = regions().by_name("face")
    assert face is not None
    clinic.photo(
        name,
        "anna",
        visit,
        context=context(visit, taken),
        extension=[
            region({"system": face.system, "code": face.value}),
            _said("view", find_view("frontal")),
            _said("expression", find_expression(expression)),
        ],
    )


def _said(what: str, term: Any) -> dict[str, Any]:
    coding = {"system": term.system, "code": term.value, "display": term.meaning}
    return {"url": f"urn:photospine:{what}", "valueCodeableConcept": {"coding": [coding], "text": term.meaning}}


def closings(clinic: Clinic, *, strict: bool = False) -> Closings:
    """Of the protocols that come with Photospine."""
    return Closings(clinic.node, all_protocols(), strict=strict, now=lambda _: NOW)
