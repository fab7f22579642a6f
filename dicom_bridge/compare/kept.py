"""Comparisons that were kept, read back from what their objects say, for whoever may see every photo in them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from consent.service import DecisionPoint
from consent.store.photos import PhotoState
from consent.store.tables import photo, photo_patient
from consent.store.write import among
from consent.types import Obligation, Request
from dicom_bridge.compare.held import Held
from dicom_bridge.objects.kept import Area
from dicom_bridge.query.classes import COLOUR_PRESENTATION, GREY_PRESENTATION, KEY_OBJECT_SELECTION
from dicom_bridge.query.index import text_of
from dicom_bridge.query.tables import dicom_attributes, dicom_instance

_CONTENT, _VALUE_TYPE, _TEXT = "0040A730", "0040A040", "0040A160"
_REFERENCED, _SOP = "00081199", "00081155"
_AREAS, _TOP_LEFT, _BOTTOM_RIGHT = "0070005A", "00700052", "00700053"
_DATE, _TIME = "00080023", "00080033"
_PAIR = 2


@dataclass(frozen=True, slots=True)
class KeptHalf:
    """One photo of a kept comparison."""

    photo: str
    """Id of its DocumentReference."""

    area: Area


@dataclass(frozen=True, slots=True)
class KeptComparison:
    """One comparison."""

    id: str
    """Of the DocumentReference of its document."""

    left: KeptHalf
    right: KeptHalf
    held: Held
    at: str
    """When it was kept: DICOM date and time, ``20260503123000``."""


def kept(
    connection: Connection,
    point: DecisionPoint,
    request: Request,
    patients: Collection[str],
    route: str,
    *,
    fulfils: frozenset[Obligation],
) -> list[KeptComparison]:
    """Those of a patient, the newest first; recorded before this returns.

    Parameters
    ----------
    connection
        From :func:`consent.store.engine.reading`.
    patients
        Ids of all records of one person.
    """
    hers = select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, patients))
    of_class = {KEY_OBJECT_SELECTION, GREY_PRESENTATION, COLOUR_PRESENTATION}
    may = point.permitted(connection, request, fulfils=fulfils)
    rows = connection.execute(
        select(
            photo.c.photo, photo.c.document, photo.c.sop_uid, dicom_instance.c.sop_class, dicom_attributes.c.attributes
        )
        .join(dicom_instance, dicom_instance.c.photo == photo.c.photo)
        .join(dicom_attributes, dicom_attributes.c.photo == photo.c.photo)
        .where(photo.c.photo.in_(hers), photo.c.state == PhotoState.LINKED.value, photo.c.document.is_not(None))
        .where(dicom_instance.c.sop_class.in_(of_class), may.clause(photo.c.photo))
        .order_by(photo.c.photo.desc())
    ).all()
    said = {row.sop_uid: json.loads(row.attributes) for row in rows}
    selections = [row for row in rows if row.sop_class == KEY_OBJECT_SELECTION]
    named = {uid for row in selections for uid, _ in _images(said[row.sop_uid])}
    shown = select(photo.c.sop_uid, photo.c.document).where(
        among(connection, photo.c.sop_uid, named), photo.c.document.is_not(None), may.clause(photo.c.photo)
    )
    keys = {row.sop_uid: row.document for row in connection.execute(shown)}
    found: dict[tuple[Any, ...], KeptComparison] = {}
    for row in selections:
        made = _comparison(row.document, said[row.sop_uid], said, keys)
        if made is not None:  # each study of the photos has the same document
            found.setdefault((made.left, made.right, made.held), made)
    point.record_set(request, route, [row.photo for row in rows])
    return list(found.values())


def _comparison(
    document: str, selection: Mapping[str, Any], states: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str]
) -> KeptComparison | None:
    images = _images(selection)
    halves = []
    for uid, state in images:
        area = _area(states.get(state, {}))
        if uid not in keys or area is None:
            return None
        halves.append(KeptHalf(keys[uid], area))
    held = _held(selection)
    if len(halves) != _PAIR or held is None:
        return None
    at = text_of(selection, _DATE) + text_of(selection, _TIME)
    return KeptComparison(document, halves[0], halves[1], held, at)


def _items(dataset: Mapping[str, Any], tag: str) -> list[Mapping[str, Any]]:
    return [each for each in (dataset.get(tag) or {}).get("Value") or () if isinstance(each, Mapping)]


def _images(selection: Mapping[str, Any]) -> list[tuple[str, str]]:
    """UID of each photo, and of the presentation state that it is seen in."""
    found = []
    for item in _items(selection, _CONTENT):
        for reference in _items(item, _REFERENCED) if text_of(item, _VALUE_TYPE) == "IMAGE" else ():
            states = _items(reference, _REFERENCED)
            found.append((text_of(reference, _SOP), text_of(states[0], _SOP) if states else ""))
    return found


def _held(selection: Mapping[str, Any]) -> Held | None:
    words = (text_of(item, _TEXT) for item in _items(selection, _CONTENT) if text_of(item, _VALUE_TYPE) == "TEXT")
    return next(filter(None, map(Held.read, words)), None)


def _area(state: Mapping[str, Any]) -> Area | None:
    for item in _items(state, _AREAS):
        corners = [(item.get(tag) or {}).get("Value") or () for tag in (_TOP_LEFT, _BOTTOM_RIGHT)]
        values = [value for corner in corners for value in corner]
        if all(isinstance(value, int) for value in values) and [len(each) for each in corners] == [2, 2]:
            return Area(*values)
    return None
