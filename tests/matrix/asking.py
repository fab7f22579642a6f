"""Cells of the matrix: what the judges' model and the statement of the doors expect, and whether an answer is that."""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from random import Random
from typing import Any
from urllib.parse import quote

from tests.judges import worlds as build
from tests.judges.plain import Answer, deny
from tests.matrix.clinic import Asker, Clinic
from tests.matrix.doors import DOORS, Door, Kind, Level, shape
from tests.matrix.marks import Planted, Seen
from tests.matrix.wire import Got, Wire

NOT_PLANTED = Planted(900_001, 900_001, 900_001, 900_001, b"", b"")
"""Whose identifiers look like all others, and name nothing."""

_PLACE = re.compile(r"\{(\w+)\}")
_WRONG = ("HEAD", "OPTIONS", "PATCH", "PUT", "DELETE", "POST", "PROPFIND")
_CLOSED = 0.12
"""The part of the cells that asks doors which open to nobody."""

ORIGINAL_FOR = ("HLEGAL", "HCOMPL")


@dataclass(frozen=True, slots=True)
class Cell:
    """One question of the matrix."""

    door: Door
    asker: Asker
    target: int
    """Number of the photo, series, study or patient that the path names; 0 where it names nothing."""

    site: int
    method: str
    released: frozenset[int]
    """The photos that the answer may hold, and must."""

    permitted: bool
    reasons: frozenset[str]
    state: str
    crossed: bool = False
    """The path names a photo and another photo's study."""

    compared: bool = True
    """Whether an absent photo must be answered alike; not where the asker may have the photo by another verb."""

    def __str__(self) -> str:
        crossed = " under another study" if self.crossed else ""
        return f"{self.method} {self.door.name} of {self.target}{crossed} ({self.state}) by {self.asker.name}"


