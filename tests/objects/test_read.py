"""Objects from elsewhere: read whatever their encoding, and refused where they would cost more than they are worth."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmwrite
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_bridge.errors import ObjectRefused
from dicom_bridge.objects.read import ReadObject, read_object
from dicom_bridge.objects.structure import MAX_ELEMENTS, MAX_TEXT
from dicom_bridge.query.nesting import MAX_DEPTH
from tests import photos
from tests.counts import count

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def _object() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.3.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.2", "1.2.3.3"
    dataset.PatientID, dataset.IssuerOfPatientID, dataset.AccessionNumber = "P1", "urn:x", "A1"
    dataset.AdmissionID = "V1"
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "R1", "S1"
    dataset.RequestAttributesSequence = [request]
    dataset.ImageComments = "Größe"
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.Rows = 4
    return dataset


def _file(dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.77.1.4")
    meta.MediaStorageSOPInstanceUID = UID("1.2.3.1")
    dataset.file_meta = meta
    out = io.BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def _values(attributes: Mapping[str, Any], *tags: str) -> list[Any]:
    """The one value of each."""
    return [value for tag in tags for value in attributes[tag]["Value"]]


@pytest.mark.fast
@pytest.mark.parametrize("syntax", SYNTAXES, ids=[syntax.name for syntax in SYNTAXES])
@pytest.mark.parametrize("undefined", [False, True], ids=["explicit lengths", "undefined lengths"])
def test_every_native_encoding_is_read_alike(syntax: UID, undefined: bool) -> None:
    dataset = _object()
    dataset["RequestAttributesSequence"].is_undefined_length = undefined
    dataset.RequestAttributesSequence[0].is_undefined_length_sequence_item = undefined
    dataset.add(DataElement(0x7FE00010, "OW", bytes(16)))
    read = read_object(_file(dataset, syntax))
    assert _values(read.attributes, "00100020", "00100021", "00080050", "00380010") == ["P1", "urn:x", "A1", "V1"]
    (request,) = read.attributes["00400275"]["Value"]
    assert _values(request, "00401001", "00400009") == ["R1", "S1"]
    assert _values(read.attributes, "00204000") == ["Größe"]
    assert "7FE00010" not in read.attributes


def test_what_dcmtk_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(photos.jpeg())
    file = tmp_path / "photo.dcm"
    keys = [
        "-k",
        "PatientID=P1",
        "-k",
        "AccessionNumber=A1",
        "-k",
        "RequestAttributesSequence[0].RequestedProcedureID=R1",
    ]
    subprocess.run(["img2dcm", "-vlp", str(tmp_path / "photo.jpg"), str(file), *keys], check=True, capture_output=True)
    read = read_object(file.read_bytes())
    assert _values(read.attributes, "00100020", "00080050") == ["P1", "A1"]
    assert _values(read.attributes["00400275"]["Value"][0], "00401001") == ["R1"]
    assert read.sop_class_uid == "1.2.840.10008.5.1.4.1.1.77.1.4"


@pytest.mark.fast
def test_an_element_that_breaks_its_rules_is_left_out_and_the_object_is_not() -> None:
    data = _file(_object())
    broken = data.replace(b"\x28\x00\x10\x00US\x02\x00\x04\x00", b"\x28\x00\x10\x00US\x03\x00\x04\x00\x00")
    assert broken != data
    read = read_object(broken)
    assert _values(read.attributes, "00100020") == ["P1"]
    assert "00280010" not in read.attributes


@pytest.mark.fast
@pytest.mark.parametrize("missing", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"])
def test_an_object_without_a_uid_is_refused(missing: str) -> None:
    dataset = _object()
    delattr(dataset, missing)
    with pytest.raises(ObjectRefused, match="UID"):
        read_object(_file(dataset))


@pytest.mark.fast
@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.3/4", "1.2 OR 1=1"])
def test_what_is_no_uid_is_refused(uid: str) -> None:
    data = _file(_object()).replace(b"1.2.3.2\0", uid.encode().ljust(8, b"\0")[:8])
    with pytest.raises(ObjectRefused, match="UID"):
        read_object(data)


def _nested(depth: int) -> Dataset:
    inner = Dataset()
    inner.CodeValue = "x"
    for _ in range(depth):
        outer = Dataset()
        outer.ConceptCodeSequence = [inner]
        inner = outer
    return inner


@pytest.mark.fast
@pytest.mark.parametrize("syntax", SYNTAXES, ids=[syntax.name for syntax in SYNTAXES])
def test_deep_nesting_is_refused(syntax: UID) -> None:
    dataset = _object()
    dataset.update(_nested(MAX_DEPTH - 1))
    assert _values(read_object(_file(dataset, syntax)).attributes, "00100020") == ["P1"]
    dataset.update(_nested(MAX_DEPTH))
    with pytest.raises(ObjectRefused, match="deeper"):
        read_object(_file(dataset, syntax))


@pytest.mark.fast
def test_many_elements_are_refused_wherever_they_hide() -> None:
    for hide in ("items", "unknown"):
        dataset = _object()
        data = _file(dataset)
        empty = b"\xfe\xff\x00\xe0" + bytes(4)
        value = empty * (MAX_ELEMENTS + 1)
        vr = {"items": b"SQ", "unknown": b"UN"}[hide]
        data += b"\x77\x00\x10\x10" + vr + bytes(2) + len(value).to_bytes(4, "little") + value
        with pytest.raises(ObjectRefused, match="elements"):
            read_object(data)


@pytest.mark.fast
def test_a_long_text_is_refused() -> None:
    dataset = _object()
    dataset.add(DataElement(0x00204000, "UT", "1\\" * (MAX_TEXT // 2 + 1)))
    with pytest.raises(ObjectRefused, match="text"):
        read_object(_file(dataset))


@pytest.mark.fast
def test_a_long_private_block_is_passed_over() -> None:
    dataset = _object()
    dataset.add(DataElement(0x00771010, "OB", bytes(4 * MAX_TEXT)))
    read = read_object(_file(dataset))
    assert "00771010" not in read.attributes


_BOMB = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (420 << 20, 420 << 20))
from dicom_bridge.objects.read import read_object
print(read_object(sys.stdin.buffer.read()).attributes["00100020"]["Value"][0])
"""


