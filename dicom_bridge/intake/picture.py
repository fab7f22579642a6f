"""The one picture of a file that is no JPEG: what its structure says before a pixel of it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.kinds import Kind
from dicom_bridge.intake.limits import Limits

MAX_ICC = 4 * 2**20
"""Bytes of a colour profile."""

_LONGEST = 65_500
"""Pixels of a side that a baseline JPEG, the form of the viewing copy, can have (libjpeg, JPEG_MAX_DIMENSION)."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as its file describes it."""

    kind: Kind
    rows: int
    columns: int
    samples: int
    """Colours of a pixel: 1 grey, 3 RGB. Transparency is no colour."""

    bits: int
    """Of a sample, as the file holds it."""

    method: str | None
    """Lossy Image Compression Method (0028,2114) of the file itself; None: it lost nothing."""

    length: int
    """Bytes of its coded pixels."""

    icc: bytes | None
    exif: bytes | None
    """A TIFF structure."""

    parts: tuple[bytes | memoryview, ...]
    """What a decoder needs of the file, in order, without its metadata."""

    @property
    def ratio(self) -> float:
        """Rows x columns x samples / bytes of the coded pixels."""
        return self.rows * self.columns * self.samples / max(self.length, 1)

    def decodable(self) -> bytes:
        """The parts as one file."""
        return b"".join(self.parts)


def require_size(rows: int, columns: int, limits: Limits) -> None:
    """Hold a picture's size against the limits.

    Raises
    ------
    FileRefused
    """
    if rows <= 0 or columns <= 0:
        raise FileRefused("picture", "it has no height or no width; export it anew")
    if max(rows, columns) > _LONGEST:
        raise FileRefused("picture", f"a side of it has more than {_LONGEST} pixels; export it smaller")
    if rows * columns > limits.pixels:
        raise FileRefused("picture", f"it has more than {limits.pixels} pixels (setting max_pixels)")


def require_profile(icc: bytes | None) -> bytes | None:
    """A colour profile of a size that one has.

    Raises
    ------
    FileRefused
    """
    if icc is not None and len(icc) > MAX_ICC:
        raise FileRefused("colour profile", "it is larger than 4 MiB; export the photo as sRGB")
    return icc
