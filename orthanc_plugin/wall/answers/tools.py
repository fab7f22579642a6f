"""The ``/tools`` of Orthanc that search (find, count-resources, lookup, bulk-content), from permitted photos alone.

What cannot be honoured is refused (400), never ignored. Values match as in DICOM (PS3.4 C.2.2.2): names without regard
to case, anything else with regard to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import false, or_

from consent.service import for_one_patient
from consent.store.engine import reading
from dicom_bridge.query.dictionary import Level, look_up
from dicom_bridge.query.index import text_of
from dicom_bridge.query.matching import MATCHED, BadValue
from dicom_bridge.query.members import levels
from dicom_bridge.query.search import Entity, Found, Question, asked_for, find
from orthanc_plugin.wall.answer import Answer, json_answer
from orthanc_plugin.wall.answers.body import BadBody, ids, read_json
from orthanc_plugin.wall.answers.core_lists import resource_json
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.routes import Row, Touches

FIND = "/tools/find"
_PATIENCE = 10.0
_MOST_RESOURCES = 500
_MOST_TEXT = 256
_LEVELS = {
    "PATIENT": Level.PATIENT,
    "PATIENTS": Level.PATIENT,
    "STUDY": Level.STUDY,
    "STUDIES": Level.STUDY,
    "SERIES": Level.SERIES,
    "INSTANCE": Level.INSTANCE,
    "INSTANCES": Level.INSTANCE,
    "IMAGE": Level.INSTANCE,
    "IMAGES": Level.INSTANCE,
}
_PLURALS = {
    Level.PATIENT: "patients",
    Level.STUDY: "studies",
    Level.SERIES: "series",
    Level.INSTANCE: "instances",
}
_PARENTS = {"ParentPatient": Level.PATIENT, "ParentStudy": Level.STUDY, "ParentSeries": Level.SERIES}
_ASKED_FOR = frozenset({"Level", "Query", "CaseSensitive", *_PARENTS})
_SHOWN = frozenset({"Expand", "Limit", "Since", "RequestedTags", "ResponseContent", "Labels", "LabelsConstraint"})
#: What ``ResponseContent`` may name, and the members of a resource that come of it.
_CONTENT = {
    "MainDicomTags": frozenset({"MainDicomTags", "PatientMainDicomTags"}),
    "Children": frozenset({"Studies", "Series", "Instances"}),
    "Parent": frozenset({"ParentPatient", "ParentStudy", "ParentSeries"}),
    "IsStable": frozenset({"IsStable"}),
    "Status": frozenset({"Status"}),
    "RequestedTags": frozenset({"RequestedTags"}),
}
_ALWAYS = frozenset({"ID", "Type"})
_UID = re.compile(r"[0-9.]{1,64}")
_WILD = re.compile(r"[*?\\,]")
_TAG = re.compile(r"([0-9A-Fa-f]{4})[,-]?([0-9A-Fa-f]{4})")
_LOOKED_UP = (
    (Level.PATIENT, "PatientID"),
    (Level.STUDY, "StudyInstanceUID"),
    (Level.SERIES, "SeriesInstanceUID"),
    (Level.INSTANCE, "SOPInstanceUID"),
)


def found(foundation: Foundation, asked: Asked) -> Answer:
    """``/tools/find``: ids, or with ``Expand`` or ``ResponseContent`` the resources."""
    try:
        body = _body(asked, _ASKED_FOR | _SHOWN)
        question, shape = _question(body), _Shape.of(body)
        answer = _search(foundation, asked, [question], details=shape.expand)
    except (BadBody, BadValue):
        return Answer(status=400)
    entities = answer[0].entities
    return json_answer(
        [shape.show(each) for each in entities] if shape.expand else [one.orthanc_id for one in entities]
    )


def counted(foundation: Foundation, asked: Asked) -> Answer:
    """``/tools/count-resources``."""
    try:
        body = _body(asked, _ASKED_FOR | {"Labels", "LabelsConstraint"})
        answer = _search(foundation, asked, [_question(body)], details=False)
    except (BadBody, BadValue):
        return Answer(status=400)
    return json_answer({"Count": len(answer[0].entities)})


def looked_up(foundation: Foundation, asked: Asked) -> Answer:
    """``/tools/lookup``: what has this text as its Patient ID or UID, to the letter."""
    try:
        text = asked.body.decode().strip(" \0\r\n\t")
    except UnicodeDecodeError:
        return Answer(status=400)
    if len(text) > _MOST_TEXT or "\0" in text:
        return Answer(status=400)
    questions = [
        Question(level, ((keyword, text),))
        for level, keyword in _LOOKED_UP
        if text and (_UID.fullmatch(text) if level is not Level.PATIENT else not _WILD.search(text))
    ]
    answers = _search(foundation, asked, questions, details=False)
    return json_answer(
        [
            {
                "ID": entity.orthanc_id,
                "Path": f"/{_PLURALS[entity.level]}/{entity.orthanc_id}",
                "Type": entity.level.name.capitalize(),
            }
            for answer in answers
            for entity in answer.entities
        ]
    )


def contents(foundation: Foundation, asked: Asked) -> Answer:
    """``/tools/bulk-content``: resources of any level, or what they have at one level, without Orthanc's metadata."""
    try:
        body = _body(asked, frozenset({"Resources", "Level", "Metadata"}))
        resources = list(dict.fromkeys(ids(body.get("Resources"))))
        target = _level(body["Level"]) if "Level" in body else None
        if len(resources) > _MOST_RESOURCES or body.get("Metadata", False) is not False:
            raise BadBody("too many, or metadata")
    except BadBody:
        return Answer(status=400)
    with reading(foundation.rooms().engine) as connection:
        known = levels(connection, resources)
    questions = [
        Question(known[one] if target is None else target, orthanc=(known[one], one))
        for one in resources
        if one in known
    ]
    answers = _search(foundation, asked, questions, details=True)
    shown = {entity.orthanc_id: entity for answer in answers for entity in answer.entities}
    return json_answer([resource_json(entity) for entity in shown.values()])


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is shown of each resource."""

    expand: bool
    members: frozenset[str] | None
    """Names of its members; None: as Orthanc shows them."""

    requested: tuple[tuple[str, str], ...]
    """Keyword and tag of each attribute asked for."""

    @staticmethod
    def of(body: Mapping[str, Any]) -> _Shape:
        content, requested = body.get("ResponseContent"), body.get("RequestedTags", [])
        if not _texts(requested) or not (content is None or _texts(content)):
            raise BadBody("no list of names")
        attributes = []
        for name in requested:
            attribute = look_up("".join(match.groups()) if (match := _TAG.fullmatch(name)) else name)
            if attribute is None:
                raise BadBody("RequestedTags")
            attributes.append((attribute.keyword, attribute.tag))
        if content is None:
            return _Shape(_flag(body, "Expand"), None, tuple(attributes))
        if not _CONTENT.keys() >= set(content) or "Expand" in body:
            raise BadBody("ResponseContent")
        return _Shape(True, _ALWAYS.union(*(_CONTENT[each] for each in content)), tuple(attributes))

    def show(self, entity: Entity) -> dict[str, Any]:
        made = resource_json(entity)
        if self.requested:
            texts = {keyword: _requested(entity, keyword, name) for keyword, name in self.requested}
            made["RequestedTags"] = {keyword: text for keyword, text in texts.items() if text is not None}
        return made if self.members is None else {name: made[name] for name in made if name in self.members}


def _requested(entity: Entity, keyword: str, name: str) -> str | None:
    """An attribute as text; those that no object has are counted over permitted photos."""
    match keyword:
        case "ModalitiesInStudy":
            return "\\".join(sorted(entity.modalities))
        case "SOPClassesInStudy":
            return "\\".join(sorted(entity.sop_classes))
        case "NumberOfPatientRelatedStudies":
            return str(len(entity.studies))
        case "NumberOfPatientRelatedSeries" | "NumberOfStudyRelatedSeries":
            return str(len(entity.series))
        case "NumberOfPatientRelatedInstances" | "NumberOfStudyRelatedInstances" | "NumberOfSeriesRelatedInstances":
            return str(len(entity.photos))
    return text_of(entity.attributes, name) if name in entity.attributes else None


def _body(asked: Asked, keys: frozenset[str]) -> Mapping[str, Any]:
    body = read_json(asked.body)
    if not isinstance(body, dict) or not body.keys() <= keys:
        raise BadBody("unknown key")
    return body


def _question(body: Mapping[str, Any]) -> Question:
    query = body.get("Query")
    if not isinstance(query, dict) or body.get("Labels", []) != [] or body.get("CaseSensitive", True) is not True:
        raise BadBody("Query, Labels or CaseSensitive")
    keys = []
    for name, value in query.items():
        attribute = look_up("".join(match.groups()) if (match := _TAG.fullmatch(name)) else name)
        if attribute is None or attribute.keyword not in MATCHED or not isinstance(value, str) or "\0" in value:
            raise BadBody("Query")
        keys.append((attribute.keyword, value))
    parents = [(level, body[name]) for name, level in _PARENTS.items() if name in body]
    if len(parents) > 1:
        raise BadBody("one parent at most")
    for _, parent in parents:
        ids([parent])
    limit = _whole(body, "Limit")
    return Question(
        _level(body.get("Level")), tuple(keys), limit or None, _whole(body, "Since"), parents[0] if parents else None
    )


def _level(value: Any) -> Level:
    level = _LEVELS.get(value.upper()) if isinstance(value, str) else None
    if level is None:
        raise BadBody("Level")
    return level


def _whole(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10**9:
        raise BadBody(name)
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise BadBody(name)
    return value


def _texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 100 and all(isinstance(each, str) for each in value)


def _search(foundation: Foundation, asked: Asked, questions: list[Question], *, details: bool) -> list[Found]:
    """The answers, in one record."""
    rooms, row, request = foundation.rooms(), asked.match.row, asked.request
    assert request is not None
    with reading(rooms.engine) as connection:
        these = or_(false(), *(asked_for(connection, question) for question in questions))
        request = for_one_patient(connection, request, these)
        permitted = rooms.point.permitted(connection, request, fulfils=row.fulfils)
        clause, refused = permitted.clause, permitted.refused
        answers = [find(connection, question, clause, details=details, refused=refused) for question in questions]
    released = {number for answer in answers for number in answer.photos}
    rooms.point.record_set(request, row.name, released, sum(answer.refused for answer in answers))
    return answers


ROWS = (
    Row(Method.POST, FIND, Touches.SET, found, patience=_PATIENCE, locates=True),
    Row(Method.POST, "/tools/count-resources", Touches.SET, counted, patience=_PATIENCE),
    Row(Method.POST, "/tools/lookup", Touches.SET, looked_up, patience=_PATIENCE),
    Row(Method.POST, "/tools/bulk-content", Touches.SET, contents, patience=_PATIENCE),
)
