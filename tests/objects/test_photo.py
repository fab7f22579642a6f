"""The object: valid by a foreign judge, true to the original's pixels, and free of what identifies the photographer."""

from __future__ import annotations

import io
import json
import subprocess
import tempfile
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from pydicom import dcmread
from pydicom.encaps import generate_frames

from consent.regions import regions
from consent.types import Laterality
from dicom_bridge.errors import DescriptionRefused
from dicom_bridge.intake import Limits, read_photo
from dicom_bridge.intake.camera import Tag
from dicom_bridge.objects import uids
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.photo import WrappedPhoto, wrap
from dicom_bridge.objects.read import read_object
from dicom_bridge.objects.viewing import viewing_copy
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view, terms
from dicom_bridge.objects.write import write_parts
from tests import photos
from tests.counts import count

ZONE = ZoneInfo("Europe/Athens")
KEY = b"site key of a test, 32 bytes long"

KINDS = {
    "upright sRGB": photos.Shot(),
    "with an sRGB profile": photos.Shot(profile=photos.srgb_profile(), subsampling="4:4:4"),
    "4:2:2 of odd size": photos.Shot(width=131, height=67, subsampling="4:2:2"),
    "one pixel": photos.Shot(width=1, height=1),
    "three pixels square": photos.Shot(width=3, height=3),
    "turned": photos.Shot(orientation=6),
    "wide gamut": photos.Shot(profile=photos.wide_profile()),
    "progressive": photos.Shot(progressive=True),
    "grey": photos.Shot(mode="L"),
    "coded as RGB": photos.Shot(coded_rgb=True),
    "Adobe RGB by name": photos.Shot(adobe_by_name=True),
    "restart markers": photos.Shot(restart_rows=1),
    "no capture time": photos.Shot(taken=None),
}


ANNA = PatientModule("demo-anna", "urn:demo", "Δήμου^Άννα", date(1984, 3, 12), "F")
VISIT = VisitModule(
    uids.study_instance_uid(KEY, "v1"), datetime(2026, 5, 3, 10, tzinfo=ZONE), admission_id="v1", study_id="1"
)

TAKEN = datetime(2026, 5, 3, 10, 0, 0, 250_000, tzinfo=ZONE)
"""What the camera says."""


def _wrap(
    shot: photos.Shot,
    region: str = "cheek",
    side: Laterality = Laterality.LEFT,
    *,
    seen: str = "frontal",
    expression: str = "frown",
    patient: PatientModule = ANNA,
    visit: VisitModule = VISIT,
    taken: datetime | date | None = TAKEN,
) -> tuple[bytes, WrappedPhoto]:
    data = photos.jpeg(shot)
    photo = read_photo(data, Limits(), ZONE)
    view = uids.SeriesView(region, side.value, seen, expression)
    wrapped = wrap(
        photo,
        patient=patient,
        visit=visit,
        description=PhotoDescription(
            sop_instance_uid=uids.sop_instance_uid(KEY, "demo-anna", photo.sha256),
            series_instance_uid=uids.series_instance_uid(KEY, "v1", view),
            region=find_region(region),
            laterality=side,
            view=find_view(seen),
            expression=find_expression(expression),
            session=2,
            days_since_baseline=-1.5,
            taken=photo.camera.taken_local if taken is TAKEN else taken,
            instance_number=1,
        ),
    )
    return data, wrapped


def _frame(wrapped: WrappedPhoto) -> bytes:
    return next(generate_frames(dcmread(io.BytesIO(wrapped.file())).PixelData, number_of_frames=1))


def _errors(folder: Path, wrapped: WrappedPhoto) -> list[str]:
    """What dciodvfy holds against an object."""
    file = folder / "photo.dcm"
    write_parts(file, wrapped.parts)
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
    assert "VLPhotographicImage" in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]


