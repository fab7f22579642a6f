"""Searching the index: patients, studies, series and instances made of permitted photos, and of nothing else.

A patient, study or series exists here only as far as permitted photos of it exist; every count, list of modalities
and example value is taken from them. The question of which photos are permitted is put by the caller as a condition.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, not_, select, true

from consent.store.tables import photo
from consent.store.write import among
from dicom_bridge.query.classes import ABOUT_PHOTOS
from dicom_bridge.query.dictionary import Level, look_up
from dicom_bridge.query.matching import Keys, Match, condition, match, visible
from dicom_bridge.query.tables import dicom_attributes, dicom_instance

Permitted = Callable[[ColumnElement[int]], ColumnElement[bool]]
"""Given the column of photo numbers, the condition that holds for permitted photos."""

_CHUNK = 2000
_PHOTOS_EACH, _DEEPER = 16, 8
"""How many photos are walked at first for each entity of a page, and how many times more where that is too few."""

_OF_STUDY = ("ModalitiesInStudy", "SOPClassesInStudy")
GROUPS: dict[Level, ColumnElement[Any]] = {
    Level.PATIENT: dicom_instance.c.orthanc_patient,
    Level.STUDY: dicom_instance.c.orthanc_study,
    Level.SERIES: dicom_instance.c.orthanc_series,
    Level.INSTANCE: dicom_instance.c.orthanc_instance,
}
"""The column that names each level's entities."""

GATHERED = tuple(
    dicom_instance.c[name]
    for name in (
        "photo",
        "stored",
        "orthanc_instance",
        "orthanc_patient",
        "orthanc_study",
        "orthanc_series",
        "modality",
        "sop_class",
    )
)
"""What :func:`gather` reads of each photo."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for."""

    level: Level
    keys: tuple[tuple[str, str], ...] = ()
    """Attribute and value; all must match. Each attribute is a keyword, a tag or a path of them into sequences, for
    which :func:`dicom_bridge.query.matching.supported` holds."""

    limit: int | None = None
    offset: int = 0
    orthanc: tuple[Level, str] | None = None
    """Only what belongs to this Orthanc id of that level."""

    empties: bool = False
    """Whether ``""`` asks for what is empty (PS3.4 C.2.2.2.7); else it is a text like any other."""


