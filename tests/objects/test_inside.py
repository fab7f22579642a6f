"""What a picture within an object tells beside its pixels is found, and taken out, and the pixels stay as they are."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRLittleEndian

from dicom_bridge.errors import ObjectRefused
from dicom_bridge.objects.corrected import Corrected, corrected
from dicom_bridge.objects.inside import clean, clean_pixels, tells
from tests.archive import _dataset, _file
from tests.photos import Shot, jpeg, wide_profile

pytestmark = pytest.mark.fast

FULL = jpeg(Shot())
BARE = clean(FULL)
SIGNS = (b"Exif", b"SERIAL-4711", b"Owner Secretname", b"GPS", b"secret")


def _with(segment: bytes, marker: int) -> bytes:
    return BARE[:2] + bytes((0xFF, marker)) + (len(segment) + 2).to_bytes(2, "big") + segment + BARE[2:]


def _pixels(stream: bytes) -> bytes:
    return Image.open(io.BytesIO(stream)).convert("RGB").tobytes()


TELLING = {
    "exif": FULL,
    "comment": _with(b"secret", 0xFE),
    "xmp": _with(b"http://ns.adobe.com/xap/1.0/\0secret", 0xE1),
    "iptc": _with(b"Photoshop 3.0\0secret", 0xED),
    "thumbnail": _with(b"JFXX\0\x10secret", 0xE0),
    "jfif thumbnail": _with(b"JFIF\0\1\1\0\0\1\0\1\1\1sec" + b"secret", 0xE0),
    "a maker's segment": _with(b"secret", 0xE7),
    "a second picture": BARE + FULL,
    "a trailer": BARE + b"secret trailer",
    "a segment behind a scan": BARE[:-2] + b"\xff\xfe\0\x08secret\xff\xd9",
    "progressive": jpeg(Shot(progressive=True)),
    "restarts": jpeg(Shot(restart_rows=1)),
}


@pytest.mark.parametrize("name", TELLING)
def test_what_a_picture_tells_is_taken_out(name: str) -> None:
    data = TELLING[name]
    made = clean(data)
    assert made != data
    assert not any(sign in made for sign in SIGNS)
    assert _pixels(made) == _pixels(data)
    assert clean(made) == made


def test_what_decoders_need_stays() -> None:
    for shot in (Shot(profile=wide_profile()), Shot(coded_rgb=True), Shot(mode="L")):
        data = jpeg(shot)
        assert _pixels(clean(data)) == _pixels(data)
        assert Image.open(io.BytesIO(clean(data))).info.get("icc_profile") == shot.profile
    assert clean(BARE) == BARE


def _object(*frames: bytes, change: Callable[[object], None] = lambda _: None) -> bytes:
    dicom = _file(_dataset("P", "N", "2.25.1", "2.25.2", "2.25.3", "1", 1), BARE)
    dataset = dcmread(io.BytesIO(dicom))
    dataset.PixelData = encapsulate(list(frames))
    dataset["PixelData"].is_undefined_length = True
    if len(frames) > 1:
        dataset.NumberOfFrames = len(frames)
    change(dataset)
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _set(keyword: str, value: object) -> Callable[[object], None]:
    return lambda dataset: setattr(dataset, keyword, value)


def test_an_object_is_told_by_any_of_its_frames_or_by_its_header() -> None:
    assert not tells(_object(BARE))
    assert not tells(_object(BARE, BARE))
    assert tells(_object(BARE, FULL))
    assert tells(_object(BARE, change=_set("CameraOwnerName", "Somebody")))
    assert tells(_object(BARE, change=_set("GPSLatitude", ["37", "58", "33"])))
    assert not tells(_object(BARE, change=_set("CameraOwnerName", "")))


def test_the_corrected_object_holds_nothing_of_it() -> None:
    said = Corrected(sop_instance_uid="2.25.9", series_instance_uid="2.25.8", instance_number=1, patient=None)
    made = corrected(_object(FULL, FULL, change=_set("CameraOwnerName", "Owner Secretname")), said)
    assert made.file[128:132] == b"DICM"
    assert not any(sign in made.file for sign in SIGNS)
    assert not tells(made.file)
    dataset = dcmread(io.BytesIO(made.file))
    frames = list(generate_frames(dataset.PixelData, number_of_frames=2))
    assert [_pixels(frame) for frame in frames] == [_pixels(FULL)] * 2
    clean_one = _object(BARE)
    kept = dcmread(io.BytesIO(corrected(clean_one, said).file)).PixelData
    assert kept == dcmread(io.BytesIO(clean_one)).PixelData


@pytest.mark.parametrize(
    "frame",
    [b"\xff\xd8\xff\xe1\xff\xffExif\0\0", b"no picture Exif\0\0", FULL[:200], b"\xff\xd8\xff\xda\0\x04Exif\0\0xx"],
)
def test_what_cannot_be_taken_apart_and_tells_is_refused(frame: bytes) -> None:
    with pytest.raises(ObjectRefused):
        clean(frame)
    with pytest.raises(ObjectRefused):
        tells(_object(frame))


def test_of_frames_that_cannot_all_be_told_apart_none_is_lost() -> None:
    """A comment in the first frame, and what is no item behind the second."""
    spoken = _with(b"hello", 0xFE)
    first, second = (encapsulate([each], has_bot=False)[8:] for each in (spoken, BARE))  # the item alone
    offsets = [0, len(first), len(first) + len(second)]
    table = b"\xfe\xff\x00\xe0" + struct.pack("<I", 12) + struct.pack("<III", *offsets)
    odd = b"\x10\x00\x10\x00\x04\0\0\0ABCD"
    dataset = dcmread(io.BytesIO(_object(spoken, BARE, spoken)))
    dataset.PixelData = table + first + second + odd + first + b"\xfe\xff\xdd\xe0\0\0\0\0"
    dataset["PixelData"].is_undefined_length = True
    assert clean_pixels(dataset).value == dataset.PixelData


def test_what_is_no_jpeg_is_not_looked_into() -> None:
    dicom = _file(_dataset("P", "N", "2.25.1", "2.25.2", "2.25.3", "1", 1), BARE)
    dataset = dcmread(io.BytesIO(dicom))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.PixelData = b"Exif\0\0" + bytes(6)
    dataset["PixelData"].is_undefined_length = False
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    assert not tells(out.getvalue())
