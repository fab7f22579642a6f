"""Generated timelines written into a record, on either database, and what is missing read back out of it."""

from __future__ import annotations

import json
import time
from datetime import date
from typing import Any

from sqlalchemy import String, insert

from consent.regions import regions
from consent.store.engine import transaction
from consent.types import Laterality
from dicom_bridge.gaps.gap import Gap
from dicom_bridge.objects.vocabulary import find_expression, find_view
from dicom_bridge.protocols.reading import load
from dicom_bridge.query.tables import dicom_attributes, dicom_instance
from fhir_mapping.resources.appraisal import Appraisal, Aspect, Finding, Verdict, observation
from fhir_mapping.resources.document_reference import EXPRESSION_EXTENSION, VIEW_EXTENSION
from tests import counts
from tests.fhir.clinic import Clinic, context, region
from tests.gaps import generator
from tests.gaps.clinic import at, of_one, stated
from tests.gaps.sentences import Expected, misses, told

NAME = "gap report: generated timelines in a record"
SEED = 20260711
_JUDGED = {"other-distance": Aspect.SCALE, "other-light": Aspect.EXPOSURE}
_SIDES = {"left": Laterality.LEFT, "right": Laterality.RIGHT, "both": Laterality.BOTH}


def test_timelines_are_read_out_of_the_record(clinic: Clinic) -> None:
    started, many = time.monotonic(), counts.count(NAME, small=12, full=120)
    right = found_all = expected_all = photos = 0
    wrong = []
    for number, seed in enumerate(_seeds(many)):
        drawn = generator.case(seed)
        protocol = load(drawn.protocol, "drawn", "drawn.toml")
        _written(clinic, drawn, number)
        (hers,) = of_one(clinic, at(drawn.asked.isoformat()), patient=f"p{number}", known=(protocol,)).people
        found = {_told(each) for each in hers.gaps}
        photos += len(drawn.pictures)
        right += len(found & drawn.gaps)
        found_all, expected_all = found_all + len(found), expected_all + len(drawn.gaps)
        wrong += [f"seed {seed}: {line}" for line in misses(found, drawn.gaps)]
    precision, recall = right / found_all, right / expected_all
    counts.report(
        f"{NAME}, {clinic.engine.dialect.name}",
        asked=many,
        run=many,
        failures=len(wrong),
        seed=SEED,
        started=started,
        measured=f"precision {precision:.3f}, recall {recall:.3f}, {expected_all} gaps, {photos} photos",
    )
    assert expected_all > many / 2
    assert precision >= 0.98, "\n".join(wrong[:20])
    assert recall >= 0.98, "\n".join(wrong[:20])


def _seeds(many: int) -> list[int]:
    """Timelines of which nothing was excused, which is a person's to say when a visit is closed, and all has been done:
    a record does not hold what was done after the day on which it is asked."""
    made: list[int] = []
    seed = SEED
    while len(made) < many:
        drawn = generator.case(seed)
        if not drawn.excused and drawn.sessions[-1] <= drawn.asked:
            made.append(seed)
        seed += 1
    return made


def _told(gap: Gap) -> Expected:
    point, session, kind, shot, state, until = told(gap)
    return point, session.partition(".")[2], kind, shot, state, until


def _written(clinic: Clinic, drawn: generator.Case, number: int) -> None:
    patient, visit = f"p{number}", f"v{100 + number}"
    hers = {"reference": f"Patient/{patient}"}
    area = regions().by_name(drawn.area)
    assert area is not None
    place = {"coding": [{"system": area.system, "code": area.value}]}
    clinic.put({"resourceType": "Patient", "id": patient, "name": [{"family": "Drawn"}]})
    clinic.put(
        {
            "resourceType": "Encounter",
            "id": visit,
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": hers,
            "period": {"start": drawn.sessions[0].isoformat()},
        }
    )
    for day in drawn.sessions:
        clinic.put(
            {
                "resourceType": "Procedure",
                "id": f"{patient}.{day}",
                "status": "completed",
                "code": {"text": "Drawn"},
                "subject": hers,
                "bodySite": [place],
                "performedDateTime": _moment(day),
            }
        )
    for order, each in enumerate(drawn.pictures):
        _photographed(clinic, each, f"{patient}x{order}", patient, visit)


def _photographed(clinic: Clinic, taken: generator.Picture, name: str, patient: str, visit: str) -> None:
    area = regions().by_name(taken.shot.region)
    assert area is not None
    shows: list[dict[str, Any]] = [
        region({"system": area.system, "code": area.value}, _SIDES[taken.shot.side].value),
        stated(VIEW_EXTENSION, find_view(taken.shot.view)),
    ]
    if taken.expression:
        shows.append(stated(EXPRESSION_EXTENSION, find_expression(taken.expression)))
    number = clinic.photo(name, patient, visit, context=context(visit, _moment(taken.day)), extension=shows)
    _indexed(clinic, number, taken.camera)
    if taken.judged:
        verdict = Verdict(_JUDGED[taken.judged], Finding.DIFFERS, "as drawn", 9.0, 1.0)
        said = Appraisal(f"DocumentReference/{name}", (verdict,), "drawn", "1")
        document = {"subject": {"reference": f"Patient/{patient}"}, "status": "current"}
        clinic.judged(observation(said, document, at(taken.day.isoformat())))


def _indexed(clinic: Clinic, number: int, camera: str) -> None:
    """Keep the attributes that tell by which camera a photo was taken."""
    attributes = json.dumps({"00081090": {"vr": "LO", "Value": [camera]}})
    row = {each.name: "" for each in dicom_instance.c if isinstance(each.type, String)}
    row |= {"sop_uid": f"2.25.{number}"}
    with transaction(clinic.engine) as connection:
        connection.execute(insert(dicom_instance).values(**row, photo=number, stored=0))
        connection.execute(insert(dicom_attributes).values(photo=number, attributes=attributes))


def _moment(day: date) -> str:
    return at(day.isoformat()).isoformat()
