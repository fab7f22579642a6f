"""WADO-RS for whole studies and series: objects as they are stored, and metadata, of permitted photos alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from consent.store.engine import reading
from dicom_bridge.query.search import Instance, attributes_of, instances
from orthanc_plugin.wall.answer import ABSENT, Answer, json_answer
from orthanc_plugin.wall.answers.qido import base_url, json_media
from orthanc_plugin.wall.answers.released import released, still
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.routes import Row, Touches
from orthanc_plugin.wall.stream import Part, Stream

_STUDY = "/dicom-web/studies/{study}"
_SERIES = "/dicom-web/studies/{study}/series/{series}"
_ACCEPT = frozenset({"accept"})


def retrieve(foundation: Foundation, asked: Asked) -> Answer:
    """``multipart/related`` of DICOM files in the transfer syntax in which they are stored (PS3.18 10.4.1)."""
    if not _wants_dicom(asked):
        return Answer(status=406)
    photos = released(foundation, asked, _known(foundation, asked))
    if not photos:
        return ABSENT
    return Answer(stream=Stream(_files(foundation, asked, photos)))


def metadata(foundation: Foundation, asked: Asked) -> Answer:
    """DICOM JSON of every permitted photo, without bulk values but with the address of its pixels."""
    media = json_media(asked)
    if media is None:
        return Answer(status=406)
    photos = released(foundation, asked, _known(foundation, asked))
    if not photos:
        return ABSENT
    with reading(foundation.rooms().engine) as connection:
        found = attributes_of(connection, (one.number for one in photos))
    base = base_url(foundation, asked)
    return json_answer([_with_pixels(found[one.number], one, base) for one in photos if one.number in found], media)


def _with_pixels(attributes: dict[str, Any], one: Instance, base: str) -> dict[str, Any]:
    address = f"{base}/studies/{one.study_uid}/series/{one.series_uid}/instances/{one.sop_uid}"
    return attributes | {"7FE00010": {"vr": "OW", "BulkDataURI": f"{address}/frames/1"}}


def _known(foundation: Foundation, asked: Asked) -> tuple[Instance, ...]:
    values = asked.match.values
    with reading(foundation.rooms().engine) as connection:
        return instances(connection, values["study"], values.get("series"))


def _files(foundation: Foundation, asked: Asked, photos: list[Instance]) -> Iterator[Part]:
    for one in photos:
        yield Part(partial(_file, foundation, one), partial(still, foundation, asked, one))


def _file(foundation: Foundation, one: Instance) -> tuple[bytes, ...]:
    return (foundation.host.dicom(one.orthanc_id),)


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
