"""A comparison as DICOM: Key Object Selection (PS3.3 A.35.4) and softcopy presentation states (A.33.1, A.33.2).

One presentation state for each photo says which part of it was seen; one document for each study that a photo is in
names all of them (C.17.6.2: where they are in several studies, each holds the same document).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_bridge.intake.profiles import Primaries, matrix_profile
from dicom_bridge.objects.anew import MadeObject, made_anew
from dicom_bridge.objects.coding import code
from dicom_bridge.objects.corrected import copy_visit
from dicom_bridge.objects.photo import file_meta
from dicom_bridge.query.classes import COLOUR_PRESENTATION, GREY_PRESENTATION, KEY_OBJECT_SELECTION

_REFUSAL = "the object's patient and study cannot be written anew"
_CLASS = 12
"""Where an ICC profile says what kind of device it is of (ICC.1 7.2.5)."""

_SRGB = Primaries((0.3127, 0.3290), (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
"""IEC 61966-2-1."""


@dataclass(frozen=True, slots=True)
class Area:
    """The part of a photo that is seen: pixels from 1 on, corners included."""

    left: int
    top: int
    right: int
    bottom: int

    def within(self, columns: int, rows: int) -> Area:
        """What of it is of a photo of that size: what lies beside a photo shows nothing. Two pixels at least each way,
        where the photo has them: validators take no smaller area."""
        left, right = _span(self.left, self.right, columns)
        top, bottom = _span(self.top, self.bottom, rows)
        return Area(left, top, right, bottom)


def _span(first: int, last: int, most: int) -> tuple[int, int]:
    start = min(max(1, first), max(1, most - 1))
    return start, min(max(start + 1, last), most)


@dataclass(frozen=True, slots=True)
class Named:
    """UIDs of an object of ours."""

    sop_instance_uid: str
    series_instance_uid: str
    instance_number: int


@dataclass(frozen=True, slots=True)
class Shown:
    """One photo of a comparison, and the presentation state that says how it was seen."""

    study: str
    series: str
    sop_class: str
    sop: str
    seen_in: str
    """SOP Class of the presentation state."""

    seen: Named


def presentation_class(samples: int) -> str:
    """Of a photo with so many Samples per Pixel."""
    return COLOUR_PRESENTATION if samples > 1 else GREY_PRESENTATION


def presentation(photo: bytes, named: Named, area: Area, label: str, at: datetime) -> MadeObject:
    """The presentation state of one photo.

    Parameters
    ----------
    photo
        A DICOM file.
    label
        Content Label (0070,0080): ``LEFT`` or ``RIGHT``.
    at
        Aware, in the site's zone.

    Raises
    ------
    ObjectRefused
        The photo cannot be read.
    """
    return made_anew(photo, lambda before: _presentation(before, named, area, label, at), _REFUSAL, pixels=False)


def selection(
    photo: bytes, named: Named, shown: Sequence[Shown], others: Sequence[tuple[str, Named]], words: str, at: datetime
) -> MadeObject:
    """The document that names the photos of a comparison.

    Parameters
    ----------
    photo
        A DICOM file: the document stands in its study.
    shown
        In the order of the comparison.
    others
        The same document in the other studies: the study's UID, and its own.
    words
        Key Object Description: how the photos are held against each other.

    Raises
    ------
    ObjectRefused
        The photo cannot be read.
    """
    return made_anew(photo, lambda before: _selection(before, named, shown, others, words, at), _REFUSAL, pixels=False)


def _begun(before: Dataset, named: Named, sop_class: str, modality: str) -> Dataset:
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    copy_visit(before, made)
    made.SOPClassUID, made.SOPInstanceUID = UID(sop_class), named.sop_instance_uid
    made.Modality, made.SeriesInstanceUID, made.SeriesNumber = modality, named.series_instance_uid, 1
    made.InstanceNumber = named.instance_number
    made.Manufacturer = "Photospine"
    return made


def _presentation(before: Dataset, named: Named, area: Area, label: str, at: datetime) -> Dataset:
    sop_class = presentation_class(int(before.SamplesPerPixel))
    area = area.within(int(before.Columns), int(before.Rows))
    made = _begun(before, named, sop_class, "PR")
    made.Laterality = ""  # type 2C (C.7.3.1): the photo says it
    # Presentation State Identification (C.11.10)
    made.PresentationCreationDate, made.PresentationCreationTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    made.ContentLabel, made.ContentDescription, made.ContentCreatorName = label, "Comparison of photos", ""
    # Presentation State Relationship (C.11.11)
    series = Dataset()
    series.SeriesInstanceUID = before.SeriesInstanceUID
    series.ReferencedImageSequence = [_named(str(before.SOPClassUID), str(before.SOPInstanceUID))]
    made.ReferencedSeriesSequence = [series]
    # Displayed Area (C.10.4)
    seen = Dataset()
    seen.DisplayedAreaTopLeftHandCorner = [area.left, area.top]
    seen.DisplayedAreaBottomRightHandCorner = [area.right, area.bottom]
    seen.PresentationSizeMode, seen.PresentationPixelAspectRatio = "SCALE TO FIT", [1, 1]
    made.DisplayedAreaSelectionSequence = [seen]
    if sop_class == COLOUR_PRESENTATION:
        made.ICCProfile, made.ColorSpace = _srgb(), "SRGB"
    else:
        made.PresentationLUTShape = "IDENTITY"
    made.file_meta = file_meta(made, ExplicitVRLittleEndian)
    return made


def _selection(
    before: Dataset, named: Named, shown: Sequence[Shown], others: Sequence[tuple[str, Named]], words: str, at: datetime
) -> Dataset:
    made = _begun(before, named, KEY_OBJECT_SELECTION, "KO")
    made.ReferencedPerformedProcedureStepSequence = []
    # Key Object Document (C.17.6.2)
    made.ContentDate, made.ContentTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    made.CurrentRequestedProcedureEvidenceSequence = _evidence(shown)
    if others:
        made.IdenticalDocumentsSequence = [_elsewhere(study, each) for study, each in others]
    # SR Document Content (C.17.3) by TID 2010 Key Object Selection
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [code("DCM", "113000", "Of Interest")]
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    made.ContentTemplateSequence = [template]
    told = Dataset()
    told.RelationshipType, told.ValueType = "CONTAINS", "TEXT"
    told.ConceptNameCodeSequence = [code("DCM", "113012", "Key Object Description")]
    told.TextValue = words
    made.ContentSequence = [told, *map(_image, shown)]
    made.file_meta = file_meta(made, ExplicitVRLittleEndian)
    return made


def _image(shown: Shown) -> Dataset:
    """A photo as it was seen (C.18.4)."""
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    reference = _named(shown.sop_class, shown.sop)
    reference.ReferencedSOPSequence = [_named(shown.seen_in, shown.seen.sop_instance_uid)]
    item.ReferencedSOPSequence = [reference]
    return item


def _evidence(shown: Sequence[Shown]) -> list[Dataset]:
    """Where the photos and their presentation states are (Table 10-4)."""
    places: dict[str, dict[str, list[Dataset]]] = {}
    for each in shown:
        series = places.setdefault(each.study, {})
        series.setdefault(each.series, []).append(_named(each.sop_class, each.sop))
        series.setdefault(each.seen.series_instance_uid, []).append(_named(each.seen_in, each.seen.sop_instance_uid))
    return [_study(study, series) for study, series in places.items()]


def _elsewhere(study: str, named: Named) -> Dataset:
    return _study(study, {named.series_instance_uid: [_named(KEY_OBJECT_SELECTION, named.sop_instance_uid)]})


def _study(study: str, series: dict[str, list[Dataset]]) -> Dataset:
    made = Dataset()
    made.StudyInstanceUID = study
    made.ReferencedSeriesSequence = []
    for uid, instances in series.items():
        item = Dataset()
        item.SeriesInstanceUID, item.ReferencedSOPSequence = uid, instances
        made.ReferencedSeriesSequence.append(item)
    return made


def _named(sop_class: str, sop: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop
    return item


@lru_cache(maxsize=1)
def _srgb() -> bytes:
    """sRGB as the profile of an input device (C.11.15.1.1)."""
    profile = matrix_profile(_SRGB, None)
    made = profile[:_CLASS] + b"scnr" + profile[_CLASS + len(b"scnr") :]
    return made + bytes(len(made) % 2)