@dataclass(slots=True)
class Entity:
    """One patient, study, series or instance, as far as permitted photos show it."""

    level: Level
    orthanc_id: str
    photos: list[int] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    """Orthanc ids of the patient it belongs to: one, or its own."""

    studies: list[str] = field(default_factory=list)
    series: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    """Orthanc ids of what belongs to it (or what it belongs to), each once, in the order of the index."""

    modalities: list[str] = field(default_factory=list)
    sop_classes: list[str] = field(default_factory=list)
    stored: int = 0
    """Microseconds since 1970: when the last permitted photo of it was stored."""

    attributes: dict[str, Any] = field(default_factory=dict)
    """DICOM JSON of its first permitted photo that matched."""

    @property
    def uids(self) -> tuple[str, str, str]:
        """Study, series and SOP Instance UID of its first permitted photo that matched."""
        first = (self.attributes.get(name, {}).get("Value", [""])[0] for name in ("0020000D", "0020000E", "00080018"))
        study, series, sop = first
        return study, series, sop


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a question."""

    entities: tuple[Entity, ...]
    photos: tuple[int, ...]
    """Every photo that contributed: what the audit record names."""

    refused: int
    """How many photos matched and are not permitted: for the audit record, never for the caller."""

    more: bool
    """Whether the limit left something out."""


def find(
    connection: Connection,
    question: Question,
    permitted: Permitted,
    *,
    details: bool = True,
    refused: Permitted | None = None,
) -> Found:
    """Search. A patient, study or series is found where one permitted photo of it matches all keys.

    The newest come first: in the order of Study Date, and then in that of the index.

    Parameters
    ----------
    details
        Whether entities carry attributes; without, only ids, photos and members (Orthanc's plain lists).
    refused
        The condition that holds for photos that are not permitted, where it is at hand; it is quicker than the
        contrary of ``permitted``.

    Raises
    ------
    dicom_bridge.query.matching.BadValue
        A key's value cannot be of its kind.
    """
    keys, of_study = _parted(question)
    matching = match(connection, keys, empties=question.empties)
    beside = [_in_study(connection, *each, permitted, empties=question.empties) for each in of_study]
    if question.orthanc is not None:
        beside.append(GROUPS[question.orthanc[0]] == question.orthanc[1])
    allowed = and_(permitted(dicom_instance.c.photo), visible())
    first, more = _page(connection, question, matching, [*beside, allowed])
    entities = {each: Entity(question.level, each) for each in first}
    _members(connection, entities, GROUPS[question.level], allowed)
    if details:
        _attributes(connection, {number: entities[each] for each, number in first.items()})
    contrary = not_(permitted(dicom_instance.c.photo)) if refused is None else refused(dicom_instance.c.photo)
    left_out = matching.select(dicom_instance.c.photo).where(*beside, contrary, visible())
    return Found(
        entities=tuple(entities.values()),
        photos=tuple(sorted(number for entity in entities.values() for number in entity.photos)),
        refused=_count(connection, matching, left_out),
        more=more,
    )


def asked_for(connection: Connection, question: Question) -> ColumnElement[bool]:
    """The condition on ``photo`` that holds for what is asked for, permitted or not, as far as columns tell.

    Raises
    ------
    dicom_bridge.query.matching.BadValue
        A key's value cannot be of its kind.
    """
    keys, of_study = _parted(question)
    where = match(connection, keys, empties=question.empties).where
    beside = [_in_study(connection, *each, _whoever, empties=question.empties) for each in of_study]
    if question.orthanc is not None:
        beside.append(GROUPS[question.orthanc[0]] == question.orthanc[1])
    return photo.c.photo.in_(select(dicom_instance.c.photo).where(*where, *beside, visible()))


def _whoever(_number: ColumnElement[int]) -> ColumnElement[bool]:
    """Permitted or not."""
    return true()


def _page(
    connection: Connection, question: Question, matching: Match, beside: Sequence[ColumnElement[bool]]
) -> tuple[dict[str, int], bool]:
    """Ids of one page, each with its first matching photo; and whether there are more.

    Photos are walked in the order of the index until the page is full, so that the cost of a page does not grow with
    what it leaves out.
    """
    walk = (
        matching.select(GROUPS[question.level], dicom_instance.c.photo)
        .where(*beside)
        .order_by(dicom_instance.c.study_date.desc(), dicom_instance.c.photo)
    )
    wanted = None if question.limit is None else question.offset + question.limit + 1
    depth = None if wanted is None else wanted * _PHOTOS_EACH
    while True:
        rows = connection.execute(walk if depth is None else walk.limit(depth)).all()
        found: dict[str, int] = {}
        for each, number, *texts in rows:
            if each not in found and matching.accepts(texts):
                found[each] = number
        if depth is None or wanted is None or len(rows) < depth or len(found) >= wanted:
            break
        depth *= _DEEPER
    page = list(found.items())[question.offset :]
    if question.limit is None:
        return dict(page), False
    return dict(page[: question.limit]), len(page) > question.limit


@dataclass(frozen=True, slots=True)
class Instance:
    """One photo's place in the index."""

    number: int
    sop_uid: str
    series_uid: str
    study_uid: str
    orthanc_id: str


def instances(
    connection: Connection, study_uid: str, series_uid: str | None = None, *, pictures: bool = False
) -> tuple[Instance, ...]:
    """Every linked photo of a study or series, and what is none, permitted or not, in the order of the index.

    Whoever asks puts each to the decision before anything of it is shown.

    Parameters
    ----------
    pictures
        Whether what only says something about photos is left out.
    """
    where = [dicom_instance.c.study_uid == study_uid]
    if pictures:
        where.append(dicom_instance.c.sop_class.not_in(sorted(ABOUT_PHOTOS)))
    if series_uid is not None:
        where.append(dicom_instance.c.series_uid == series_uid)
    return _instances(connection, Match(tuple(where)))


def matching_instances(connection: Connection, question: Question) -> tuple[Instance, ...]:
    """Every linked photo that matches, permitted or not, in the order of the index: what C-MOVE and C-GET ask for.

    Whoever asks puts each to the decision before anything of it is shown. Level, limit and offset do not matter.

    Raises
    ------
    dicom_bridge.query.matching.BadValue
        A key's value cannot be of its kind.
    """
    return _instances(connection, match(connection, question.keys, empties=question.empties))


def _instances(connection: Connection, matching: Match) -> tuple[Instance, ...]:
    columns = dicom_instance.c
    place = (columns.study_uid, columns.series_uid, columns.photo)
    rows = connection.execute(
        matching.select(columns.photo, columns.sop_uid, columns.series_uid, columns.study_uid, photo.c.orthanc_id)
        .join(photo, photo.c.photo == columns.photo)
        .where(visible())
        .order_by(*place)
    )
    return tuple(Instance(*row[:5]) for row in rows if matching.accepts(row[5:]))


def attributes_of(connection: Connection, numbers: Iterable[int]) -> dict[int, dict[str, Any]]:
    """The attributes of these photos, as DICOM JSON without bulk values."""
    found: dict[int, dict[str, Any]] = {}
    for chunk in _chunks(list(numbers)):
        rows = connection.execute(select(dicom_attributes).where(among(connection, dicom_attributes.c.photo, chunk)))
        found |= {row.photo: json.loads(row.attributes) for row in rows}
    return found


def _count(connection: Connection, matching: Match, photos: Select[Any]) -> int:
    if not matching.entries:
        return connection.execute(select(func.count()).select_from(photos.subquery())).scalar_one()
    return sum(matching.accepts(texts) for _, *texts in connection.execute(photos))


def _parted(question: Question) -> tuple[Keys, Keys]:
    """The keys, and apart those that ask for what other photos of the study are."""
    keys: list[tuple[str, str]] = []
    of_study: list[tuple[str, str]] = []
    for name, value in question.keys:
        found = look_up(name)
        wide = question.level > Level.STUDY and found is not None and found.keyword in _OF_STUDY
        (of_study if wide and found is not None else keys).append((found.keyword if wide and found else name, value))
    return keys, of_study


def _in_study(
    connection: Connection, keyword: str, value: str, permitted: Permitted, *, empties: bool
) -> ColumnElement[bool]:
    """That a permitted photo of the same study matches."""
    other = dicom_instance.alias()
    same = condition(keyword, value, connection.dialect.name, empties=empties, table=other)
    studies = select(other.c.study_uid).where(same, permitted(other.c.photo), visible(other))
    return dicom_instance.c.study_uid.in_(studies)


def _members(
    connection: Connection,
    entities: dict[str, Entity],
    group: ColumnElement[Any],
    allowed: ColumnElement[bool],
) -> None:
    """Gather all permitted photos of each entity, also those that the keys did not match."""
    for ids in _chunks(list(entities)):
        rows = connection.execute(
            select(group.label("entity"), *GATHERED)
            .where(among(connection, group, ids), allowed)
            .order_by(dicom_instance.c.photo)
        )
        gather(entities, rows)


def gather(entities: Mapping[str, Entity], rows: Iterable[Sequence[Any]]) -> None:
    """Add photos to their entities: of each the entity's id, and behind it :data:`GATHERED`."""
    for each, number, stored, instance, *values in rows:
        entity = entities[each]
        entity.photos.append(number)
        entity.instances.append(instance)
        if stored > entity.stored:
            entity.stored = stored
        for place, value in zip(_places(entity), values, strict=True):
            if value and value not in place:
                place.append(value)


def _places(entity: Entity) -> tuple[list[str], ...]:
    return (entity.patients, entity.studies, entity.series, entity.modalities, entity.sop_classes)


def _attributes(connection: Connection, firsts: Mapping[int, Entity]) -> None:
    for number, attributes in attributes_of(connection, firsts).items():
        firsts[number].attributes = attributes


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
