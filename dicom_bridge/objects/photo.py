"""VL Photographic Image (PS3.3 A.32.4): one photo, one object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, JPEGBaseline8Bit
from pydicom.valuerep import format_number_as_ds

from consent.types import Laterality
from dicom_bridge.intake.camera import CameraFacts
from dicom_bridge.intake.photo import IncomingPhoto
from dicom_bridge.objects.attributes import attributes_json
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.viewing import ViewingCopy, viewing_copy
from dicom_bridge.objects.write import encode

VL_PHOTOGRAPHIC = UID("1.2.840.10008.5.1.4.1.1.77.1.4")
IMPLEMENTATION_CLASS_UID = UID("2.25.181206146402712391653718392740156783419")
IMPLEMENTATION_VERSION = "PHOTOSPINE"

#: CID 245 (includes 244): the side of a paired region.
_SIDES = {
    Laterality.RIGHT: ("24028007", "Right"),
    Laterality.LEFT: ("7771000", "Left"),
    Laterality.BOTH: ("51440002", "Bilateral"),
}


@dataclass(frozen=True, slots=True)
class WrappedPhoto:
    """An object, ready to be stored."""

    parts: tuple[bytes, ...]
    """The DICOM file in parts, for ``writev``; joined they are the file."""

    attributes: dict[str, Any]
    """DICOM JSON Model (PS3.18 F.2) of the data set, pixel data left out."""

    copy: ViewingCopy

    def file(self) -> bytes:
        """The DICOM file (PS3.10)."""
        return b"".join(self.parts)


def wrap(
    photo: IncomingPhoto, *, patient: PatientModule, visit: VisitModule, description: PhotoDescription
) -> WrappedPhoto:
    """Wrap a photo as an object.

    Raises
    ------
    FileRefused
        The picture has to be decoded and cannot be.
    """
    copy = viewing_copy(photo)
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    _patient(dataset, patient)
    _study(dataset, visit)
    _series(dataset, description)
    _equipment(dataset, visit, photo.camera)
    _acquisition(dataset, description.taken)
    _image(dataset, description, copy)
    _view(dataset, description)
    _camera(dataset, photo.camera)
    dataset.SOPClassUID = VL_PHOTOGRAPHIC
    dataset.SOPInstanceUID = description.sop_instance_uid
    return WrappedPhoto(encode(_meta(dataset), dataset, copy.stream), attributes_json(dataset), copy)


def _meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    return meta


def _patient(dataset: Dataset, patient: PatientModule) -> None:
    # Patient (C.7.1.1)
    dataset.PatientName = patient.name
    dataset.PatientID = patient.id
    if patient.issuer:
        dataset.IssuerOfPatientID = patient.issuer
    dataset.PatientBirthDate = f"{patient.birth_date:%Y%m%d}" if patient.birth_date else ""
    dataset.PatientSex = patient.sex


def _study(dataset: Dataset, visit: VisitModule) -> None:
    # General Study (C.7.2.1), Patient Study (C.7.2.2)
    dataset.StudyInstanceUID = visit.study_instance_uid
    dataset.StudyDate, dataset.StudyTime = _date(visit.started), _time(visit.started)
    dataset.AccessionNumber = visit.accession_number
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = visit.study_id
    if visit.description:
        dataset.StudyDescription = visit.description
    if visit.admission_id:
        dataset.AdmissionID = visit.admission_id


def _series(dataset: Dataset, description: PhotoDescription) -> None:
    # General Series (C.7.3.1)
    dataset.Modality = "XC"
    dataset.SeriesInstanceUID = description.series_instance_uid
    dataset.SeriesNumber = None
    dataset.SeriesDescription = _series_description(description)[:64]


def _series_description(description: PhotoDescription) -> str:
    """What a viewer shows beside the thumbnail: region, side, view, expression. The session is not the series'."""
    words = [description.region.name.replace("-", " ").capitalize()]
    if description.region.paired:
        words.append({"R": "right", "L": "left", "B": "both sides"}[description.laterality.value])
    words.append(description.view.meaning)
    if description.expression is not None:
        words.append(description.expression.meaning)
    return ", ".join(words)


def _equipment(dataset: Dataset, visit: VisitModule, camera: CameraFacts) -> None:
    # General Equipment (C.7.5.1): never a serial number, it would tell who photographed
    dataset.Manufacturer = camera.make or ""
    if camera.model:
        dataset.ManufacturerModelName = camera.model
    if camera.software:
        dataset.SoftwareVersions = camera.software
    if visit.institution:
        dataset.InstitutionName = visit.institution


