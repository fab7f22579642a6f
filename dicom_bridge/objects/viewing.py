"""The viewing copy: upright, sRGB, without metadata; the original's entropy-coded data wherever that is so already."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.colour import is_srgb, profile_of, to_srgb
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


_PROCESSES = {Marker.SOF0: "baseline", Marker.SOF1: "extended sequential", Marker.SOF2: "progressive"}


@dataclass(frozen=True, slots=True)
class ViewingCopy:
    """A baseline JPEG stream, and the truth about where it comes from."""

    stream: tuple[bytes | memoryview, ...]
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
    jpeg = photo.jpeg
    components = len(jpeg.components)
    profile = profile_of(jpeg.icc, photo.camera, components)
    srgb = is_srgb(profile, components)
    if (
        jpeg.is_baseline
        and photo.camera.orientation == 1
        and srgb
        and (components == 1 or jpeg.is_ycbcr)
        and jpeg.survives_bare
    ):
        return _kept(photo)
    return _encoded(photo, None if srgb else profile)


def _kept(photo: IncomingPhoto) -> ViewingCopy:
    jpeg = photo.jpeg
    samples = len(jpeg.components)
    ratio = jpeg.rows * jpeg.columns * samples / jpeg.length
    return ViewingCopy(jpeg.stream(photo.data), jpeg.rows, jpeg.columns, samples, False, None, (ratio,))


def _encoded(photo: IncomingPhoto, profile: bytes | None) -> ViewingCopy:
    """Decode, convert from ``profile`` where there is one, turn, encode; never more than two pictures at a time."""
    jpeg = photo.jpeg
    done = ["decoded"]
    picture = _decoded(photo)
    cmyk = picture.mode == "CMYK"
    if profile is not None:
        picture = to_srgb(picture, profile)
        done.append("converted from CMYK to sRGB" if cmyk else "converted to sRGB")
    elif cmyk:
        picture = picture.convert("RGB")
        done.append("converted from CMYK without a profile")
    turn = _TURNS.get(photo.camera.orientation)
    if turn is not None:
        picture = picture.transpose(turn)
        done.append("turned upright")
    samples = 1 if picture.mode == "L" else 3
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, subsampling="4:4:4", optimize=False)
    stream = _without_header(out.getvalue())
    ratios = (
        jpeg.rows * jpeg.columns * len(jpeg.components) / jpeg.length,
        picture.width * picture.height * samples / len(stream),
    )
    derivation = (
        f"Original {_PROCESSES[jpeg.frame]} JPEG {', '.join(done)}, encoded as baseline JPEG of quality {QUALITY}, "
        f"not subsampled, ratio {ratios[1]:.1f}"
    )
    return ViewingCopy((stream,), picture.height, picture.width, samples, True, derivation, ratios)


def _decoded(photo: IncomingPhoto) -> Image.Image:
    """The decoded picture, of mode L, RGB or CMYK. The decoder sees nothing of the file but what it needs."""
    with warnings.catch_warnings():
        # The size was held against the settings' limit before; Pillow warns of a lower one of its own.
        warnings.simplefilter("ignore")
        try:
            picture = Image.open(io.BytesIO(photo.jpeg.decodable(photo.data)), formats=("JPEG",))
            picture.load()
        except Image.DecompressionBombError:
            raise FileRefused("picture", "it has more pixels than can be decoded; export it smaller") from None
        except (OSError, ValueError, SyntaxError) as error:
            raise FileRefused("picture", "it cannot be decoded; the file is damaged, send it again") from error
    if picture.mode not in ("L", "RGB", "CMYK"):
        raise FileRefused("picture", "its colours are of a kind that is not read; export it as an ordinary JPEG")
    return picture


def _without_header(stream: bytes) -> bytes:
    """The stream without the JFIF segment that Pillow begins with; its absence is recommended (PS3.5 8.2.1 note 3)."""
    if stream[2:4] != b"\xff\xe0":
        return stream
    return stream[:2] + stream[4 + int.from_bytes(stream[4:6], "big") :]
