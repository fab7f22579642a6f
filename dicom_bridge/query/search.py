"""Searching the index: patients, studies, series and instances made of permitted photos, and of nothing else.

A patient, study or series exists here only as far as permitted photos of it exist; every count, list of modalities
and example value is taken from them. The question of which photos are permitted is put by the caller as a condition.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from consent.store.tables import photo
from dicom_bridge.query.dictionary import Level
from dicom_bridge.query.matching import condition
from dicom_bridge.query.tables import dicom_instance

Permitted = Callable[[ColumnElement[int]], ColumnElement[bool]]
"""Given the column of photo numbers, the condition that holds for permitted photos."""

_CHUNK = 500
_GROUPS: dict[Level, ColumnElement[Any]] = {
    Level.PATIENT: dicom_instance.c.orthanc_patient,
    Level.STUDY: dicom_instance.c.orthanc_study,
    Level.SERIES: dicom_instance.c.orthanc_series,
    Level.INSTANCE: dicom_instance.c.orthanc_instance,
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for."""

    level: Level
    keys: tuple[tuple[str, str], ...] = ()
    """Keyword and value; all must match. Each keyword is one of :data:`dicom_bridge.query.matching.MATCHED`."""

    limit: int | None = None
    offset: int = 0
    orthanc: tuple[Level, str] | None = None
    """Only what belongs to this Orthanc id of that level."""


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
    """DICOM JSON of its first permitted photo."""

    @property
    def uids(self) -> tuple[str, str, str]:
        """Study, series and SOP Instance UID of its first permitted photo."""
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


def find(connection: Connection, question: Question, permitted: Permitted, *, details: bool = True) -> Found:
    """Search.

    Parameters
    ----------
    details
        Whether entities carry attributes and members; without, only ids and photos (Orthanc's plain lists).

    Raises
    ------
    dicom_bridge.query.matching.BadValue
        A key's value cannot be of its kind.
    """
    group = _GROUPS[question.level]
    matching = _matching(connection, question)
    allowed = and_(permitted(dicom_instance.c.photo), _visible())
    page = (
        select(group)
        .where(*matching, allowed)
        .group_by(group)
        .order_by(func.max(dicom_instance.c.study_date).desc(), func.min(dicom_instance.c.photo))
        .offset(question.offset)
    )
    if question.limit is not None:
        page = page.limit(question.limit + 1)
    ids: list[str] = list(connection.execute(page).scalars())
    more = question.limit is not None and len(ids) > question.limit
    if more:
        ids.pop()
    entities = {each: Entity(question.level, each) for each in ids}
    for chunk in _chunks(ids):
        _members(connection, entities, group, chunk, allowed)
    if details:
        _attributes(connection, entities.values())
    return Found(
        entities=tuple(entities.values()),
        photos=tuple(sorted(number for entity in entities.values() for number in entity.photos)),
        refused=_count(connection, select(func.count()).select_from(dicom_instance).where(*matching, _visible()))
        - _count(connection, select(func.count()).select_from(dicom_instance).where(*matching, allowed)),
        more=more,
    )


def asked_for(connection: Connection, question: Question) -> ColumnElement[bool]:
    """The condition on ``photo`` that holds for what is asked for, permitted or not.

    Raises
    ------
    dicom_bridge.query.matching.BadValue
        A key's value cannot be of its kind.
    """
    return photo.c.photo.in_(select(dicom_instance.c.photo).where(*_matching(connection, question), _visible()))


def _matching(connection: Connection, question: Question) -> list[ColumnElement[bool]]:
    matching = [condition(keyword, value, connection.dialect.name) for keyword, value in question.keys]
    if question.orthanc is not None:
        matching.append(_GROUPS[question.orthanc[0]] == question.orthanc[1])
    return matching


@dataclass(frozen=True, slots=True)
class Instance:
    """One photo's place in the index."""

    number: int
    sop_uid: str
    series_uid: str
    study_uid: str
    orthanc_id: str


def instances(connection: Connection, study_uid: str, series_uid: str | None = None) -> tuple[Instance, ...]:
    """Every linked photo of a study or series, permitted or not, in the order of the index.

    Whoever asks puts each to the decision before anything of it is shown.
    """
    statement = select(
        dicom_instance.c.photo,
        dicom_instance.c.sop_uid,
        dicom_instance.c.series_uid,
        dicom_instance.c.study_uid,
        photo.c.orthanc_id,
    ).join(photo, photo.c.photo == dicom_instance.c.photo)
    statement = statement.where(dicom_instance.c.study_uid == study_uid, photo.c.state == "linked")
    if series_uid is not None:
        statement = statement.where(dicom_instance.c.series_uid == series_uid)
    rows = connection.execute(statement.order_by(dicom_instance.c.series_uid, dicom_instance.c.photo)).all()
    return tuple(Instance(row.photo, row.sop_uid, row.series_uid, row.study_uid, row.orthanc_id) for row in rows)


def attributes_of(connection: Connection, numbers: Iterable[int]) -> dict[int, dict[str, Any]]:
    """The attributes of these photos, as DICOM JSON without bulk values."""
    found: dict[int, dict[str, Any]] = {}
    for chunk in _chunks(list(numbers)):
        rows = connection.execute(
            select(dicom_instance.c.photo, dicom_instance.c.attributes).where(dicom_instance.c.photo.in_(chunk))
        )
        found |= {row.photo: json.loads(row.attributes) for row in rows}
    return found


def _visible() -> ColumnElement[bool]:
    """Only linked photos are ever visible, whatever the condition of the caller says."""
    return dicom_instance.c.photo.in_(select(photo.c.photo).where(photo.c.state == "linked"))


def _count(connection: Connection, statement: Select[int]) -> int:
    return connection.execute(statement).scalar_one()


def _members(
    connection: Connection,
    entities: dict[str, Entity],
    group: ColumnElement[Any],
    ids: Sequence[str],
    allowed: ColumnElement[bool],
) -> None:
    """Count all permitted photos of each entity, also those that the keys did not match."""
    columns = dicom_instance.c
    rows = connection.execute(
        select(
            group.label("entity"),
            columns.photo,
            columns.orthanc_patient,
            columns.orthanc_study,
            columns.orthanc_series,
            columns.orthanc_instance,
            columns.modality,
            columns.sop_class,
            columns.stored,
        )
        .where(group.in_(ids), allowed)
        .order_by(columns.photo)
    )
    for row in rows:
        entity = entities[row.entity]
        entity.photos.append(row.photo)
        entity.stored = max(entity.stored, row.stored)
        for values, value in (
            (entity.patients, row.orthanc_patient),
            (entity.studies, row.orthanc_study),
            (entity.series, row.orthanc_series),
            (entity.modalities, row.modality),
            (entity.sop_classes, row.sop_class),
        ):
            if value and value not in values:
                values.append(value)
        entity.instances.append(row.orthanc_instance)


def _attributes(connection: Connection, entities: Iterable[Entity]) -> None:
    by_first = {entity.photos[0]: entity for entity in entities if entity.photos}
    for number, attributes in attributes_of(connection, by_first).items():
        by_first[number].attributes = attributes


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
