"""The pages of batch advisories over a real record, with sessions and pictures made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from consent.types import Obligation, Request, Requester
from fhir_mapping.advisory.keeping import Advisories
from orthanc_plugin.workspace.advisory import Batches
from orthanc_plugin.workspace.app import create_app
from orthanc_plugin.workspace.files import Files
from orthanc_plugin.workspace.pages import Parts
from orthanc_plugin.workspace.record import Picture
from orthanc_plugin.workspace.stored import StoredRecord
from orthanc_plugin.workspace.visitor import Door
from tests.fhir.clinic import SITE, Clinic
from tests.workspace.clinic import NOW, Sessions, _drawn
from tests.workspace.page import Patient

ACCOUNTS = {
    "compliance": Requester("compliance", ("HCOMPL", "PATSFTY")),
    "clinician": Requester("clinician", ("TREAT",), reference="Practitioner/d"),
    "anna": Requester("anna", ("PATRQT", "PATSFTY"), confined_to=frozenset({"anna"}), own_patient="anna"),
}


class Pictures:
    """Decides and records as the real ones, and draws what it shows."""

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic

    def picture(self, request: Request, sop_uid: str, *, route: str, width: int, publishing: bool) -> Picture | None:
        fulfils = frozenset({Obligation.WATERMARK})
        answer = self._clinic.node.decisions.photo(request, sop_uid, route=route, fulfils=fulfils)
        if not answer.permitted or answer.number is None:
            return None
        return Picture(_drawn(None, answer.number * 100, "Face", answer.number % 6, width or 1500))


def application(clinic: Clinic, *, packages: Path = Path("absent")) -> Starlette:
    """The workspace."""
    sessions = Sessions(dict(ACCOUNTS))
    parts = Parts(
        StoredRecord(clinic.engine, clinic.node.decisions, clinic.node.record),
        Pictures(clinic),
        Door(sessions, secure=False),
        SITE,
        Files(packages),
        lambda: NOW,
        (),
        safety=True,
    )
    batches = Batches(Advisories(clinic.node), clinic.engine)
    return create_app(parts, sessions, throttle=Patient(), healthy=lambda: True, batches=batches)


def populate(clinic: Clinic) -> None:
    """Contacts, photos after, and lots in the other two sets."""
    body: dict[str, Any]
    for body in (
        {"resourceType": "Patient", "id": "anna", "name": [{"family": "Ānderson", "given": ["Anna"]}],
         "birthDate": "1990-05-05", "telecom": [{"system": "phone", "value": "+30 210 000 0001"}],
         "address": [{"line": ["Odos 1"], "city": "Athens", "postalCode": "10431"}]},
        {"resourceType": "Patient", "id": "ben", "name": [{"family": "Berg", "given": ["Ben"]}],
         "birthDate": "2015-01-01"},
        {"resourceType": "RelatedPerson", "id": "mother", "patient": {"reference": "Patient/ben"},
         "name": [{"family": "Berg", "given": ["Mia"]}], "relationship": [{"text": "mother"}],
         "telecom": [{"system": "phone", "value": "+30 210 000 0002"}]},
        {"resourceType": "Medication", "id": "near", "code": {"text": "Toxin A"},
         "batch": {"lotNumber": "L0T-O071", "expirationDate": "2027-01-31"}},
        {"resourceType": "MedicationAdministration", "id": "near", "status": "completed",
         "subject": {"reference": "Patient/ben"}, "medicationReference": {"reference": "Medication/near"},
         "effectiveDateTime": "2026-05-03", "dosage": {"dose": {"value": 12, "unit": "U"}}},
    ):  # fmt: skip
        clinic.put(body)