@pytest.mark.parametrize("shot", KINDS.values(), ids=list(KINDS))
@pytest.mark.parametrize(
    ("region", "side"), [("cheek", Laterality.LEFT), ("nose", Laterality.BOTH), ("tear-trough", Laterality.RIGHT)]
)
def test_dciodvfy_finds_no_error(tmp_path: Path, shot: photos.Shot, region: str, side: Laterality) -> None:
    assert _errors(tmp_path, _wrap(shot, region, side)[1]) == []


def _upright(data: bytes, orientation: int) -> Image.Image:
    """The picture as EXIF's orientation means it, turned by the reader that the tests trust."""
    turned = Image.open(io.BytesIO(data)).convert("RGB")
    turned.getexif()[0x0112] = orientation
    return ImageOps.exif_transpose(turned)


def _differences(one: Image.Image, other: Image.Image) -> list[int]:
    assert one.size == other.size
    pairs = zip(one.convert("RGB").tobytes(), other.convert("RGB").tobytes(), strict=True)
    return [abs(a - b) for a, b in pairs]


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_upright_whatever_the_camera_said(orientation: int, subsampling: str) -> None:
    data, wrapped = _wrap(photos.Shot(width=93, height=61, orientation=orientation, subsampling=subsampling))
    shown = Image.open(io.BytesIO(_frame(wrapped)))
    assert shown.size == (wrapped.copy.columns, wrapped.copy.rows)
    difference = _differences(shown, _upright(data, orientation))
    assert max(difference) <= (0 if orientation == 1 else 12)
    assert sum(difference) / len(difference) < 2.5


@pytest.mark.parametrize(
    "shot",
    [photos.Shot(), photos.Shot(subsampling="4:2:2"), photos.Shot(mode="L"), photos.Shot(restart_rows=1)],
    ids=["4:2:0", "4:2:2", "grey", "restart markers"],
)
def test_a_kept_stream_has_exactly_the_pixels_of_the_file(shot: photos.Shot) -> None:
    data, wrapped = _wrap(shot)
    assert not wrapped.copy.derived
    assert max(_differences(Image.open(io.BytesIO(_frame(wrapped))), Image.open(io.BytesIO(data)))) == 0


@pytest.mark.parametrize(
    "shot", [photos.Shot(coded_rgb=True), photos.Shot(progressive=True)], ids=["coded as RGB", "progressive"]
)
def test_what_dicom_cannot_hold_is_encoded_anew_with_the_same_colours(shot: photos.Shot) -> None:
    data, wrapped = _wrap(shot)
    assert wrapped.copy.derived
    assert wrapped.attributes["00280004"]["Value"] == ["YBR_FULL_422"]
    difference = _differences(Image.open(io.BytesIO(_frame(wrapped))), Image.open(io.BytesIO(data)))
    assert max(difference) <= 12


def _whole(shot: photos.Shot) -> tuple[bytes, WrappedPhoto]:
    return _wrap(replace(shot, width=96, height=64))


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_whole_units_are_turned_without_decoding(orientation: int, subsampling: str, progressive: bool) -> None:
    data, wrapped = _whole(photos.Shot(orientation=orientation, subsampling=subsampling, progressive=progressive))
    if orientation == 1 and not progressive:
        assert not wrapped.copy.derived
        return
    assert "without decoding" in (wrapped.copy.derivation or "")
    assert [step.method for step in wrapped.copy.steps] == ["ISO_10918_1"], "nothing was lost a second time"
    back = ("-rotate", "270") if orientation == 6 else ("-rotate", "90") if orientation == 8 else _BACK[orientation]
    undone = subprocess.run(["jpegtran", *back], input=_frame(wrapped), capture_output=True, check=True).stdout
    assert max(_differences(Image.open(io.BytesIO(undone)), Image.open(io.BytesIO(data)))) == 0


_BACK = {
    1: (),
    2: ("-flip", "horizontal"),
    3: ("-rotate", "180"),
    4: ("-flip", "vertical"),
    5: ("-transpose",),
    7: ("-transverse",),
}


