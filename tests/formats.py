"""The same test picture in every format that clinics have, made by code."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.photos import Shot, jpeg, picture

HEIC_SAMPLES = Path(__file__).parents[1] / ".run" / "heic"
"""Files of phones and cameras, of the package that ``make`` fetches for tests."""

_SECRET = "Owner Secretname, N 37 58 33, SERIAL-4711"


def saved(made: Image.Image, form: str, **options: Any) -> bytes:
    """A picture as a file of a format."""
    out = io.BytesIO()
    made.save(out, form, **options)
    return out.getvalue()


def exif(orientation: int = 1) -> Image.Exif:
    """What a phone writes, with what tells where and by whom."""
    said = Image.open(io.BytesIO(jpeg(Shot(orientation=orientation)))).getexif()
    said[0x0112] = orientation
    return said


def png(shot: Shot, **options: Any) -> bytes:
    """A PNG with texts that tell too much."""
    texts = PngInfo()
    for key in ("Comment", "comment", "Author"):
        texts.add_text(key, _SECRET)
    texts.add_itxt("XML:com.adobe.xmp", f"<x>{_SECRET}</x>")
    if shot.profile is not None:
        options["icc_profile"] = shot.profile
    return saved(picture(shot), "PNG", pnginfo=texts, exif=exif(shot.orientation), **options)


def tiff(shot: Shot, **options: Any) -> bytes:
    """A TIFF as an editor writes it."""
    if shot.profile is not None:
        options["icc_profile"] = shot.profile
    said = {270: _SECRET, 274: shot.orientation, 315: _SECRET}
    return saved(picture(shot), "TIFF", tiffinfo=said, **options)


def webp(shot: Shot, **options: Any) -> bytes:
    """A WebP of quality 92, or lossless."""
    if shot.profile is not None:
        options["icc_profile"] = shot.profile
    return saved(picture(shot), "WEBP", exif=exif(shot.orientation), xmp=_SECRET.encode(), **{"quality": 92, **options})


def mpo(shot: Shot) -> bytes:
    """A camera's MPO: the photo, and a second picture behind it."""
    other = Shot(shot.width, shot.height, seed=shot.seed + 1)
    return saved(
        picture(shot),
        "MPO",
        save_all=True,
        append_images=[picture(other)],
        exif=exif(shot.orientation),
        quality=92,
        subsampling=0,
    )


def exported(shot: Shot) -> bytes:
    """A JPEG that an app wrote anew, without EXIF."""
    return saved(picture(shot), "JPEG", quality=88)


def png16(shot: Shot) -> bytes:
    """A PNG of 16 bits a sample."""
    return png16_of(picture(shot))


def png16_of(made: Image.Image) -> bytes:
    """A picture as PNG of 16 bits a sample, each 8-bit value times 257 (ISO/IEC 15948, 13.12)."""
    wide = b"".join(bytes((value, value)) for value in made.tobytes())
    line = len(wide) // made.height
    rows = b"".join(b"\0" + wide[at : at + line] for at in range(0, len(wide), line))
    colour = 0 if made.mode == "L" else 2
    header = struct.pack(">IIBBBBB", made.width, made.height, 16, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, body) for name, body in chunks)


def png_chunk(name: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def png_with(data: bytes, name: bytes, body: bytes) -> bytes:
    """A PNG with one chunk more, behind its header."""
    return data[:33] + png_chunk(name, body) + data[33:]


def tiff_of_jpeg(shot: Shot) -> bytes:
    """A TIFF whose picture is coded as JPEG."""
    return saved(picture(shot), "TIFF", compression="jpeg", quality=90)


FORMATS: dict[str, Callable[[Shot], bytes]] = {
    "PNG": png,
    "PNG of a palette": lambda shot: saved(picture(shot).quantize(256), "PNG"),
    "PNG of 16 bits": png16,
    "PNG with an opaque alpha": lambda shot: saved(picture(shot).convert("RGBA"), "PNG"),
    "TIFF": tiff,
    "TIFF, LZW": lambda shot: tiff(shot, compression="tiff_lzw"),
    "TIFF, Deflate": lambda shot: tiff(shot, compression="tiff_adobe_deflate"),
    "TIFF, JPEG": tiff_of_jpeg,
    "WebP": webp,
    "WebP, lossless": lambda shot: webp(shot, lossless=True),
    "MPO": mpo,
    "JPEG without EXIF": exported,
    "JPEG, progressive": lambda shot: jpeg(Shot(shot.width, shot.height, shot.orientation, progressive=True)),
}
"""Name -> the file of a test picture."""
