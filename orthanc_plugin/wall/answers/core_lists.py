"""Orthanc's own lists, resources, children and parents, rebuilt from permitted photos alone."""

from __future__ import annotations

import re
from typing import Any

from consent.service import for_one_patient
from consent.store.clock import instant
from consent.store.engine import reading
from consent.types import Right
from dicom_bridge.query.dictionary import Level, tag
from dicom_bridge.query.index import text_of
from dicom_bridge.query.search import Entity, Question, asked_for, find
from orthanc_plugin.wall.answer import ABSENT, JSON, REFUSED, Answer, json_answer
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.routes import Row, Touches

_PLURALS = {
    "patients": Level.PATIENT,
    "studies": Level.STUDY,
    "series": Level.SERIES,
    "instances": Level.INSTANCE,
}
_SINGULARS = {"patient": Level.PATIENT, "study": Level.STUDY, "series": Level.SERIES}
_MAIN: dict[Level, str] = {
    Level.PATIENT: "PatientID PatientName PatientBirthDate PatientSex",
    Level.STUDY: "AccessionNumber InstitutionName ReferringPhysicianName RequestedProcedureDescription StudyDate "
    "StudyDescription StudyID StudyInstanceUID StudyTime",
    Level.SERIES: "BodyPartExamined Manufacturer Modality OperatorsName PerformedProcedureStepDescription ProtocolName "
    "SeriesDate SeriesDescription SeriesInstanceUID SeriesNumber SeriesTime StationName",
    Level.INSTANCE: "AcquisitionNumber ImageComments InstanceCreationDate InstanceCreationTime InstanceNumber "
    "NumberOfFrames SOPInstanceUID",
}
_NUMBER = re.compile(r"\d{1,9}")
_LIST_QUERY = frozenset({"expand", "since", "limit"})


def listed(foundation: Foundation, asked: Asked) -> Answer:
    """``/studies`` and its like: ids, or with ``expand`` the resources."""
    if asked.task is not None:
        return _all_instances(foundation, asked)
    since, limit = asked.query.get("since", "0"), asked.query.get("limit")
    if not _NUMBER.fullmatch(since) or (limit is not None and not _NUMBER.fullmatch(limit)):
        return Answer(status=400)
    level = _PLURALS[asked.match.row.path[1:]]
    bound = None if limit in (None, "0") else int(limit or 0)  # Orthanc reads 0 as no limit
    expand = "expand" in asked.query
    found = _find(foundation, asked, Question(level, limit=bound, offset=int(since)), details=expand)
    return json_answer([resource_json(each) for each in found] if expand else [each.orthanc_id for each in found])


def resource(foundation: Foundation, asked: Asked) -> Answer:
    """One patient, study or series."""
    level = _PLURALS[asked.match.row.path.split("/")[1]]
    found = _find(foundation, asked, Question(level, orthanc=(level, asked.match.values["id"])))
    return json_answer(resource_json(found[0])) if found else ABSENT


def children(foundation: Foundation, asked: Asked) -> Answer:
    """What belongs to one patient, study or series."""
    _, above, _, below = asked.match.row.path.split("/")
    question = Question(_PLURALS[below], orthanc=(_PLURALS[above], asked.match.values["id"]))
    found = _find(foundation, asked, question)
    return json_answer([resource_json(each) for each in found]) if found else ABSENT


def parent(foundation: Foundation, asked: Asked) -> Answer:
    """What one study, series or instance belongs to."""
    _, below, _, above = asked.match.row.path.split("/")
    question = Question(_SINGULARS[above], orthanc=(_PLURALS[below], asked.match.values["id"]))
    found = _find(foundation, asked, question)
    return json_answer(resource_json(found[0])) if found else ABSENT


def _find(foundation: Foundation, asked: Asked, question: Question, *, details: bool = True) -> tuple[Entity, ...]:
    rooms, row, request = foundation.rooms(), asked.match.row, asked.request
    assert request is not None
    with reading(rooms.engine) as connection:
        request = for_one_patient(connection, request, asked_for(connection, question))
        permitted = rooms.point.permitted(connection, request, fulfils=row.fulfils)
        found = find(connection, question, permitted.clause, details=details, refused=permitted.refused)
    rooms.point.record_set(request, row.name, found.photos, found.refused)
    return found.entities


def _all_instances(foundation: Foundation, asked: Asked) -> Answer:
    """Everything that Orthanc holds, for comparing it with the ledger: ids alone."""
    since, limit = asked.query.get("since", "0"), asked.query.get("limit", "1000")
    if "expand" in asked.query or not _NUMBER.fullmatch(since) or not _NUMBER.fullmatch(limit):
        return REFUSED
    return Answer(body=foundation.host.get(f"/instances?since={since}&limit={limit}"), content_type=JSON)


def resource_json(entity: Entity) -> dict[str, Any]:
    """A resource in Orthanc's shape."""
    found: dict[str, Any] = {
        "ID": entity.orthanc_id,
        "Type": entity.level.name.capitalize(),
        "MainDicomTags": _tags(entity, entity.level),
    }
    if entity.level is not Level.INSTANCE:
        found |= {"IsStable": True, "LastUpdate": instant(entity.stored).strftime("%Y%m%dT%H%M%S")}
    match entity.level:
        case Level.PATIENT:
            found["Studies"] = entity.studies
        case Level.STUDY:
            found |= {
                "ParentPatient": entity.patients[0],
                "PatientMainDicomTags": _tags(entity, Level.PATIENT),
                "Series": entity.series,
            }
        case Level.SERIES:
            found |= {
                "ParentStudy": entity.studies[0],
                "Instances": entity.instances,
                "ExpectedNumberOfInstances": None,
                "Status": "Unknown",
            }
        case Level.INSTANCE:
            found["ParentSeries"] = entity.series[0]
    return found


def _tags(entity: Entity, level: Level) -> dict[str, str]:
    texts = {keyword: text_of(entity.attributes, tag(keyword)) for keyword in _MAIN[level].split()}
    return {keyword: text for keyword, text in texts.items() if text or keyword.endswith(("ID", "UID"))}


def _rows() -> tuple[Row, ...]:
    rows = []
    for plural, level in _PLURALS.items():
        tasks = frozenset({"changes"}) if level is Level.INSTANCE else frozenset()
        rows.append(Row(Method.GET, f"/{plural}", Touches.SET, listed, _LIST_QUERY, tasks=tasks))
        if level is not Level.INSTANCE:
            rows.append(Row(Method.GET, f"/{plural}/{{id}}", Touches.SET, resource))
        for other, below in _PLURALS.items():
            if below > level:
                rows.append(Row(Method.GET, f"/{plural}/{{id}}/{other}", Touches.SET, children))
        for other, above in _SINGULARS.items():
            if above < level:
                rows.append(Row(Method.GET, f"/{plural}/{{id}}/{other}", Touches.SET, parent))
    return tuple(rows)


#: What tells nothing of photos, for those who run the archive.
_SYSTEM = tuple(
    Row(Method.GET, path, Touches.NOTHING, right=Right.ADMIN) for path in ("/system", "/tools/now", "/tools/now-local")
)
ROWS = _rows() + _SYSTEM
