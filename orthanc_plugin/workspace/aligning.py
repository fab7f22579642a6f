"""Two photos of a comparison laid upon each other: both are decided and recorded as at every door, then compared here.

What leaves is a transform and its error, no pixel. It is found anew for each pair and remembered for a while, so that
stepping back and forth costs nothing; one that a person kept is used as she kept it. The photos are as they were.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import Any

from consent.types import Request
from fhir_mapping.resources.alignment import Kept, Transform
from orthanc_plugin.workspace import language
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.record import Picture, Pictures

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
    "plain": noted("Cannot be aligned: one of the photos shows too little to compare."),
    "different": noted("Cannot be aligned: too little of one photo is found in the other."),
    "unsure": noted("Cannot be aligned surely enough."),
    "busy": noted("Not aligned: others are being aligned. Please try again."),
    "marked": noted("Cannot be aligned: the photos carry a watermark."),
}


@dataclass(frozen=True, slots=True)
class Laid:
    """One photo laid upon another."""

    transform: Transform
    """From pixels of the right photo to pixels of the left one, each as large as told here."""

    left: tuple[float, float]
    """Columns and rows."""

    right: tuple[float, float]

    def told(self) -> dict[str, Any]:
        """As the page reads it: the right photo's place on the left one, in widths of the left.

        ``angle`` in degrees, clockwise; ``x``, ``y`` where the right photo's centre lies; ``width`` how wide it is
        there; ``error`` per cent of the left photo's diagonal, at 95 per cent.
        """
        transform, (width, _height), (columns, rows) = self.transform, self.left, self.right
        x = transform.a * columns / 2 - transform.b * rows / 2 + transform.dx
        y = transform.b * columns / 2 + transform.a * rows / 2 + transform.dy
        return {
            "aligned": True,
            "text": _("Aligned to within %s %% of the photo.") % language.number(max(transform.error, 0.1), "0.0"),
            "scale": transform.scale,
            "angle": math.degrees(math.atan2(transform.b, transform.a)),
            "x": x / width,
            "y": y / width,
            "width": transform.scale * columns / width,
            "error": transform.error,
        }


def laid(kept: Kept) -> Laid:
    """What a person kept, as it is laid."""
    fixed, moved = kept.fixed, kept.moved
    return Laid(kept.transform, (fixed.columns, fixed.rows), (moved.columns, moved.rows))


class Aligner:
    """Aligns pairs, one at a time."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._known: OrderedDict[tuple[str, str], Laid | str] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.BoundedSemaphore(_AT_ONCE)

    @staticmethod
    def installed() -> bool:
        """Whether the packages that it takes are there (extra ``vision``)."""
        return find_spec("cv2") is not None and find_spec("numpy") is not None

    def find(self, question: Request, left: str, right: str, route: str, kept: Kept | None = None) -> Laid | str | None:
        """Where the right photo lies on the left one, or why that is not told (:func:`cannot`); None where a photo is
        refused or absent.

        Parameters
        ----------
        left, right
            SOP Instance UIDs.
        kept
            What a person kept of the pair.
        """
        photos = [
            self._pictures.picture(question, uid, route=route, width=_WIDTH, publishing=False) for uid in (left, right)
        ]
        if photos[0] is None or photos[1] is None:
            return None
        if kept is not None:
            return laid(kept)
        if photos[0].marked or photos[1].marked:
            return Why.MARKED.value
        with self._lock:
            known = self._known.get((left, right))
        if known is None:
            if not self._turn.acquire(timeout=_SECONDS):
                return Why.BUSY.value
            try:
                known = _aligned(photos[0], photos[1])
            finally:
                self._turn.release()
            with self._lock:
                self._known[left, right] = known
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return known


def cannot(why: str) -> dict[str, Any]:
    """Why there is no transform, as the page reads it."""
    return {"aligned": False, "why": why, "text": _(_TEXTS[why])}


def method() -> str:
    """The version of the method that aligns."""
    from dicom_bridge.compare.alignment.align import METHOD  # as below

    return METHOD


def _aligned(left: Picture, right: Picture) -> Laid | str:
    # Here and not above: these packages may be absent, and take a while to load.
    from dicom_bridge.compare.alignment.align import Cannot, align
    from dicom_bridge.compare.alignment.picture import picture

    fixed, moving = picture(left.jpeg), picture(right.jpeg)
    found = align(moving, fixed)
    if isinstance(found, Cannot):
        return found.value
    lies = found.similarity
    transform = Transform(lies.a, lies.b, lies.dx, lies.dy, found.error)
    return Laid(transform, (fixed.columns, fixed.rows), (moving.columns, moving.rows))
