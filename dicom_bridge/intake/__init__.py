"""A camera's file, read safely: its segments, its EXIF facts, its colours. The original is never changed."""

from __future__ import annotations

from dicom_bridge.intake.camera import CameraFacts
from dicom_bridge.intake.identities import Identifying
from dicom_bridge.intake.kinds import Kind, kind_of, require_name
from dicom_bridge.intake.limits import Limits
from dicom_bridge.intake.photo import IncomingPhoto, read_photo
from dicom_bridge.intake.segments import Jpeg, read_jpeg

__all__ = [
    "CameraFacts",
    "Identifying",
    "IncomingPhoto",
    "Jpeg",
    "Kind",
    "Limits",
    "kind_of",
    "read_jpeg",
    "read_photo",
    "require_name",
]
