"""HEIC and HIF (ISO/IEC 23008-12): the primary picture, which libheif reads where the extra ``heic`` is installed."""

from __future__ import annotations

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.decoding import ask
from dicom_bridge.intake.kinds import Kind
from dicom_bridge.intake.limits import Limits
from dicom_bridge.intake.picture import Picture, require_profile, require_size
from dicom_bridge.intake.profiles import Primaries, matrix_profile

_HEVC = "ISO_23008_2"
_MOST_BOXES = 256
_SDR = frozenset({1, 2, 6, 13, 14, 15})
"""Transfer characteristics of ITU-T H.273 that are BT.709's or sRGB's, or are not told."""

_SRGB, _P3 = frozenset({1, 2}), 12
_GREY = ("L", "LA", "I;16")


def read_heic(data: bytes, limits: Limits) -> Picture:
    """Read the primary picture's header. Whatever else is in the file, bursts and depths, stays in the original alone.

    Raises
    ------
    FileRefused
        What reads it is not installed; it is cut off, damaged, an HDR picture, or exceeds a limit.
    """
    _require_whole(data)
    answer = ask(data, Kind.HEIC, pixels=0, header=True)
    columns, rows = (int(each) for each in answer.said["size"])
    require_size(rows, columns, limits)
    return Picture(
        kind=Kind.HEIC,
        rows=rows,
        columns=columns,
        samples=1 if answer.said["mode"] in _GREY else 3,
        bits=int(answer.said["bits"]),
        method=_HEVC,
        length=_coded(data),
        icc=_profile(answer.icc, int(answer.said["primaries"]), int(answer.said["transfer"])),
        exif=answer.exif or None,
        parts=(data,),
    )


def _boxes(data: bytes) -> list[tuple[bytes, int, int]]:
    """Name, beginning and end of the outermost boxes (ISO/IEC 14496-12, 4.2)."""
    found: list[tuple[bytes, int, int]] = []
    at = 0
    while at < len(data):
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if at + head > len(data) or size < head or at + size > len(data):
            raise FileRefused("file", "it is cut off; send it again")
        if len(found) >= _MOST_BOXES:
            raise FileRefused("file", f"it has more than {_MOST_BOXES} boxes; export it anew")
        found.append((data[at + 4 : at + 8], at, at + size))
        at += size
    return found


def _require_whole(data: bytes) -> None:
    if not {b"meta", b"mdat"} <= {name for name, _, _ in _boxes(data)}:
        raise FileRefused("file", "it is cut off; send it again")


def _coded(data: bytes) -> int:
    return sum(end - start for name, start, end in _boxes(data) if name == b"mdat")


def _profile(icc: bytes, primaries: int, transfer: int) -> bytes | None:
    """The embedded profile counts first, else what the file numbers (ITU-T H.273)."""
    if icc:
        return require_profile(icc)
    if transfer not in _SDR or primaries not in (*_SRGB, _P3, 5, 6):
        raise FileRefused("colour profile", "it is an HDR picture; have the camera write HEIC in sRGB, or JPEG")
    return matrix_profile(Primaries.display_p3(), None) if primaries == _P3 else None
