"""Orthanc's own lists, resources, children and parents, rebuilt from permitted photos alone."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from consent.errors import ConsentError
from consent.service import Permits, for_one_patient
from consent.store.clock import instant
from consent.store.engine import reading
from consent.types import Request, Right
from dicom_bridge.query.dictionary import Level
from dicom_bridge.query.search import Entity, Question, asked_for, find
from orthanc_plugin.wall.answer import ABSENT, JSON, REFUSED, Answer, json_answer
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import FewAnswer, Foundation, Rooms
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.main_tags import KEYWORDS, Texts, shown, texts_of
from orthanc_plugin.wall.routes import Row, Touches

_PLURALS = {
    "patients": Level.PATIENT,
    "studies": Level.STUDY,
    "series": Level.SERIES,
    "instances": Level.INSTANCE,
}
_SINGULARS = {"patient": Level.PATIENT, "study": Level.STUDY, "series": Level.SERIES}
_NUMBER = re.compile(r"\d{1,9}")
_LONGEST_REMEMBERED = 8192
"""Bytes of an answer that is remembered."""

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
    """One patient, study or series; what belongs to it; what it belongs to, or an instance does."""
    few = _few(foundation, asked, may_read=True)
    if few is not None:
        return few
    wanted = _wanted(asked)
    found = _find(foundation, asked, Question(wanted.level, orthanc=wanted.within))
    return _answer([resource_json(each) for each in found], wanted)


def resource_at_hand(foundation: Foundation, asked: Asked) -> Answer | None:
    """As :func:`resource`, of a few photos of which everything is remembered; else None, and nothing is recorded."""
    return _few(foundation, asked, may_read=False)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a path asks for."""

    level: Level
    within: tuple[Level, str]
    one: bool


def _wanted(asked: Asked) -> _Wanted:
    _, named, _, *other = asked.match.row.path.split("/")
    level = _PLURALS[named]
    within = (level, asked.match.values["id"])
    wanted = (_PLURALS | _SINGULARS)[other[0]] if other else level
    return _Wanted(wanted, within, one=not other or wanted < level)


def _answer(found: Sequence[dict[str, Any]], wanted: _Wanted) -> Answer:
    if not found:
        return ABSENT
    return json_answer(found[0] if wanted.one else found)


def _few(foundation: Foundation, asked: Asked, *, may_read: bool) -> Answer | None:
    """The answer, where few photos are asked for: each is decided live, which is quicker than a set for so few."""
    rooms, row, request = foundation.rooms(), asked.match.row, asked.request
    assert request is not None
    try:
        few = _known(rooms, asked, request, may_read=may_read)
    except (SQLAlchemyError, ConsentError, sqlite3.Error):  # asked once more in the usual way; nothing is recorded yet
        return None
    if few is None:
        return None
    rooms.point.record_set(request, row.name, few.photos, few.refused)
    return few.answer


def _known(rooms: Rooms, asked: Asked, request: Request, *, may_read: bool) -> FewAnswer | None:
    row, key = asked.match.row, (asked.match.row.path, asked.match.values["id"], request)
    stamp = rooms.few.stamp()
    known = rooms.few.get(stamp, key, rooms.point.moment())
    if known is not None:
        return known
    wanted = _wanted(asked)
    decide = rooms.point.permits_of_few if may_read else rooms.point.permits_at_hand
    decided: list[Permits] = []

    def permits(sop_uids: Sequence[str]) -> Sequence[bool] | None:
        found = decide(request, sop_uids, fulfils=row.fulfils)
        if found is None:
            return None
        decided.append(found)
        return found.permits

    found = rooms.members.find(wanted.level, wanted.within, permits)
    if found is None:
        return None
    texts = [(rooms.main_tags.read if may_read else rooms.main_tags.at_hand)(*one.key) for one in found.shown]
    made = [described(one.entity, each) for one, each in zip(found.shown, texts, strict=True) if each is not None]
    if len(made) < len(texts):
        return None
    known = FewAnswer(_answer(made, wanted), found.photos, found.refused)
    if len(known.answer.body) <= _LONGEST_REMEMBERED:
        until = min((each.until for each in decided if each.until is not None), default=None)
        rooms.few.put(stamp, key, known, since=decided[0].since, until=until)
    return known


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
    wanted = (*KEYWORDS[entity.level], *(KEYWORDS[Level.PATIENT] if entity.level is Level.STUDY else ()))
    return described(entity, texts_of(entity.attributes, wanted))


def described(entity: Entity, texts: Texts) -> dict[str, Any]:
    """The same, with the main tags of the photo that speaks for it."""
    found: dict[str, Any] = {
        "ID": entity.orthanc_id,
        "Type": entity.level.name.capitalize(),
        "MainDicomTags": shown(texts, entity.level),
    }
    if entity.level is not Level.INSTANCE:
        found |= {"IsStable": True, "LastUpdate": instant(entity.stored).strftime("%Y%m%dT%H%M%S")}
    match entity.level:
        case Level.PATIENT:
            found["Studies"] = entity.studies
        case Level.STUDY:
            found |= {
                "ParentPatient": entity.patients[0],
                "PatientMainDicomTags": shown(texts, Level.PATIENT),
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


def _rows() -> tuple[Row, ...]:
    rows = []
    for plural, level in _PLURALS.items():
        tasks = frozenset({"changes"}) if level is Level.INSTANCE else frozenset()
        rows.append(Row(Method.GET, f"/{plural}", Touches.SET, listed, _LIST_QUERY, tasks=tasks))
        related = [other for other, below in _PLURALS.items() if below > level]
        related += [other for other, above in _SINGULARS.items() if above < level]
        paths = [f"/{plural}/{{id}}/{other}" for other in related]
        if level is not Level.INSTANCE:
            paths.insert(0, f"/{plural}/{{id}}")
        rows += [Row(Method.GET, path, Touches.SET, resource, at_hand=resource_at_hand) for path in paths]
    return tuple(rows)


#: What tells nothing of photos, for those who run the archive.
_SYSTEM = tuple(
    Row(Method.GET, path, Touches.NOTHING, right=Right.ADMIN) for path in ("/system", "/tools/now", "/tools/now-local")
)
ROWS = _rows() + _SYSTEM
