"""The generated clinic is what ordinary writes would have made; the truth beside it is true."""

from __future__ import annotations

import tomllib
from collections import Counter
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table, select

from benchmarks.generated.courses import group
from benchmarks.generated.foundation import BASE, SITE, foundation
from benchmarks.generated.loading import SOURCE
from benchmarks.generated.making import SEED, WRITTEN, make
from benchmarks.generated.opened import Opened
from benchmarks.generated.photos import Shot
from benchmarks.generated.products import Shape, lots, misspelt
from benchmarks.generated.size import Size
from benchmarks.generated.truth import Truth
from consent import decided as answers
from consent.bits import unpacked
from consent.store import tables as facts
from consent.store.engine import reading, transaction
from consent.store.metadata import METADATA
from consent.store.photos import PhotoRow, PhotoState, save_photos
from fhir_mapping.advisory import spelling
from fhir_mapping.advisory.batch import Fit
from fhir_mapping.projections.photo import all_facts, area_of, procedure_of
from fhir_mapping.projections.written import Setting
from fhir_mapping.question import projection
from fhir_mapping.question.tables import facet_bits, facet_value, photo_values
from fhir_mapping.store.record import Made, RecordStore
from tests.database import fresh

pytestmark = pytest.mark.fast

_SIZE = Size(200)

#: What tells when and how often something was written, which differs with how many were written at once.
_OTHERWISE = {
    "patient": {"version"},
    "decided": {"patient_version"},
    "patient_state": {"valid_from"},
    "photo": {"version"},
    "site_state": {"version", "epoch"},
}

#: Facts as they were before a later write; how many there are differs likewise. Sets by numbers are compared by values.
_APART = {"facts_then", "job", "facet_value", "facet_bits", "photo_values"}


def _ordinary(url: str) -> Engine:
    """The same clinic, its resources and photos written as any are."""
    engine = fresh(url, SITE)
    store = RecordStore(SITE, clock=_clock, base=BASE)
    known = lots(_SIZE, SEED)
    for each in foundation(known):
        with transaction(engine) as connection:
            store.create(connection, each["resourceType"], each, source=SOURCE, id=each["id"])
    for number in range(_SIZE.groups):
        made = group(number, SEED, known)
        with transaction(engine) as connection:
            ready = [Made(store.prepare(each["resourceType"], each), each["id"]) for each in made.resources]
            store.write_all(connection, ready, source=SOURCE)
        with transaction(engine) as connection:
            _save(connection, made.shots)
    with transaction(engine) as connection:
        while projection.settle(connection, Setting(SITE, BASE)):
            pass
    while answers.sweep(engine, most=100):
        pass
    return engine


def _clock(_connection: Connection) -> datetime:
    return WRITTEN


def _save(connection: Connection, shots: tuple[Shot, ...]) -> None:
    told = all_facts(connection, Setting(SITE, BASE), [shot.document for shot in shots])
    for shot in shots:
        one = told[shot.document]
        row = PhotoRow(one, shot.series_uid, shot.study_uid, shot.orthanc_id, PhotoState.LINKED, area_of(one),
                       shot.view, procedure_of(one))  # fmt: skip
        save_photos(connection, [row])


