"""Spatial Registration (PS3.3 A.39.1): where one photo lies on another, as any viewer may read it.

Photographs stand in no frame of reference, so each item names the image itself, and the matrix is about its pixels: x
in columns to the right, y in rows down, z nothing. The pixels of the fixed photo are the registered space: its matrix
is the identity. The object stands in the study of the moved photo.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from dicom_bridge.errors import ObjectRefused
from dicom_bridge.objects.anew import MadeObject, made_anew
from dicom_bridge.objects.attributes import ODD
from dicom_bridge.objects.corrected import copy_visit
from dicom_bridge.objects.fitting import person_name, text
from dicom_bridge.objects.kept import Named
from dicom_bridge.objects.photo import file_meta
from dicom_bridge.objects.structure import measure
from dicom_bridge.query.classes import SPATIAL_REGISTRATION


@dataclass(frozen=True, slots=True)
class Laid:
    """Where one photo lies on another, and who says so."""

    fixed: str
    moved: str
    """SOP Instance UIDs."""

    a: float
    b: float
    dx: float
    dy: float
    """``x' = a x - b y + dx``, ``y' = b x + a y + dy``, from pixels of the moved photo to those of the fixed one."""

    fixed_size: tuple[float, float]
    moved_size: tuple[float, float]
    """Columns and rows in which that is told; the objects may be larger."""

    error: float
    """Per cent of the fixed photo's diagonal, at 95 per cent."""

    by: str
    method: str


@dataclass(frozen=True, slots=True)
class Registration:
    """What such an object says."""

    named: Named
    frame_of_reference_uid: str
    """Of the registered space: the fixed photo's pixels."""

    laid: Laid
    at: datetime
    """Aware, in the site's zone."""


def registration(fixed: bytes, moved: bytes, said: Registration) -> MadeObject:
    """The object that says where ``moved`` lies on ``fixed``.

    Parameters
    ----------
    fixed, moved
        DICOM files of photos.

    Raises
    ------
    ObjectRefused
        One of them cannot be read, or has no size.
    """
    measure(fixed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of every odd value
        try:
            other = dcmread(io.BytesIO(fixed), stop_before_pixels=True)
        except ODD as error:
            raise ObjectRefused("the fixed photo cannot be read") from error
    refusal = "a value of one of the photos cannot be written anew"
    return made_anew(moved, lambda before: _made(other, before, said), refusal, pixels=False)


def _made(fixed: Dataset, moved: Dataset, said: Registration) -> Dataset:
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    copy_visit(moved, made)
    # SOP Common (C.12.1), General Series (C.7.3.1), General Equipment (C.7.5.1), Frame of Reference (C.7.4.1)
    made.SOPClassUID, made.SOPInstanceUID = UID(SPATIAL_REGISTRATION), said.named.sop_instance_uid
    made.Modality, made.SeriesInstanceUID, made.SeriesNumber = "REG", said.named.series_instance_uid, 1
    side = str(moved.get("ImageLaterality", ""))
    made.Laterality = side if side in ("R", "L") else ""  # type 2C
    made.Manufacturer = "Photospine"
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = said.frame_of_reference_uid, ""
    # Spatial Registration (C.20.2)
    made.ContentDate, made.ContentTime = f"{said.at:%Y%m%d}", f"{said.at:%H%M%S}"
    made.InstanceNumber, made.ContentLabel = said.named.instance_number, "ALIGNMENT"
    made.ContentDescription = text(f"Photograph laid upon another, within {said.laid.error:.2f} % of its diagonal")
    made.ContentCreatorName = (
        f"{person_name(said.laid.by)}^"  # a name of one part: which of it is the family is not known
    )
    made.RegistrationSequence = [
        _item(fixed, (1.0, 0.0, 0.0, 0.0), "RIGID", "The photograph that the other one lies on: pixels as they are"),
        _item(moved, _sized(fixed, moved, said.laid), "RIGID_SCALE", _comment(said.laid)),
    ]
    _common(made, fixed, moved)
    made.file_meta = file_meta(made, ExplicitVRLittleEndian)
    return made


def _sized(fixed: Dataset, moved: Dataset, said: Laid) -> tuple[float, float, float, float]:
    """The similarity in pixels of the objects."""
    to = float(fixed.Columns) / said.fixed_size[0]
    by = float(moved.Columns) / said.moved_size[0]
    return said.a * to / by, said.b * to / by, said.dx * to, said.dy * to


def _comment(said: Laid) -> str:
    told = f"Pixels; within {said.error:.2f} % of the diagonal at 95 %; method {said.method}"
    return text(told)


def _item(photo: Dataset, similarity: tuple[float, float, float, float], kind: str, comment: str) -> Dataset:
    a, b, dx, dy = similarity
    scale = (a * a + b * b) ** 0.5
    numbers = (a, -b, 0, dx, b, a, 0, dy, 0, 0, scale, 0, 0, 0, 0, 1)
    matrix = Dataset()
    matrix.FrameOfReferenceTransformationMatrix = [format_number_as_ds(float(each)) for each in numbers]
    matrix.FrameOfReferenceTransformationMatrixType = kind
    how = Dataset()
    how.FrameOfReferenceTransformationComment = comment
    how.RegistrationTypeCodeSequence = []
    how.MatrixSequence = [matrix]
    item = Dataset()
    item.ReferencedImageSequence = [_reference(photo)]
    item.MatrixRegistrationSequence = [how]
    return item


def _common(made: Dataset, fixed: Dataset, moved: Dataset) -> None:
    """Common Instance Reference (C.12.2): where the photos are."""
    made.ReferencedSeriesSequence = _series([each for each in (moved, fixed) if _here(each, moved)])
    if not _here(fixed, moved):
        study = Dataset()
        study.StudyInstanceUID = fixed.StudyInstanceUID
        study.ReferencedSeriesSequence = _series([fixed])
        made.StudiesContainingOtherReferencedInstancesSequence = [study]


def _here(photo: Dataset, moved: Dataset) -> bool:
    return bool(photo.StudyInstanceUID == moved.StudyInstanceUID)


def _series(photos: Sequence[Dataset]) -> list[Dataset]:
    found: dict[str, Dataset] = {}
    for each in photos:
        series = found.setdefault(str(each.SeriesInstanceUID), Dataset())
        series.SeriesInstanceUID = each.SeriesInstanceUID
        series.ReferencedInstanceSequence = [*series.get("ReferencedInstanceSequence", ()), _reference(each)]
    return list(found.values())


def _reference(photo: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = photo.SOPClassUID, photo.SOPInstanceUID
    return item