def test_a_deflated_object_is_inflated_no_further_than_it_is_looked_at() -> None:
    dataset = _object()
    data = _file(dataset, DeflatedExplicitVRLittleEndian)
    plain = _file(dataset)
    start = 132 + 12 + int.from_bytes(plain[140:144], "little")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflate.compress(plain[start:] + b"\xe0\x7f\x10\x00OB\0\0" + (2**31 - 2).to_bytes(4, "little"))
    for _ in range(16):
        packed += deflate.compress(bytes(2**25))
    packed += deflate.flush()
    head = 132 + 12 + int.from_bytes(data[140:144], "little")
    bomb = data[:head] + packed
    assert len(bomb) < 3 * 2**20
    done = subprocess.run([sys.executable, "-c", _BOMB], input=bomb, capture_output=True, check=False)
    assert done.stdout.strip() == b"P1", done.stderr.decode()[-500:]


@pytest.mark.fast
@settings(max_examples=count("damaged DICOM objects", small=300, full=50_000), deadline=None)
@given(
    st.sampled_from(SYNTAXES),
    st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=8)), max_size=6),
    st.floats(0, 1),
)
def test_damaged_objects_are_read_or_refused_and_nothing_else(
    syntax: UID, damage: list[tuple[float, bytes]], cut: float
) -> None:
    dataset = _object()
    dataset.ConceptCodeSequence = Sequence([_nested(3)])
    data = bytearray(_file(dataset, syntax))
    for place, value in damage:
        at = 132 + int(place * (len(data) - 132))
        data[at : at + len(value)] = value
    if cut > 0.6:
        del data[int(len(data) * cut) :]
    try:
        read = read_object(bytes(data))
    except ObjectRefused:
        return
    assert isinstance(read, ReadObject)


@pytest.mark.fast
@given(st.binary(max_size=400))
def test_any_bytes_are_no_object(data: bytes) -> None:
    with pytest.raises(ObjectRefused):
        read_object(data)
    with pytest.raises(ObjectRefused):
        read_object(bytes(128) + b"DICM" + data)
