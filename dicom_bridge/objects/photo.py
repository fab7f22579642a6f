"""VL Photographic Image (PS3.3 A.32.4): one photo, one object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, JPEGBaseline8Bit

from consent.regions import BodyRegion
from consent.types import Laterality
from consent.wording import Wording, joined, worded
from dicom_bridge.errors import DescriptionRefused
from dicom_bridge.intake.camera import CameraFacts
from dicom_bridge.intake.photo import IncomingPhoto
from dicom_bridge.objects.attributes import attributes_json
from dicom_bridge.objects.camera_module import camera_modules
from dicom_bridge.objects.coding import code, context_code, context_number, own_scheme, region_code, term_code
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.fitting import identifier, person_name, text
from dicom_bridge.objects.viewing import ViewingCopy, viewing_copy
from dicom_bridge.objects.vocabulary import OWN_SCHEME, Term
from dicom_bridge.objects.write import encode

VL_PHOTOGRAPHIC = UID("1.2.840.10008.5.1.4.1.1.77.1.4")
IMPLEMENTATION_CLASS_UID = UID("2.25.181206146402712391653718392740156783419")
IMPLEMENTATION_VERSION = "PHOTOSPINE"
_SEXES = ("M", "F", "O")


@dataclass(frozen=True, slots=True)
class WrappedPhoto:
    """An object, ready to be stored."""

    parts: tuple[bytes | memoryview, ...]
    """The DICOM file in parts, for ``writev``; joined they are the file. The first is the header, up to the frame."""

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
    DescriptionRefused
        An identifier of patient or visit does not fit into its attribute.
    """
    copy = viewing_copy(photo)
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    patient_module(dataset, patient)
    study_module(dataset, visit)
    _series(dataset, description)
    _equipment(dataset, visit, photo.camera)
    acquisition_module(dataset, description.taken)
    _image(dataset, description, copy)
    _view(dataset, description)
    camera_modules(dataset, photo.camera, photo.identities)
    dataset.SOPClassUID = VL_PHOTOGRAPHIC
    dataset.SOPInstanceUID = description.sop_instance_uid
    return WrappedPhoto(
        encode(file_meta(dataset, JPEGBaseline8Bit), dataset, copy.stream), attributes_json(dataset), copy
    )


def file_meta(dataset: Dataset, syntax: UID) -> FileMetaDataset:
    """File Meta Information (PS3.10 7.1) of an object of ours."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    return meta


def patient_module(dataset: Dataset, patient: PatientModule) -> None:
    """Patient (C.7.1.1)."""
    dataset.PatientName = person_name(patient.name)
    dataset.PatientID = identifier("PatientID", patient.id)
    if not dataset.PatientID and not patient.unknown:
        raise DescriptionRefused("PatientID: the patient has no identifier; give the record one")
    if patient.issuer:
        dataset.IssuerOfPatientID = identifier("IssuerOfPatientID", patient.issuer)
    dataset.PatientBirthDate = _date(patient.birth_date)
    dataset.PatientSex = patient.sex if patient.sex in _SEXES else ""


def study_module(dataset: Dataset, visit: VisitModule) -> None:
    """General Study (C.7.2.1), Patient Study (C.7.2.2)."""
    dataset.StudyInstanceUID = visit.study_instance_uid
    dataset.StudyDate, dataset.StudyTime = _date(visit.started), _time(visit.started)
    dataset.AccessionNumber = identifier("AccessionNumber", visit.accession_number, 16)
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = identifier("StudyID", visit.study_id, 16)
    if described := text(visit.description):
        dataset.StudyDescription = described
    if visit.admission_id:
        dataset.AdmissionID = identifier("AdmissionID", visit.admission_id)


def _series(dataset: Dataset, description: PhotoDescription) -> None:
    # General Series (C.7.3.1)
    dataset.Modality = "XC"
    dataset.SeriesInstanceUID = description.series_instance_uid
    dataset.SeriesNumber = None
    dataset.SeriesDescription = text(
        series_words(description.region, description.laterality, description.view, description.expression)
    )


def series_words(
    region: BodyRegion | None, side: Laterality | None, view: Term | None, expression: Term | None
) -> Wording:
    """What a viewer shows beside the thumbnail: region, side, view, expression. The session is not the series'."""
    shown = [] if region is None else [_area_words(region, side)]
    return joined([*shown, *(worded(each.meaning) for each in (view, expression) if each is not None)])


def _area_words(region: BodyRegion, side: Laterality | None) -> Wording:
    area = worded(region.name.replace("-", " ").capitalize())
    if not region.paired or side is None:
        return area
    return {
        Laterality.RIGHT: worded("%(area)s, right", area=area),
        Laterality.LEFT: worded("%(area)s, left", area=area),
        Laterality.BOTH: worded("%(area)s, both sides", area=area),
    }[side]


