"""An object with another header and the same pixels: what is made anew when an object says something wrong.

Nothing of the former header is taken over but what is about the picture itself and the camera, by a list: whatever else
a sender wrote may name whom the object is not about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from consent.regions import BodyRegion
from consent.types import Laterality
from dicom_bridge.objects.anew import MadeObject, made_anew
from dicom_bridge.objects.coding import own_scheme, region_code, term_code
from dicom_bridge.objects.description import PatientModule, VisitModule, days_between
from dicom_bridge.objects.fitting import text
from dicom_bridge.objects.inside import PLACE_AND_OWNER, clean_pixels
from dicom_bridge.objects.photo import (
    acquisition_module,
    context_items,
    file_meta,
    patient_module,
    series_words,
    study_module,
)
from dicom_bridge.objects.vocabulary import Term
from dicom_bridge.query.classes import ENCAPSULATED_PDF

_PICTURE = (
    "SOPClassUID",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "ImageType",
    "DerivationDescription",
    "ConversionType",
    "FrameTime",
    "FrameTimeVector",
    "PresentationLUTShape",
    "ConceptNameCodeSequence",
    "MIMETypeOfEncapsulatedDocument",
    "EncapsulatedDocument",
    "EncapsulatedDocumentLength",
)
"""What is about the picture or the document itself, beside groups 0016 and 0028."""

_WHEN = (
    "ContentDate",
    "ContentTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "TimezoneOffsetFromUTC",
)
_SHOWN = ("AnatomicRegionSequence",)
_SEEN = ("ViewCodeSequence", "PatientOrientation")
_SIDE = ("ImageLaterality", "Laterality")
_VISIT = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
    "StudyDescription",
    "AdmissionID",
    "InstitutionName",
)
"""Patient and study, which all objects of a study say alike."""

_NAMED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
"""Type 2 of Patient (C.7.1.1) and General Study (C.7.2.1)."""

_EMPTY = ("PatientOrientation", "LossyImageCompression")
"""Type 2 of General Image (C.7.6.1) and VL Image (C.8.12.1): nothing is said where the sender said nothing."""

_PROSE = frozenset({"LO", "LT", "PN", "ST", "UC", "UN", "UR", "UT"})
_PIXELS = 0x7FE00010
_UNPLACED = VisitModule("")


@dataclass(frozen=True, slots=True)
class Corrected:
    """What an object is to say. An empty part is said as the former object says it."""

    sop_instance_uid: str
    series_instance_uid: str
    instance_number: int
    patient: PatientModule | None
    """None: patient and visit are those of the former object."""

    visit: VisitModule = _UNPLACED
    region: BodyRegion | None = None
    laterality: Laterality | None = None
    view: Term | None = None
    expression: Term | None = None
    session: int | None = None
    taken: datetime | date | None = None
    baseline: str | None = None
    """FHIR date of the course's first photos, where the record tells it."""


def corrected(former: bytes, said: Corrected) -> MadeObject:
    """The object with another header; its pixel data is the former's byte for byte, in the same transfer syntax, but
    for what the picture tells beside pixels (:mod:`dicom_bridge.objects.inside`).

    Parameters
    ----------
    former
        A DICOM file.

    Raises
    ------
    ObjectRefused
        It cannot be read, or its picture's attributes cannot be written.
    DescriptionRefused
        An identifier of patient or visit does not fit into its attribute.
    """
    refusal = "the object cannot be written anew: a value of its picture is none"
    return made_anew(former, lambda before: _made(before, said), refusal, pixels=True)


def _made(before: Dataset, said: Corrected) -> Dataset:
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.Manufacturer = ""  # type 2 (C.7.5.1)
    for element in _of_picture(before):
        made.add(element)
    if said.patient is None:
        copy_visit(before, made)
    else:
        patient_module(made, said.patient)
        study_module(made, said.visit)
        if institution := text(said.visit.institution):
            made.InstitutionName = institution
    made.SeriesInstanceUID, made.SeriesNumber = said.series_instance_uid, None
    made.SOPInstanceUID, made.InstanceNumber = said.sop_instance_uid, said.instance_number
    if said.taken is None:
        _copy(before, made, _WHEN)
    else:
        acquisition_module(made, said.taken)
    if str(made.SOPClassUID) == ENCAPSULATED_PDF:
        made.SeriesNumber = 1  # type 1 (C.24.1), and always the same: it would count the others
        made.DocumentTitle = ""  # type 2 (PS3.3 C.24.2); a sender's own may name somebody
        made.BurnedInAnnotation = made.get("BurnedInAnnotation", "YES")
    else:
        _view(before, made, said)
    made.file_meta = file_meta(made, before.file_meta.TransferSyntaxUID)
    if _PIXELS in before:
        made.add(clean_pixels(before))
    return made


def _of_picture(before: Dataset) -> Iterator[DataElement]:
    listed = {tag_for_keyword(keyword) for keyword in _PICTURE}
    for tag in sorted(before.keys()):
        if int(tag) in listed:
            yield before[tag]
        elif tag.group in (0x0016, 0x0028) and int(tag) not in PLACE_AND_OWNER:
            element = before[tag]
            if element.VR not in _PROSE:
                yield element


def copy_visit(before: Dataset, made: Dataset) -> None:
    """Patient and study as another object of the study says them; what must be there is empty where it says nothing."""
    for keyword in _NAMED:
        setattr(made, keyword, "")
    _copy(before, made, _VISIT)


def _copy(before: Dataset, made: Dataset, keywords: tuple[str, ...]) -> None:
    for keyword in keywords:
        if keyword in before:
            element = before[keyword]
            # A name is written anew, in our character set.
            value = str(element.value) if element.VR == "PN" else element.value
            made.add_new(element.tag, element.VR, value)


def _day(made: Dataset) -> date | None:
    """The day on which it was taken; what a sender wrote that is none is not read."""
    try:
        return datetime.strptime(str(made.get("AcquisitionDate", "")), "%Y%m%d").date()  # noqa: DTZ007
    except ValueError:
        return None


def _view(before: Dataset, made: Dataset, said: Corrected) -> None:
    """VL Image (C.8.12.1): what is shown, and from where."""
    region, side, view = said.region, said.laterality, said.view
    made.SeriesDescription = text(series_words(region, side, view, said.expression))
    if region is None:
        _copy(before, made, _SHOWN)
    else:
        made.AnatomicRegionSequence = [region_code(region, side or Laterality.BOTH)]
    if side is None:
        _copy(before, made, _SIDE)
    else:
        made.ImageLaterality = side.value if region is None or region.paired or side is not Laterality.BOTH else "U"
    if view is None:
        _copy(before, made, _SEEN)
    else:
        made.PatientOrientation = list(view.orientation) if view.orientation else None
        made.ViewCodeSequence = [term_code(view)]
    days = days_between(said.baseline, _day(made))
    made.AcquisitionContextSequence = context_items(said.expression, said.session, days)  # type 2 (C.7.6.14)
    if "ImageLaterality" not in made and "Laterality" not in made:
        made.Laterality = ""
    for keyword in _EMPTY:
        if keyword not in made:
            setattr(made, keyword, None)
    coded = [item for element in made if element.VR == "SQ" for item in element.value]
    if scheme := own_scheme(coded):
        made.CodingSchemeIdentificationSequence = scheme
