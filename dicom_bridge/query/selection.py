"""The photos that a retrieval sends: those that are named, and permitted (C-MOVE and C-GET, PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from consent.store.tables import photo
from consent.store.write import among
from dicom_bridge.query.search import Permitted, Question, matching_instances
from dicom_bridge.query.tables import dicom_instance


@dataclass(frozen=True, slots=True)
class Selected:
    """One photo that leaves."""

    number: int
    sop_uid: str
    sop_class: str
    orthanc_id: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The answer."""

    photos: tuple[Selected, ...]
    refused: int
    """How many were named and are not permitted: for the audit record, never for the caller."""

    more: bool = False
    """Whether there are more than are given at all; then none is."""


def select_photos(
    connection: Connection, question: Question, permitted: Sequence[Permitted], *, most: int
) -> Selection:
    """The photos that match and are permitted, series by series. Level, limit and offset do not matter.

    Parameters
    ----------
    permitted
        All of them must hold.
    most
        How many are given at all.

    Raises
    ------
    dicom_bridge.query.matching.BadValue
        A key's value cannot be of its kind.
    """
    named = matching_instances(connection, question)
    rows = connection.execute(
        select(photo.c.photo, dicom_instance.c.sop_class)
        .join(dicom_instance, dicom_instance.c.photo == photo.c.photo)
        .where(
            among(connection, photo.c.photo, [one.number for one in named]),
            *(clause(photo.c.photo) for clause in permitted),
        )
    )
    classes: dict[int, str] = {row.photo: row.sop_class for row in rows}
    if len(classes) > most:
        return Selection((), len(named), more=True)
    photos = tuple(
        Selected(one.number, one.sop_uid, classes[one.number], one.orthanc_id) for one in named if one.number in classes
    )
    return Selection(photos, len(named) - len(photos))
