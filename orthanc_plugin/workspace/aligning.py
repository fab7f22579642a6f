"""Two photos of a comparison laid upon each other: both are decided and recorded as at every door, then compared here.

What leaves is a transform and its error, no pixel. It is found anew for each pair and remembered for a while, so that
stepping back and forth costs nothing; the photos themselves are as they were.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from consent.types import Request
from orthanc_plugin.workspace.record import Picture, Pictures

if TYPE_CHECKING:  # the packages it needs may not be installed
    from dicom_bridge.compare.alignment.align import Alignment

_WIDTH = 1024
_REMEMBERED = 512
_AT_ONCE = 1
_SECONDS = 8.0
"""So long a pair waits for the one before it."""


class Why(StrEnum):
    """Why there is no transform, beside what the photos themselves give as a reason."""

    BUSY = "busy"
    MARKED = "marked"
    """A watermark is owed on these pixels: it lies at one place in both, and would be what is found."""


_TEXTS = {
    "plain": "Cannot be aligned: one of the photos shows too little to compare.",
    "different": "Cannot be aligned: too little of one photo is found in the other.",
    "unsure": "Cannot be aligned surely enough.",
    "busy": "Not aligned: others are being aligned. Please try again.",
    "marked": "Cannot be aligned: the photos carry a watermark.",
}


@dataclass(frozen=True, slots=True)
class Aligned:
    """The right photo's place on the left one, in widths of the left."""

    scale: float
    angle: float
    """Degrees, clockwise."""

    x: float
    y: float
    """Where the right photo's centre lies."""

    width: float
    """How wide the right photo is there."""

    error: float
    """Per cent of the photo's diagonal, at 95 per cent."""

    def told(self) -> dict[str, Any]:
        """As the page reads it."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {"aligned": True, "text": f"Aligned to within {max(self.error, 0.1):.1f} % of the photo."}


class Aligner:
    """Aligns pairs, one at a time."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._known: OrderedDict[tuple[str, str], Aligned | str] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.BoundedSemaphore(_AT_ONCE)

    @staticmethod
    def installed() -> bool:
        """Whether the packages that it takes are there (extra ``vision``)."""
        return find_spec("cv2") is not None and find_spec("numpy") is not None

    def answer(self, question: Request, left: str, right: str, route: str) -> dict[str, Any] | None:
        """The transform, or why there is none; None where a photo is refused or absent.

        Parameters
        ----------
        left, right
            SOP Instance UIDs.
        """
        photos = [
            self._pictures.picture(question, uid, route=route, width=_WIDTH, publishing=False) for uid in (left, right)
        ]
        if photos[0] is None or photos[1] is None:
            return None
        if photos[0].marked or photos[1].marked:
            return _cannot(Why.MARKED)
        with self._lock:
            known = self._known.get((left, right))
        if known is None:
            if not self._turn.acquire(timeout=_SECONDS):
                return _cannot(Why.BUSY)
            try:
                known = _aligned(photos[0], photos[1])
            finally:
                self._turn.release()
            with self._lock:
                self._known[left, right] = known
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return known.told() if isinstance(known, Aligned) else _cannot(known)


def _cannot(why: str) -> dict[str, Any]:
    return {"aligned": False, "why": str(why), "text": _TEXTS[why]}


def _aligned(left: Picture, right: Picture) -> Aligned | str:
    # Here and not above: these packages may be absent, and take a while to load.
    from dicom_bridge.compare.alignment.align import Cannot, align
    from dicom_bridge.compare.alignment.picture import picture

    fixed, moving = picture(left.jpeg), picture(right.jpeg)
    found = align(moving, fixed)
    if isinstance(found, Cannot):
        return found.value
    return _placed(found, (moving.columns, moving.rows), fixed.columns)


def _placed(found: Alignment, size: tuple[float, float], width: float) -> Aligned:
    similarity = found.similarity
    columns, rows = size
    x = similarity.a * columns / 2 - similarity.b * rows / 2 + similarity.dx
    y = similarity.b * columns / 2 + similarity.a * rows / 2 + similarity.dy
    return Aligned(
        similarity.scale, similarity.angle, x / width, y / width, similarity.scale * columns / width, found.error
    )
