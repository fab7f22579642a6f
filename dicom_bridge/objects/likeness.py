"""Whether two files show the same picture, whatever their size, turn and compression.

A picture is held as the brightness of a coarse grid. Of two files of one picture the grids are the same but for a level
or two; of two photos of one face in one pose they are not, since nobody sits twice in the same light to a hundredth.
One that was cropped or made brighter is not found.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageStat

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.photo import IncomingPhoto
from dicom_bridge.objects.viewing import picture_of, upright

_SIDE = 16
"""Squares across and down."""

_LEAST = 8 * _SIDE
"""Pixels of the longer side that a decoder may leave of a JPEG."""

_PLAIN = 6.0
"""Levels of 255: a picture of a smaller standard deviation is like any other plain one."""

MEAN, MOST = 1.5, 8
"""Levels by which squares of one picture may differ, on average and at most."""

_STRETCHED = 0.02
"""How far the proportions of two files may differ: sides are whole pixels."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A picture as it can be compared."""

    levels: bytes
    """Brightness of each square, row by row."""

    mean: float
    proportion: float
    """Width / height, upright."""

    def is_of(self, other: Likeness) -> bool:
        """Whether the other one is the same picture."""
        if abs(self.mean - other.mean) > MEAN or abs(self.proportion / other.proportion - 1) > _STRETCHED:
            return False
        apart = [abs(one - two) for one, two in zip(self.levels, other.levels, strict=True)]
        return max(apart) <= MOST and sum(apart) <= MEAN * len(apart)


def likeness(photo: IncomingPhoto) -> Likeness | None:
    """How a photo looks; None where it cannot be decoded, or is too plain to be told from another one."""
    try:
        whole = upright(picture_of(photo.source, photo.data, least=_LEAST), photo)
    except FileRefused:
        return None
    small = whole.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    found = ImageStat.Stat(small)
    if found.stddev[0] < _PLAIN:
        return None
    return Likeness(small.tobytes(), found.mean[0], whole.width / whole.height)
