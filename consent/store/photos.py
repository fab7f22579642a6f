"""Photos as decisions and lists read them: written when a photo is stored, linked, labelled or linked anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Connection, Row, delete, insert, select, update

from consent.codec import photo_from_json, photo_to_json
from consent.errors import ConsentError
from consent.facts import PhotoFacts
from consent.store.clock import micros_or_none
from consent.store.people import changed, ensure
from consent.store.tables import decided, photo, photo_link, photo_patient, photo_source
from consent.store.versions import lock


class PhotoState(StrEnum):
    """How far a photo has come. It only rises; only ``linked`` is ever visible."""

    ARRIVED = "arrived"
    EXAMINED = "examined"
    LINKED = "linked"


_ORDER = tuple(PhotoState)


class PhotoRefused(ConsentError):
    """A photo's row would go back, or is not there. The caller has lost track of what it stores."""


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo's row."""

    number: int
    sop_uid: str
    series_uid: str
    study_uid: str
    orthanc_id: str
    state: PhotoState
    facts: PhotoFacts


def save_photo(
    connection: Connection,
    facts: PhotoFacts,
    *,
    series_uid: str,
    study_uid: str,
    orthanc_id: str,
    state: str,
    area: str | None,
    view: str | None,
    procedure: str | None,
) -> int:
    """Write a photo's row, new or changed, and give its number.

    Parameters
    ----------
    area
        The first region shown, ``system|code``, for galleries and counts.
    procedure
        Id of the first Procedure linked.

    Raises
    ------
    PhotoRefused
        The state would go back.
    """
    lock(connection)
    values = {
        "series_uid": series_uid,
        "study_uid": study_uid,
        "orthanc_id": orthanc_id,
        "state": PhotoState(state).value,
        "document": _id(facts.document),
        "imaging_study": _id(facts.imaging_study),
        "patient": next((patient for each in _with_sources(facts) for patient in each.patients), None),
        "taken": None if facts.taken is None else micros_or_none(facts.taken.start),
        "area": area,
        "view": view,
        "procedure": procedure,
        "facts": photo_to_json(facts),
    }
    row = connection.execute(select(photo.c.photo, photo.c.state).where(photo.c.sop_uid == facts.photo)).one_or_none()
    if row is None:
        result = connection.execute(insert(photo).values(sop_uid=facts.photo, version=1, **values))
        assert result.inserted_primary_key is not None
        number = int(result.inserted_primary_key[0])
    else:
        number = row.photo
        _require_rise(facts.photo, row.state, state)
        connection.execute(update(photo).where(photo.c.photo == number).values(version=photo.c.version + 1, **values))
    _bind(connection, number, facts)
    _refresh_copies(connection, facts)
    return number


def _bind(connection: Connection, number: int, facts: PhotoFacts) -> None:
    """Rows that lead from patients, links and sources to the photo; the patients of before and after are changed."""
    former = set(connection.execute(select(photo_patient.c.patient).where(photo_patient.c.photo == number)).scalars())
    everything = list(_with_sources(facts))
    patients = {patient for each in everything for patient in each.patients}
    links = facts.links | ({facts.encounter} if facts.encounter else set())
    ensure(connection, patients)
    for table, column, wanted in (
        (photo_patient, "patient", patients),
        (photo_link, "reference", links),
        (photo_source, "source_uid", {each.photo for each in everything[1:]}),
    ):
        connection.execute(delete(table).where(table.c.photo == number))
        if wanted:
            connection.execute(insert(table), [{"photo": number, column: value} for value in sorted(wanted)])
    if not patients:
        connection.execute(delete(decided).where(decided.c.photo == number))
    changed(connection, former | patients)


def _with_sources(facts: PhotoFacts) -> Iterator[PhotoFacts]:
    yield facts
    for source in facts.sources:
        yield from _with_sources(source)


def _refresh_copies(connection: Connection, facts: PhotoFacts) -> None:
    """Copies carry the facts of what they were made from; a source that changes changes its copies."""
    copies = connection.execute(
        select(photo.c.photo, photo.c.facts)
        .join(photo_source, photo_source.c.photo == photo.c.photo)
        .where(photo_source.c.source_uid == facts.photo)
    ).all()
    for row in copies:
        former = photo_from_json(row.facts)
        fresh = _replaced(former, facts)
        if fresh != former:
            connection.execute(
                update(photo)
                .where(photo.c.photo == row.photo)
                .values(version=photo.c.version + 1, facts=photo_to_json(fresh))
            )
            _bind(connection, row.photo, fresh)


def _replaced(copy: PhotoFacts, source: PhotoFacts) -> PhotoFacts:
    return replace(
        copy,
        sources=tuple(source if each.photo == source.photo else _replaced(each, source) for each in copy.sources),
    )


def set_state(connection: Connection, sop_uid: str, state: str) -> None:
    """Let a photo rise to a state.

    Raises
    ------
    PhotoRefused
        The photo is not known, or would go back.
    """
    lock(connection)
    row = connection.execute(select(photo.c.photo, photo.c.state).where(photo.c.sop_uid == sop_uid)).one_or_none()
    if row is None:
        raise PhotoRefused(f"no photo {sop_uid} is known")
    _require_rise(sop_uid, row.state, state)
    connection.execute(
        update(photo)
        .where(photo.c.photo == row.photo)
        .values(state=PhotoState(state).value, version=photo.c.version + 1)
    )
    changed(
        connection,
        connection.execute(select(photo_patient.c.patient).where(photo_patient.c.photo == row.photo)).scalars(),
    )


def _require_rise(sop_uid: str, former: str, state: str) -> None:
    if _ORDER.index(PhotoState(state)) < _ORDER.index(PhotoState(former)):
        raise PhotoRefused(f"photo {sop_uid} is {former} and cannot become {state}")


def by_sop(connection: Connection, sop_uid: str) -> StoredPhoto | None:
    """The photo with this SOP Instance UID; None where there is none."""
    row = connection.execute(select(photo).where(photo.c.sop_uid == sop_uid)).one_or_none()
    return None if row is None else _stored(row)


def by_number(connection: Connection, number: int) -> StoredPhoto | None:
    """The photo with this number; None where there is none."""
    row = connection.execute(select(photo).where(photo.c.photo == number)).one_or_none()
    return None if row is None else _stored(row)


def _stored(row: Row[tuple[object, ...]]) -> StoredPhoto:
    return StoredPhoto(
        number=row.photo,
        sop_uid=row.sop_uid,
        series_uid=row.series_uid,
        study_uid=row.study_uid,
        orthanc_id=row.orthanc_id,
        state=PhotoState(row.state),
        facts=photo_from_json(row.facts),
    )


def _id(reference: str | None) -> str | None:
    """The id in a relative reference."""
    return None if reference is None else reference.rpartition("/")[2]
