"""A data set is written byte for byte as pydicom writes it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from consent.types import Laterality
from dicom_bridge.intake import Identifying, Limits, read_photo
from dicom_bridge.objects import write
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.elements import data_set
from dicom_bridge.objects.photo import wrap
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view
from tests.formats import saved
from tests.headers import header
from tests.photos import Shot, picture

pytestmark = pytest.mark.fast

_ZONE = ZoneInfo("Europe/Athens")


def _by_pydicom(dataset: Dataset) -> bytes:
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, dataset)
    return out.getvalue()


def test_objects_of_photos_are_written_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def both(dataset: Dataset) -> bytes:
        made = data_set(dataset)
        assert made == _by_pydicom(dataset)
        written.append(made)
        return made

    monkeypatch.setattr(write, "data_set", both)
    for seed in range(40):
        data = saved(picture(Shot(width=48, height=32)), "JPEG", exif=header(seed)[1])
        kept = tuple(Identifying) if seed % 2 else ()
        photo = read_photo(data, Limits(), _ZONE, kept)
        wrap(
            photo,
            patient=PatientModule("P-Ä" * (seed % 3 + 1), "urn:mrn", "Ωμέγα^Ά", None, "female"),
            visit=VisitModule("2.25.3", datetime(2026, 5, 3, 10, 0, 0, seed * 1000, tzinfo=_ZONE), "ACC", "", "ADM"),
            description=PhotoDescription(
                "2.25.1" + "0" * (seed % 2),
                "2.25.2",
                find_region("cheek") if seed % 3 else None,
                Laterality.LEFT if seed % 3 else None,
                find_view("frontal") if seed % 4 else None,
                find_expression("smile") if seed % 5 else None,
                session=seed % 4 or None,
                days_since_baseline=seed * 1.5 if seed % 7 else None,
                taken=photo.camera.taken_local,
                instance_number=seed,
            ),
        )
    assert len(written) == 40


def test_every_kind_of_value_is_written_alike() -> None:
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.PatientName = ["Ä^Ö", "B^C=Ω"]
    made.PatientID = ""
    made.StudyDescription = None
    made.OtherPatientIDs = ["one", "zwö"]
    made.ImageComments = "text\nwith a line"
    made.PixelSpacing = ["0.50", 0.25]
    made.LossyImageCompressionRatio = 12.5
    made.SeriesNumber = "+07"
    made.StageNumber = None
    made.RecommendedDisplayFrameRateInFloat = 1.5
    made.SimpleFrameList = [1, 2, 70000]
    made.Rows = 0
    made.TagAngleSecondAxis = -5
    made.PixelPaddingValue = 7
    made.FrameIncrementPointer = 0x00181063
    made.ICCProfile = b"odd"
    made.RetrieveURI = "http://example.org/x"
    made.LongCodeValue = "c" * 17
    with pytest.warns(UserWarning, match="exceeds"):
        made.DerivationDescription = "d" * 70_000  # longer than its length may say
    made.ReferencedSOPInstanceUID = ["2.25.1", "2.25.12"]
    made.AnatomicRegionSequence = []
    inner, innermost = Dataset(), Dataset()
    innermost.CodeMeaning = "Größe"
    inner.CodeValue = "1"
    inner.ConceptCodeSequence = [innermost, Dataset()]
    made.ViewCodeSequence = [inner]
    block = made.private_block(0x0011, "PHOTOSPINE", create=True)
    block.add_new(1, "LO", "private")
    with pytest.warns(UserWarning, match="64 kByte"):
        expected = _by_pydicom(made)
    with pytest.warns(UserWarning, match="64 kByte"):
        assert data_set(made) == expected
