"""Patients, studies and series of a few photos, made of what is remembered of the index.

The answer is the one that :func:`dicom_bridge.query.search.find` gives for what belongs to an Orthanc id. It is quicker
for a few photos, each of which the caller decides by itself, and on SQLite alone: elsewhere nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, bindparam, literal_column, select

from consent.store.load import LINKED, SHOWN
from consent.store.quick import Quick
from consent.store.tables import photo
from dicom_bridge.query.dictionary import Level
from dicom_bridge.query.search import GATHERED, GROUPS, Entity, gather
from dicom_bridge.query.tables import dicom_instance

MOST = 60
"""Photos that are decided one by one faster than by a question to the database about all of them."""

_REMEMBERED = 1000
"""Ids of each level whose photos are remembered at a time: at most 60 kB each, a tenth of it as a rule."""

_OF = {level: attrgetter(column.name) for level, column in GROUPS.items()}
_DATE = attrgetter("study_date")

Permits = Callable[[Sequence[str]], Sequence[bool] | None]
"""Given SOP Instance UIDs, whether each of the photos is permitted; None: cannot be told now."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An entity, and the photo of it that its attributes are taken from."""

    entity: Entity
    key: tuple[str, int]
    """SOP Instance UID, and when the photo's row was written: its attributes are others where that is another."""


@dataclass(frozen=True, slots=True)
class Few:
    """The answer to a question about few photos."""

    shown: tuple[Shown, ...]
    photos: tuple[int, ...]
    """Every photo that contributed: what the audit record names."""

    refused: int
    """How many photos were asked for and are not permitted: for the audit record, never for the caller."""


class Members:
    """The photos of patients, studies, series and instances by Orthanc id, as many as :data:`MOST`."""

    def __init__(self, engine: Engine) -> None:
        self._queries = {level: Quick(engine, _statement(level), "id", most=_REMEMBERED) for level in GROUPS}

    def find(self, level: Level, within: tuple[Level, str], permits: Permits) -> Few | None:
        """What of a level belongs to an Orthanc id, or what that belongs to; None where it is to be searched for.

        Raises
        ------
        sqlalchemy.exc.SQLAlchemyError
            The database cannot be asked.
        """
        asked = self._rows(*within)
        if asked is None:
            return None
        allowed = _permitted(asked, permits)
        if allowed is None:
            return None
        refused = sum(row.linked for row in asked) - sum(row.linked for row in allowed)
        of = _OF[level]
        firsts: dict[str, Any] = {}
        for row in sorted(allowed, key=_DATE, reverse=True):  # which keeps the order of the index among equals
            firsts.setdefault(of(row), row)
        if level < within[0]:  # all photos of what it belongs to, not only of what was asked for
            allowed = []
            for each in firsts:
                rows = self._rows(level, each)
                more = None if rows is None else _permitted(rows, permits)
                if more is None:
                    return None
                allowed += more
        entities = {each: Entity(level, each) for each in firsts}
        gather(entities, [(of(row), *row[: len(GATHERED)]) for row in allowed])
        shown = tuple(Shown(entities[each], (row.sop_uid, row.stored)) for each, row in firsts.items())
        return Few(shown, tuple(sorted([row.photo for row in allowed])), refused)

    def _rows(self, level: Level, orthanc_id: str) -> Sequence[Any] | None:
        query = self._queries[level]
        if not query.direct:
            return None
        rows = query.rows(orthanc_id)
        return rows if len(rows) <= MOST else None


def _statement(level: Level) -> Select[Any]:
    """The query for one id, which is its only parameter; one photo more than are given tells that there are more."""
    columns = dicom_instance.c
    states: list[ColumnElement[str]] = [literal_column(f"'{state}'") for state in SHOWN]
    linked = and_(photo.c.state == literal_column(f"'{LINKED}'"), photo.c.patient.is_not(None))
    return (
        select(*GATHERED, columns.sop_uid, columns.study_date, linked.label("linked"))
        .join(photo, photo.c.photo == columns.photo)
        .where(GROUPS[level] == bindparam("id"), photo.c.state.in_(states))
        .order_by(columns.photo)
        .limit(literal_column(str(MOST + 1)))
        .offset(literal_column("0"))
    )


def _permitted(rows: Sequence[Any], permits: Permits) -> list[Any] | None:
    found = permits([row.sop_uid for row in rows])
    return None if found is None else [row for row, permit in zip(rows, found, strict=True) if permit]