def _equipment(dataset: Dataset, visit: VisitModule, camera: CameraFacts) -> None:
    # General Equipment (C.7.5.1); a serial number, which tells who photographed, where the site keeps it
    dataset.Manufacturer = camera.make or ""
    if camera.model:
        dataset.ManufacturerModelName = camera.model
    if camera.software:
        dataset.SoftwareVersions = camera.software
    if institution := text(visit.institution):
        dataset.InstitutionName = institution


def acquisition_module(dataset: Dataset, taken: datetime | date | None) -> None:
    """General Acquisition (C.7.10.1); the offset is that of the camera. What is not told is not there."""
    if taken is not None:
        dataset.ContentDate = dataset.AcquisitionDate = _date(taken)
        dataset.AcquisitionDateTime = f"{_date(taken)}{_time(taken)}{_zone(taken)}"
    if isinstance(taken, datetime):
        dataset.ContentTime = dataset.AcquisitionTime = _time(taken)


def _image(dataset: Dataset, description: PhotoDescription, copy: ViewingCopy) -> None:
    # General Image (C.7.6.1), Image Pixel (C.7.6.3), VL Image (C.8.12.1)
    dataset.InstanceNumber = description.instance_number
    orientation = None if description.view is None else description.view.orientation
    dataset.PatientOrientation = list(orientation) if orientation else None
    dataset.ImageType = ["DERIVED" if copy.derived else "ORIGINAL", "PRIMARY"]
    if copy.derivation:
        dataset.DerivationDescription = copy.derivation
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio = [f"{step.ratio:.4f}" for step in copy.steps]
    dataset.LossyImageCompressionMethod = [step.method for step in copy.steps]
    dataset.SamplesPerPixel = copy.samples
    dataset.PhotometricInterpretation = "MONOCHROME2" if copy.samples == 1 else "YBR_FULL_422"
    if copy.samples == 3:
        dataset.PlanarConfiguration = 0
    else:  # all of it as it is (C.11.2.1.2.1): without these, viewers stretch the darkest and the lightest apart
        dataset.WindowCenter, dataset.WindowWidth = "128", "256"
    dataset.Rows, dataset.Columns = copy.rows, copy.columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0


def _view(dataset: Dataset, description: PhotoDescription) -> None:
    # VL Image (C.8.12.1): what is shown, and from where
    region, side = description.region, description.laterality
    coded = []
    if side is not None:
        unpaired = region is not None and not region.paired and side is Laterality.BOTH
        dataset.ImageLaterality = "U" if unpaired else side.value
    if region is not None:
        coded.append(region_code(region, side or Laterality.BOTH))
        dataset.AnatomicRegionSequence = coded[:1]
    if description.view is not None:
        coded.append(term_code(description.view))
        dataset.ViewCodeSequence = coded[-1:]
    context = context_items(description.expression, description.session, description.days_since_baseline)
    # Acquisition Context (C.7.6.14): type 2, so present even when empty
    dataset.AcquisitionContextSequence = context
    if scheme := own_scheme([*coded, *context]):
        dataset.CodingSchemeIdentificationSequence = scheme


def context_items(
    expression: Term | None, session: int | None, days_since_baseline: float | None = None
) -> list[Dataset]:
    """Expression (BTID 3465 row 1), days since the first photos (its longitudinal rows), session: ours."""
    items = []
    if expression is not None:
        concept = code("DCM", "130325", "Orthognathic Functional Condition")
        items.append(context_code(concept, term_code(expression)))
    if days_since_baseline is not None:
        concept = code("DCM", "128741", "Longitudinal Temporal Event Type")
        items.append(context_code(concept, code("DCM", "121079", "Baseline")))
        concept = code("DCM", "128740", "Longitudinal Temporal Offset from Event")
        items.append(context_number(concept, days_since_baseline, "d", "day"))
    if session is not None:
        concept = code(OWN_SCHEME, "session-number", "Session number within the course")
        items.append(context_number(concept, session, "1", "no units"))
    return items


def _date(moment: date | None) -> str:
    return f"{moment.year:04d}{moment:%m%d}" if moment else ""


def _time(moment: date | None) -> str:
    """The time as TM holds it; empty for a day without one."""
    if not isinstance(moment, datetime):
        return ""
    return f"{moment:%H%M%S}" + (f".{moment.microsecond:06d}" if moment.microsecond else "")


def _zone(moment: date) -> str:
    """The offset as DT holds it, whole minutes; empty for one with seconds, which old local times have."""
    offset = f"{moment:%z}"
    return offset if len(offset) == len("+0000") else ""