@pytest.fixture(scope="module")
def clinics(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("generated")
    engines = (
        make(f"sqlite:///{folder}/quick.sqlite3", folder / "truth.sqlite3", _SIZE),
        _ordinary(f"sqlite:///{folder}/ordinary.sqlite3"),
    )
    yield (*engines, folder / "truth.sqlite3")
    for each in engines:
        each.dispose()


def _rows(connection: Connection, table: Table) -> Counter[Any]:
    left_out = _OTHERWISE.get(table.name, set())
    columns = [each for each in table.columns if each.name not in left_out]
    return Counter(tuple(row) for row in connection.execute(select(*columns)))


def _facets(connection: Connection) -> Any:
    """Photos by value, and values by photo."""
    named = {row.value: (row.facet, row.system, row.code) for row in connection.execute(select(facet_value))}
    bits = {(named[row.value], row.chunk): unpacked(row.bits) for row in connection.execute(select(facet_bits))}
    of_photos = {
        row.photo: {named[int(each)] for each in row.body.strip("[]").split(",")}
        for row in connection.execute(select(photo_values))
    }
    return bits, of_photos


def test_what_is_generated_is_what_ordinary_writes_make(clinics: tuple[Engine, Engine, Path]) -> None:
    quick, ordinary, _ = clinics
    with reading(quick) as one, reading(ordinary) as other:
        for table in METADATA.sorted_tables:
            if table.name not in _APART:
                assert _rows(one, table) == _rows(other, table), table.name
        assert _facets(one) == _facets(other)
        assert len(_rows(one, facts.photo)) == _SIZE.photos
        assert len(_rows(one, facts.decided)) > 0


def test_an_advisory_finds_what_is_true_of_each_lot(clinics: tuple[Engine, Engine, Path], tmp_path: Path) -> None:
    truth = Truth(clinics[2])
    misspelt = 0
    for number, engine in enumerate(clinics[:2]):
        clinic = Opened.of(engine, tmp_path / str(number))
        for lot, text in truth.lots():
            found, true = clinic.advisory(text), truth.of(lot)
            assert {each.id for each in found.patients} == true.patients
            treatments = [each for patient in found.patients for each in patient.treatments]
            exact = {each.reference for each in treatments if each.fit is Fit.EXACT}
            assert exact == true.exact
            assert {each.reference for each in treatments} - exact == true.near
            documents = {photo.document for patient in found.patients for photo in patient.photos}
            assert documents == {f"DocumentReference/{each}" for each in true.documents}
            misspelt += len(true.near)
        clinic.close()
    truth.close()
    assert misspelt > 0


def test_it_is_written_on_either_database_and_gone_on_with(url: str, tmp_path: Path) -> None:
    make(url, tmp_path / "truth.sqlite3", Size(100)).dispose()
    engine = make(url, tmp_path / "truth.sqlite3", _SIZE)
    truth = Truth(tmp_path / "truth.sqlite3")
    clinic = Opened.of(engine, tmp_path)
    with reading(engine) as connection:
        assert len(_rows(connection, facts.photo)) == _SIZE.photos
    for lot, text in truth.lots():
        assert {each.id for each in clinic.advisory(text).patients} == truth.of(lot).patients
    clinic.close()
    truth.close()
    engine.dispose()


def test_each_shape_leads_to_a_tenth_of_all_lots_at_least(tmp_path: Path) -> None:
    known, truth = lots(Size(10_000), SEED), Truth(tmp_path / "truth.sqlite3")
    truth.tell_lots(known)
    for number in range(30):
        made = group(number, SEED, known)
        truth.tell(made.given, made.shots)
    photos, patients, treatments = truth.counts()
    assert (photos, patients, treatments) == (3000, 150, 900)
    shapes = truth.shapes()
    assert len(shapes) == len(Shape)
    assert min(shapes.values()) >= treatments / 10
    truth.close()


def test_what_is_generated_fills_what_must_be_filled() -> None:
    filled = tomllib.loads(files("fhir_mapping.resources").joinpath("filled.toml").read_text("utf-8"))
    known = lots(_SIZE, SEED)
    made = foundation(known) + [each for number in range(210) for each in group(number, SEED, known).resources]
    missing = {
        (each["resourceType"], element)
        for each in made
        for element in filled[each["resourceType"]]
        if not any(name.startswith(element.removesuffix("[x]")) for name in each)
    }
    assert missing == set()
    assert {each["resourceType"] for each in made} == set(filled) - {"AuditEvent", "Task"}


def test_the_same_seed_gives_the_same_record() -> None:
    known = lots(_SIZE, SEED)
    assert group(3, SEED, known) == group(3, SEED, lots(_SIZE, SEED))
    assert group(3, SEED, known) != group(3, SEED + 1, known)


def test_no_two_lots_are_one_slip_apart() -> None:
    texts = [lot.text for each in lots(Size(1_000_000), SEED).values() for lot in each]
    assert len(texts) == 1200
    found: dict[str, str] = {}
    for lot in texts:
        for whole in spelling.reading(lot):
            for near in spelling.neighbourhood(whole):
                assert found.setdefault(near, lot) == lot, (near, lot)


def test_a_lot_that_is_misspelt_is_another_text() -> None:
    random = Random(1)
    for each in lots(Size(100_000), SEED).values():
        for lot in each:
            assert misspelt(random, lot.text) != lot.text
