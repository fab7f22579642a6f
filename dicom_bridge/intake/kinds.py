"""What a file is: told by its first bytes, never by its name."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePath

from dicom_bridge.errors import FileRefused


class Kind(StrEnum):
    """The formats that photos are read from."""

    JPEG = "JPEG"
    PNG = "PNG"
    TIFF = "TIFF"
    WEBP = "WebP"
    HEIC = "HEIC"


_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1"})
"""Brands of a still picture coded as HEVC (ISO/IEC 23008-12 Annex B); ``mif1`` says nothing of the coding."""

_BRANDS = {
    b"hevc": "a HEIC sequence of several pictures",
    b"hevx": "a HEIC sequence of several pictures",
    b"msf1": "a sequence of several pictures",
    b"avif": "an AVIF photo",
    b"avis": "an AVIF photo",
    b"crx ": "a raw file",
}
_BEGINNINGS = (
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II+\0", "a TIFF of the 64-bit kind"),
    (b"MM\0+", "a TIFF of the 64-bit kind"),
    (b"FUJIFILMCCD-RAW", "a raw file"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "an archive"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
)
_EXPORT = "export the photo as JPEG"
_NAMES = {
    ".jpg": Kind.JPEG,
    ".jpeg": Kind.JPEG,
    ".jpe": Kind.JPEG,
    ".jfif": Kind.JPEG,
    ".mpo": Kind.JPEG,
    ".png": Kind.PNG,
    ".apng": Kind.PNG,
    ".tif": Kind.TIFF,
    ".tiff": Kind.TIFF,
    ".webp": Kind.WEBP,
    ".heic": Kind.HEIC,
    ".heif": Kind.HEIC,
    ".hif": Kind.HEIC,
}


def kind_of(data: bytes) -> Kind:
    """The format of a file.

    Raises
    ------
    FileRefused
        It is none that is read. The text says what it is and what to do.
    """
    if not data:
        raise FileRefused("file", "it is empty; send it again")
    if data[:3] == b"\xff\xd8\xff":
        return Kind.JPEG
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return Kind.PNG
    if data[:4] in (b"II*\0", b"MM\0*"):
        return Kind.TIFF
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Kind.WEBP
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC and not _says_avif(data):
        return Kind.HEIC
    raise FileRefused("file", _what_it_is(data[:256]))


def require_name(name: str, kind: Kind) -> None:
    """A file whose name says another format than its contents is refused: one of the two is wrong, or meant to mislead.

    Raises
    ------
    FileRefused
        A name without an ending, or with one that names no format of photos, says nothing.
    """
    said = _NAMES.get(PurePath(name).suffix.lower())
    if said is not None and said is not kind:
        raise FileRefused(
            "file", f"its name says {said} and it is {kind}; give it the name of what it is, or export it"
        )


def _says_avif(data: bytes) -> bool:
    size = int.from_bytes(data[:4], "big")
    return size <= 256 and b"avif" in (data[at : at + 4] for at in range(16, size, 4))


def _what_it_is(data: bytes) -> str:
    """Why a file is refused, and the remedy, in a sentence without a subject."""
    if data[128:132] == b"DICM":
        return "it is a DICOM object; send it to the archive by STOW-RS"
    if data[4:8] == b"ftyp":
        brand = b"avif" if _says_avif(data) else data[8:12]
        return f"it is {_BRANDS.get(brand, 'a film')}; {_EXPORT}"
    if data[:4] == b"RIFF":
        return f"it is a film or a sound; {_EXPORT}"
    for beginning, name in _BEGINNINGS:
        if data.startswith(beginning):
            return f"it is {name}; {_EXPORT}"
    return f"it is no picture that is read; {_EXPORT} from the camera"
