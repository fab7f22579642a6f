"""A corrected object: the same pixels under another header, in which nobody is named whom it is not about."""

from __future__ import annotations

import io
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from consent.types import Laterality
from dicom_bridge.errors import ObjectRefused
from dicom_bridge.intake import Limits, read_photo
from dicom_bridge.objects.corrected import Corrected, corrected
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.inside import clean
from dicom_bridge.objects.photo import wrap
from dicom_bridge.objects.read import read_object
from dicom_bridge.objects.rejection import Rejection, rejection
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view
from tests.objects.test_photo import ANNA, KINDS, VISIT, ZONE
from tests.photos import jpeg

BEN = PatientModule("demo-ben", "urn:demo", "Μπένης^Βασίλης", None, "M")
OTHER_VISIT = VisitModule("2.25.77", datetime(2026, 5, 4, 9, tzinfo=ZONE), "ACC-77", admission_id="v77")
SECRET = "Secretname"
NATIVE = bytes(range(256)) * 36

WHOLE = Corrected(
    "2.25.101",
    "2.25.102",
    3,
    BEN,
    OTHER_VISIT,
    find_region("cheek"),
    Laterality.LEFT,
    find_view("left-lateral"),
    find_expression("smile"),
    2,
)
KEPT = Corrected("2.25.101", "2.25.102", 3, None)


def _ours(kind: str) -> bytes:
    photo = read_photo(jpeg(KINDS[kind]), Limits(), ZONE)
    description = PhotoDescription(
        "2.25.1", "2.25.2", find_region("face"), Laterality.BOTH, find_view("frontal"), instance_number=1
    )
    return wrap(photo, patient=ANNA, visit=VISIT, description=description).file()


