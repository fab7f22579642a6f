"""An incoming photo: the file as it came, its hash, and what was read of it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.camera import CameraFacts, read_camera
from dicom_bridge.intake.heic import read_heic
from dicom_bridge.intake.identities import Identifying, Identities, read_identities
from dicom_bridge.intake.kinds import Kind, kind_of
from dicom_bridge.intake.limits import Limits
from dicom_bridge.intake.picture import Picture
from dicom_bridge.intake.png import read_png
from dicom_bridge.intake.polyglot import require_one_thing
from dicom_bridge.intake.segments import Jpeg, read_jpeg
from dicom_bridge.intake.tiff_picture import read_tiff
from dicom_bridge.intake.webp import read_webp


@dataclass(frozen=True, slots=True)
class IncomingPhoto:
    """A file that was read and not refused. ``data`` is the original, whole."""

    data: bytes
    sha256: str
    """Of the whole file, lower-case hexadecimal."""

    source: Jpeg | Picture
    camera: CameraFacts
    identities: Identities = field(default_factory=Identities)
    """What identifies, where the site keeps it."""


_READERS = {Kind.PNG: read_png, Kind.TIFF: read_tiff, Kind.WEBP: read_webp, Kind.HEIC: read_heic}


def read_photo(data: bytes, limits: Limits, zone: ZoneInfo, kept: Collection[Identifying] = ()) -> IncomingPhoto:
    """Read a camera's file: JPEG, of which the first picture is the photo, PNG, TIFF, WebP or HEIC.

    Parameters
    ----------
    zone
        Where the camera's clock stands, for files that do not say.
    kept
        What of EXIF that identifies is read at all.

    Raises
    ------
    FileRefused
    """
    if len(data) > limits.bytes:
        raise FileRefused("file", f"it is larger than {limits.bytes} bytes (setting max_file_megabytes)")
    kind = kind_of(data)
    require_one_thing(data)
    source = read_jpeg(data, limits) if kind is Kind.JPEG else _READERS[kind](data, limits)
    if isinstance(source, Jpeg) and len(source.components) > 3:
        raise FileRefused("picture", "its colours are CMYK, made for print; export it as sRGB")
    camera, identities = read_camera(source.exif, zone), read_identities(source.exif, kept)
    return IncomingPhoto(data, hashlib.sha256(data).hexdigest(), source, camera, identities)
