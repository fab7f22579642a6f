"""Where in a photo the landmarks of the reference's face are, followed by the skin's own pixels.

A landmark model looks at each photo alone, and says of the same face turned alike half a degree or more apart. Pores,
lashes and the edges of nose and lids are the same in both photos, and are found again to a fraction of a pixel (Lucas
and Kanade 1981, in pyramids; Bouguet 2000), in whatever light, since local contrast alone is compared. What cannot be
followed there and back again, hair that hangs otherwise or a scar that is gone, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dicom_bridge.judging.measure import Upright

_WINDOW = (31, 31)
"""Pixels that are compared around a landmark: a quarter of the distance between the eyes."""

_LEVELS = 2
_STEPS, _SMALL = 20, 0.01
_BACK = 1.0
"""Pixels by which a landmark that is followed there and back may miss its place."""

_FAR = 12.0
"""Pixels between where the model sees a landmark and where it is followed to: a tenth of the eyes' distance."""

_AROUND = 12.0
"""Sigma of what counts as local, in pixels."""

_QUIET = 4.0
"""Grey levels of contrast below which noise is not made larger."""

LEAST = 0.6
"""Share of the landmarks that must be followed."""


def local_contrast(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey picture without its shades and its brightness: each place against what is around it."""
    import cv2
    import numpy as np

    light = grey.astype(np.float32)
    off = light - cv2.GaussianBlur(light, (0, 0), _AROUND)
    spread = np.sqrt(cv2.GaussianBlur(off * off, (0, 0), _AROUND)) + _QUIET
    return np.asarray(np.clip(off / spread * 48 + 128, 0, 255), dtype=np.uint8)


def followed(
    photo: Upright, reference: Upright, seen: NDArray[np.float64], known: NDArray[np.float64], which: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.intp]] | None:
    """The places of the reference's landmarks in the photo; None where too few are found again.

    Parameters
    ----------
    seen, known
        (468, 2 or more): landmarks as the model sees them in the photo, where the search begins, and in the reference;
        pixels of the picture.
    which
        The landmarks that are followed.

    Returns
    -------
    (n, 2) in pixels of the photo, and (n,) which landmarks these are.
    """
    import cv2
    import numpy as np

    chosen = np.asarray(which, dtype=np.intp)
    start = _into(known[chosen, :2], reference.matrix)
    guess = _into(seen[chosen, :2], photo.matrix)
    there, found = _flow(reference.contrast, photo.contrast, start, guess)
    back, again = _flow(photo.contrast, reference.contrast, there, start)
    good = found & again
    good &= np.linalg.norm(back - start, axis=1) < _BACK
    good &= np.linalg.norm(there - guess, axis=1) < _FAR
    if good.sum() < LEAST * len(chosen):
        return None
    out = np.asarray(cv2.invertAffineTransform(photo.matrix), dtype=np.float64)
    return there[good].astype(np.float64) @ out[:, :2].T + out[:, 2], chosen[good]


def _flow(one: Any, other: Any, start: Any, guess: Any) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    import cv2
    import numpy as np

    points, status, _ = cv2.calcOpticalFlowPyrLK(
        one,
        other,
        start[:, None],
        guess[:, None].copy(),
        winSize=_WINDOW,
        maxLevel=_LEVELS,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _STEPS, _SMALL),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(points[:, 0], dtype=np.float32), np.asarray(status[:, 0] > 0)


def _into(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    import numpy as np

    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], dtype=np.float32)
