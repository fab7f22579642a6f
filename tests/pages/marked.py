"""Photos whose pixels name them at every size, some of them refused: what a tour looks for in all that is received."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from dicom_bridge.objects.vocabulary import find_region, find_view
from dicom_bridge.plan import Plan
from orthanc_plugin.assembly.demo.clinic import KNOWN_SINCE, shots
from orthanc_plugin.assembly.intake import open_archive, pipeline
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import Settings
from tests.matrix.marks import enlarged, shown_in

_TIMES = 14
"""1344 x 896 pixels: larger than all renditions but the two largest."""

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Marked:
    """A photo that shows its number."""

    number: int
    patient: str
    document: str


def take_in(settings: Settings, first: int) -> dict[int, Marked]:
    """Four of Anna's and four of Dimitra's chin, one at each of their first visits.

    Each says when it was taken: nothing is published of whom nobody knows to have been of age.
    """
    made, times = {}, {shot.visit: shot.taken for shot in shots()}
    with open_node(settings, "demo") as node, open_archive(node) as archive:
        for place, patient in enumerate(("demo-anna", "demo-dimitra")):
            for session in range(1, 5):
                number = first + 10 * place + session
                (taken,) = pipeline(node, archive).take(
                    [enlarged(number, _TIMES, times[f"{patient}-v{session}"])],
                    Plan(
                        account="clinician",
                        os_user="demo",
                        patient=patient,
                        visit=f"{patient}-v{session}",
                        region=find_region("chin").code,
                        laterality="B",
                        view=find_view("frontal").code,
                        session=session,
                        procedure=f"{patient}-p{session}" if session < 4 else None,
                        clinician="Practitioner/demo-clinician",
                        photographer="Practitioner/demo-doctor",
                        known_since=f"{KNOWN_SINCE:%Y-%m-%d}",
                    ),
                )
                assert taken.document is not None
                made[number] = Marked(number, patient, taken.document)
    return made


def sign(address: str, identity: str, patient: str, provision: Mapping[str, object], status: str = "active") -> None:
    """Have a patient sign a Consent, by FHIR."""
    put(
        address,
        {
            "resourceType": "Consent",
            "id": identity,
            "status": status,
            "scope": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
            },
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": f"Patient/{patient}"},
            "dateTime": "2025-12-02T10:00:00+02:00",
            "performer": [{"reference": f"Patient/{patient}"}],
            "organization": [{"reference": "Organization/clinic"}],
            "policy": [{"uri": "urn:photospine:demo:photo-consent-form"}],
            "provision": dict(provision),
        },
        "clinician",
    )


def put(address: str, body: Mapping[str, object], account: str) -> None:
    """Write a resource under its id."""
    url = f"{address}/fhir/{body['resourceType']}/{body['id']}"
    request = Request(url, json.dumps(body).encode(), method="PUT")  # a demo clinic on this machine
    request.add_header("Content-Type", "application/fhir+json")
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{account}:{account}-demo".encode()).decode())
    with urlopen(request, timeout=30) as answer:
        answer.read()


def one_photo(effect: str, system: str, purpose: str, documents: list[str]) -> dict[str, object]:
    """A provision about some photos."""
    return {
        "type": effect,
        "purpose": [{"system": system, "code": purpose}],
        "data": [
            {"meaning": "instance", "reference": {"reference": f"DocumentReference/{each}"}} for each in documents
        ],
    }


def in_folder(folder: Path) -> set[int]:
    """Numbers of the photos that any file of a folder shows."""
    return {number for file in folder.rglob("*") if file.is_file() for number in shown_in(file.read_bytes())}