def _acquisition(dataset: Dataset, taken: datetime | None) -> None:
    # General Acquisition (C.7.10.1); the offset is that of the camera
    if taken is not None:
        dataset.ContentDate, dataset.ContentTime = _date(taken), _time(taken)
        dataset.AcquisitionDate, dataset.AcquisitionTime = _date(taken), _time(taken)
        dataset.AcquisitionDateTime = f"{taken:%Y%m%d%H%M%S}.{taken.microsecond:06d}{taken:%z}"


def _image(dataset: Dataset, description: PhotoDescription, copy: ViewingCopy) -> None:
    # General Image (C.7.6.1), Image Pixel (C.7.6.3), VL Image (C.8.12.1)
    dataset.InstanceNumber = description.instance_number
    dataset.PatientOrientation = list(description.view.orientation) if description.view.orientation else None
    dataset.ImageType = ["DERIVED" if copy.derived else "ORIGINAL", "PRIMARY"]
    if copy.derivation:
        dataset.DerivationDescription = copy.derivation
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio = [f"{ratio:.4f}" for ratio in copy.ratios]
    dataset.LossyImageCompressionMethod = ["ISO_10918_1"] * len(copy.ratios)
    dataset.SamplesPerPixel = copy.samples
    dataset.PhotometricInterpretation = "MONOCHROME2" if copy.samples == 1 else "YBR_FULL_422"
    if copy.samples == 3:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = copy.rows, copy.columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0


def _view(dataset: Dataset, description: PhotoDescription) -> None:
    # VL Image (C.8.12.1): what is shown, and from where
    region, side = description.region, description.laterality
    dataset.ImageLaterality = side.value if region.paired or side is not Laterality.BOTH else "U"
    shown = _code(region.scheme, region.value, region.display)
    if region.paired:
        value, meaning = _SIDES[side]
        shown.AnatomicRegionModifierSequence = [_code("SCT", value, meaning)]
    dataset.AnatomicRegionSequence = [shown]
    view = description.view
    dataset.ViewCodeSequence = [_code(view.scheme, view.value, view.meaning)]
    # Acquisition Context (C.7.6.14): type 2, so present even when empty
    dataset.AcquisitionContextSequence = []
    if description.expression is not None:
        item = Dataset()
        item.ValueType = "CODE"
        item.ConceptNameCodeSequence = [_code("DCM", "130324", "Functional condition present during acquisition")]
        expression = description.expression
        item.ConceptCodeSequence = [_code(expression.scheme, expression.value, expression.meaning)]
        dataset.AcquisitionContextSequence = [item]


def _camera(dataset: Dataset, camera: CameraFacts) -> None:
    # VL Photographic Equipment (C.8.12.10) and Acquisition (C.8.12.11), PS3.17 Annex NNNN
    if camera.lens_make:
        dataset.LensMake = camera.lens_make
    if camera.lens_model:
        dataset.LensModel = camera.lens_model
    values: dict[str, Any] = {
        "ExposureTimeInSeconds": camera.exposure_time,
        "FNumber": camera.f_number,
        "PhotographicSensitivity": camera.iso,
        "ExposureProgram": camera.exposure_program,
        "ExposureBiasValue": camera.exposure_bias,
        "MeteringMode": camera.metering_mode,
        "LightSource": camera.light_source,
        "FocalLength": camera.focal_length,
        "FocalLengthIn35mmFilm": camera.focal_length_35mm,
        "ExposureMode": camera.exposure_mode,
        "WhiteBalance": camera.white_balance,
        "DigitalZoomRatio": camera.digital_zoom,
        "SubjectDistance": camera.subject_distance,
        "EXIFVersion": camera.exif_version,
    }
    for keyword, value in values.items():
        if isinstance(value, float):
            setattr(dataset, keyword, format_number_as_ds(value))  # DS holds 16 characters
        elif value is not None:
            setattr(dataset, keyword, value)
    if camera.flash is not None:
        # EXIF Flash: bit 0 fired, 1-2 return, 3-4 mode, 5 no flash function, 6 red-eye
        dataset.FlashFiringStatus = camera.flash & 1
        dataset.FlashReturnStatus = camera.flash >> 1 & 3
        dataset.FlashMode = camera.flash >> 3 & 3
        dataset.FlashFunctionPresent = camera.flash >> 5 & 1
        dataset.FlashRedEyeMode = camera.flash >> 6 & 1


def _code(scheme: str, value: str, meaning: str) -> Dataset:
    """One item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item


def _date(moment: datetime | None) -> str:
    return f"{moment:%Y%m%d}" if moment else ""


def _time(moment: datetime | None) -> str:
    return f"{moment:%H%M%S}.{moment.microsecond:06d}" if moment else ""
