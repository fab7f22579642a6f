"""A stored photo as a browser shows it: JPEG, sRGB, at most so wide, and nothing but pixels.

What leaves here was decoded and encoded anew, so it carries no header, no EXIF, no comment and no thumbnail of the
file that it came from, whatever that file held (obligation ``no-identifiers``).
"""

from __future__ import annotations

import io
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.encaps import get_frame
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_bridge.errors import BridgeError
from dicom_bridge.objects.attributes import ODD

_QUALITY = 88
_FULL_QUALITY = 92
_SMALL, _SMALL_QUALITY = 320, 76
"""Up to this width a picture is for finding it: sixty stand on a page, and half the bytes are there sooner."""

_AT_ONCE = 640
"""Up to this width a picture is there at once: a browser decodes it sooner where it does not come in passes."""

_MAX_PIXELS = 150_000_000
"""Photos larger than this are not decoded here."""

KEPT_SECONDS = 600.0
"""A rendition that nobody was permitted to see for so long is forgotten."""


class NotRendered(BridgeError):
    """The stored object cannot be shown as a picture here. The text says why and holds no identifier."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """One photo at one size."""

    jpeg: bytes
    width: int
    height: int
    """Pixels."""


def embedded_jpeg(data: bytes) -> bytes | None:
    """The JPEG stream inside a stored object, where it is one baseline JPEG frame; None for any other encoding.

    Parameters
    ----------
    data
        A DICOM file (PS3.10).

    Raises
    ------
    NotRendered
        The bytes are no DICOM file.
    """
    try:
        dataset = dcmread(io.BytesIO(data), specific_tags=["PixelData", "NumberOfFrames"])
        if dataset.file_meta.get("TransferSyntaxUID") != JPEGBaseline8Bit or "PixelData" not in dataset:
            return None
        if int(dataset.get("NumberOfFrames") or 1) != 1:
            return None
        return get_frame(dataset.PixelData, 0, number_of_frames=1)
    except ODD:
        raise NotRendered("the stored object cannot be read") from None


def shown_picture(data: bytes) -> bytes | None:
    """The first picture of a stored object that is baseline JPEG or not compressed, as JPEG or PNG; None for others.

    Raises
    ------
    NotRendered
    """
    found = embedded_jpeg(data)
    if found is not None:
        return found
    try:
        dataset = dcmread(io.BytesIO(data))
        mode = {1: "L", 3: "RGB"}.get(int(dataset.get("SamplesPerPixel") or 0))
        size = int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0)
        plain = dataset.file_meta.TransferSyntaxUID in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
        told = dataset.get("PhotometricInterpretation"), int(dataset.get("BitsAllocated") or 0)
        if mode is None or not plain or told not in (("RGB", 8), ("MONOCHROME2", 8)):
            return None
        if (
            int(dataset.get("PlanarConfiguration") or 0)
            or size[0] * size[1] > _MAX_PIXELS
            or "PixelData" not in dataset
        ):
            return None
        length = size[0] * size[1] * len(mode)
        out = io.BytesIO()
        Image.frombytes(mode, size, bytes(dataset.PixelData[:length])).save(out, "PNG")
    except ODD:
        raise NotRendered("the stored object's pixels cannot be read") from None
    return out.getvalue()


def render(picture: bytes, *, width: int = 0, watermark: str = "", shown: bool = True) -> Rendition:
    """A picture no wider than ``width`` pixels.

    Parameters
    ----------
    picture
        JPEG or PNG, upright, in sRGB.
    width
        0: as large as it is. It is never enlarged.
    watermark
        Text written across the picture; empty: none.
    shown
        Whether a browser waits for it: then a wide one comes in passes, coarse first, which takes twice as long to make
        and to read. False for a picture that is part of a file.

    Raises
    ------
    NotRendered
        No picture, or one that is too large.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=("JPEG", "PNG")) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                raise NotRendered("the photo is too large to be shown")
            if width and opened.width > width:
                height = max(1, round(opened.height * width / opened.width))
                # The decoder itself halves the size where that still leaves twice the pixels that are wanted.
                opened.draft("RGB", (2 * width, 2 * height))
                made = opened.convert("RGB").resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
            else:
                made = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise NotRendered("the photo cannot be decoded") from None
    made.info.clear()  # else the encoder writes the file's comments and XMP again
    if watermark:
        _mark(made, watermark)
    out = io.BytesIO()
    made.save(out, "JPEG", quality=_quality(width), subsampling="4:2:0", progressive=shown and width > _AT_ONCE)
    return Rendition(out.getvalue(), made.width, made.height)


def _quality(width: int) -> int:
    if not width:
        return _FULL_QUALITY
    return _SMALL_QUALITY if width <= _SMALL else _QUALITY


def _mark(picture: Image.Image, text: str) -> None:
    """Write the text over the picture, light with a dark rim, so that it stands on any skin."""
    size = max(12, picture.width // 14)
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(picture, "RGBA")
    step = max(size * 6, picture.height // 3)
    for row, y in enumerate(range(step // 2, picture.height, step)):
        x = picture.width * (0.08 if row % 2 else 0.3)
        draw.text((x, y), text, font=font, fill=(255, 255, 255, 90), stroke_width=1, stroke_fill=(0, 0, 0, 70))


class Shelf:
    """Renditions that were made lately, bounded in bytes and in time. It knows nothing of consent: whoever takes one
    from here has had the photo decided first, at that request, and has it forgotten where that was refused."""

    def __init__(
        self,
        most_bytes: int = 96 * 1024 * 1024,
        *,
        most_seconds: float = KEPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most_bytes
        self._longest, self._clock = most_seconds, clock
        self._used: dict[tuple[str, str, int, str], float] = {}
        self._held = 0
        self._items: OrderedDict[tuple[str, str, int, str], Rendition] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[tuple[str, str, int, str], threading.Lock] = {}

    def get(self, photo: str, version: str, width: int, mark: str, make: Callable[[], Rendition]) -> Rendition:
        """The rendition of a photo in a version, made where it is not there; twice at once makes it once."""
        key = (photo, version, width, mark)
        with self._lock:
            self._forget_old()
            found = self._items.get(key)
            if found is not None:
                self._items.move_to_end(key)
                self._used[key] = self._clock()
                return found
            turn = self._making.setdefault(key, threading.Lock())
        try:
            with turn:
                with self._lock:
                    found = self._items.get(key)
                if found is None:
                    found = make()
                    self._put(key, found)
        finally:
            with self._lock:
                self._making.pop(key, None)
        return found

    def drop(self, photo: str) -> None:
        """Forget all renditions of a photo."""
        with self._lock:
            for key in [key for key in self._items if key[0] == photo]:
                self._forget(key)

    def _forget_old(self) -> None:
        """Those that nobody was permitted to see for so long: the oldest stand first."""
        end = self._clock() - self._longest
        while self._items and self._used[key := next(iter(self._items))] < end:
            self._forget(key)

    def _forget(self, key: tuple[str, str, int, str]) -> None:
        self._held -= len(self._items.pop(key).jpeg)
        del self._used[key]

    def _put(self, key: tuple[str, str, int, str], rendition: Rendition) -> None:
        with self._lock:
            former = self._items.pop(key, None)
            self._held += len(rendition.jpeg) - (len(former.jpeg) if former else 0)
            self._items[key] = rendition
            self._used[key] = self._clock()
            while self._held > self._most and self._items:
                self._forget(next(iter(self._items)))