class Model:
    """What each asker may have of each photo, by the plain judge, under one site's settings."""

    def __init__(self, clinic: Clinic, site: int, rows: Collection[str]) -> None:
        self.clinic, self.site = clinic, site
        self._open = {shape(row) for row in rows}
        self._answers: dict[tuple[int, int], tuple[Answer, frozenset[str]]] = {}
        self._below: dict[tuple[Level, int], list[int]] = {}
        for number, placed in clinic.photos.items():
            for level in Level:
                self._below.setdefault((level, number_at(placed.planted, level)), []).append(number)

    def offered(self, door: Door) -> bool:
        """Whether the wall answers the route at all."""
        return door.kind is not Kind.CLOSED and door.route in self._open

    def targets(self, level: Level) -> list[int]:
        """Everything that there is of a level."""
        return [number for at, number in self._below if at is level]

    def answer(self, asker: Asker, photo: int) -> tuple[Answer, frozenset[str]]:
        """The judge's answer about one photo, and what a permit obliges to."""
        key = (id(asker), photo)
        if key not in self._answers:
            placed = self.clinic.photos[photo]
            judge = self.clinic.judges[placed.case]
            if asker.account is None or not asker.understood:
                found = deny(1, "purpose-not-held")
                obligations: set[str] = set()
            else:
                request = build.ask(
                    dict(asker.account),
                    "unknown" if placed.unlinked else placed.name,
                    asker.purpose,
                    channel=asker.channel,
                    project=asker.project,
                    reason=asker.reason,
                )
                found, obligations = judge.answer(request), judge.obligations(request)
            self._answers[key] = found, frozenset(obligations)
        return self._answers[key]

    def released(self, door: Door, asker: Asker, touched: Iterable[int]) -> frozenset[int]:
        """Of the photos touched, those that the door gives to the asker."""
        if door.kind in (Kind.CLOSED, Kind.SYSTEM) or not self.offered(door):
            return frozenset()
        if door.kind is Kind.ORIGINAL and asker.purpose not in ORIGINAL_FOR:
            return frozenset()
        fulfils = {"no-identifiers"} if door.kind is Kind.PIXELS else set()
        touched = list(touched)
        if asker.purpose == "BTG" and len({self._first(photo) for photo in touched}) > 1:
            return frozenset()  # an emergency is about one patient
        found = set()
        for photo in touched:
            answer, obligations = self.answer(asker, photo)
            if answer.permit and obligations <= fulfils:
                found.add(photo)
        return frozenset(found)

    def _first(self, photo: int) -> str:
        placed = self.clinic.photos[photo]
        patients = self.clinic.cases[placed.case].photos[placed.name]["patients"]
        return str(patients[0]) if patients else ""

    def cell(self, door: Door, asker: Asker, target: int, method: str = "", *, crossed: bool = False) -> Cell:
        """The cell with what is expected of it."""
        named = self._below[door.names, target]
        parent = number_at(self.clinic.photos[named[0]].planted, door.touches)
        touched = self._below[door.touches, parent]
        released = self.released(door, asker, touched)
        refused = not released & set(named)
        if refused or crossed or method:
            released = frozenset()
        permitted = bool(released) or (door.kind is Kind.SYSTEM and asker.admin and not method)
        answers = [self.answer(asker, photo)[0] for photo in named]
        states = {self.clinic.cases[self.clinic.photos[photo].case].state for photo in named}
        return Cell(
            door,
            asker,
            target,
            self.site,
            method or door.method,
            released,
            permitted,
            frozenset(answer.reason for answer in answers),
            states.pop() if len(states) == 1 else "all",
            crossed,
            refused or crossed,
        )

    def draw(self, random: Random, number: int) -> Iterator[Cell]:
        """So many cells: most of doors that open; of a door's askers and targets more than half permits.

        What lists the whole archive is asked a third as often: its answer is the longest.
        """
        opened = [door for door in DOORS if self.offered(door)]
        closed = [door for door in DOORS if not self.offered(door)]
        few = max(1, int(number * _CLOSED) // len(closed))
        for door in random.sample(closed, min(len(closed), int(number * _CLOSED))):
            yield from self._cells(door, random, few)
        weights = [1 if door.names is Level.ALL else 3 for door in opened]
        for door, weight in zip(opened, weights, strict=True):
            yield from self._cells(door, random, _about(number * (1 - _CLOSED) * weight / sum(weights), random))

    def _cells(self, door: Door, random: Random, number: int) -> Iterator[Cell]:
        permits: list[Cell] = []
        denials: list[Cell] = []
        targets = self.targets(door.names)
        if not number:
            return
        wanted = _about(number * 0.6, random)
        for _ in range(number * 12):
            asker = random.choice(self.clinic.askers)
            target = random.choice(targets)
            if asker.home is not None and random.random() < 0.7:
                mine = [one for one in targets if self._case(door.names, one) in (asker.home, None)]
                target = random.choice(mine)
            cell = self.cell(door, asker, target)
            (permits if cell.permitted else denials).append(cell)
            if len(permits) >= wanted and len(denials) >= number:
                break
        chosen = permits[:wanted]
        chosen += denials[: number - len(chosen)]
        chosen += permits[wanted : wanted + number - len(chosen)]
        yield from chosen
        if not self.offered(door):
            return
        stated = {other.method for other in DOORS if shape(other.path) == shape(door.path)}
        verbs = [verb for verb in _WRONG if verb not in stated]
        for drawn in (denials, permits):
            for cell in random.sample(drawn, min(len(drawn), _about(number / 20, random))):
                yield self.cell(door, cell.asker, cell.target, random.choice(verbs))
        if "{study_uid}" in door.path and door.names > Level.STUDY:
            for cell in permits[: _about(number / 40, random)]:
                yield self.cell(door, cell.asker, cell.target, crossed=True)

    def _case(self, level: Level, number: int) -> int | None:
        return None if level is Level.ALL else self.clinic.photos[self._below[level, number][0]].case

    def example(self, door: Door, target: int) -> Planted:
        """Any photo of the target, for its identifiers."""
        return self.clinic.photos[self._below[door.names, target][0]].planted


class Judge:
    """Sends cells and compares the answers with what was expected."""

    def __init__(self, model: Model, port: int, patience: float = 1.0) -> None:
        self._model, self._wire, self._patience = model, Wire(port), patience
        self._finder = model.clinic.finder
        self.late = 0
        """How often a permitted photo was refused, and permitted when it was asked for again or refused for good."""

        self._absent: dict[tuple[str, str, int], tuple[int, bytes, bytes]] = {}

    def close(self) -> None:
        """Hang up."""
        self._wire.close()

    def faults(self, cell: Cell) -> list[str]:
        """What is wrong with the answer."""
        example = self._model.example(cell.door, cell.target)
        got = self.ask(cell, example)
        found = []
        if cell.permitted and got.status in (403, 503):
            # What is late is refused. A decision that refuses does so again; how often it was late is looked at too,
            # and so is what the first answer holds.
            found += [f"leak: {each}" for each in self._leaks(cell, self._finder.seen(got.head, got.body))]
            self.late += 1
            time.sleep(self._patience)
            got = self.ask(cell, example)
        seen = self._finder.seen(got.head, got.body)
        found += [f"leak: {each}" for each in self._leaks(cell, seen)]
        if cell.permitted:
            missing = list(self._missing(cell, got, seen))
            found += [f"false refusal: {each}" for each in missing]
        else:
            found += [f"not refused alike: {each}" for each in self._tells(cell, got)]
        return found

    def ask(self, cell: Cell, example: Planted) -> Got:
        """One request of a cell, naming the example or what it belongs to."""
        other = NOT_PLANTED
        if cell.crossed:
            other = next(
                placed.planted for placed in self._model.clinic.photos.values() if placed.planted.study != example.study
            )
        values = _values(example)
        if cell.crossed:
            values |= {"study_uid": other.study}
        door = cell.door
        target = quote(_filled(door.path, values), safe="/")
        if door.query:
            target += "?" + _filled(door.query, values)
        headers = dict(cell.asker.headers) | ({"Accept": door.accept} if door.accept else {})
        return self._wire.ask(cell.method, target, headers, _filled(door.body, values).encode())

    def _leaks(self, cell: Cell, seen: Seen) -> Iterator[str]:
        photos = [self._finder.planted[number] for number in cell.released]
        for what, found, allowed in (
            ("photo", seen.photos, cell.released),
            ("series", seen.series, {one.series_number for one in photos}),
            ("study", seen.studies, {one.study_number for one in photos}),
            ("patient", seen.patients, {one.patient for one in photos}),
        ):
            for number in found - allowed:
                yield f"{what} {number}"
        if cell.door.kind is Kind.PIXELS and (seen.series or seen.studies or seen.patients):
            _, obligations = self._model.answer(cell.asker, next(iter(cell.released), 1))
            if "no-identifiers" in obligations:
                yield "an identifier beside the pixels"

    def _tells(self, cell: Cell, got: Got) -> Iterator[str]:
        """Refused as what is not there: the same bytes, but for the date."""
        empty = b"".join(got.body.split()) in (b"", b"[]", b'{"Count":0}')
        if got.status < 400 and not empty:
            yield f"{got.status} {got.body[:80]!r}"
        if cell.door.names is Level.ALL or not cell.compared:
            return
        key = (cell.door.name + cell.method, cell.asker.name, cell.site)
        if key not in self._absent:
            self._absent[key] = self.ask(cell, NOT_PLANTED).same
        if got.same != self._absent[key]:
            yield f"absent is {self._absent[key]}, refused is {got.same}"[:600]

    def _missing(self, cell: Cell, got: Got, seen: Seen) -> Iterator[str]:
        door, released = cell.door, cell.released
        if got.status != 200 or not got.body:
            yield f"status {got.status}"
            return
        photos = [self._finder.planted[number] for number in released]
        shown = {Level.PHOTO: seen.photos, Level.SERIES: seen.series, Level.STUDY: seen.studies}
        for level in door.shows:
            wanted = {number_at(one, level) for one in photos}
            lacking = wanted - shown.get(level, seen.patients)
            if lacking:
                yield f"{level.name.lower()} {sorted(lacking)[:5]} of {len(wanted)} not in it"
        if door.whole and not all(one.dicom in got.body for one in photos):
            yield "not the stored object"
        if door.one_of and len(seen.photos) != 1:
            yield f"it shows {sorted(seen.photos)}"
        if door.packed:
            with zipfile.ZipFile(BytesIO(got.body)) as archive:
                kept = [archive.read(name) for name in archive.namelist()]
            if sorted(one.dicom for one in photos) != sorted(
                each for each in kept if each[128:132] == b"DICM" and b"1.2.840.10008.1.3.10" not in each[:400]
            ):
                yield f"{len(kept)} files for {len(photos)} photos"
        if door.counts:
            yield from self._miscounts(cell, json.loads(got.body))
        if door.count_of is not None:
            number = len({number_at(one, door.count_of) for one in photos})
            if json.loads(got.body) not in ({"Count": number}, number):
                yield f"count {got.body[:60]!r} instead of {number}"
        listed = json.loads(got.body) if got.body[:1] == b"[" and len(door.shows) == 1 and not door.whole else None
        if listed is not None and door.names is not Level.PHOTO:
            number = len({number_at(one, next(iter(door.shows))) for one in photos})
            if len(listed) != number:
                yield f"{len(listed)} entries instead of {number}"

    def _miscounts(self, cell: Cell, answer: list[Mapping[str, Any]]) -> Iterator[str]:
        """Attributes that count, against the photos that the asker may have of the study or series."""
        for entry in answer:
            for tag, level, of in _COUNTS:
                if tag not in entry:
                    continue
                uid = {Level.PATIENT: "00100020", Level.STUDY: "0020000D", Level.SERIES: "0020000E"}[level]
                whose = str(entry[uid]["Value"][0])
                whole = [
                    number
                    for number, placed in self._model.clinic.photos.items()
                    if whose in (placed.planted.study, placed.planted.series, placed.planted.patient_id)
                ]
                released = self._model.released(cell.door, cell.asker, whole)
                number = len({number_at(self._finder.planted[one], of) for one in released})
                if entry[tag]["Value"] != [number]:
                    yield f"{tag} is {entry[tag]['Value']} instead of {number}"


_COUNTS = (
    ("00201200", Level.PATIENT, Level.STUDY),
    ("00201202", Level.PATIENT, Level.SERIES),
    ("00201204", Level.PATIENT, Level.PHOTO),
    ("00201206", Level.STUDY, Level.SERIES),
    ("00201208", Level.STUDY, Level.PHOTO),
    ("00201209", Level.SERIES, Level.PHOTO),
)


def _about(number: float, random: Random) -> int:
    """A whole number near it, so that small parts of small counts are not always rounded up."""
    return int(number + random.random())


def number_at(one: Planted, level: Level) -> int:
    """The number of what the photo belongs to at a level."""
    return (0, one.patient, one.study_number, one.series_number, one.number)[level]


def _values(one: Planted) -> dict[str, str]:
    ids = one.ids
    return {
        "patient": ids.patient,
        "study": ids.study,
        "series": ids.series,
        "photo": ids.instance,
        "patient_id": one.patient_id,
        "study_uid": one.study,
        "series_uid": one.series,
        "sop_uid": one.sop,
        "number": str(one.number),
    }


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: values[place[1]], text)