def test_without_jpegtran_or_whole_units_it_is_encoded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    turned = photos.Shot(orientation=6)
    assert "encoded as baseline" in (_wrap(replace(turned, height=65))[1].copy.derivation or "")
    monkeypatch.setenv("PATH", "/nowhere")
    assert "encoded as baseline" in (_whole(turned)[1].copy.derivation or "")


def test_upright_baseline_srgb_keeps_the_entropy_coded_data_bit_for_bit() -> None:
    data, wrapped = _wrap(photos.Shot(profile=photos.srgb_profile()))
    scan = data[data.index(b"\xff\xda") : data.rindex(b"\xff\xd9")]
    assert scan in _frame(wrapped)
    assert dcmread(io.BytesIO(wrapped.file())).ImageType[0] == "ORIGINAL"


def test_a_wide_gamut_becomes_srgb_and_says_so() -> None:
    _, wrapped = _wrap(photos.Shot(profile=photos.wide_profile()))
    dataset = dcmread(io.BytesIO(wrapped.file()))
    assert dataset.ImageType[0] == "DERIVED"
    assert "sRGB" in dataset.DerivationDescription
    assert list(dataset.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_10918_1"]


def test_nothing_tells_where_or_by_whom(tmp_path: Path) -> None:
    for shot in (photos.Shot(), photos.Shot(orientation=8)):
        data, wrapped = _wrap(shot)
        assert b"Secretname" in data, "the test photo itself must hold what is looked for"
        for part in (wrapped.file(), _frame(wrapped)):
            assert b"Secretname" not in part
            assert b"4711" not in part
        frame = tmp_path / "frame.jpg"
        frame.write_bytes(_frame(wrapped))
        told = subprocess.run(["exiftool", "-a", "-G", str(frame)], capture_output=True, text=True, check=True).stdout
        assert "[EXIF]" not in told
        assert "GPS" not in told
        file = tmp_path / "photo.dcm"
        write_parts(file, wrapped.parts)
        told = subprocess.run(["exiftool", "-a", "-G", str(file)], capture_output=True, check=True).stdout.decode(
            "latin-1"
        )
        assert "Phonemaker" in told, "exiftool must have read the object itself"
        for word in ("GPS", "Serial", "Owner", "Maker Note", "Secretname", "4711"):
            assert word not in told


@pytest.mark.parametrize("transform", [0, 1])
def test_an_adobe_segment_brings_nothing_but_its_transform(transform: int) -> None:
    data = photos.jpeg(photos.Shot(coded_rgb=transform == 0))
    start = data.find(b"\xff\xee\x00\x0eAdobe")
    if start > 0:
        data = data[:start] + data[start + 16 :]
    body = b"Adobe\0d\0\0\0\0" + bytes((transform,)) + b"Owner Secretname"
    long = data[:2] + b"\xff\xee" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]
    copy = viewing_copy(read_photo(long, Limits(), ZONE))
    frame = b"".join(copy.stream)
    assert b"Secretname" not in frame
    assert copy.derived == (transform == 0)
    assert max(_differences(Image.open(io.BytesIO(frame)), Image.open(io.BytesIO(long)))) <= (12 if copy.derived else 0)


@pytest.mark.parametrize("taken", [None, date(2026, 5, 3), datetime(2026, 5, 3, 10, tzinfo=ZONE)], ids=str)
def test_an_object_tells_no_time_that_nobody_told(tmp_path: Path, taken: date | None) -> None:
    _, wrapped = _wrap(photos.Shot(), visit=replace(VISIT, started=taken), taken=taken)
    assert _errors(tmp_path, wrapped) == []
    dataset = dcmread(io.BytesIO(wrapped.file()))
    times = [dataset.get(name) or "" for name in ("StudyTime", "ContentTime", "AcquisitionTime")]
    days = [dataset.get(name) or "" for name in ("StudyDate", "ContentDate", "AcquisitionDate")]
    assert times == ["100000" if isinstance(taken, datetime) else ""] * 3
    assert days == ["20260503" if taken else ""] * 3
    whole = "20260503100000+0300" if isinstance(taken, datetime) else days[0]
    assert (dataset.get("AcquisitionDateTime") or "") == whole


