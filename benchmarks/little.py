"""A clinic of little objects by the hundred thousand: what a search reads of a photo, without its pixels.

Objects are made from one template by putting texts of equal length in the places of others, since writing each by
pydicom would take as long as storing it. Ten photos a visit in five series, two visits a patient.
"""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import JPEGBaseline8Bit

from dicom_bridge.objects.attributes import attributes_json

VISITS, SERIES, EACH = 2, 5, 2
_FAMILIES = [
    "Alexandrou",
    "Demetrious",
    "Georgiadis",
    "Ioannidoux",
    "Karamanlis",
    "Nikolaidis",
    "Papadopulu",
    "Vlachopulo",
]
_GIVEN = ("Eleni_", "Ioanna", "Marias", "Sofia_", "Vasili", "Yannis")
_VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"


@dataclass(frozen=True, slots=True)
class Little:
    """One photo of the clinic, by its number."""

    number: int

    @property
    def patient(self) -> str:
        """Its patient's id, in FHIR and in DICOM."""
        return f"P{self.number // (VISITS * SERIES * EACH):07d}"

    @property
    def name(self) -> str:
        """Its patient's name."""
        person = self.number // (VISITS * SERIES * EACH)
        return f"{_FAMILIES[person % 8]}^{_GIVEN[person % 6]}{person:06d}"

    @property
    def study(self) -> str:
        """Study Instance UID."""
        return f"2.25.71{self.number // (SERIES * EACH):09d}"

    @property
    def series(self) -> str:
        """Series Instance UID."""
        return f"2.25.72{self.number // EACH:09d}"

    @property
    def sop(self) -> str:
        """SOP Instance UID."""
        return f"2.25.73{self.number:09d}"

    @property
    def date(self) -> str:
        """Study Date: visits are spread over ten years."""
        visit = self.number // (SERIES * EACH) * 7919
        return f"{2016 + visit % 10}{1 + visit // 10 % 12:02d}{1 + visit // 120 % 28:02d}"

    @property
    def modality(self) -> str:
        """One visit of eight was seen through a microscope."""
        return "GM" if self.number // (SERIES * EACH) % 8 == 0 else "XC"

    @property
    def accession(self) -> str:
        """Accession Number of its visit."""
        return f"A{self.number // (SERIES * EACH):09d}"

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Tag and text of everything in which two photos differ, each as long as the others'."""
        return (
            ("00100020", self.patient),
            ("00100010", self.name),
            ("0020000D", self.study),
            ("0020000E", self.series),
            ("00080018", self.sop),
            ("00080020", self.date),
            ("00080060", self.modality),
            ("00080050", self.accession),
        )


class Template:
    """What all photos are made from."""

    def __init__(self) -> None:
        self._first = Little(0)
        dataset = _dataset(self._first)
        out = io.BytesIO()
        dataset.save_as(out, enforce_file_format=True, little_endian=True, implicit_vr=False)
        self._file = out.getvalue()
        self._attributes = attributes_json(dataset)

    def file(self, one: Little) -> bytes:
        """The object, without pixels."""
        made = self._file
        for (tag, before), (_, after) in zip(self._first.texts, one.texts, strict=True):
            if before != after:
                place = bytes.fromhex(tag[2:4] + tag[:2] + tag[6:8] + tag[4:6])
                made = _put(made, place, before.encode(), after.encode())
        return made.replace(self._first.sop.encode(), one.sop.encode(), 1)  # the meta information's own

    def attributes(self, one: Little) -> dict[str, Any]:
        """The same as DICOM JSON."""
        made = copy.copy(self._attributes)
        for tag, text in one.texts:
            made[tag] = {"vr": made[tag]["vr"], "Value": [{"Alphabetic": text} if tag == "00100010" else text]}
        return made


def _put(file: bytes, tag: bytes, before: bytes, after: bytes) -> bytes:
    start = file.index(tag, 132)
    assert file[start + 8 : start + 8 + len(before)] == before
    return file[: start + 8] + after + file[start + 8 + len(after) :]


def _dataset(first: Little) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.SOPClassUID, dataset.SOPInstanceUID = _VL_PHOTOGRAPHIC, first.sop
    dataset.StudyDate, dataset.StudyTime = first.date, "101500"
    dataset.ContentDate, dataset.ContentTime = "20260503", "101530"
    dataset.AccessionNumber = first.accession
    dataset.Modality = first.modality
    dataset.Manufacturer, dataset.ManufacturerModelName = "Camera Works", "Model 7"
    dataset.InstitutionName = "Clinic"
    dataset.ReferringPhysicianName = "Referring^Physician"
    dataset.StudyDescription, dataset.SeriesDescription = "Follow-up", "Face, frontal"
    dataset.PatientName, dataset.PatientID = first.name, first.patient
    dataset.PatientBirthDate, dataset.PatientSex = "19800101", "F"
    dataset.BodyPartExamined, dataset.ProtocolName = "FACE", "Before and after"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = first.study, first.series
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "S1", 1, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "YBR_FULL_422", 0
    dataset.Rows, dataset.Columns = 3000, 4000
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "89545001", "SCT", "Face"
    dataset.AnatomicRegionSequence = [region]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.file_meta = meta
    return dataset
