"""The photos of one visit, by the builders that write every photo's record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from benchmarks.generated.foundation import BASE, PHOTOGRAPHERS, SITE
from benchmarks.generated.visit import Visit
from dicom_bridge.objects.photo import VL_PHOTOGRAPHIC
from dicom_bridge.objects.vocabulary import Term, find_region, find_view
from dicom_bridge.query.orthanc_ids import orthanc_ids
from fhir_mapping import dates
from fhir_mapping.resources.document_reference import Concept, PhotoDocument, document_reference
from fhir_mapping.resources.imaging_study import StudyInstance, with_instances
from fhir_mapping.resources.provenance import provenance

FACIAL = ("forehead", "cheek", "chin", "nose", "temple")
"""Areas treated that an overview of the face shows, none of them a part of another."""

ELSEWHERE = ("neck", "hand-dorsum", "abdomen")
OVERVIEW = "face"

_VIEWS = ("frontal", "left-oblique", "right-oblique", "close-up")
_OVERVIEWS = 0.1
_PUBLIC = BASE.removesuffix("/fhir")


@dataclass(frozen=True, slots=True)
class Shot:
    """A photo as its row needs it; all else stands in the record."""

    document: str
    """Id of its DocumentReference."""

    patient: str
    """Id."""

    procedure: str
    """Id of the treatment that it was taken for."""

    sop_uid: str
    series_uid: str
    study_uid: str
    orthanc_id: str
    view: str
    """``system|code``."""

    area: str
    """Name of the region shown."""


def photos(random: Random, visit: Visit, count: int) -> tuple[list[dict[str, Any]], list[Shot]]:
    """DocumentReferences, the ImagingStudy and a Provenance for all of them, before what they name; and the photos.

    One visit of the face in ten begins with an overview.
    """
    study_uid = _uid(random)
    overview = visit.course.area in FACIAL and random.random() < _OVERVIEWS
    photographer = random.choice(PHOTOGRAPHERS)
    documents: list[PhotoDocument] = []
    instances: list[StudyInstance] = []
    shots: list[Shot] = []
    for place in range(count):
        area = OVERVIEW if overview and place == 0 else visit.course.area
        term = find_view(_VIEWS[place])
        shot = _shot(random, visit, place, study_uid, term, area)
        shots.append(shot)
        documents.append(_document(random, visit, place, shot, term))
        instances.append(_instance(visit, place, shot, term))
    now = visit.at
    made = [document_reference(each, now) for each in documents]
    study = with_instances(None, instances)
    origin = provenance(
        document=f"DocumentReference/{documents[0].id}",
        study=f"ImagingStudy/{study['id']}",
        sha256=documents[0].sha256,
        custodian=documents[0].custodian,
        photographer=photographer,
        author=visit.course.clinician,
        occurred=documents[0].taken,
        now=now,
    )
    origin["id"] = f"w{visit.key}"
    origin["target"] += [{"reference": f"DocumentReference/{each.id}"} for each in documents[1:]]
    return [*made, study, origin], shots


def _shot(random: Random, visit: Visit, place: int, study_uid: str, term: Term, area: str) -> Shot:
    sop_uid, series_uid = _uid(random), _uid(random)
    return Shot(
        document=f"f{visit.key}-{place}",
        patient=visit.patient,
        procedure=f"t{visit.key}",
        sop_uid=sop_uid,
        series_uid=series_uid,
        study_uid=study_uid,
        orthanc_id=orthanc_ids(visit.patient, study_uid, series_uid, sop_uid).instance,
        view=term.code,
        area=area,
    )


def _document(random: Random, visit: Visit, place: int, shot: Shot, term: Term) -> PhotoDocument:
    address = f"studies/{shot.study_uid}/series/{shot.series_uid}/instances/{shot.sop_uid}/rendered"
    return PhotoDocument(
        id=shot.document,
        sop_uid=shot.sop_uid,
        sha256=f"{random.getrandbits(256):064x}",
        patient=visit.subject["reference"],
        encounter=visit.encounter["reference"],
        custodian=f"Organization/{SITE.organization}",
        url=f"{_PUBLIC}/dicom-web/{address}",
        region=find_region(shot.area),
        laterality=visit.course.side if find_region(shot.area).paired else None,
        view=Concept(term.system, term.value, term.meaning),
        procedure=visit.procedure["reference"],
        author=visit.course.clinician,
        taken=dates.date_time(visit.at - timedelta(minutes=30 - place)),
    )


def _instance(visit: Visit, place: int, shot: Shot, term: Term) -> StudyInstance:
    return StudyInstance(
        study_id=f"s{visit.key}",
        study_uid=shot.study_uid,
        series_uid=shot.series_uid,
        sop_uid=shot.sop_uid,
        sop_class=str(VL_PHOTOGRAPHIC),
        number=place + 1,
        patient=visit.subject["reference"],
        encounter=visit.encounter["reference"],
        procedure=visit.procedure["reference"],
        started=visit.when,
        description=term.meaning,
        region=find_region(shot.area),
        laterality=visit.course.side if find_region(shot.area).paired else None,
        title=term.meaning,
    )


def _uid(random: Random) -> str:
    return f"2.25.{random.getrandbits(122)}"