def test_a_name_is_written_with_its_joiners() -> None:
    _, wrapped = _wrap(photos.Shot(), patient=replace(ANNA, name="علی\u200cزاده^می\u200cنا\u202e"))
    assert str(dcmread(io.BytesIO(wrapped.file())).PatientName) == "علی\u200cزاده^می\u200cنا"


def test_the_same_file_of_the_same_patient_is_the_same_photo() -> None:
    (_, one), (_, two) = _wrap(photos.Shot()), _wrap(photos.Shot())
    assert one.file() == two.file()
    assert uids.sop_instance_uid(KEY, "a", "x") != uids.sop_instance_uid(KEY, "b", "x")
    assert uids.sop_instance_uid(KEY, "a", "x") != uids.sop_instance_uid(b"another key", "a", "x")


def test_the_index_holds_the_object_without_its_pixels() -> None:
    _, wrapped = _wrap(photos.Shot())
    assert "7FE00010" not in wrapped.attributes
    assert wrapped.attributes["00100020"]["Value"] == ["demo-anna"]
    read = read_object(wrapped.file())
    assert read.attributes == wrapped.attributes
    assert read.attributes["00380010"]["Value"] == ["v1"]


@pytest.mark.parametrize("shot", KINDS.values(), ids=list(KINDS))
def test_dcmtk_decodes_what_is_written(tmp_path: Path, shot: photos.Shot) -> None:
    _, wrapped = _wrap(shot)
    file, out = tmp_path / "photo.dcm", tmp_path / "photo.ppm"
    write_parts(file, wrapped.parts)
    subprocess.run(["dcmj2pnm", "--write-raw-pnm", str(file), str(out)], check=True, capture_output=True)
    difference = _differences(Image.open(out), Image.open(io.BytesIO(_frame(wrapped))))
    assert sum(difference) / len(difference) < 3


def test_dcmtk_finds_the_attributes_that_the_index_holds(tmp_path: Path) -> None:
    _, wrapped = _wrap(photos.Shot(), "tear-trough")
    header = bytes(wrapped.parts[0])
    file = tmp_path / "header.dcm"
    file.write_bytes(header[: header.rindex(b"\xe0\x7f\x10\x00OB")])  # dcm2json knows no encapsulated pixels
    told = subprocess.run(["dcm2json", str(file)], capture_output=True, text=True, check=True).stdout
    foreign = {tag: element for tag, element in json.loads(told).items() if not tag.startswith(("0002", "7FE0"))}
    assert foreign.keys() == wrapped.attributes.keys()
    for tag in ("00080018", "00100010", "00080008", "00280010", "0008002A", "00540220"):
        assert foreign[tag]["Value"] == wrapped.attributes[tag]["Value"]


@pytest.mark.parametrize("view", [term.name for term in terms("view")])
def test_every_view_makes_a_valid_object(tmp_path: Path, view: str) -> None:
    assert _errors(tmp_path, _wrap(photos.Shot(), seen=view)[1]) == []


@pytest.mark.parametrize("expression", [term.name for term in terms("expression")])
def test_every_expression_makes_a_valid_object(tmp_path: Path, expression: str) -> None:
    assert _errors(tmp_path, _wrap(photos.Shot(), expression=expression)[1]) == []


def test_every_region_makes_a_valid_object(tmp_path: Path) -> None:
    for region in regions():
        side = Laterality.RIGHT if region.paired else Laterality.BOTH
        assert _errors(tmp_path, _wrap(photos.Shot(), region.name, side)[1]) == [], region.name


def test_a_code_of_ours_says_which_group_it_extends() -> None:
    _, wrapped = _wrap(photos.Shot(), "tear-trough", seen="posterior")
    dataset = dcmread(io.BytesIO(wrapped.file()))
    for item, group in ((dataset.AnatomicRegionSequence[0], "4029"), (dataset.ViewCodeSequence[0], "4062")):
        assert (item.CodingSchemeDesignator, item.ContextIdentifier) == ("99PHOTOSPINE", group)
        assert item.ContextGroupExtensionFlag == "Y"
        for required in ("MappingResource", "ContextGroupVersion", "ContextGroupLocalVersion"):
            assert item.get(required), "PS3.3 Table 8.8-1 asks for it beside the flag and the identifier"
        assert item.ContextGroupExtensionCreatorUID
    assert "ContextIdentifier" not in dataset.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0]


