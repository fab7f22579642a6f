"""Archives and media: a ZIP of permitted photos, made while it is sent.

No job of Orthanc is made: whoever knows its number could fetch what it made, and a withdrawal would not reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from consent.store.engine import reading
from dicom_bridge.query.dicomdir import File, dicomdir
from dicom_bridge.query.dictionary import Level
from dicom_bridge.query.folders import Folders
from dicom_bridge.query.members import members
from dicom_bridge.query.part10 import transfer_syntax
from dicom_bridge.query.search import Instance, attributes_of
from orthanc_plugin.wall.answer import ABSENT, Answer
from orthanc_plugin.wall.answers.body import BadBody, ids, read_json
from orthanc_plugin.wall.answers.released import Turns, released
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.host import Buffer, Method
from orthanc_plugin.wall.routes import Row, Touches
from orthanc_plugin.wall.stream import Part, Pieces, Stream
from orthanc_plugin.wall.zip_stream import ZipStream

_MEDIA = "application/zip"
_HEADERS = {"Content-Disposition": 'attachment; filename="archive.zip"'}
_LEVELS = {"patients": Level.PATIENT, "studies": Level.STUDY, "series": Level.SERIES}
_HEAD = 4096
"""Bytes of a file among which its meta information tells the transfer syntax."""

_PATIENCE = 10.0
"""Seconds for deciding a set of thousands of photos."""


class _Archive:
    """One ZIP with Orthanc's folders."""

    def __init__(self) -> None:
        self._zip, self._folders = ZipStream(), Folders()

    def photo(self, dicom: Buffer, attributes: Mapping[str, Any]) -> Pieces:
        """What is sent of a photo."""
        return self._zip.member(self._folders.place(attributes), dicom), dicom

    def end(self) -> Pieces:
        """What makes it complete."""
        return (self._zip.end(),)


class _Medium:
    """One ZIP with a DICOMDIR (PS3.10 8), which comes last: it tells of each photo what only the photo's bytes tell."""

    def __init__(self) -> None:
        self._zip = ZipStream()
        self._files: list[File] = []

    def photo(self, dicom: Buffer, attributes: Mapping[str, Any]) -> Pieces:
        """What is sent of a photo."""
        path = ("IMAGES", f"IM{len(self._files)}")
        self._files.append(File.of(path, transfer_syntax(bytes(dicom[:_HEAD])), attributes))
        return self._zip.member("/".join(path), dicom), dicom

    def end(self) -> Pieces:
        """The directory of what was sent, and what makes the ZIP complete."""
        directory = dicomdir(self._files)
        return self._zip.member("DICOMDIR", directory), directory, self._zip.end()


_Made = Callable[[], _Archive | _Medium]


def below(made: _Made, foundation: Foundation, asked: Asked) -> Answer:
    """``/studies/{id}/archive`` and its like."""
    try:
        if asked.body:
            _synchronous(read_json(asked.body))
    except BadBody:
        return Answer(status=400)
    _, plural, _, _ = asked.match.row.path.split("/")
    return _answer(made, foundation, asked, [asked.match.values["id"]], _LEVELS[plural])


def chosen(made: _Made, foundation: Foundation, asked: Asked) -> Answer:
    """``/tools/create-archive`` and its like: ids of any level, in the query or the body."""
    try:
        if asked.match.row.method is Method.GET:
            resources = ids(asked.query.get("resources", "").split(","))
        else:
            value = read_json(asked.body)
            resources = ids(value if isinstance(value, list) else _synchronous(value).get("Resources"))
    except BadBody:
        return Answer(status=400)
    return _answer(made, foundation, asked, resources, None)


def _synchronous(value: Any) -> Mapping[str, Any]:
    """The body's object. What it asks for beyond ids is refused rather than ignored: a job, transcoding, a name."""
    if not isinstance(value, dict) or not value.keys() <= {"Resources", "Synchronous", "Asynchronous"}:
        raise BadBody("unknown key")
    if value.get("Synchronous", True) is not True or value.get("Asynchronous", False) is not False:
        raise BadBody("no job is made")
    return value


def _answer(made: _Made, foundation: Foundation, asked: Asked, resources: Sequence[str], level: Level | None) -> Answer:
    with reading(foundation.rooms().engine) as connection:
        known = members(connection, resources, level)
    photos = released(foundation, asked, known)
    if not photos:
        return ABSENT
    files = foundation.files
    parts = _parts(foundation, Turns(foundation, asked), photos, made())
    return Answer(headers=_HEADERS, stream=Stream(parts, files.give, _MEDIA, files.folder))


def _parts(foundation: Foundation, turns: Turns, photos: list[Instance], archive: _Archive | _Medium) -> Iterator[Part]:
    for one in photos:
        yield Part(
            partial(_photo, foundation, archive, one),
            partial(turns.still, one),
            partial(turns.at_hand, one),
        )
    yield Part(archive.end, lambda: True, lambda: True)


def _photo(foundation: Foundation, archive: _Archive | _Medium, one: Instance) -> Pieces:
    dicom = foundation.files.read(one.orthanc_id)
    with reading(foundation.rooms().engine) as connection:
        attributes = attributes_of(connection, [one.number])[one.number]
    return archive.photo(dicom, attributes)


def _rows() -> Iterator[Row]:
    for name, made in (("archive", _Archive), ("media", _Medium)):
        for method in (Method.GET, Method.POST):
            for plural in _LEVELS:
                path = f"/{plural}/{{id}}/{name}"
                yield Row(method, path, Touches.SET, partial(below, made), patience=_PATIENCE)
        tool = f"/tools/create-{name}"
        query = frozenset({"resources"})
        yield Row(Method.GET, tool, Touches.SET, partial(chosen, made), query, patience=_PATIENCE)
        yield Row(Method.POST, tool, Touches.SET, partial(chosen, made), patience=_PATIENCE)
    extended = "/tools/create-media-extended"
    yield Row(Method.POST, extended, Touches.SET, partial(chosen, _Medium), patience=_PATIENCE)


ROWS = tuple(_rows())
