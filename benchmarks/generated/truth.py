"""The truth about lots, in a file that the product never sees: who was given which, where, and how it was written.

What an advisory must find of a lot: exactly those treatments whose record bears the lot as it is printed, and as near
misses those whose record bears it with a slip. Its photos are the patient's photos that may show what was treated:
those of the area treated and of areas that the treatment's own photos show, an overview of the face showing all of the
face.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generated.photos import FACIAL, OVERVIEW, Shot
from benchmarks.generated.products import Kind, Lot
from benchmarks.generated.treatments import Given

_SCHEMA = """
CREATE TABLE IF NOT EXISTS lot (number INTEGER PRIMARY KEY, product TEXT, text TEXT, expiry TEXT) STRICT;
CREATE TABLE IF NOT EXISTS given (procedure TEXT PRIMARY KEY, patient TEXT, lot INTEGER, written TEXT, shape TEXT,
    area TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shown (document TEXT PRIMARY KEY, patient TEXT, procedure TEXT,
    area TEXT) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_given_lot ON given (lot);
CREATE INDEX IF NOT EXISTS ix_shown_patient ON shown (patient);
"""


@dataclass(frozen=True, slots=True)
class Concerned:
    """What is true of one lot: treatments by their references, patients and documents by their ids."""

    exact: frozenset[str]
    """Those whose record bears the lot as printed."""

    near: frozenset[str]
    """Those whose record bears it with a slip."""

    patients: frozenset[str]
    documents: frozenset[str]


class Truth:
    """The file."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path)
        self._file.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def tell_lots(self, lots: Mapping[Kind, Iterable[Lot]]) -> None:
        """Write the lots that are in use."""
        rows = [(lot.number, lot.product.name, lot.text, lot.expiry) for each in lots.values() for lot in each]
        with self._file:
            self._file.executemany("INSERT OR REPLACE INTO lot VALUES (?, ?, ?, ?)", rows)

    def forget_from(self, patient: str) -> None:
        """Forget a patient and all behind her: the run was ended before they were written."""
        with self._file:
            for table in ("given", "shown"):
                self._file.execute(f"DELETE FROM {table} WHERE patient >= ?", (patient,))

    def tell(self, given: Iterable[Given], shots: Iterable[Shot]) -> None:
        """Write what is true of some patients."""
        with self._file:
            self._file.executemany(
                "INSERT INTO given VALUES (?, ?, ?, ?, ?, ?)",
                [(each.procedure, each.patient, each.lot, each.written, each.shape.value, each.area) for each in given],
            )
            self._file.executemany(
                "INSERT INTO shown VALUES (?, ?, ?, ?)",
                [(shot.document, shot.patient, shot.procedure, shot.area) for shot in shots],
            )

    def lots(self) -> list[tuple[int, str]]:
        """Number and text of each lot that was given to somebody."""
        query = "SELECT number, text FROM lot WHERE number IN (SELECT lot FROM given) ORDER BY number"
        return [(row[0], row[1]) for row in self._file.execute(query)]

    def shapes(self) -> dict[str, int]:
        """How many treatments lead to their lot in each shape."""
        return dict(self._file.execute("SELECT shape, count(*) FROM given GROUP BY shape"))

    def counts(self) -> tuple[int, int, int]:
        """Photos, patients and treatments."""
        query = "SELECT (SELECT count(*) FROM shown), count(DISTINCT patient), count(*) FROM given"
        photos, patients, treatments = self._file.execute(query).fetchone()
        return photos, patients, treatments

    def of(self, lot: int) -> Concerned:
        """What is true of a lot."""
        rows = self._file.execute(
            "SELECT procedure, patient, written = text, area FROM given JOIN lot ON lot.number = given.lot "
            "WHERE given.lot = ?",
            (lot,),
        ).fetchall()
        mine: dict[str, list[tuple[str, str]]] = {}
        exact: set[str] = set()
        near: set[str] = set()
        for procedure, patient, printed, area in rows:
            (exact if printed else near).add(f"Procedure/{procedure}")
            mine.setdefault(patient, []).append((procedure, area))
        documents: set[str] = set()
        for patient, where in mine.items():
            documents |= self._documents(patient, where)
        return Concerned(frozenset(exact), frozenset(near), frozenset(mine), frozenset(documents))

    def _documents(self, patient: str, treated: list[tuple[str, str]]) -> set[str]:
        hers = self._file.execute(
            "SELECT document, procedure, area FROM shown WHERE patient = ?", (patient,)
        ).fetchall()
        procedures = {procedure for procedure, _ in treated}
        areas = {area for _, area in treated} | {area for _, procedure, area in hers if procedure in procedures}
        seen = set(areas)
        if OVERVIEW in areas:
            seen |= set(FACIAL)
        if areas & set(FACIAL):
            seen.add(OVERVIEW)
        return {document for document, _, area in hers if area in seen}
