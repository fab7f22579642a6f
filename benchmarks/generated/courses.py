"""A patient's courses: plans, visits, treatments, photos and outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from benchmarks.generated.around import around
from benchmarks.generated.foundation import CLINICIANS, ROOMS, SITE
from benchmarks.generated.patients import consents, patient
from benchmarks.generated.photos import ELSEWHERE, FACIAL, Shot, photos
from benchmarks.generated.products import Kind, Lot
from benchmarks.generated.size import SESSIONS, photos_of
from benchmarks.generated.treatments import Given, treatment
from benchmarks.generated.visit import Course, Visit
from consent.types import Laterality
from dicom_bridge.objects.vocabulary import find_region
from fhir_mapping import dates
from fhir_mapping.course.plan import Plan, care_plan
from fhir_mapping.outcome.outcome import Outcome, observation
from fhir_mapping.outcome.vocabulary import Rater

_FIRST = datetime(2019, 1, 7, 9, tzinfo=SITE.zone)
_CHARACTERISTICS = {
    Kind.TOXIN: ("dynamic-wrinkle", "static-wrinkle"),
    Kind.FILLER: ("volume", "contour", "symmetry"),
    Kind.TOPICAL: ("redness", "pigment", "texture", "pore"),
}


@dataclass(frozen=True, slots=True)
class Made:
    """What some patients add to the record."""

    resources: tuple[dict[str, Any], ...]
    shots: tuple[Shot, ...]
    given: tuple[Given, ...]


def group(number: int, seed: int, lots: Mapping[Kind, Sequence[Lot]]) -> Made:
    """Everything of a group of five patients (:mod:`benchmarks.generated.size`), by its number and the seed alone."""
    random = Random(f"{seed}:{number}")
    resources: list[dict[str, Any]] = []
    shots: list[Shot] = []
    given: list[Given] = []
    first = 0
    for place, count in enumerate(SESSIONS):
        patient_number = number * len(SESSIONS) + place
        resources.append(patient(random, patient_number))
        hers = _sessions(random, patient_number, range(first, first + count), lots)
        resources += around(random, patient_number)
        resources += hers.resources
        resources += consents(random, patient_number, [shot.document for shot in hers.shots])
        shots += hers.shots
        given += hers.given
        first += count
    return Made(tuple(resources), tuple(shots), tuple(given))


def _sessions(random: Random, number: int, numbers: range, lots: Mapping[Kind, Sequence[Lot]]) -> Made:
    resources: list[dict[str, Any]] = []
    shots: list[Shot] = []
    given: list[Given] = []
    at = _FIRST + timedelta(days=random.randrange(1800), minutes=random.randrange(480))
    left = list(enumerate(numbers))
    while left:
        course = _course(random, f"c{number:06}-{left[0][0]:02}")
        length = min(random.randint(1, 4), len(left))
        earlier: list[str] = []
        done: list[str] = []
        for each, (place, in_group) in enumerate(left[:length], start=1):
            visit = Visit(f"{number:06}-{place:02}", each, at, f"p{number:06}", course)
            shown, those = photos(random, visit, photos_of(in_group))
            treated, what = treatment(random, visit, lots)
            resources += [_encounter(visit), *shown, *treated]
            if earlier:
                resources.append(_outcome(random, visit, earlier[0], those[0].document))
            else:
                earlier = [shot.document for shot in those]
            shots += those
            given.append(what)
            done.append(visit.procedure["reference"])
            at += timedelta(days=random.randint(21, 90), minutes=random.randint(-90, 90))
        resources.append(_plan(course, f"p{number:06}", earlier, done))
        left = left[length:]
    return Made(tuple(resources), tuple(shots), tuple(given))


def _course(random: Random, key: str) -> Course:
    area = random.choice(FACIAL if random.random() < 0.8 else ELSEWHERE)
    side = random.choice((Laterality.RIGHT, Laterality.LEFT)) if find_region(area).paired else None
    kind = random.choices((Kind.TOXIN, Kind.FILLER, Kind.TOPICAL), (3, 1, 2))[0]
    return Course(key, kind, area, side, random.choice(CLINICIANS))


def _encounter(visit: Visit) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": f"v{visit.key}",
        "identifier": [
            {
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]},
                "system": "urn:example:accession",
                "value": visit.key.replace("-", ""),
            }
        ],
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": visit.subject,
        "participant": [{"individual": {"reference": visit.course.clinician}}],
        "period": {"start": dates.date_time(visit.at - timedelta(minutes=40)), "end": visit.when},
        "episodeOfCare": [{"reference": f"EpisodeOfCare/e{visit.patient[1:]}"}],
        "location": [{"location": {"reference": ROOMS[int(visit.key[5]) % len(ROOMS)]}}],
        "serviceProvider": {"reference": f"Organization/{SITE.organization}"},
    }


def _outcome(random: Random, visit: Visit, before: str, after: str) -> dict[str, Any]:
    rater = random.choice((Rater.INVESTIGATOR, Rater.PATIENT))
    made = observation(
        Outcome(
            patient=visit.patient,
            characteristic=random.choice(_CHARACTERISTICS[visit.course.kind]),
            change=random.choice((-1, 0, 1, 1, 2, 2, 3)),
            rater=rater,
            performer=visit.course.clinician if rater is Rater.INVESTIGATOR else f"Patient/{visit.patient}",
            place=visit.course.place,
            before=f"DocumentReference/{before}",
            after=f"DocumentReference/{after}",
            end=visit.when,
            sessions=(visit.procedure["reference"],),
            encounter=visit.encounter["reference"],
        )
    )
    return made | {"id": f"r{visit.key}"}


def _plan(course: Course, patient_id: str, photos_before: Sequence[str], done: Sequence[str]) -> dict[str, Any]:
    made = care_plan(
        Plan(
            patient=patient_id,
            title=course.treatment.text,
            treatment=course.treatment,
            goals=("Looks rested",),
            places=(course.place,),
            sessions=len(done),
            every=6,
            photos=tuple(f"DocumentReference/{each}" for each in photos_before),
            done=tuple(done),
            status="completed",
            author=course.clinician,
        )
    )
    return made | {"id": course.key}