def _foreign(
    sop_class: str, syntax: UID, pixels: bytes | None, *, frames: int = 1, document: bytes | None = None
) -> bytes:
    """An object by somebody else, who writes the patient's name wherever there is room."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 100"
    made.SOPClassUID, made.SOPInstanceUID = sop_class, "2.25.11"
    made.StudyInstanceUID, made.SeriesInstanceUID = "2.25.12", "2.25.13"
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = f"{SECRET}^M\xfcller", "OLD-1", "", ""
    made.OtherPatientNames = SECRET
    made.PatientComments = made.ImageComments = made.StudyDescription = made.SeriesDescription = SECRET
    made.ReferringPhysicianName = SECRET
    made.RequestingPhysician = SECRET
    made.ProtocolName = SECRET
    made.AccessionNumber, made.StudyID = SECRET[:8], "1"
    made.StudyDate, made.StudyTime = "20260503", "100000"
    made.ContentDate, made.ContentTime = "20260503", "100000"
    made.Modality, made.Manufacturer, made.InstanceNumber = "XC", "Maker", 7
    made.CameraOwnerName = SECRET
    item = Dataset()
    item.RequestedProcedureDescription = SECRET
    made.RequestAttributesSequence = [item]
    block = made.private_block(0x0029, SECRET, create=True)
    block.add_new(1, "LO", SECRET)
    if document is not None:
        made.EncapsulatedDocument, made.MIMETypeOfEncapsulatedDocument = document, "application/pdf"
        made.DocumentTitle, made.BurnedInAnnotation = SECRET, "YES"
        made.Modality, made.ConversionType = "DOC", "WSD"
    if pixels is not None:
        made.ImageType = ["ORIGINAL", "PRIMARY"]
        made.Rows, made.Columns, made.SamplesPerPixel = 32, 96, 3
        made.PhotometricInterpretation, made.PlanarConfiguration = "RGB", 0
        made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
        if frames > 1:
            made.NumberOfFrames = frames
        made.PixelData = pixels
        made["PixelData"].VR = "OB" if syntax.is_compressed else "OW"
        made["PixelData"].is_undefined_length = syntax.is_encapsulated
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class), UID("2.25.11")
    meta.TransferSyntaxUID = syntax
    made.file_meta = meta
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()


PHOTO, SECONDARY, TRUE_COLOUR = (
    "1.2.840.10008.5.1.4.1.1.77.1.4",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.7.4",
)
DERMOSCOPIC, PDF = "1.2.840.10008.5.1.4.1.1.77.1.7", "1.2.840.10008.5.1.4.1.1.104.1"
STREAMS = [clean(jpeg()), clean(jpeg(KINDS["progressive"]))]
FOREIGN = {
    "explicit": (PHOTO, ExplicitVRLittleEndian, NATIVE),
    "implicit": (SECONDARY, ImplicitVRLittleEndian, NATIVE),
    "big endian": (SECONDARY, ExplicitVRBigEndian, NATIVE),
    "deflated": (SECONDARY, DeflatedExplicitVRLittleEndian, NATIVE),
    "JPEG": (DERMOSCOPIC, JPEGBaseline8Bit, encapsulate(STREAMS[:1])),
    "JPEG in fragments": (PHOTO, JPEGBaseline8Bit, encapsulate(STREAMS[:1], fragments_per_frame=4)),
    "JPEG 2000": (PHOTO, JPEG2000, encapsulate([b"\xff\x4f\xff\x51" + NATIVE])),
    "RLE": (SECONDARY, RLELossless, encapsulate([bytes(64) + NATIVE])),
}


def _errors(data: bytes, folder: Path) -> set[str]:
    file = folder / "object.dcm"
    file.write_bytes(data)
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("said", [WHOLE, KEPT], ids=["whole", "kept"])
def test_of_ours_it_is_valid_and_has_the_same_pixels(tmp_path: Path, kind: str, said: Corrected) -> None:
    before = _ours(kind)
    made = corrected(before, said)
    one, other = dcmread(io.BytesIO(before)), dcmread(io.BytesIO(made.file))
    assert one.PixelData == other.PixelData
    assert one.file_meta.TransferSyntaxUID == other.file_meta.TransferSyntaxUID
    for keyword in (
        "Rows",
        "Columns",
        "PhotometricInterpretation",
        "ImageType",
        "LossyImageCompressionRatio",
        "FNumber",
    ):
        assert one.get(keyword) == other.get(keyword)
    assert _errors(made.file, tmp_path) == set()
    assert read_object(made.file).attributes == made.attributes
    if said is KEPT:
        gone = {"SOPInstanceUID", "SeriesInstanceUID", "InstanceNumber", "SeriesDescription"}
        for element in one:
            if element.keyword not in gone | {"CodingSchemeIdentificationSequence", "PixelData"}:
                assert other[element.tag] == element, element.keyword


@pytest.mark.parametrize("kind", FOREIGN)
def test_of_others_it_has_the_same_pixels_and_names_nobody(tmp_path: Path, kind: str) -> None:
    before = _foreign(*FOREIGN[kind])
    made = corrected(before, WHOLE)
    one, other = dcmread(io.BytesIO(before)), dcmread(io.BytesIO(made.file))
    assert one.PixelData == other.PixelData
    assert one.file_meta.TransferSyntaxUID == other.file_meta.TransferSyntaxUID
    assert (other.PatientID, str(other.PatientName)) == (BEN.id, BEN.name)
    assert other.ImageLaterality == "L"
    for word in (SECRET, "OLD-1", "2.25.11", "2.25.12", "2.25.13"):
        assert word not in str(other), word
    assert _errors(made.file, tmp_path) <= _errors(before, tmp_path)


def test_of_a_document_the_document_is_the_same(tmp_path: Path) -> None:
    document = b"%PDF-1.4\n\n" + NATIVE
    before = _foreign(PDF, ExplicitVRLittleEndian, None, document=document)
    made = corrected(before, WHOLE)
    other = dcmread(io.BytesIO(made.file))
    assert other.EncapsulatedDocument == document
    assert (other.Modality, other.PatientID) == ("DOC", BEN.id)
    assert "ViewCodeSequence" not in other
    assert SECRET not in str(other)
    assert _errors(made.file, tmp_path) <= _errors(before, tmp_path)


def test_several_frames_stay_as_they_are() -> None:
    pixels = encapsulate(STREAMS)
    before = _foreign(TRUE_COLOUR, JPEGBaseline8Bit, pixels, frames=2)
    other = dcmread(io.BytesIO(corrected(before, WHOLE).file))
    assert (other.NumberOfFrames, other.PixelData) == (2, pixels)


@pytest.mark.parametrize("kind", FOREIGN)
def test_its_rejection_names_it_and_stands_in_its_study(tmp_path: Path, kind: str) -> None:
    before = _foreign(*FOREIGN[kind])
    made = rejection(before, Rejection("2.25.201", "2.25.202", 1, datetime(2026, 6, 1, 12, tzinfo=ZONE)))
    found = dcmread(io.BytesIO(made.file))
    assert (found.StudyInstanceUID, found.PatientID, found.Modality) == ("2.25.12", "OLD-1", "KO")
    (item,) = found.ContentSequence
    assert item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.11"
    assert _errors(made.file, tmp_path) == set()


def test_what_is_no_object_is_refused() -> None:
    said = Rejection("2.25.201", "2.25.202", 1, datetime(2026, 6, 1, 12, tzinfo=ZONE))
    for data in (b"", b"x" * 200, _ours("one pixel")[:300]):
        with pytest.raises(ObjectRefused):
            corrected(data, WHOLE)
        with pytest.raises(ObjectRefused):
            rejection(data, said)
