"""A clinic with courses of before and after: Anna agrees to the portfolio, Ben does not."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from fhir_mapping.resources.document_reference import EXPRESSION_EXTENSION, VIEW_EXTENSION
from tests.fhir.clinic import FACE, HAND, SITE, Clinic, build, consent_of, context, open_clinic, region

VIEW = "urn:photospine:view"
TREATMENT = "urn:photospine:treatment"
MARKETING = "marketing"


def scene(folder: Path) -> Clinic:
    """Anna's face in two treatments and before any of them; Ben's face; consent of Anna alone."""
    build(folder)
    made = open_clinic(folder)
    procedure(made, "toxin1", "toxin", "anna", "v1", "2026-03-03")
    procedure(made, "toxin2", "toxin", "anna", "v1", "2026-04-03", session=2)
    procedure(made, "laser1", "laser", "anna", "v1", "2025-01-10")
    procedure(made, "his", "toxin", "ben", "v2", "2026-03-04", clinician="e")
    agree(made)
    return made


def agree(clinic: Clinic, name: str = "yes", purpose: str = "PORTFOLIO", **more: Any) -> None:
    """Anna signs, today, so that what she signs counts whenever this runs."""
    signed = datetime.now(SITE.zone).date().isoformat()
    body = consent_of(name, "permit", purpose, signed=signed, **more)
    answer = clinic.ask("clinician", "PUT", f"/Consent/{name}", json=body)
    assert answer.status_code in (200, 201), answer.text


def withdraw(clinic: Clinic, name: str = "yes") -> None:
    """Her permit counts no longer."""
    body = clinic.get("clinician", f"/Consent/{name}").json() | {"status": "inactive"}
    answer = clinic.ask("clinician", "PUT", f"/Consent/{name}", json=body)
    assert answer.status_code == 200, answer.text


def procedure(
    clinic: Clinic, name: str, kind: str, patient: str, visit: str, day: str, *, clinician: str = "d", session: int = 1
) -> None:
    """A treatment."""
    clinic.put(
        {
            "resourceType": "Procedure",
            "id": name,
            "status": "completed",
            "code": {"coding": [{"system": TREATMENT, "code": kind}]},
            "subject": {"reference": f"Patient/{patient}"},
            "encounter": {"reference": f"Encounter/{visit}"},
            "performedDateTime": f"{day}T11:00:00+03:00",
            "performer": [{"actor": {"reference": f"Practitioner/{clinician}"}}],
            "extension": [{"url": "urn:photospine:session", "valuePositiveInt": session}],
        }
    )


def shoot(
    clinic: Clinic,
    name: str,
    day: str,
    *treatments: str,
    patient: str = "anna",
    view: str = "frontal",
    expression: str = "",
    side: str | None = None,
    hand: bool = False,
) -> int:
    """A photo; its number."""
    visit = {"anna": "v1", "ben": "v2"}[patient]
    stated = [region(HAND if hand else FACE, side), _extension(VIEW_EXTENSION, view)]
    if expression:
        stated.append(_extension(EXPRESSION_EXTENSION, expression))
    at = context(visit, f"{day}T10:00:00+03:00", *(f"Procedure/{each}" for each in treatments))
    return clinic.photo(name, patient, visit, extension=stated, context=at)


def _extension(url: str, code: str) -> dict[str, Any]:
    return {"url": url, "valueCodeableConcept": {"coding": [{"system": VIEW, "code": code}]}}
