"""One instance: decided in the filter, answered by Orthanc itself at full speed."""

from __future__ import annotations

from consent.types import Obligation
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.routes import Row, Touches

_PIXELS = frozenset({Obligation.NO_IDENTIFIERS})
_SIZE = frozenset({"width", "height", "smooth", "window-center", "window-width", "quality", "returnUnsupportedImage"})
_TAGS = frozenset({"short", "simplify", "ignore-length"})
_VIEW = frozenset({"viewport", "window", "quality", "accept"})
_DICOM = frozenset({"accept"})
_WADO = "/dicom-web/studies/{study}/series/{series}/instances/{sop}"

#: Kinds of our own work that read objects, each recorded by whoever makes the ticket.
_READING = frozenset({"examine", "render", "scan"})


def _row(path: str, query: frozenset[str] = frozenset(), *, pixels: bool = False) -> Row:
    fulfils: frozenset[Obligation] = _PIXELS if pixels else frozenset()
    return Row(Method.GET, path, Touches.ONE, query=query, fulfils=fulfils, tasks=_READING)


#: Rendered pixels alone meet ``no-identifiers``: Orthanc encodes them anew, without any header of the object. Frames
#: are the object's own bytes, with what a camera wrote into them, so they cannot.
ROWS = (
    _row("/instances/{id}"),
    _row("/instances/{id}/file"),
    _row("/instances/{id}/tags", _TAGS),
    _row("/instances/{id}/simplified-tags", _TAGS),
    _row("/instances/{id}/header", _TAGS),
    _row("/instances/{id}/frames"),
    _row("/instances/{id}/frames/{frame}/raw"),
    _row("/instances/{id}/frames/{frame}/preview", _SIZE, pixels=True),
    _row("/instances/{id}/frames/{frame}/rendered", _SIZE, pixels=True),
    _row("/instances/{id}/preview", _SIZE, pixels=True),
    _row("/instances/{id}/rendered", _SIZE, pixels=True),
    _row("/instances/{id}/attachments/dicom/size"),
    _row("/instances/{id}/attachments/dicom/md5"),
    _row("/instances/{id}/attachments/dicom/data"),
    _row(_WADO, _DICOM),
    _row(f"{_WADO}/metadata", _DICOM),
    _row(f"{_WADO}/bulk/{{tag}}", _DICOM),  # where Orthanc's metadata say that a binary value is
    _row(f"{_WADO}/frames/{{frames}}", _DICOM),
    _row(f"{_WADO}/frames/{{frames}}/rendered", _VIEW, pixels=True),
    _row(f"{_WADO}/rendered", _VIEW, pixels=True),
)
