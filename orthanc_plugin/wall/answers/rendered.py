"""Rendered photos where Orthanc would choose one by itself, perhaps one that may not be seen: of studies and series.

Also thumbnails, which older Orthancs have not. The first permitted photo is shown, decoded and encoded by Orthanc. As
everywhere, rendered pixels alone meet ``no-identifiers``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.store.engine import reading
from consent.types import Obligation
from dicom_bridge.query.dictionary import tag
from dicom_bridge.query.index import text_of
from dicom_bridge.query.search import attributes_of, instances
from orthanc_plugin.wall import accept
from orthanc_plugin.wall.answer import ABSENT, REFUSED, Answer
from orthanc_plugin.wall.answers.released import first
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.routes import Row, Touches

PIXELS = frozenset({Obligation.NO_IDENTIFIERS})
PATIENCE = 20.0
"""Seconds for decoding one photo."""

JPEG, PNG = "image/jpeg", "image/png"
MOST_PIXELS = 8192
"""Along one side of a picture that is asked for."""

THUMBNAIL = 256
_STUDY = "/dicom-web/studies/{study}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{sop}}"
_QUERY = frozenset({"accept", "viewport", "quality"})
_VIEWPORT = re.compile(r"(\d{1,5}),(\d{1,5})")
_QUALITY = re.compile(r"[1-9]\d?|100")


class BadPicture(ValueError):
    """A size or quality that cannot be had (status 400)."""


@dataclass(frozen=True, slots=True)
class Picture:
    """How a photo is rendered."""

    media: str = JPEG
    width: int | None = None
    """Of the rectangle into which the photo is fitted, in pixels; its sides stay in proportion."""

    height: int | None = None
    quality: str | None = None
    """1 to 100, of JPEG."""

    frame: int = 1

    @staticmethod
    def of(
        media: str, width: str | None = None, height: str | None = None, quality: str | None = None, frame: str = "1"
    ) -> Picture:
        """Read it.

        Raises
        ------
        BadPicture
            A value is none, or out of bounds.
        """
        if quality is not None and not _QUALITY.fullmatch(quality):
            raise BadPicture("quality")
        if not re.fullmatch(r"[1-9]\d{0,4}", frame):
            raise BadPicture("frame")
        return Picture(media, _side(width), _side(height), quality, int(frame))


def _side(value: str | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch(r"\d{1,5}", value) or not 0 < int(value) <= MOST_PIXELS:
        raise BadPicture("size")
    return int(value)


@dataclass(frozen=True, slots=True)
class Place:
    """A photo that was permitted."""

    number: int
    orthanc_id: str
    study: str
    series: str
    sop: str


def of_set(foundation: Foundation, asked: Asked) -> Answer:
    """``…/rendered`` and ``…/thumbnail`` of a study or series."""
    try:
        picture = _picture(asked)
    except BadPicture:
        return Answer(status=400)
    if picture is None:
        return Answer(status=406)
    values = asked.match.values
    with reading(foundation.rooms().engine) as connection:
        known = instances(connection, values["study"], values.get("series"), pictures=True)
    one = first(foundation, asked, known)
    if one is None:
        return ABSENT
    return render(foundation, Place(one.number, one.orthanc_id, one.study_uid, one.series_uid, one.sop_uid), picture)


def of_one(foundation: Foundation, asked: Asked) -> Answer:
    """``…/thumbnail`` of an instance: decided and recorded like any other row of one photo."""
    try:
        picture = _picture(asked)
    except BadPicture:
        return Answer(status=400)
    if picture is None:
        return Answer(status=406)
    values = asked.match.values
    place = decided(foundation, asked, values["study"], values["series"], values["sop"], asked.match.row.fulfils)
    return REFUSED if place is None else render(foundation, place, picture)


def decided(
    foundation: Foundation, asked: Asked, study: str, series: str, sop: str, fulfils: frozenset[Obligation]
) -> Place | None:
    """The photo with these UIDs, if it may leave; recorded. What we do not know is put to the decision all the same."""
    rooms = foundation.rooms()
    assert asked.request is not None
    orthanc_id = rooms.places.stands(study, series, sop)
    named = sop if orthanc_id is not None else ""
    answer = rooms.point.photo(asked.request, named, route=asked.match.row.name, fulfils=fulfils)
    if not answer.permitted or orthanc_id is None or answer.orthanc_id != orthanc_id or answer.number is None:
        return None
    return Place(answer.number, orthanc_id, study, series, sop)


def render(foundation: Foundation, place: Place, picture: Picture) -> Answer:
    """The photo as Orthanc renders it: as JPEG by its DICOMweb, as PNG by its core, which makes no other unasked."""
    with reading(foundation.rooms().engine) as connection:
        attributes = attributes_of(connection, [place.number])[place.number]
    if picture.frame > _number(attributes, "NumberOfFrames", 1):
        return ABSENT
    size = _fitted(attributes, picture)
    if picture.media == PNG:
        query = f"?width={size[0]}&height={size[1]}" if size else ""
        frame = f"frames/{picture.frame - 1}/rendered"
        return Answer(body=foundation.host.get(f"/instances/{place.orthanc_id}/{frame}{query}"), content_type=PNG)
    asked = [f"viewport={size[0]},{size[1]}"] if size else []
    asked += [f"quality={picture.quality}"] if picture.quality else []
    base = f"/dicom-web/studies/{place.study}/series/{place.series}/instances/{place.sop}"
    path = f"{base}/frames/{picture.frame}/rendered" + ("?" + "&".join(asked) if asked else "")
    return Answer(body=foundation.host.get_after_plugins(path), content_type=JPEG)


def _fitted(attributes: Mapping[str, Any], picture: Picture) -> tuple[int, int] | None:
    """Width and height of the whole photo within the rectangle, so that nothing need be filled up; None: as it is."""
    columns, rows = _number(attributes, "Columns", 0), _number(attributes, "Rows", 0)
    sides = ((picture.width, columns), (picture.height, rows))
    scales = [side / whole for side, whole in sides if side is not None and whole]
    if not scales:
        return None
    return max(1, round(columns * min(scales))), max(1, round(rows * min(scales)))


def _number(attributes: Mapping[str, Any], keyword: str, absent: int) -> int:
    text = text_of(attributes, tag(keyword))
    return int(text) if re.fullmatch(r"\d{1,9}", text) else absent


def _picture(asked: Asked) -> Picture | None:
    """What is asked for; None where no type of image that can be made is accepted."""
    media = accept.image(asked.query.get("accept") or asked.headers.get("accept") or "*/*", (JPEG, PNG))
    if media is None:
        return None
    width = height = str(THUMBNAIL) if asked.match.row.path.endswith("/thumbnail") else None
    if "viewport" in asked.query:
        found = _VIEWPORT.fullmatch(asked.query["viewport"])
        if found is None:
            raise BadPicture("viewport")
        width, height = found.groups()
    return Picture.of(media, width, height, asked.query.get("quality"))


ROWS = (
    *(
        Row(Method.GET, f"{level}/{kind}", Touches.SET, of_set, _QUERY, PIXELS, patience=PATIENCE)
        for level in (_STUDY, _SERIES)
        for kind in ("rendered", "thumbnail")
    ),
    Row(Method.GET, f"{_INSTANCE}/thumbnail", Touches.SET, of_one, _QUERY, PIXELS, patience=PATIENCE),
)
