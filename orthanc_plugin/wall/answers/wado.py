"""WADO-RS for whole studies and series: objects as they are stored, and metadata, of permitted photos alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from consent.store.engine import reading
from dicom_bridge.query.search import Instance, attributes_of, instances
from orthanc_plugin.wall.accept import transfer_syntaxes
from orthanc_plugin.wall.answer import ABSENT, Answer, json_answer
from orthanc_plugin.wall.answers import syntaxes
from orthanc_plugin.wall.answers.qido import base_url, json_media
from orthanc_plugin.wall.answers.released import Turns, released
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.routes import Row, Touches
from orthanc_plugin.wall.stream import Part, Stream

_STUDY = "/dicom-web/studies/{study}"
_SERIES = "/dicom-web/studies/{study}/series/{series}"
_ACCEPT = frozenset({"accept"})
_PATIENCE = 10.0
"""Seconds for deciding a set of thousands of photos."""


def retrieve(foundation: Foundation, asked: Asked) -> Answer:
    """``multipart/related`` of DICOM files (PS3.18 10.4.1), as they are stored unless another syntax is asked for."""
    wanted = transfer_syntaxes(asked.query.get("accept") or asked.headers.get("accept") or "*/*")
    if not wanted:
        return Answer(status=406)
    photos = released(foundation, asked, _known(foundation, asked))
    if not photos:
        return ABSENT
    decoded = syntaxes.plan(foundation, photos, wanted)
    if decoded is None:
        return Answer(status=406)
    files = _files(foundation, Turns(foundation, asked), zip(photos, decoded, strict=True))
    return Answer(stream=Stream(files, foundation.files.give))


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


def _files(foundation: Foundation, turns: Turns, photos: Iterable[tuple[Instance, bool]]) -> Iterator[Part]:
    for one, decode in photos:
        yield Part(
            partial(syntaxes.file, foundation, one, decode),
            partial(turns.still, one),
            partial(turns.at_hand, one),
            partial(syntaxes.ready, foundation, one, decode),
        )


ROWS = (
    Row(Method.GET, _STUDY, Touches.SET, retrieve, _ACCEPT, patience=_PATIENCE),
    Row(Method.GET, _SERIES, Touches.SET, retrieve, _ACCEPT, patience=_PATIENCE),
    Row(Method.GET, f"{_STUDY}/metadata", Touches.SET, metadata, _ACCEPT),
    Row(Method.GET, f"{_SERIES}/metadata", Touches.SET, metadata, _ACCEPT),
)
