"""The picture in a stored object, whatever transfer syntax it is in; what is none is refused with a word."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

from dicom_bridge.compare.renditions import NotRendered
from dicom_bridge.judging.stored import picture_of
from tests.photos import Shot, picture


def _object(pixels: bytes, syntax: str, *, rows: int, columns: int, samples: int = 3, bits: int = 8) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.4", "2.25.1"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, samples
    dataset.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = 0
    if samples == 3:
        dataset.PlanarConfiguration = 0
    dataset.PixelData = pixels
    if syntax != ExplicitVRLittleEndian:
        dataset["PixelData"].is_undefined_length = True
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def test_plain_and_compressed_pixels_are_the_same_picture() -> None:
    shown = picture(Shot(400, 300))
    plain = picture_of(_object(shown.tobytes(), ExplicitVRLittleEndian, rows=300, columns=400))
    assert (plain.width, plain.height) == (400, 300)
    assert np.array_equal(plain.pixels, np.asarray(shown))
    out = io.BytesIO()
    shown.save(out, "JPEG2000", irreversible=False, no_jp2=True)
    lossless = picture_of(_object(encapsulate([out.getvalue()]), JPEG2000Lossless, rows=300, columns=400))
    assert np.array_equal(lossless.pixels, np.asarray(shown))
    out = io.BytesIO()
    shown.save(out, "JPEG", quality=95)
    jpeg = picture_of(_object(encapsulate([out.getvalue()]), JPEGBaseline8Bit, rows=300, columns=400))
    assert np.abs(jpeg.pixels.astype(int) - np.asarray(shown)).mean() < 6
    grey = shown.convert("L")
    made = picture_of(_object(grey.tobytes(), ExplicitVRLittleEndian, rows=300, columns=400, samples=1))
    assert np.array_equal(made.pixels[..., 1], np.asarray(grey))


def test_a_large_picture_is_looked_at_smaller() -> None:
    large = Image.linear_gradient("L").resize((4000, 3000)).convert("RGB")
    made = picture_of(_object(large.tobytes(), ExplicitVRLittleEndian, rows=3000, columns=4000))
    assert (made.width, made.height) == (4000, 3000)
    assert max(made.pixels.shape) <= 2400
    out = io.BytesIO()
    large.save(out, "JPEG")
    made = picture_of(_object(encapsulate([out.getvalue()]), JPEGBaseline8Bit, rows=3000, columns=4000))
    assert (made.width, made.height) == (4000, 3000)
    assert 1400 <= max(made.pixels.shape) <= 2400


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no object",
        _object(bytes(2 * 40 * 40), ExplicitVRLittleEndian, rows=40, columns=40, samples=1, bits=16),
        _object(bytes(40), ExplicitVRLittleEndian, rows=40, columns=40, samples=1),
        _object(encapsulate([b"\xff\xd8 no"]), JPEGBaseline8Bit, rows=40, columns=40),
        _object(encapsulate([b"\xff\x4f no"]), JPEG2000Lossless, rows=40, columns=40),
        _object(bytes(64), ExplicitVRLittleEndian, rows=65000, columns=65000),
    ],
    ids=["empty", "text", "16 bits", "short", "no JPEG", "no JPEG 2000", "huge"],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(NotRendered):
        picture_of(data)
