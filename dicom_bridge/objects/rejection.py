"""Key Object Selection (PS3.3 A.35.4): the document that says of an object that it is rejected for patient safety.

It stands in the study of the object that it refers to, as the standard has it, so that whoever takes the archive out of
its house one day finds there which objects were withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_bridge.objects.anew import MadeObject, made_anew
from dicom_bridge.objects.coding import code
from dicom_bridge.objects.corrected import copy_visit
from dicom_bridge.objects.photo import file_meta
from dicom_bridge.query.classes import KEY_OBJECT_SELECTION


@dataclass(frozen=True, slots=True)
class Rejection:
    """What such a document says of itself."""

    sop_instance_uid: str
    series_instance_uid: str
    instance_number: int
    at: datetime
    """Aware, in the site's zone."""


def rejection(rejected: bytes, said: Rejection) -> MadeObject:
    """The document that rejects an object.

    Parameters
    ----------
    rejected
        A DICOM file.

    Raises
    ------
    ObjectRefused
        It cannot be read.
    """
    refusal = "the object's patient and study cannot be written anew"
    return made_anew(rejected, lambda before: _made(before, said), refusal, pixels=False)


def _made(before: Dataset, said: Rejection) -> Dataset:
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    copy_visit(before, made)
    # SOP Common (C.12.1), Key Object Document Series (C.17.6.1), General Equipment (C.7.5.1)
    made.SOPClassUID, made.SOPInstanceUID = UID(KEY_OBJECT_SELECTION), said.sop_instance_uid
    made.Modality, made.SeriesInstanceUID, made.SeriesNumber = "KO", said.series_instance_uid, 1
    made.ReferencedPerformedProcedureStepSequence = []
    made.Manufacturer = "Photospine"
    # Key Object Document (C.17.6.2)
    made.InstanceNumber = said.instance_number
    made.ContentDate, made.ContentTime = f"{said.at:%Y%m%d}", f"{said.at:%H%M%S}"
    made.CurrentRequestedProcedureEvidenceSequence = [_evidence(before)]
    # SR Document Content (C.17.3) by TID 2010 Key Object Selection
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [code("DCM", "113037", "Rejected for Patient Safety Reasons")]
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    made.ContentTemplateSequence = [template]
    made.ContentSequence = _content(before)
    made.file_meta = file_meta(made, ExplicitVRLittleEndian)
    return made


def _evidence(before: Dataset) -> Dataset:
    """Where the rejected object is (Table 10-4)."""
    study, series = Dataset(), Dataset()
    series.SeriesInstanceUID = before.SeriesInstanceUID
    series.ReferencedSOPSequence = [_reference(before)]
    study.StudyInstanceUID = before.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    return study


def _content(before: Dataset) -> Sequence[Dataset]:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "IMAGE" if "Rows" in before else "COMPOSITE"
    item.ReferencedSOPSequence = [_reference(before)]
    return [item]


def _reference(before: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = before.SOPClassUID, before.SOPInstanceUID
    return item
