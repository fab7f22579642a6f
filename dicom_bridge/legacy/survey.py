"""What an import would do with each file, found out before anything is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from itertools import islice

from sqlalchemy import Connection, Engine

from consent.regions import regions
from consent.store import clock, photos
from consent.store.engine import glancing, reading
from consent.store.versions import group
from consent.types import Laterality
from dicom_bridge import ledger
from dicom_bridge.depiction import expression_of, region_of, side_of, taken_of, view_of
from dicom_bridge.errors import BridgeError, FileRefused, UnknownCode
from dicom_bridge.intake import Limits, read_photo
from dicom_bridge.ledger import State
from dicom_bridge.legacy import dating
from dicom_bridge.legacy.dating import Dated, Evidence, Source
from dicom_bridge.legacy.files import File
from dicom_bridge.legacy.manifest import Manifest, Row, columns_said
from dicom_bridge.legacy.patterns import Pattern, Said
from dicom_bridge.legacy.visits import Visits
from dicom_bridge.legacy.words import Words
from dicom_bridge.objects.likeness import Likeness, likeness
from dicom_bridge.objects.read import ReadObject, read_object
from dicom_bridge.placing import PATIENT_ID
from dicom_bridge.query.classes import PHOTO_CLASSES
from dicom_bridge.query.index import text_of
from dicom_bridge.query.nesting import Unfit, refuse_deep
from dicom_bridge.waiting import called
from fhir_mapping import references
from fhir_mapping.errors import MappingError, NotFound
from fhir_mapping.store.record import RecordStore

_AHEAD = 64
"""Files that are read ahead of the one whose turn it is."""

_SUGGESTED = 3
_PREAMBLE = 128
_STUDY_DATE = "00080020"


class Verdict(StrEnum):
    """What would be done with a file."""

    READY = "ready"
    KNOWN = "known"
    """It is a photo of this patient already."""

    DUPLICATE = "duplicate"
    """Another file of this import has the same content, and is taken."""

    LEFT = "left"
    """It is not imported; the text says why."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How an import reads what it is given."""

    patterns: tuple[Pattern, ...] = ()
    manifest: Manifest = field(default_factory=Manifest)
    words: Words = field(default_factory=Words)
    every: Mapping[str, str] = field(default_factory=dict)
    """What is said of every file that says nothing else itself, by column."""

    least: Source = Source.FOLDER_NAME
    """The worst source of a date that is believed."""

    alike: bool = False
    """Whether pictures that are nearly the same are looked for: each is decoded."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One file, and what would be done with it. Ids of the record, codes as ``system|code``."""

    file: File
    verdict: Verdict
    why: str = ""
    sha256: str = ""
    is_object: bool = False
    """It is a DICOM object, which is kept as it is."""

    patient: str = ""
    visit: str = ""
    new_visit: bool = False
    """The visit is a historical one."""

    day: date | None = None
    taken: str | None = None
    source: Source = Source.NONE
    region: str = ""
    laterality: str = ""
    view: str = ""
    expression: str | None = None
    session: int | None = None
    procedure: str | None = None
    clinician: str | None = None
    photographer: str | None = None
    notes: tuple[str, ...] = ()
    """What is not known, or said in two ways."""

    likeness: Likeness | None = field(default=None, repr=False)
    """How its picture looks, where that was asked for."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """What was read of a file itself."""

    sha256: str
    evidence: tuple[Evidence, ...] = ()
    read: ReadObject | None = None
    likeness: Likeness | None = None
    notes: tuple[str, ...] = ()


class Survey:
    """Looks at files. For one import."""

    def __init__(
        self, engine: Engine, store: RecordStore, visits: Visits, limits: Limits, wishes: Wishes, executor: Executor
    ) -> None:
        self._engine, self._store, self._visits = engine, store, visits
        self._limits, self._wishes, self._executor = limits, wishes, executor
        self._zone = store.site.zone
        self._names: dict[tuple[str, str], str | MappingError] = {}
        self._groups: dict[str, frozenset[str]] = {}
        with glancing(engine) as connection:
            self._now = clock.now(connection)

    def look(self, files: Iterable[File], told: Callable[[Candidate], None]) -> list[Candidate]:
        """What would be done with each file; those that the manifest names in vain, at the end."""
        found: list[Candidate] = []
        named: set[str] = set()
        for file, opened in self._opened(files):
            with reading(self._engine) as connection:
                candidate = self._judge(connection, file, opened)
            named.add(file.name)
            found.append(candidate)
            told(candidate)
        for name, row in self._wishes.manifest.rows.items():
            if name not in named:
                missing = File(name, 0, None, lambda: b"")
                why = row.fault or f"line {row.line} of the manifest names it, and there is no such file"
                found.append(Candidate(missing, Verdict.LEFT, why))
        return _without_duplicates(found)

    def _opened(self, files: Iterable[File]) -> Iterator[tuple[File, _Opened | BridgeError]]:
        """Each file read, several ahead of the one that is given."""
        waiting = iter(files)
        running = [(file, self._executor.submit(self._open, file)) for file in islice(waiting, _AHEAD)]
        while running:
            file, future = running.pop(0)
            for more in islice(waiting, 1):
                running.append((more, self._executor.submit(self._open, more)))
            yield file, future.result()

    def _open(self, file: File) -> _Opened | BridgeError:
        if file.fault is not None:
            return FileRefused("file", file.fault)
        try:
            data = file.read()
            if data[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
                return self._open_object(data)
            photo = read_photo(data, self._limits, self._zone)
        except BridgeError as error:
            return error
        said, local = dating.of_camera(photo.camera, self._zone, self._now), photo.camera.taken_local
        seen = likeness(photo) if self._wishes.alike else None
        to_come = said is None and local is not None and dating.to_come(local, self._zone, self._now)
        notes = (f"the camera says {local.date()}, which is still to come",) if to_come and local is not None else ()
        return _Opened(photo.sha256, () if said is None else (said,), likeness=seen, notes=notes)

    def _open_object(self, data: bytes) -> _Opened:
        try:
            refuse_deep(data)
        except Unfit as error:
            raise FileRefused("file", str(error)) from None
        read = read_object(data)
        if read.sop_class_uid not in PHOTO_CLASSES:
            raise FileRefused("file", "it is a DICOM object, and no photo; send it to the archive by STOW-RS")
        if not read.has_picture:
            raise FileRefused("file", "it is a DICOM object without a picture")
        return _Opened(hashlib.sha256(data).hexdigest(), tuple(self._of_object(read)), read)

    def _of_object(self, read: ReadObject) -> Iterator[Evidence]:
        study = text_of(read.attributes, _STUDY_DATE)
        for text in (taken_of(read.attributes, self._zone), f"{study[:4]}-{study[4:6]}-{study[6:]}"):
            try:
                moment = datetime.fromisoformat(text or "")
            except ValueError:
                continue
            timed = "T" in (text or "")
            said = dating.of_moment(Source.OBJECT, moment, timed=timed, zone=self._zone, now=self._now)
            if said is not None:
                yield said

    # --- one file ---------------------------------------------------------------------------------------------------

    def _judge(self, connection: Connection, file: File, opened: _Opened | BridgeError) -> Candidate:
        row = self._wishes.manifest.rows.get(file.name)
        if row is not None and row.fault is not None:
            return Candidate(file, Verdict.LEFT, row.fault)
        if isinstance(opened, BridgeError):
            return Candidate(file, Verdict.LEFT, str(opened))
        path = next((read for each in self._wishes.patterns if (read := each.read(file.name)) is not None), None)
        said = {**self._wishes.every, **({} if path is None else path.values), **columns_said(row)}
        if (fault := self._misdated(row, path)) is not None:
            return Candidate(file, Verdict.LEFT, fault, sha256=opened.sha256)
        when = self._dated(file, opened, row, path)
        base = Candidate(
            file,
            Verdict.READY,
            sha256=opened.sha256,
            is_object=opened.read is not None,
            day=when.day,
            taken=when.taken,
            source=when.source,
            notes=(*opened.notes, *_told(when)),
            likeness=opened.likeness,
        )
        try:
            patient = self._patient(connection, said.get("patient"), opened.read)
            base = self._shown(replace(base, patient=patient), said, opened.read)
            return self._known(connection, self._placed(connection, base, said), opened)
        except (MappingError, FileRefused) as error:
            if not base.patient and self._is_somebodys(connection, base.sha256):
                return replace(base, verdict=Verdict.KNOWN)
            return replace(base, verdict=Verdict.LEFT, why=str(error))

    def _misdated(self, row: Row | None, path: Said | None) -> str | None:
        """What is wrong with a day that somebody states: it is not passed over, but has to be corrected."""
        stated = [
            ("" if row is None else f"line {row.line} of the manifest", None if row is None else row.date),
            ("its path", None if path is None or (row is not None and row.date is not None) else path.date),
        ]
        for where, moment in stated:
            if moment is not None and not dating.possible(moment, self._zone, self._now):
                return f"{where} says {moment.date()}, and no photo is of such a day"
        return None

    def _dated(self, file: File, opened: _Opened, row: Row | None, path: Said | None) -> Dated:
        evidence = [*opened.evidence, *dating.of_path(file.name, self._zone, self._now)]
        stated = [
            (Source.MANIFEST, None if row is None else row.date, row is not None and row.timed),
            (Source.PATTERN, None if path is None else path.date, path is not None and path.timed),
            (Source.FILE_TIME, file.modified, True),
        ]
        for source, moment, timed in stated:
            if moment is None:
                continue
            said = dating.of_moment(source, moment, timed=timed, zone=self._zone, now=self._now)
            if said is not None:
                evidence.append(said)
        return dating.dated(evidence, self._wishes.least)

    def _patient(self, connection: Connection, word: str | None, read: ReadObject | None) -> str:
        """Whose photo it is, for certain.

        Raises
        ------
        FileRefused
            Nobody says, or what is said names nobody, or several.
        """
        number = "" if read is None else text_of(read.attributes, PATIENT_ID)
        if word is None and not number:
            raise FileRefused("patient", "nothing says whose photo it is; say it by --pattern, --manifest or --patient")
        try:
            found = self._find(connection, "Patient", self._wishes.words.patient(word or number))
            if read is not None and (not number or self._find(connection, "Patient", number) != found):
                raise FileRefused("patient", "its Patient ID names another patient than path or manifest; see which")
        except MappingError as error:
            raise FileRefused("patient", f"{error}{self._perhaps(connection, word or number)}") from None
        return found

    def _perhaps(self, connection: Connection, word: str) -> str:
        """Patients who are called so: a suggestion, and never more."""
        listed = sorted(called(connection, self._store, word))[:_SUGGESTED]
        return f" Perhaps {', '.join(f'Patient/{each}' for each in listed)}." if listed else ""

    def _find(self, connection: Connection, kind: str, word: str) -> str:
        key = (kind, word)
        if key not in self._names:
            try:
                self._names[key] = self._store.find(connection, kind, word)
            except MappingError as error:
                self._names[key] = error
        found = self._names[key]
        if isinstance(found, MappingError):
            raise found
        return found

    def _shown(self, base: Candidate, said: Mapping[str, str], read: ReadObject | None) -> Candidate:
        """What the photo shows, as far as that is said in words that are known."""
        words, notes, found = self._wishes.words, list(base.notes), {}
        if read is not None:  # it says so itself, and is kept as it is
            region, side, view = region_of(read.attributes), side_of(read.attributes), view_of(read.attributes)
            expression = expression_of(read.attributes)
            found = {
                "region": "" if region is None else region.code,
                "side": "" if side is None else side.value,
                "view": "" if view is None else view.code,
                "expression": "" if expression is None else expression.code,
            }
        else:
            finders = {"region": words.region, "side": words.side, "view": words.view, "expression": words.expression}
            for name, find in finders.items():
                try:
                    found[name] = find(said[name]) if said.get(name) else ""
                except UnknownCode as error:
                    notes.append(str(error).partition(";")[0])
                    found[name] = ""
        region_here = regions().by_code(found["region"]) if found["region"] else None
        if read is None and region_here is not None and not region_here.paired and not found["side"]:
            found["side"] = Laterality.BOTH.value  # it has no sides, so nothing is guessed
        notes += [f"{name} unknown" for name in ("region", "view") if not found[name]]
        if region_here is not None and region_here.paired and not found["side"]:
            notes.append("side unknown")
        return replace(
            base,
            region=found["region"],
            laterality=found["side"],
            view=found["view"],
            expression=found["expression"] or None,
            notes=tuple(notes),
        )

    def _placed(self, connection: Connection, base: Candidate, said: Mapping[str, str]) -> Candidate:
        """The visit and the treatment that it is of.

        Raises
        ------
        FileRefused, MappingError
        """
        session = said.get("session", "")
        if session and not (session.isascii() and session.isdigit() and 0 < int(session) < 1 << 31):
            raise FileRefused("session", f"{session!r} is no number of a session")
        named = {
            column: f"Practitioner/{self._find(connection, 'Practitioner', said[column])}"
            for column in ("clinician", "photographer")
            if said.get(column)
        }
        procedure = self._find(connection, "Procedure", said["treatment"]) if said.get("treatment") else None
        if said.get("visit"):
            visit = self._find(connection, "Encounter", said["visit"])
        elif procedure is not None and (done := self._visit_of(connection, procedure)) is not None:
            visit = done
        else:
            stay = self._visits.of_day(connection, base.patient, base.day)
            base = replace(base, patient=stay.patient, new_visit=stay.made)
            visit = stay.visit
        if not base.new_visit:
            encounter = self._store.read(connection, "Encounter", visit).json()
            subjects = {references.id_of(each) for each in references.local_of(encounter, self._store.base, "subject")}
            hers = subjects & self._group(connection, base.patient)
            if len(hers) != 1:
                raise FileRefused("visit", f"Encounter/{visit} is not a visit of Patient/{base.patient}")
            base = replace(base, patient=hers.pop())
        return replace(
            base,
            visit=visit,
            session=int(session) if session else None,
            procedure=procedure,
            clinician=named.get("clinician"),
            photographer=named.get("photographer"),
        )

    def _group(self, connection: Connection, patient: str) -> frozenset[str]:
        """All records of the person whose record this is; whatever is merged during an import, the next one sees."""
        if patient not in self._groups:
            self._groups[patient] = frozenset(group(connection, [patient]))
        return self._groups[patient]

    def _visit_of(self, connection: Connection, procedure: str) -> str | None:
        try:
            resource = self._store.read(connection, "Procedure", procedure).json()
        except NotFound:
            return None
        named = references.local_of(resource, self._store.base, "encounter")
        return next((references.id_of(each) for each in named if each.startswith("Encounter/")), None)

    @staticmethod
    def _is_somebodys(connection: Connection, sha256: str) -> bool:
        """Whether a file of which nobody says whose it is was placed before."""
        return any(entry.state is State.DONE for entry in ledger.by_file(connection, sha256))

    def _known(self, connection: Connection, base: Candidate, opened: _Opened) -> Candidate:
        """Whether the archive has it already."""
        if opened.read is not None:
            there = photos.by_sop(connection, opened.read.sop_instance_uid)
            linked = there is not None and there.facts.document is not None
            return replace(base, verdict=Verdict.KNOWN) if linked else base
        entries = ledger.by_file(connection, base.sha256)
        hers = self._group(connection, base.patient)
        if any(entry.patient in hers and entry.state is State.DONE for entry in entries):
            return replace(base, verdict=Verdict.KNOWN)
        if any(entry.patient not in hers and entry.state is not State.ABANDONED for entry in entries):
            raise FileRefused("patient", "the same file is known as another patient's photo; see whose it is")
        return base


def _told(when: Dated) -> Iterator[str]:
    if when.day is None:
        yield "date unknown"
    for each in when.others:
        if each.source is not Source.FILE_TIME or when.day is None:
            yield f"{each.source} says {each.day.isoformat()}"


def _without_duplicates(found: Sequence[Candidate]) -> list[Candidate]:
    """Of files with the same content the one is taken of which most is known; of two patients, none is."""
    alike: dict[str, list[Candidate]] = {}
    for each in found:
        if each.sha256:
            alike.setdefault(each.sha256, []).append(each)
    chosen: dict[str, Candidate] = {}
    torn: set[str] = set()
    for digest, group_ in alike.items():
        if len({each.patient for each in group_ if each.patient}) > 1:
            torn.add(digest)
        chosen[digest] = min(group_, key=_rank)
    return [_against(each, chosen, torn) for each in found]


def _rank(each: Candidate) -> tuple[bool, bool, int, int]:
    verdicts = (Verdict.KNOWN, Verdict.READY)
    return (
        each.verdict not in verdicts,
        each.verdict is not Verdict.KNOWN,
        tuple(Source).index(each.source),
        len(each.notes),
    )


def _against(each: Candidate, chosen: Mapping[str, Candidate], torn: set[str]) -> Candidate:
    best = chosen.get(each.sha256)
    if best is None or each.verdict is Verdict.KNOWN:
        return each
    if each.sha256 in torn and each.patient:
        return replace(
            each, verdict=Verdict.LEFT, why="patient: the same file stands under two patients; see whose it is"
        )
    if each is not best and best.verdict is not Verdict.LEFT:
        return replace(each, verdict=Verdict.DUPLICATE, why=f"the same content as {best.file.name}")
    return each
