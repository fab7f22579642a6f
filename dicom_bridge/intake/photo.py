"""An incoming photo: the file as it came, its hash, and what was read of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from dicom_bridge.intake.camera import CameraFacts, read_camera
from dicom_bridge.intake.limits import Limits
from dicom_bridge.intake.segments import Jpeg, read_jpeg


@dataclass(frozen=True, slots=True)
class IncomingPhoto:
    """A file that was read and not refused. ``data`` is the original, whole."""

    data: bytes
    sha256: str
    """Of the whole file, lower-case hexadecimal."""

    jpeg: Jpeg
    camera: CameraFacts


def read_photo(data: bytes, limits: Limits, zone: ZoneInfo) -> IncomingPhoto:
    """Read a camera's JPEG.

    Parameters
    ----------
    zone
        Where the camera's clock stands, for files that do not say.

    Raises
    ------
    FileRefused
    """
    jpeg = read_jpeg(data, limits)
    return IncomingPhoto(data, hashlib.sha256(data).hexdigest(), jpeg, read_camera(jpeg.exif, zone))
