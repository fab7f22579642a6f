"""The made-up clinic's plans, outcomes and injection points: what rests on photos that are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from fhir_mapping.course.plan import Plan, care_plan
from fhir_mapping.outcome.outcome import Graded, Outcome, observation
from fhir_mapping.outcome.vocabulary import Rater
from fhir_mapping.treatment import points
from fhir_mapping.treatment.session import Amount, Named, Point, PointMap
from orthanc_plugin.assembly.demo.clinic import COURSES, Course, View, procedure_id, visit_id
from orthanc_plugin.assembly.demo.resources import transaction

_TREATMENTS = "urn:photospine:treatment"

Document = Callable[[str, View], str | None]
"""Visit and view -> id of the photo's DocumentReference."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What is said of a course that its sessions do not say."""

    planned: int
    weeks: int
    goals: tuple[str, ...]
    characteristic: str
    change: int
    rater: Rater
    graded: Graded | None = None


_TOLD: Mapping[tuple[str, str], _Told] = {
    ("anna", "laser-pigment"): _Told(
        8, 5, ("Even tone on both cheeks", "No visible spots in daylight"), "pigment", 2, Rater.INVESTIGATOR
    ),
    ("maria", "toxin"): _Told(
        3, 17, ("Smooth forehead, brows that move",), "dynamic-wrinkle", 3, Rater.PATIENT, Graded("glogau", "II", "I")
    ),
    ("eleni", "toxin"): _Told(2, 19, ("No frown at rest",), "dynamic-wrinkle", 2, Rater.INVESTIGATOR),
    ("dimitra", "microneedling"): _Told(
        4, 6, ("Softer scars",), "scar", 1, Rater.INVESTIGATOR, Graded("goodman-baron", "3", "2")
    ),
    ("katerina", "laser-pigment"): _Told(3, 7, ("Clear backs of both hands",), "pigment", 2, Rater.INVESTIGATOR),
    ("nikos", "platelet-rich-plasma"): _Told(
        6, 4, ("More hair on the crown",), "hair-density", 1, Rater.PATIENT, Graded("norwood-hamilton", "IV", "III")
    ),
}

_FOREHEAD = ((0.3, 0.42), (0.42, 0.36), (0.5, 0.34), (0.58, 0.36), (0.7, 0.42))


def bundles(document: Document) -> list[dict[str, Any]]:
    """One transaction for each course."""
    return [transaction(_resources(course, document)) for course in COURSES]


def _resources(course: Course, document: Document) -> list[dict[str, Any]]:
    told = _TOLD[(course.patient, course.treatment)]
    patient = f"demo-{course.patient}"
    done = len(course.severities) - 1
    first = [document(visit_id(course, 1), view) for view in course.views]
    procedures = tuple(f"Procedure/{procedure_id(course, number)}" for number in range(1, done + 1))
    plan = Plan(
        patient=patient,
        title=course.title,
        treatment=Named(course.title, f"{_TREATMENTS}|{course.treatment}"),
        goals=told.goals,
        sessions=told.planned,
        every=told.weeks,
        products=(Named(course.product.name),) if course.product is not None else (),
        photos=tuple(f"DocumentReference/{each}" for each in first if each is not None),
        done=procedures,
        start=f"{course.start:%Y-%m-%d}",
        author="Practitioner/demo-clinician",
    )
    made = [care_plan(plan) | {"id": f"{patient}-plan"}]
    view = course.views[0]
    before, after = (document(visit_id(course, number), view) for number in (1, done + 1))
    end = course.start + course.interval * done
    if before is not None and after is not None:
        rated = Outcome(
            patient=patient,
            characteristic=told.characteristic,
            change=told.change,
            rater=told.rater,
            performer=f"Patient/{patient}" if told.rater is Rater.PATIENT else "Practitioner/demo-clinician",
            graded=told.graded,
            before=f"DocumentReference/{before}",
            after=f"DocumentReference/{after}",
            start=course.start.isoformat(),
            end=end.isoformat(),
            sessions=procedures[-1:],
            encounter=f"Encounter/{visit_id(course, done + 1)}",
        )
        made.append(observation(rated) | {"id": f"{patient}-outcome"})
    if course.treatment == "toxin" and before is not None:
        dose = Amount(Decimal(4), "U", "[arb'U]")
        spots = tuple(Point(Decimal(str(x)), Decimal(str(y)), dose) for x, y in _FOREHEAD)
        procedure = procedure_id(course, 1)
        given = points.observation(PointMap(f"DocumentReference/{before}", spots)) | {
            "id": f"{procedure}-points",
            "partOf": [{"reference": f"MedicationAdministration/{procedure}-given"}],
            "subject": {"reference": f"Patient/{patient}"},
            "encounter": {"reference": f"Encounter/{visit_id(course, 1)}"},
            "effectiveDateTime": (course.start + timedelta(minutes=20)).isoformat(),
        }
        made.append(given)
    return made
