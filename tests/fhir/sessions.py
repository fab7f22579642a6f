"""Sessions for the tests of treatments: written, read back, and drawn at random."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Connection

from consent.types import Laterality
from fhir_mapping.store.kinds import CLINICAL, KEPT
from fhir_mapping.store.reader import Stored
from fhir_mapping.store.record import RecordStore
from fhir_mapping.treatment.build import transaction as bundle
from fhir_mapping.treatment.elements import place, site
from fhir_mapping.treatment.read import Treated, treatments
from fhir_mapping.treatment.session import (
    Amount,
    Given,
    Implant,
    Lot,
    Machine,
    Named,
    Person,
    Place,
    Point,
    PointMap,
    Session,
    Setting,
    Use,
)
from fhir_mapping.treatment.settings import SETTINGS, known_settings
from fhir_mapping.treatment.surroundings import Surroundings
from tests.fhir.clinic import BASE

UNITS = Amount(Decimal("20"), "U", "[arb'U]")
CHEEK = Place(Named("Cheek", "http://snomed.info/sct|36141000"), Laterality.RIGHT)


def around(connection: Connection, *anchors: str) -> tuple[Treated, ...]:
    """What the record has around some references."""
    return treatments(Surroundings(connection, BASE, anchors))


def write(connection: Connection, record: RecordStore, session: Session) -> list[Stored]:
    """Write a session; the Procedure is the first."""
    entries = record.prepare_transaction(bundle(session), CLINICAL)
    return record.transaction(connection, entries, source="test")


def put(connection: Connection, record: RecordStore, *resources: dict[str, Any]) -> None:
    """Write resources under their ids."""
    for each in resources:
        record.update(connection, each["resourceType"], each["id"], each, source="test")


def _text() -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)


def amounts() -> st.SearchStrategy[Amount]:
    """Amounts with the digits that they were written with."""
    numbers = st.decimals(min_value=0, max_value=9999, places=2, allow_nan=False, allow_infinity=False)
    return st.builds(Amount, numbers, st.sampled_from(["U", "mL", "g"]), st.sampled_from(["", "mL", "[arb'U]"]))


def places() -> st.SearchStrategy[Place]:
    """Areas, as they are read back."""
    named = st.one_of(
        st.builds(Named, _text()),
        st.builds(
            Named, _text(), st.sampled_from(["http://snomed.info/sct|89545001", "urn:x|1", "urn:photospine:region|ear"])
        ),
    )
    drawn = st.builds(Place, named, st.sampled_from([None, *Laterality]))
    return drawn.map(lambda each: place(site(each)) or CHEEK)


def lots() -> st.SearchStrategy[Lot]:
    """Products in lots."""
    return st.builds(Lot, st.builds(Named, _text()), _text(), st.sampled_from(["", "2027-01", "2027-01-31"]))


def maps(photo: str) -> st.SearchStrategy[PointMap]:
    """Points on a photo."""
    edge = st.decimals(min_value=0, max_value=1, places=4)
    points = st.lists(st.builds(Point, edge, edge, st.none() | amounts()), min_size=1, max_size=5)
    return st.builds(PointMap, st.just(photo), points.map(tuple))


def sessions(photo: str, machine: str) -> st.SearchStrategy[Session]:
    """Sessions of Anna, with points on a photo and a machine on record."""
    given = st.builds(
        Given,
        lots(),
        st.sampled_from([use for use in Use if use is not Use.HOME or "MedicationStatement" in KEPT]),
        st.none() | amounts(),
        st.none() | places(),
    )
    with_points = st.builds(
        Given, lots(), st.just(Use.GIVEN), amounts(), places(), st.lists(maps(photo), max_size=2).map(tuple)
    )
    implant = st.builds(
        Implant,
        st.builds(Named, _text()),
        _text(),
        st.just(""),
        _text(),
        st.sampled_from(["", "2028-02"]),
        st.sampled_from(["", "S1"]),
        st.none() | amounts(),
    )
    codes = st.sampled_from(sorted(known_settings())).map(
        lambda code: Named(known_settings()[code].name, f"{SETTINGS}|{code}")
    )
    settings = st.builds(Setting, codes | st.builds(Named, _text()), amounts() | _text())
    machines = st.lists(settings, max_size=4).map(lambda found: (Machine("Laser one", machine, tuple(found)),))
    return st.builds(
        Session,
        st.just("anna"),
        st.builds(Named, _text()),
        st.just("2026-05-03T11:00:00+03:00"),
        st.sampled_from(["", "2026-05-03T11:30:00+03:00"]),
        st.sampled_from([None, "Encounter/v1"]),
        st.none() | st.integers(1, 30),
        st.just(()),
        st.lists(places(), max_size=2, unique=True).map(tuple),
        st.sampled_from([(), (Person("Practitioner/d", "D Doe"),)]),
        st.lists(given | with_points, max_size=3).map(tuple),
        st.lists(implant, max_size=2).map(tuple),
        st.just(()) | machines,
        st.sampled_from(["", "Tolerated well"]),
    )
