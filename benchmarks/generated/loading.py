"""Many resources at once: what a write does for one, done for thousands by the statements of one.

Versions, index, references, lots, outcomes, photos and their facets are written by the product's own code. What a write
does for each resource by itself, because what was there before it may change with it, is done here in sets, since
nothing was there: patients, care teams, Consents' directives. A test holds the rows against those of ordinary writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, update

from benchmarks.generated.foundation import BASE, SITE
from benchmarks.generated.photos import Shot
from consent.codec import directive_to_json
from consent.decided import decide_for
from consent.decided import write_all as write_answers
from consent.store.clock import micros, micros_or_none
from consent.store.people import ensure
from consent.store.photos import PhotoRow, PhotoState, save_photos
from consent.store.tables import care_member, directive
from consent.store.tables import patient as patient_table
from fhir_mapping import dates
from fhir_mapping.outcome.project import project as outcome
from fhir_mapping.projections import consents, lots, observed, people
from fhir_mapping.projections.photo import all_facts, area_of, procedure_of
from fhir_mapping.projections.written import Setting, Written
from fhir_mapping.question import projection as facets
from fhir_mapping.search import index
from fhir_mapping.store.draft import Draft
from fhir_mapping.store.record import RecordStore
from fhir_mapping.tables import fhir_resource, fhir_version

SOURCE = "urn:example:generated"
_BIRTH = (
    update(patient_table)
    .where(patient_table.c.patient == bindparam("b_patient"))
    .values(birth_start=bindparam("b_start"), birth_end=bindparam("b_end"))
)


#: Of these there are few.
_SINGLY = (
    ("Organization", people.organization),
    ("PractitionerRole", people.members),
    ("RelatedPerson", people.related_person),
    ("Group", people.members),
    ("CareTeam", people.members),
    ("CareTeam", people.care),
)


def quick(connection: Connection) -> None:
    """Leave flushing to the operating system: a run that loses power is begun anew, and one that is ended goes on."""
    driver = connection.connection.driver_connection
    if connection.dialect.name == "sqlite" and driver is not None:
        for pragma in ("synchronous=OFF", "cache_size=-1000000", "temp_store=MEMORY"):
            driver.execute(f"PRAGMA {pragma}")


def settled(connection: Connection) -> None:
    """Have one file hold everything."""
    driver = connection.connection.driver_connection
    if connection.dialect.name == "sqlite" and driver is not None:
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def load(connection: Connection, resources: Sequence[dict[str, Any]], shots: Sequence[Shot], now: datetime) -> None:
    """Write new resources with the photos among them, everything indexed, all answers settled.

    Parameters
    ----------
    connection
        Within a transaction.
    now
        When it is written, as the record has it.
    """
    store, setting = RecordStore(SITE, base=BASE), Setting(SITE, BASE)
    drafts = [store.draft(store.own(each["resourceType"], each), each["id"], SOURCE) for each in resources]
    _keep(connection, setting, drafts, now)
    written = [_written(each, now) for each in drafts]
    by_type: dict[str, list[Written]] = {}
    for each in written:
        by_type.setdefault(each.type, []).append(each)
    _patients(connection, setting, by_type.get("Patient", ()))
    _care(connection, setting, [*by_type.get("Encounter", ()), *by_type.get("Procedure", ())])
    for kind, projection in _SINGLY:
        for each in by_type.get(kind, ()):
            projection(connection, setting, each)
    for each in by_type.get("Observation", ()):
        if "derivedFrom" in each.resource:
            outcome(connection, setting, each)
    lots.lots(connection, setting, written)
    observed.note(connection, setting, written)
    _directives(connection, setting, by_type.get("Consent", ()))
    facets.index(connection, setting, _photos(connection, setting, shots))
    write_answers(connection, decide_for(connection, [each.id for each in by_type.get("Patient", ())]))


def _keep(connection: Connection, setting: Setting, drafts: Sequence[Draft], now: datetime) -> None:
    """Versions, current rows and index, as :func:`fhir_mapping.store.draft.keep` writes those of new resources."""
    versions: list[dict[str, Any]] = []
    current: list[dict[str, Any]] = []
    extracts: list[tuple[str, str, index.Index]] = []
    for draft in drafts:
        draft.version = 1
        found = index.extract(draft.id, draft.resource, setting.site.zone, setting.base)
        extracts.append((draft.type, draft.id, found))
        row = {"type": draft.type, "id": draft.id, "version": 1, "updated": micros(now), "source": draft.source}
        row["status"] = found.status
        versions.append(row | {"body": draft.body, "received": None})
        current.append(row | {"patient": found.patient})
    connection.execute(insert(fhir_version), versions)
    connection.execute(insert(fhir_resource), current)
    for table, columns, rows in index.rows_of(extracts):
        _insert(connection, table, columns, rows)


def _insert(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    driver = connection.connection.driver_connection
    if connection.dialect.name == "sqlite" and driver is not None:  # half of the time is what stands around the driver
        named = ", ".join(f'"{each}"' for each in columns)
        driver.executemany(f"INSERT INTO {table.name} ({named}) VALUES ({', '.join('?' * len(columns))})", rows)
    elif rows:
        connection.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in rows])


def _written(draft: Draft, now: datetime) -> Written:
    return Written(draft.type, draft.id, draft.version, draft.resource, None, draft.body, now)


def _patients(connection: Connection, setting: Setting, written: Sequence[Written]) -> None:
    ensure(connection, [each.id for each in written])
    births = []
    for each in written:
        span = dates.span(each.resource["birthDate"], setting.site.zone)
        births.append({"b_patient": each.id, "b_start": micros_or_none(span.start), "b_end": micros_or_none(span.end)})
    if births:
        connection.execute(_BIRTH, births)


def _care(connection: Connection, setting: Setting, written: Sequence[Written]) -> None:
    rows = []
    for each in written:
        identity, named = people.caring(setting, each)
        rows += [{"source": each.reference, "reference": one, "patient": identity} for one in sorted(set(named))]
    if rows:
        connection.execute(insert(care_member), rows)


def _directives(connection: Connection, setting: Setting, written: Sequence[Written]) -> None:
    rows = []
    for each in written:
        reading = consents.read(connection, setting, each)
        assert reading.directive is not None, (each.id, reading.refusals)
        made = reading.directive
        rows.append(
            {
                "consent": made.consent,
                "patient": made.patient,
                "version": made.version,
                "body": directive_to_json(made),
            }
        )
    if rows:
        connection.execute(insert(directive), rows)


def _photos(connection: Connection, setting: Setting, shots: Sequence[Shot]) -> list[int]:
    facts = all_facts(connection, setting, [shot.document for shot in shots])
    return save_photos(
        connection,
        [
            PhotoRow(
                facts[shot.document],
                series_uid=shot.series_uid,
                study_uid=shot.study_uid,
                orthanc_id=shot.orthanc_id,
                state=PhotoState.LINKED,
                area=area_of(facts[shot.document]),
                view=shot.view,
                procedure=procedure_of(facts[shot.document]),
            )
            for shot in shots
        ],
    )
