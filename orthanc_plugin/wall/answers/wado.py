"""WADO-RS for whole studies and series: objects as they are stored, and metadata, of permitted photos alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from consent.store.engine import reading
from dicom_bridge.query.search import Instance, attributes_of, instances
from orthanc_plugin.wall.answer import ABSENT, Answer, Part, json_answer
from orthanc_plugin.wall.answers.qido import base_url, json_media
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.routes import Row, Touches

_STUDY = "/dicom-web/studies/{study}"
_SERIES = "/dicom-web/studies/{study}/series/{series}"
_ACCEPT = frozenset({"accept"})


def retrieve(foundation: Foundation, asked: Asked) -> Answer:
    """``multipart/related`` of DICOM files in the transfer syntax in which they are stored (PS3.18 10.4.1)."""
    if not _wants_dicom(asked):
        return Answer(status=406)
    released = _released(foundation, asked)
    if not released:
        return ABSENT
    return Answer(parts=_files(foundation, asked, released))


def metadata(foundation: Foundation, asked: Asked) -> Answer:
    """DICOM JSON of every permitted photo, without bulk values but with the address of its pixels."""
    media = json_media(asked)
    if media is None:
        return Answer(status=406)
    released = _released(foundation, asked)
    if not released:
        return ABSENT
    with reading(foundation.rooms().engine) as connection:
        found = attributes_of(connection, (one.number for one in released))
    base = base_url(foundation, asked)
    return json_answer([_with_pixels(found[one.number], one, base) for one in released if one.number in found], media)


def _with_pixels(attributes: dict[str, Any], one: Instance, base: str) -> dict[str, Any]:
    address = f"{base}/studies/{one.study_uid}/series/{one.series_uid}/instances/{one.sop_uid}"
    return attributes | {"7FE00010": {"vr": "OW", "BulkDataURI": f"{address}/frames/1"}}


def _released(foundation: Foundation, asked: Asked) -> list[Instance]:
    """The permitted photos of the study or series, decided one by one and recorded as one set."""
    rooms, values, row = foundation.rooms(), asked.match.values, asked.match.row
    assert asked.request is not None
    with reading(rooms.engine) as connection:
        known = instances(connection, values["study"], values.get("series"))
    released = rooms.point.photos(asked.request, [one.number for one in known], route=row.name, fulfils=row.fulfils)
    numbers = set(released.numbers)
    return [one for one in known if one.number in numbers]


def _files(foundation: Foundation, asked: Asked, released: list[Instance]) -> Iterator[Part]:
    """Each file, decided once more when its turn comes: a stream stops at the first photo that was withdrawn."""
    rooms = foundation.rooms()
    assert asked.request is not None
    for one in released:
        row = asked.match.row
        if not rooms.point.still(asked.request, one.sop_uid, route=row.name, fulfils=row.fulfils):
            return
        yield partial(foundation.host.dicom, one.orthanc_id)


def _wants_dicom(asked: Asked) -> bool:
    """Whether the client takes DICOM files; in whatever transfer syntax, for they leave as they are stored."""
    accept = (asked.query.get("accept") or asked.headers.get("accept") or "*/*").lower()
    return "application/dicom" in accept.replace("application/dicom+", "") or "*/*" in accept


ROWS = (
    Row(Method.GET, _STUDY, Touches.SET, retrieve, _ACCEPT),
    Row(Method.GET, _SERIES, Touches.SET, retrieve, _ACCEPT),
    Row(Method.GET, f"{_STUDY}/metadata", Touches.SET, metadata, _ACCEPT),
    Row(Method.GET, f"{_SERIES}/metadata", Touches.SET, metadata, _ACCEPT),
)
