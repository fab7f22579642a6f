"""The viewing copy: upright, sRGB, without metadata; the original's entropy-coded data wherever that is so already.

Else its coefficients, where turning them or writing them as baseline is enough; else the picture encoded anew.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.colour import is_srgb, profile_of, share_outside, to_srgb
from dicom_bridge.intake.decoding import decoded
from dicom_bridge.intake.kinds import Kind
from dicom_bridge.intake.photo import IncomingPhoto
from dicom_bridge.intake.picture import Picture
from dicom_bridge.intake.segments import Jpeg, Marker
from dicom_bridge.objects.turning import turned

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


_TURNED_ALREADY = frozenset({Kind.TIFF, Kind.HEIC})
"""What their decoders give is upright: TIFF's own tag is followed, and HEIC has properties that turn (irot, imir)."""

JPEG = "ISO_10918_1"


@dataclass(frozen=True, slots=True)
class LossyStep:
    """One lossy compression."""

    method: str
    """Lossy Image Compression Method (0028,2114)."""

    ratio: float
    """Lossy Image Compression Ratio (0028,2112): Rows x Columns x Samples / bytes."""


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

    steps: tuple[LossyStep, ...]
    """Each lossy compression that the pixels went through, in order; the last is that of the stream."""

    @property
    def length(self) -> int:
        """Bytes of the stream."""
        return sum(len(part) for part in self.stream)


def viewing_copy(photo: IncomingPhoto) -> ViewingCopy:
    """Make the viewing copy.

    Raises
    ------
    FileRefused
        The picture cannot be decoded where it has to be, its colours cannot be told, or it is transparent somewhere.
    """
    source = photo.source
    components = len(source.components) if isinstance(source, Jpeg) else source.samples
    profile = profile_of(source.icc, photo.camera, components)
    srgb = is_srgb(profile, components)
    if isinstance(source, Jpeg) and srgb:
        if source.may_be_kept and photo.camera.orientation == 1:
            return _kept(source, photo.data)
        if (len(source.components) == 1 or source.is_ycbcr) and source.survives_bare:
            made = turned(source, photo.data, photo.camera.orientation)
            if made is not None:
                return _turned(source, photo.camera.orientation, *made)
    return _encoded(photo, None if srgb else profile)


def _kept(jpeg: Jpeg, data: bytes) -> ViewingCopy:
    return ViewingCopy(jpeg.stream(data), jpeg.rows, jpeg.columns, len(jpeg.components), False, None, (_step(jpeg),))


def _turned(former: Jpeg, orientation: int, stream: bytes, jpeg: Jpeg) -> ViewingCopy:
    done = ["turned upright"] if orientation != 1 else []
    if former.frame is not Marker.SOF0:
        done.append("rewritten as baseline")
    step = _step(jpeg)
    derivation = (
        f"{_named(former)} {', '.join(done or ['rewritten'])} without decoding: its coefficients are the original's, "
        f"ratio {step.ratio:.1f}"
    )
    return ViewingCopy((stream,), jpeg.rows, jpeg.columns, len(jpeg.components), True, derivation, (step,))


def _step(jpeg: Jpeg) -> LossyStep:
    return LossyStep(JPEG, jpeg.rows * jpeg.columns * len(jpeg.components) / jpeg.length)


def _encoded(photo: IncomingPhoto, profile: bytes | None) -> ViewingCopy:
    """Decode, convert from ``profile`` where there is one, turn, encode; never more than two pictures at a time."""
    source = photo.source
    done = ["decoded"]
    picture = picture_of(source, photo.data)
    if isinstance(source, Picture) and source.bits > 8:
        done.append(f"reduced from {source.bits} to 8 bits")
    if profile is not None:
        outside = share_outside(picture, profile)
        picture = to_srgb(picture, profile)
        done.append("converted to sRGB" + _clipped(outside))
    picture = upright(picture, photo)
    if photo.camera.orientation in _TURNS and not (isinstance(source, Picture) and source.kind is Kind.HEIC):
        done.append("turned upright")
    samples = 1 if picture.mode == "L" else 3
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, subsampling="4:4:4", optimize=False)
    stream = _without_header(out.getvalue())
    step = LossyStep(JPEG, picture.width * picture.height * samples / len(stream))
    derivation = (
        f"{_named(source)} {', '.join(done)}, encoded as baseline JPEG of quality {QUALITY}, "
        f"not subsampled, ratio {step.ratio:.1f}"
    )
    steps = (*_before(source), step)
    return ViewingCopy((stream,), picture.height, picture.width, samples, True, derivation, steps)


def _clipped(outside: float | None) -> str:
    if outside is None or outside == 0:
        return ""
    return f" (clipped: {max(outside, 0.001):.1%} of the pixels are outside sRGB)"


def _named(source: Jpeg | Picture) -> str:
    if isinstance(source, Jpeg):
        return f"Original {_PROCESSES[source.frame]} JPEG"
    return f"Original {'lossy' if source.method else 'lossless'} {source.kind}"


def _before(source: Jpeg | Picture) -> tuple[LossyStep, ...]:
    """The lossy step of the file itself."""
    if isinstance(source, Jpeg):
        return (_step(source),)
    return (LossyStep(source.method, source.ratio),) if source.method else ()


def upright(picture: Image.Image, photo: IncomingPhoto) -> Image.Image:
    """A decoded picture as its photo is looked at."""
    source, turn = photo.source, _TURNS.get(photo.camera.orientation)
    if turn is None or (isinstance(source, Picture) and source.kind in _TURNED_ALREADY):
        return picture
    return picture.transpose(turn)


def picture_of(source: Jpeg | Picture, data: bytes, *, least: int | None = None) -> Image.Image:
    """The decoded picture, of mode L or RGB. The decoder sees nothing of the file but what it needs.

    Parameters
    ----------
    data
        The file.
    least
        So many pixels of its longer side are enough of a JPEG, whose decoder then does less; it gives them or more.

    Raises
    ------
    FileRefused
    """
    if isinstance(source, Picture):
        return decoded(source.decodable(), source.kind, source.rows, source.columns)
    with warnings.catch_warnings():
        # The size was held against the settings' limit before; Pillow warns of a lower one of its own.
        warnings.simplefilter("ignore")
        try:
            picture = Image.open(io.BytesIO(source.decodable(data)), formats=("JPEG",))
            if least is not None:
                picture.draft(picture.mode, (least, least))
            picture.load()
        except Image.DecompressionBombError:
            raise FileRefused("picture", "it has more pixels than can be decoded; export it smaller") from None
        except (OSError, ValueError, SyntaxError) as error:
            raise FileRefused("picture", "it cannot be decoded; the file is damaged, send it again") from error
    if picture.mode not in ("L", "RGB"):
        raise FileRefused("picture", "its colours are of a kind that is not read; export it as an ordinary JPEG")
    return picture


def _without_header(stream: bytes) -> bytes:
    """The stream without the JFIF segment that Pillow begins with; its absence is recommended (PS3.5 8.2.1 note 3)."""
    if stream[2:4] != b"\xff\xe0":
        return stream
    return stream[:2] + stream[4 + int.from_bytes(stream[4:6], "big") :]
