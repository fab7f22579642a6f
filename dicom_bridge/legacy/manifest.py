"""What a list of files says of them: CSV, one row for each file, the columns by name.

UTF-8; parted by comma, semicolon or tab. A row that cannot be read is told by its line, and its file is not imported:
what somebody meant to say of it is not guessed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dicom_bridge.errors import BridgeError
from dicom_bridge.legacy.patterns import FIELDS

COLUMNS = ("file", *FIELDS, "clinician", "photographer")
"""``file`` is the path below what is imported; the others are as options and fields of a pattern are."""

_MOST_BYTES = 256 * 2**20
_PARTED = (",", ";", "\t")
_DAY, _TIMES = "%Y-%m-%d", ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M")


class ManifestRefused(BridgeError):
    """A manifest cannot be read at all; the text names what is wrong."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is said of one file."""

    line: int
    values: Mapping[str, str]
    """By column, as it is written; without file and date, and without what is empty."""

    date: datetime | None = None
    """Aware where the row says the zone."""

    timed: bool = False
    fault: str | None = None
    """Why the row cannot be used."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is said, by file."""

    rows: dict[str, Row] = field(default_factory=dict)
    faults: tuple[tuple[int, str], ...] = ()
    """Rows that are about no file: line, and why."""


def read_manifest(data: bytes, date_format: str | None = None) -> Manifest:
    """Read a manifest.

    Parameters
    ----------
    date_format
        How its dates are written (``strptime``); None: ``2019-03-05``, or with a time ``2019-03-05 10:30``, in the
        site's zone or with its offset, ``2019-03-05T10:30:00+02:00``.

    Raises
    ------
    ManifestRefused
    """
    if len(data) > _MOST_BYTES:
        raise ManifestRefused(f"--manifest: it is larger than {_MOST_BYTES} bytes; import in parts")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ManifestRefused("--manifest: it is not UTF-8; save it so (in Excel: CSV UTF-8)") from None
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(_PARTED, key=first.count), strict=True)
    try:
        head = [each.strip().lower() for each in next(reader, [])]
        _require(head)
        rows: dict[str, Row] = {}
        faults: list[tuple[int, str]] = []
        for cells in reader:
            if any(each.strip() for each in cells):
                _add(rows, faults, reader.line_num, head, cells, date_format)
    except csv.Error as error:
        raise ManifestRefused(f"--manifest: line {reader.line_num}: it is no CSV: {error}") from None
    return Manifest(rows, tuple(faults))


def _require(head: list[str]) -> None:
    known = [each for each in head if not each.startswith("-")]
    if "file" not in known:
        raise ManifestRefused("--manifest: line 1: no column is called 'file'; the first line names the columns")
    for each in known:
        if each not in COLUMNS:
            remedy = "name it otherwise, or put - before its name to leave it out"
            raise ManifestRefused(
                f"--manifest: line 1: unknown column {each!r}; known are {', '.join(COLUMNS)}; {remedy}"
            )
        if head.count(each) > 1:
            raise ManifestRefused(f"--manifest: line 1: column {each!r} stands twice")


def _add(
    rows: dict[str, Row],
    faults: list[tuple[int, str]],
    line: int,
    head: list[str],
    cells: list[str],
    date_format: str | None,
) -> None:
    if len(cells) != len(head):
        faults.append((line, f"it has {len(cells)} cells, and there are {len(head)} columns"))
        return
    said = {name: cell.strip() for name, cell in zip(head, cells, strict=True) if not name.startswith("-")}
    name = said.pop("file").replace("\\", "/").removeprefix("./")
    written = said.pop("date", "")
    values = {column: value for column, value in said.items() if value}
    if not name:
        faults.append((line, "it names no file"))
    elif name in rows:
        former = rows[name]
        rows[name] = Row(former.line, {}, fault=f"lines {former.line} and {line} are about the same file; leave one")
    elif not written:
        rows[name] = Row(line, values)
    else:
        date, timed = _read_date(written, date_format)
        fault = None if date else f"line {line}: {written!r} is no date as it is to be written (--date-format)"
        rows[name] = Row(line, values, date, timed, fault)


def _read_date(text: str, form: str | None) -> tuple[datetime | None, bool]:
    def tried(each: str) -> datetime | None:
        try:
            return datetime.strptime(text, each)  # noqa: DTZ007  # without an offset it is in the site's zone
        except ValueError:
            return None

    if form is not None:
        return tried(form), "%H" in form
    if (day := tried(_DAY)) is not None:
        return day, False
    for each in _TIMES:
        if (moment := tried(each)) is not None:
            return moment, True
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None, False
    return (moment, True) if moment.tzinfo is not None else (None, False)


def columns_said(row: Row | None) -> Mapping[str, Any]:
    """What a row says, by column; nothing where there is none."""
    return {} if row is None else row.values
