"""Reading an object that came from elsewhere: what it is, whose it says it is, and what the index keeps of it."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_bridge.errors import ObjectRefused
from dicom_bridge.objects.attributes import attributes_json

_MAX_DEPTH = 16
_MAX_ELEMENTS = 20_000

PHOTO_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.77.1.4",  # VL Photographic Image
        "1.2.840.10008.5.1.4.1.1.77.1.7",  # Dermoscopic Photography Image
        "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture Image
        "1.2.840.10008.5.1.4.1.1.104.1",  # Encapsulated PDF
    }
)
"""SOP Classes that are photos or accompany them; everything else is none of ours."""


@dataclass(frozen=True, slots=True)
class ReadObject:
    """An object's identity, and its attributes."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    patient_id: str
    accession_number: str
    admission_id: str
    requested_procedure_ids: tuple[str, ...]
    scheduled_step_ids: tuple[str, ...]
    attributes: dict[str, Any]
    """DICOM JSON Model, binary values left out."""


def read_object(data: bytes) -> ReadObject:
    """Parse a DICOM file up to its pixel data.

    Raises
    ------
    ObjectRefused
        It is none, lacks a UID, or exceeds the limits on depth and number of elements.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of every odd value; the object is judged by what is asked of it
        try:
            dataset = dcmread(io.BytesIO(data), stop_before_pixels=True)
            _measure(dataset)
            attributes = attributes_json(dataset)
            found = ReadObject(
                sop_class_uid=_text(dataset, "SOPClassUID"),
                sop_instance_uid=_text(dataset, "SOPInstanceUID"),
                series_instance_uid=_text(dataset, "SeriesInstanceUID"),
                study_instance_uid=_text(dataset, "StudyInstanceUID"),
                patient_id=_text(dataset, "PatientID"),
                accession_number=_text(dataset, "AccessionNumber"),
                admission_id=_text(dataset, "AdmissionID"),
                requested_procedure_ids=_requested(dataset, "RequestedProcedureID"),
                scheduled_step_ids=_requested(dataset, "ScheduledProcedureStepID"),
                attributes=attributes,
            )
        except ObjectRefused:
            raise
        except Exception as error:
            # A parser of bytes from anywhere: whatever it stumbles over, the object is not read.
            raise ObjectRefused("the object cannot be read") from error
    if not (found.sop_class_uid and found.sop_instance_uid and found.series_instance_uid and found.study_instance_uid):
        raise ObjectRefused("the object lacks a UID")
    return found


def _measure(dataset: Dataset) -> None:
    count, pending = 0, [(dataset, 1)]
    while pending:
        here, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise ObjectRefused(f"the object nests deeper than {_MAX_DEPTH} sequences")
        for element in here:
            count += 1
            if count > _MAX_ELEMENTS:
                raise ObjectRefused(f"the object has more than {_MAX_ELEMENTS} elements")
            if element.VR == "SQ":
                pending += [(item, depth + 1) for item in element.value]


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip()


def _requested(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    items = dataset.get("RequestAttributesSequence") or ()
    return tuple(text for item in items if (text := _text(item, keyword)))
