"""Names in archives, ZIPs made while they are sent, and the directory of a medium."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from dicom_bridge.query.dicomdir import File, dicomdir
from dicom_bridge.query.folders import Folders
from dicom_bridge.query.part10 import NotPart10, transfer_syntax
from orthanc_plugin.wall.zip_stream import ZipStream

pytestmark = pytest.mark.fast

SYNTAX = "1.2.840.10008.1.2.4.50"


def _attributes(patient: str, study: int, series: int, image: int, **more: str) -> dict[str, Any]:
    values = {
        "00080016": ("UI", "1.2.840.10008.5.1.4.1.1.77.1.4"),
        "00080018": ("UI", f"2.25.9{study}{series}{image}"),
        "00080060": ("CS", "XC"),
        "00100020": ("LO", patient),
        "0020000D": ("UI", f"2.25.{study}"),
        "0020000E": ("UI", f"2.25.{study}.{series}"),
    }
    found: dict[str, Any] = {name: {"vr": vr, "Value": [value]} for name, (vr, value) in values.items()}
    found["00100010"] = {"vr": "PN", "Value": [{"Alphabetic": more.get("name", "Family^Given")}]}
    if "description" in more:
        found["00081030"] = {"vr": "LO", "Value": [more["description"]]}
    return found


@given(st.lists(st.tuples(st.text(max_size=30), st.binary(max_size=300)), max_size=8))
def test_a_zip_opens_as_what_went_in(members: list[tuple[str, bytes]]) -> None:
    made, out = ZipStream(), b""
    named = [
        (f"{number}/{name.encode('utf-8', 'replace').decode()}", body) for number, (name, body) in enumerate(members)
    ]
    named = [(name.replace("\0", "-").replace("\\", "-"), body) for name, body in named]
    for name, body in named:
        out += made.member(name, body) + body
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(out))
    out += made.end()
    found = zipfile.ZipFile(io.BytesIO(out))
    assert found.testzip() is None
    assert [(info.filename, found.read(info)) for info in found.infolist()] == named


def test_a_zip_of_more_than_four_gigabytes_and_of_many_members_opens(tmp_path: Path) -> None:
    """A hole in the file stands for what would lie between two members."""
    made, hole = ZipStream(), 5 << 30
    with (tmp_path / "large.zip").open("wb") as out:
        out.write(made.member("first", b"1") + b"1")
        out.seek(hole, io.SEEK_CUR)
        made._offset += hole
        out.write(made.member("second", b"2") + b"2" + made.end())
    found = zipfile.ZipFile(tmp_path / "large.zip")
    assert [found.read(name) for name in found.namelist()] == [b"1", b"2"]
    found.close()
    many = ZipStream()
    whole = b"".join(many.member(str(number), b"") for number in range(66_000)) + many.end()
    assert len(zipfile.ZipFile(io.BytesIO(whole)).namelist()) == 66_000


def test_names_are_safe_and_told_apart() -> None:
    folders = Folders()
    evil = _attributes("../../x", 1, 1, 1, name="..\\^/etc", description="C:\\con|<>*?")
    path = folders.place(evil)
    assert path == "x etc/C con/XC/XC000000.dcm"
    same = folders.place(_attributes("..x", 2, 1, 1, name="etc", description="C con"))
    assert same == "x etc-2/C con/XC/XC000000.dcm"
    assert folders.place(evil) == "x etc/C con/XC/XC000001.dcm"
    assert folders.place(_attributes("", 3, 1, 1, name="", description="")).startswith("Unknown Patient/Unknown Study/")


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=12, unique=True)
)
def test_a_directory_leads_to_every_file(places: list[tuple[int, int, int]]) -> None:
    files = [
        File.of(
            ("IMAGES", f"IM{number}"), SYNTAX, _attributes(f"P{one}", one * 10 + two, three, number, name="Müller^Ä")
        )
        for number, (one, two, three) in enumerate(places)
    ]
    found = dcmread(io.BytesIO(dicomdir(files)))
    records = {record.seq_item_tell: record for record in found.DirectoryRecordSequence}
    reached = []

    def walk(offset: int, above: tuple[str, ...]) -> None:
        while offset:
            record = records[offset]
            if record.DirectoryRecordType == "PATIENT":
                assert record.PatientName == "Müller^Ä"
            here = (
                *above,
                str(record.get("PatientID") or record.get("StudyInstanceUID") or record.get("SeriesInstanceUID")),
            )
            if record.DirectoryRecordType == "IMAGE":
                assert record.ReferencedTransferSyntaxUIDInFile == SYNTAX
                reached.append((tuple(record.ReferencedFileID), above))
            walk(record.OffsetOfReferencedLowerLevelDirectoryEntity, here)
            offset = record.OffsetOfTheNextDirectoryRecord

    walk(found.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity, ())
    assert sorted(path for path, _ in reached) == sorted(each.path for each in files)
    for path, above in reached:
        one, two, three = places[int(path[1][2:])]
        assert above == (f"P{one}", f"2.25.{one * 10 + two}", f"2.25.{one * 10 + two}.{three}")


def test_what_is_no_dicom_file_has_no_transfer_syntax() -> None:
    directory = dicomdir([File.of(("IMAGES", "IM0"), SYNTAX, _attributes("P", 1, 1, 1))])
    assert transfer_syntax(directory) == "1.2.840.10008.1.2.1"
    for wrong in (b"", b"x" * 500, directory[:140], directory[:132] + b"\x02\x00\x10\x00"):
        with pytest.raises(NotPart10):
            transfer_syntax(wrong)