def test_the_session_and_its_days_are_in_the_acquisition_context() -> None:
    dataset = dcmread(io.BytesIO(_wrap(photos.Shot())[1].file()))
    said = {
        item.ConceptNameCodeSequence[0].CodeValue: item.get("NumericValue") or item.ConceptCodeSequence[0].CodeValue
        for item in dataset.AcquisitionContextSequence
    }
    assert said == {"130325": "frown", "128741": "121079", "128740": -1.5, "session-number": 2}


@pytest.mark.parametrize(
    ("patient", "visit", "word"),
    [
        (PatientModule("x" * 65), VISIT, "PatientID"),
        (PatientModule("two\\values"), VISIT, "PatientID"),
        (PatientModule(""), VISIT, "PatientID"),
        (ANNA, replace(VISIT, accession_number="1" * 17), "AccessionNumber"),
        (ANNA, replace(VISIT, admission_id="line\nbreak"), "AdmissionID"),
    ],
    ids=["a long id", "a backslash", "no id", "a long accession number", "a control character"],
)
def test_an_identifier_that_does_not_fit_is_refused_by_name(
    patient: PatientModule, visit: VisitModule, word: str
) -> None:
    with pytest.raises(DescriptionRefused, match=word):
        _wrap(photos.Shot(), patient=patient, visit=visit)


def test_a_description_that_is_too_long_is_cut(tmp_path: Path) -> None:
    patient = replace(ANNA, name="O" * 100 + "^=\\\n")
    _, wrapped = _wrap(photos.Shot(), patient=patient, visit=replace(VISIT, description="d\\" * 60, institution="\n"))
    assert _errors(tmp_path, wrapped) == []
    assert len(str(dcmread(io.BytesIO(wrapped.file())).PatientName)) == 64


_REALS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


@settings(max_examples=count("EXIF facts in an object", small=25, full=2_000), deadline=None)
@given(
    text=st.text(max_size=80).map(lambda value: value.replace("\0", "")),
    real=_REALS,
    whole=st.integers(0, 65535),
    flash=st.integers(0, 65535),
)
def test_whatever_exif_says_the_object_is_valid(text: str, real: float, whole: int, flash: int) -> None:
    exif = Image.Exif()
    exif[Tag.MAKE], exif[Tag.SOFTWARE] = text, text
    detail = exif.get_ifd(Tag.DETAIL)
    for tag in (Tag.EXPOSURE_TIME, Tag.F_NUMBER, Tag.FOCAL_LENGTH, Tag.SUBJECT_DISTANCE, Tag.DIGITAL_ZOOM):
        detail[tag] = abs(real)
    detail[Tag.EXPOSURE_BIAS] = real if abs(real) < 2_000 else 0.0
    for tag in (Tag.SENSITIVITY, Tag.EXPOSURE_PROGRAM, Tag.METERING_MODE, Tag.LIGHT_SOURCE, Tag.SHARPNESS):
        detail[tag] = whole
    detail[Tag.FLASH], detail[Tag.LENS_MODEL], detail[Tag.VERSION] = flash, text, text.encode()[:4]
    out = io.BytesIO()
    photos.picture(photos.Shot()).save(out, "JPEG", exif=exif)
    photo = read_photo(out.getvalue(), Limits(), ZONE)
    described = PhotoDescription("2.25.1", "2.25.2", find_region("face"), Laterality.BOTH, find_view("frontal"))
    wrapped = wrap(photo, patient=ANNA, visit=VISIT, description=described)
    with tempfile.TemporaryDirectory() as folder:
        assert _errors(Path(folder), wrapped) == []
