"""What a file is that is no JPEG: told by its first bytes, so that the refusal can say what to do instead."""

from __future__ import annotations

_BRANDS = {
    b"heic": "a HEIC photo",
    b"heix": "a HEIC photo",
    b"heim": "a HEIC photo",
    b"hevc": "a HEIC photo",
    b"mif1": "a HEIC or AVIF photo",
    b"msf1": "a HEIC or AVIF photo",
    b"avif": "an AVIF photo",
    b"avis": "an AVIF photo",
    b"crx ": "a raw file",
}
_BEGINNINGS = (
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\0", "a TIFF picture or a raw file"),
    (b"MM\0*", "a TIFF picture or a raw file"),
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


def what_it_is(data: bytes) -> str:
    """Why a file that does not begin as a JPEG is refused, and the remedy, in a sentence without a subject."""
    if data[128:132] == b"DICM":
        return "it is a DICOM object; send it to the archive by STOW-RS"
    if data[4:8] == b"ftyp":
        return f"it is {_BRANDS.get(data[8:12], 'a film')}; {_EXPORT}"
    if data[:4] == b"RIFF":
        return f"it is {'a WebP picture' if data[8:12] == b'WEBP' else 'a film or a sound'}; {_EXPORT}"
    for beginning, name in _BEGINNINGS:
        if data.startswith(beginning):
            return f"it is {name}; {_EXPORT}"
    return f"it is no JPEG; {_EXPORT} from the camera"
