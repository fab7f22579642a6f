"""Folders and ZIPs, those that hold what they should and those that do not."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from dicom_bridge.errors import FileRefused
from dicom_bridge.legacy.files import File, SourceRefused, files_of
from tests.legacy.making import folder, zipped

pytestmark = pytest.mark.fast

LIMIT = 1_000_000


def _found(place: Path, limit: int = LIMIT) -> dict[str, File]:
    return {each.name: each for each in files_of(place, limit)}


def test_a_folder_and_the_zips_in_it_are_one_list(tmp_path: Path) -> None:
    place = folder(
        tmp_path / "old",
        {"b/2.jpg": b"two", "a/1.jpg": b"one", "a/.hidden": b"", "a/Thumbs.db": b"", "__MACOSX/x": b""},
    )
    zipped(place / "c.zip", {"d/3.jpg": b"three", "__MACOSX/._3.jpg": b""})
    (place / "link.jpg").symlink_to(place / "a/1.jpg")
    found = _found(place)
    assert list(found) == ["a/1.jpg", "b/2.jpg", "c.zip/d/3.jpg", "link.jpg"]
    assert [found[name].read() for name in list(found)[:3]] == [b"one", b"two", b"three"]
    assert "it is a link" in (found["link.jpg"].fault or "")
    assert found["c.zip/d/3.jpg"].modified is not None


@pytest.mark.parametrize("name", ["../up.jpg", "/root.jpg", "a/../../b.jpg", "a\\b.jpg", "C:/x.jpg"])
def test_a_name_that_leads_out_of_a_zip_is_refused(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "x.zip", {"good.jpg": b"good", "odd": b"odd"})
    if "\\" in name:  # the module that packs would mend it
        path.write_bytes(path.read_bytes().replace(b"odd", b"a\\b"))
    else:
        zipped(path, {"good.jpg": b"good", name: b"odd"})
    found = _found(path)
    (odd,) = (each for each in found.values() if each.name != "good.jpg")
    assert "leads out" in (odd.fault or "")
    with pytest.raises(FileRefused):
        odd.read()
    assert found["good.jpg"].read() == b"good"


def test_a_zip_within_a_zip_is_refused(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"1.jpg": b"one"}).read_bytes()
    found = _found(zipped(tmp_path / "outer.zip", {"a.zip": inner}))
    assert "ZIP within a ZIP" in (found["a.zip"].fault or "")


def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    found = _found(zipped(tmp_path / "b.zip", {"0.jpg": bytes(LIMIT), "big.jpg": bytes(2 * LIMIT)}))
    assert "packed further" in (found["0.jpg"].fault or "")
    assert "larger" in (found["big.jpg"].fault or "")


def test_a_zip_that_lies_of_a_size_is_not_believed(tmp_path: Path) -> None:
    data = zipped(tmp_path / "l.zip", {"1.jpg": bytes(range(256)) * 40}).read_bytes()
    (tmp_path / "l.zip").write_bytes(data.replace(struct.pack("<I", 10240), struct.pack("<I", 10)))
    (one,) = _found(tmp_path / "l.zip").values()
    with pytest.raises(FileRefused):
        one.read()


def test_files_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "s.zip", {"1.jpg": b"one" * 50, "2.jpg": b"two" * 50})
    data = bytearray(path.read_bytes())
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = bytes(4)  # its place becomes that of the first
    path.write_bytes(data)
    with pytest.raises(SourceRefused, match="share"):
        _found(path)


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x05\x06" + bytes(4), b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_zip_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(SourceRefused):
        _found(tmp_path / "x.zip")
    place = folder(tmp_path / "f", {"x.zip": data, "1.jpg": b"one"})
    found = _found(place)
    assert found["x.zip"].fault is not None
    assert found["1.jpg"].read() == b"one"


def test_a_list_of_files_without_end_is_not_read(tmp_path: Path) -> None:
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 9, 9, 65 * 2**20, 0, 0)
    (tmp_path / "x.zip").write_bytes(end)
    with pytest.raises(SourceRefused, match="list of its files"):
        _found(tmp_path / "x.zip")


def test_an_encrypted_file_is_told(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("1.jpg", b"one")
    data = bytearray(out.getvalue())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + offset] |= 1
    (tmp_path / "e.zip").write_bytes(data)
    (one,) = _found(tmp_path / "e.zip").values()
    assert "encrypted" in (one.fault or "")


def test_a_file_is_never_read_further_than_may_be(tmp_path: Path) -> None:
    path = tmp_path / "1.jpg"
    path.write_bytes(bytes(10))
    (one,) = files_of(path, 20)
    path.write_bytes(bytes(30))
    with pytest.raises(FileRefused):
        one.read()


def test_a_source_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="gone"):
        _found(tmp_path / "gone")
