"""WADO-URI (PS3.18 9): one photo, named by its three UIDs in the query, as a file or as rendered pixels.

Orthanc's own answer calls a JPEG a PNG, and passes over size and quality; so the answer is ours, by Orthanc's decoder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from consent.types import Obligation
from dicom_bridge.query.search import Instance
from orthanc_plugin.wall.accept import STORED
from orthanc_plugin.wall.answer import REFUSED, Answer
from orthanc_plugin.wall.answers import syntaxes
from orthanc_plugin.wall.answers.rendered import JPEG, PATIENCE, PIXELS, PNG, BadPicture, Picture, decided, render
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.routes import Row, Touches

_DICOM = "application/dicom"
_UIDS = ("studyUID", "seriesUID", "objectUID")
_UID = re.compile(r"[0-9.]{1,64}")
_PICTURE = frozenset({"rows", "columns", "imageQuality", "frameNumber"})
_FILE = frozenset({"transferSyntax"})
_KNOWN = frozenset({"requestType", "contentType", *_UIDS}) | _PICTURE | _FILE
_IDENTIFIERS: frozenset[Obligation] = frozenset()


def retrieve(foundation: Foundation, asked: Asked) -> Answer:
    """One photo. Without the UIDs of its study and series, or with others, it is refused like an absent one."""
    query = asked.query
    media = _media(query.get("contentType"))
    if query.get("requestType") != "WADO" or media is None:
        return Answer(status=400)
    if query.keys() & (_PICTURE if media == _DICOM else _FILE):  # what would be passed over is refused
        return Answer(status=400)
    if not all(_UID.fullmatch(query.get(name, "")) for name in _UIDS):
        return REFUSED
    return _file(foundation, asked) if media == _DICOM else _picture(foundation, asked, media)


def _media(given: str | None) -> str | None:
    """The first type in the list that can be made; JPEG where none is given (PS3.18 9.1.2.2.1)."""
    types = [each.partition(";")[0].strip().lower() for each in (given or JPEG).split(",")]
    types = [JPEG if each in ("image/jpg", "image/*", "*/*") else each for each in types]
    return next((each for each in types if each in (_DICOM, JPEG, PNG)), None)


def _picture(foundation: Foundation, asked: Asked, media: str) -> Answer:
    query: Mapping[str, str] = asked.query
    try:
        picture = Picture.of(
            media, query.get("columns"), query.get("rows"), query.get("imageQuality"), query.get("frameNumber", "1")
        )
    except BadPicture:
        return Answer(status=400)
    place = decided(foundation, asked, query["studyUID"], query["seriesUID"], query["objectUID"], PIXELS)
    return REFUSED if place is None else render(foundation, place, picture)


def _file(foundation: Foundation, asked: Asked) -> Answer:
    query = asked.query
    wanted = query.get("transferSyntax", STORED)
    if wanted != STORED and not _UID.fullmatch(wanted):
        return Answer(status=400)
    place = decided(foundation, asked, query["studyUID"], query["seriesUID"], query["objectUID"], _IDENTIFIERS)
    if place is None:
        return REFUSED
    one = Instance(place.number, place.sop, place.series, place.study, place.orthanc_id)
    decode = syntaxes.plan(foundation, [one], [wanted])
    if decode is None:
        return Answer(status=406)
    (whole,) = syntaxes.file(foundation, one, decode[0])
    return Answer(body=bytes(whole), content_type=_DICOM)


ROWS = (Row(Method.GET, "/wado", Touches.SET, retrieve, _KNOWN, PIXELS, patience=PATIENCE),)
