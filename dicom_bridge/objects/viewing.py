"""The viewing copy: upright, sRGB, without metadata; the original's entropy-coded data wherever that is so already."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.colour import is_srgb, to_srgb
from dicom_bridge.intake.photo import IncomingPhoto
from dicom_bridge.intake.segments import Marker

QUALITY = 95
"""Quality of an encode, as libjpeg counts it, without chroma subsampling."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class ViewingCopy:
    """A baseline JPEG stream, and the truth about where it comes from."""

    stream: tuple[bytes, ...]
    """Its parts, in order; together they run from SOI to EOI."""

    rows: int
    columns: int
    samples: int
    """1 grey, 3 YCbCr."""

    derived: bool
    """False where the entropy-coded data is the original's, bit for bit."""

    derivation: str | None
    """What was done, for Derivation Description (0008,2111)."""

    ratios: tuple[float, ...]
    """Lossy Image Compression Ratio (0028,2112) of each step: Rows x Columns x Samples / bytes of the stream."""

    @property
    def length(self) -> int:
        """Bytes of the stream."""
        return sum(len(part) for part in self.stream)


def viewing_copy(photo: IncomingPhoto) -> ViewingCopy:
    """Make the viewing copy.

    Raises
    ------
    FileRefused
        The picture cannot be decoded where it has to be, or its colours cannot be told.
    """
    jpeg, orientation = photo.jpeg, photo.camera.orientation
    grey = len(jpeg.components) == 1
    srgb = grey or (len(jpeg.components) == 3 and is_srgb(jpeg.icc, photo.camera))
    if (
        jpeg.frame is Marker.SOF0
        and orientation == 1
        and srgb
        and (grey or jpeg.is_ycbcr)
        and jpeg.survives_without_jfif
    ):
        return _kept(photo)
    return _encoded(photo, srgb=srgb)


def _kept(photo: IncomingPhoto) -> ViewingCopy:
    jpeg, view = photo.jpeg, memoryview(photo.data)
    stream = tuple(bytes(view[start:stop]) for start, stop in jpeg.kept)
    samples = len(jpeg.components)
    size = sum(stop - start for start, stop in jpeg.kept)
    return ViewingCopy(
        stream, jpeg.rows, jpeg.columns, samples, False, None, (jpeg.rows * jpeg.columns * samples / size,)
    )


def _encoded(photo: IncomingPhoto, *, srgb: bool) -> ViewingCopy:
    jpeg = photo.jpeg
    done = ["decoded"]
    with warnings.catch_warnings():
        # The size was held against the settings' limit before, and EXIF is read elsewhere: Pillow warns of both.
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(photo.data[: jpeg.end]), formats=("JPEG",)) as opened:
                opened.load()
                picture: Image.Image = opened.copy()
        except Image.DecompressionBombError:
            raise FileRefused("picture", "it has more pixels than can be decoded; export it smaller") from None
        except (OSError, ValueError, SyntaxError) as error:
            raise FileRefused("picture", "it cannot be decoded; the file is damaged") from error
    samples = 1 if picture.mode == "L" else 3
    icc = jpeg.icc
    if picture.mode == "CMYK":
        picture = to_srgb(picture, icc) if icc is not None else picture.convert("RGB")
        done.append("converted from CMYK")
    elif picture.mode not in ("L", "RGB"):
        raise FileRefused("picture", "its colours are of a kind that is not read; export it as an ordinary JPEG")
    elif samples == 3 and not srgb and icc is not None:
        picture = to_srgb(picture, icc)
        done.append("converted to sRGB")
    turn = _TURNS.get(photo.camera.orientation)
    if turn is not None:
        picture = picture.transpose(turn)
        done.append("turned upright")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, subsampling="4:4:4", optimize=False)
    stream = _without_header(out.getvalue())
    sensor = jpeg.rows * jpeg.columns * len(jpeg.components)
    ratios = (
        sensor / sum(stop - start for start, stop in jpeg.kept),
        picture.width * picture.height * samples / len(stream),
    )
    derivation = f"Original JPEG {', '.join(done)}, encoded as baseline JPEG of quality {QUALITY}, not subsampled"
    return ViewingCopy((stream,), picture.height, picture.width, samples, True, derivation, ratios)


def _without_header(stream: bytes) -> bytes:
    """The stream without the JFIF segment that Pillow begins with; its absence is recommended (PS3.5 8.2.1 note 3)."""
    if stream[2:4] != b"\xff\xe0":
        return stream
    return stream[:2] + stream[4 + int.from_bytes(stream[4:6], "big") :]
