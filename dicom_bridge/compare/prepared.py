"""Renditions that were made before anybody asked for them: of a photo, at the widths that pages begin with.

They are pixels alone, without a watermark, and know nothing of consent: whoever reads one has had the photo decided
first, at that request. The worker makes them (:mod:`dicom_bridge.compare.rendering`) and drops them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, Engine, delete, insert, select

from consent.store.engine import glancing
from consent.store.tables import photo
from consent.store.write import among
from dicom_bridge.compare.renditions import NotRendered, Rendition, render
from dicom_bridge.tables import rendition

THUMBNAIL = 240
"""Pixels across."""

WIDTHS = (THUMBNAIL, 640, 1024)
"""Pixels: a thumbnail, one for finer screens, and what a comparison shows first. A narrower photo is kept as it is."""

MISSING, GONE = "*", "*gone"
"""Keys of jobs: photos of whomever that have none yet; renditions of whomever that must not be kept any more."""

NOT_TO_BE_HAD = 0
"""The width of a row without pixels: the photo cannot be rendered here, and is not tried again in vain."""


def of_photo(engine: Engine, sop_uid: str, orthanc_id: str, width: int, watermark: str) -> Rendition | None:
    """A photo no wider than ``width`` pixels, from what was prepared; None where nothing is that serves.

    Parameters
    ----------
    width
        0: as large as it is, which nothing that is prepared says.
    watermark
        Text to write across it; empty: none.
    """
    if not 0 < width <= WIDTHS[-1]:
        return None
    query = (
        select(rendition.c.width, rendition.c.columns, rendition.c.rows, rendition.c.jpeg)
        .join(photo, photo.c.photo == rendition.c.photo)
        .where(photo.c.sop_uid == sop_uid, rendition.c.orthanc_id == orthanc_id, rendition.c.width >= width)
        .order_by(rendition.c.width)
        .limit(1)
    )
    with glancing(engine) as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if row.width == width and not watermark:
        return Rendition(bytes(row.jpeg), row.columns, row.rows)
    try:
        return render(bytes(row.jpeg), width=width, watermark=watermark)
    except NotRendered:
        return None


def known(connection: Connection, numbers: Collection[int]) -> Mapping[int, str]:
    """Of these photos those that were rendered, with the Orthanc id of the object that was."""
    query = select(rendition.c.photo, rendition.c.orthanc_id).where(among(connection, rendition.c.photo, numbers))
    return {row.photo: row.orthanc_id for row in connection.execute(query)}


def keep(connection: Connection, number: int, orthanc_id: str, made: Mapping[int, Rendition]) -> None:
    """Keep the renditions of a photo, by width, in place of whatever was kept of it; none: it cannot be rendered."""
    drop(connection, [number])
    rows = [
        {"width": width, "columns": each.width, "rows": each.height, "jpeg": each.jpeg} for width, each in made.items()
    ]
    rows = rows or [{"width": NOT_TO_BE_HAD, "columns": 0, "rows": 0, "jpeg": b""}]
    connection.execute(insert(rendition), [{"photo": number, "orthanc_id": orthanc_id, **row} for row in rows])


def drop(connection: Connection, numbers: Iterable[int]) -> None:
    """Forget the renditions of photos."""
    connection.execute(delete(rendition).where(among(connection, rendition.c.photo, set(numbers))))
