"""Set questions over 100,000 photos, and single decisions with a durable record.

``python -m benchmarks.sets [--photos N]`` makes a clinic in a temporary SQLite file, settles its stored answers, and
measures: the gallery's count by area under PORTFOLIO (asked for: under 50 ms), the same under TREAT, a page of the
gallery, and one photo decided and recorded. At the end every photo is decided singly, and the two must agree.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Engine, insert, select

from consent.audit.chain import open_chain
from consent.audit.read import Archive
from consent.audit.verify import verify
from consent.codec import directive_to_json
from consent.decided import decide_all, stored_purposes, write
from consent.decision import decide
from consent.directive import Data, Directive, Label, Reach, Region, Rule, Span
from consent.facts import PhotoFacts
from consent.service import DecisionPoint
from consent.site import Site
from consent.store.clock import micros
from consent.store.engine import reading, transaction
from consent.store.load import Loader
from consent.store.photos import PhotoRow, PhotoState, save_photos
from consent.store.tables import directive, patient, patient_state, photo
from consent.types import Effect, Obligation, Request, Requester
from tests.database import fresh

PHOTOS = 100_000
EACH = 20
AREAS = tuple(f"urn:photospine:region|area{number}" for number in range(12))
SITE = Site(channels=frozenset({"instagram"}))
CLINICIAN = Requester("d", ("TREAT",), reference="Practitioner/d")
MARKETING = Requester("m", ("PORTFOLIO",), reference="Practitioner/m")
ALL = frozenset(Obligation)
_TAKEN = datetime(2026, 5, 3, 7, tzinfo=UTC)
_BIRTH = datetime(1980, 1, 1, tzinfo=UTC)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=PHOTOS)
    photos: int = parser.parse_args(arguments).photos
    with tempfile.TemporaryDirectory() as folder:
        engine = _clinic(Path(folder), photos)
        portfolio, treat = Request(MARKETING, "PORTFOLIO"), Request(CLINICIAN, "TREAT")
        chain = open_chain("sqlite:///x", Path(folder) / "audit", "bench", "wall")
        point = DecisionPoint(engine, chain, "wall")
        asked = {
            "count by area, PORTFOLIO": _milliseconds(lambda: _counts(engine, point, portfolio)),
            "count by area, TREAT": _milliseconds(lambda: _counts(engine, point, treat)),
            "page of 60 of one area, PORTFOLIO": _milliseconds(lambda: _page(engine, point, portfolio)),
            "page of 60 of one area, TREAT": _milliseconds(lambda: _page(engine, point, treat)),
        }
        uids = _shuffled(engine)[:2000]
        for uid in uids:
            point.photo(treat, uid, route="warm", fulfils=ALL)
        asked["one photo, decided and recorded on the disk"] = _each(
            uids, lambda uid: point.photo(treat, uid, route="r", fulfils=ALL)
        )
        chain.close()
        recorded = verify(Archive(engine, Path(folder) / "audit")).chains == {"bench/wall/0": 2 * len(uids)}
        agree = all(_agrees(engine, point, request) for request in (portfolio, treat))
        engine.dispose()
    _report(photos, asked, agree)
    return 0 if agree and recorded else 1


def _report(photos: int, asked: dict[str, _Times], agree: bool) -> None:
    slowest = max(times.median for question, times in asked.items() if question.startswith("count"))
    print(f"## Questions about {photos:,} photos\n")
    print(f"{photos // EACH:,} patients, SQLite, all answers settled; one question after the other.\n")
    print("| question | median, ms | 95th percentile, ms |\n|---|---:|---:|")
    for question, times in asked.items():
        print(f"| {question} | {times.median:.2f} | {times.p95:.2f} |")
    print(f"\nThe counts {'are' if agree else '**are not**'} those of deciding every photo by itself.")
    print(f"\n**{slowest:.0f} ms for the slower count** (to reach: under 50).")


@dataclass(frozen=True, slots=True)
class _Times:
    """Milliseconds."""

    median: float
    p95: float


def _clinic(folder: Path, photos: int) -> Engine:
    """Patients with 20 photos each; a fifth permits the portfolio, some deny one photo for treatment."""
    engine = fresh(f"sqlite:///{folder}/bench.sqlite3", SITE)
    random = Random(1)
    purposes = stored_purposes(SITE)
    people = photos // EACH
    for start in range(0, people, 500):
        names = [f"p{number}" for number in range(start, min(start + 500, people))]
        with transaction(engine) as connection:
            birth = {"birth_start": micros(_BIRTH), "birth_end": micros(_BIRTH + timedelta(days=1))}
            connection.execute(
                insert(patient), [{"patient": name, "version": 1, "survivor": name, **birth} for name in names]
            )
            connection.execute(
                insert(patient_state),
                [
                    {"patient": name, "purpose": each, "stale": True, "live": False, "valid_from": 0, "epoch": 0}
                    for name in names
                    for each in purposes
                ],
            )
            facts = [_photo(random, name, number) for name in names for number in range(EACH)]
            save_photos(connection, [_row(random, each) for each in facts])
            signed = [each for name in names for each in _signed(random, name)]
            connection.execute(
                insert(directive),
                [
                    {"consent": each.consent, "patient": each.patient, "version": 1, "body": directive_to_json(each)}
                    for each in signed
                ],
            )
            for name in names:
                write(connection, decide_all(connection, name))
    return engine


def _photo(random: Random, name: str, number: int) -> PhotoFacts:
    uid = f"2.25.{random.getrandbits(120)}"
    area = random.choice(AREAS)
    return PhotoFacts(
        photo=uid,
        patients=(name,),
        known_since={name: _TAKEN},
        document=f"DocumentReference/{name}-{number}",
        imaging_study=f"ImagingStudy/{name}",
        encounter=f"Encounter/{name}",
        links=frozenset({f"Encounter/{name}", f"Procedure/{name}"}),
        treatment=True,
        author="Practitioner/d",
        custodian="Organization/clinic",
        taken=Span(_TAKEN, _TAKEN + timedelta(seconds=1)),
        regions=(Region(area),),
        labels=(Label("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N"),),
    )


def _row(random: Random, facts: PhotoFacts) -> PhotoRow:
    name = facts.patients[0]
    return PhotoRow(
        facts=facts,
        series_uid=f"{facts.photo}.1",
        study_uid=f"2.25.{name[1:]}",
        orthanc_id=f"{random.getrandbits(160):040x}",
        state=PhotoState.LINKED,
        area=facts.regions[0].code,
        view="frontal",
        procedure=name,
    )


def _signed(random: Random, name: str) -> list[Directive]:
    found = []
    if random.random() < 0.2:
        found.append(_consent(f"{name}-a", name, Effect.PERMIT, "PORTFOLIO", None))
    if random.random() < 0.1:
        one = (Data(Reach.PHOTO, f"DocumentReference/{name}-3"),)
        found.append(_consent(f"{name}-b", name, Effect.DENY, "TREAT", one))
    return found


def _consent(identity: str, name: str, effect: Effect, purpose: str, data: tuple[Data, ...] | None) -> Directive:
    moment = _TAKEN + timedelta(days=1)
    return Directive(
        consent=identity,
        version=1,
        patient=name,
        scope="patient-privacy",
        status="active",
        signed=Span(moment, moment + timedelta(seconds=1)),
        performers=(f"Patient/{name}",),
        organizations=("Organization/clinic",),
        root=Rule("provision", effect, frozenset({purpose}), data=data),
    )


def _counts(engine: Engine, point: DecisionPoint, request: Request) -> dict[Any, int]:
    with reading(engine) as connection:
        return point.permitted(connection, request, fulfils=ALL).counts(photo.c.area)


def _page(engine: Engine, point: DecisionPoint, request: Request) -> list[int]:
    with reading(engine) as connection:
        may = point.permitted(connection, request, fulfils=ALL)
        number = photo.c.photo
        query = select(number).where(photo.c.area == AREAS[3], may.clause(number)).order_by(number.desc()).limit(60)
        return list(connection.execute(query).scalars())


def _agrees(engine: Engine, point: DecisionPoint, request: Request) -> bool:
    with reading(engine) as connection:
        may = point.permitted(connection, request, fulfils=ALL)
        by_set = set(connection.execute(select(photo.c.photo).where(may.clause(photo.c.photo))).scalars())
        counts = may.counts(photo.c.area)
        loader = Loader(connection, request.requester)
        singly: set[int] = set()
        totals: dict[str, int] = {}
        numbers = list(connection.execute(select(photo.c.photo)).scalars())
        for start in range(0, len(numbers), 5000):
            for one in loader.photos(numbers[start : start + 5000]):
                shown = one.facts.photo
                if one.number is not None and shown is not None and decide(request, one.facts, loader.now).permitted:
                    singly.add(one.number)
                    totals[shown.regions[0].code] = totals.get(shown.regions[0].code, 0) + 1
    return by_set == singly and counts == totals


def _shuffled(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        uids = list(connection.execute(select(photo.c.sop_uid)).scalars())
    Random(2).shuffle(uids)
    return uids


def _milliseconds(question: Callable[[], object]) -> _Times:
    question()
    return _each([""] * 15, lambda _: question())


def _each(items: list[str], question: Callable[[str], object]) -> _Times:
    times = []
    for item in items:
        started = time.perf_counter()
        question(item)
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    return _Times(statistics.median(times), times[int(len(times) * 0.95)])


if __name__ == "__main__":
    raise SystemExit(main())
