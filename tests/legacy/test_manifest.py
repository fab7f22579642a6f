"""Lists of files, and what may be wrong with them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from dicom_bridge.legacy.manifest import ManifestRefused, read_manifest

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("parted", [",", ";", "\t"])
@pytest.mark.parametrize("before", ["", "\ufeff"])
def test_rows_are_read_by_the_names_of_columns(parted: str, before: str) -> None:
    text = before + "\r\n".join(
        parted.join(cells)
        for cells in (
            ("File", "patient", "date", "-remark"),
            ("a\\1.jpg", "P1", "2019-03-05", "x"),
            ("", "", "", ""),
            ("./2.jpg", " P2 ", "2019-03-05T10:30:00+02:00", '"two\r\nlines"'),
            ("3.jpg", "", "2019-03-05 10:30", ""),
        )
    )
    rows = read_manifest(text.encode()).rows
    assert list(rows) == ["a/1.jpg", "2.jpg", "3.jpg"]
    assert rows["a/1.jpg"].values == {"patient": "P1"}
    assert (rows["a/1.jpg"].date, rows["a/1.jpg"].timed) == (datetime.fromisoformat("2019-03-05"), False)
    assert rows["2.jpg"].values == {"patient": "P2"}
    assert rows["2.jpg"].date == datetime(2019, 3, 5, 10, 30, tzinfo=timezone(timedelta(hours=2)))
    assert (rows["3.jpg"].date, rows["3.jpg"].timed, rows["3.jpg"].values) == (
        datetime.fromisoformat("2019-03-05T10:30"),
        True,
        {},
    )


def test_a_date_format_of_ones_own() -> None:
    rows = read_manifest(b"file,date\n1.jpg,05.03.2019\n2.jpg,2019-03-05\n", "%d.%m.%Y").rows
    assert rows["1.jpg"].date == datetime.fromisoformat("2019-03-05")
    assert rows["2.jpg"].fault is not None


def test_rows_that_cannot_be_used_are_told_by_their_lines() -> None:
    found = read_manifest(b"file,patient,date\n1.jpg,P,2019-02-30\n2.jpg,P\n,P,\n3.jpg,P,\n3.jpg,Q,\n")
    assert "line 2" in (found.rows["1.jpg"].fault or "")
    assert [line for line, _ in found.faults] == [3, 4]
    assert "lines 5 and 6" in (found.rows["3.jpg"].fault or "")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "'file'"),
        (b"patient\n", "'file'"),
        (b"file,name\n", "unknown column 'name'"),
        (b"file,patient,patient\n", "twice"),
        (b"file\n\xff\n", "UTF-8"),
        (b'file,patient\n"a,b\n', "line"),
    ],
)
def test_what_is_no_manifest_says_why(data: bytes, word: str) -> None:
    with pytest.raises(ManifestRefused) as refusal:
        read_manifest(data)
    assert word in str(refusal.value)
