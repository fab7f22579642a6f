"""Photos as decisions and lists read them: written when a photo is stored, linked, labelled or linked anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from consent.codec import photo_from_json, photo_to_json
from consent.errors import ConsentError
from consent.facts import PhotoFacts
from consent.store import rows_of_bits
from consent.store.clock import micros_or_none
from consent.store.history import results_are_read, supersede_patients, supersede_photos
from consent.store.people import changed, ensure
from consent.store.tables import (
    decided,
    decided_bits,
    photo,
    photo_due,
    photo_facts,
    photo_link,
    photo_patient,
    photo_source,
)
from consent.store.versions import lock
from consent.store.write import among, insert_missing


class PhotoState(StrEnum):
    """How far an object has come. It only rises; of photos only ``linked`` is ever visible."""

    ARRIVED = "arrived"
    OTHER = "other"
    """It is no photo; a site may open such objects (``other_objects``)."""

    EXAMINED = "examined"
    LINKED = "linked"
    REJECTED = "rejected"
    """It said something wrong of the photo, and another instance took its place: nobody sees it any more."""


_ORDER = tuple(PhotoState)


class PhotoRefused(ConsentError):
    """A photo's row would go back. The caller has lost track of what it stores."""


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


@dataclass(frozen=True, slots=True)
class PhotoRow:
    """What is written of a photo; see :func:`save_photo`."""

    facts: PhotoFacts
    series_uid: str
    study_uid: str
    orthanc_id: str
    state: str
    area: str | None
    view: str | None
    procedure: str | None


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
    row = PhotoRow(facts, series_uid, study_uid, orthanc_id, state, area, view, procedure)
    return save_photos(connection, [row])[0]


def save_photos(connection: Connection, rows: Sequence[PhotoRow]) -> list[int]:
    """Write several photos' rows, new or changed, by the statements of one; their numbers, in order.

    Raises
    ------
    PhotoRefused
        A state would go back.
    """
    lock(connection)
    uids = [row.facts.photo for row in rows]
    known = _numbers(connection, uids)
    fresh = [row for row in rows if row.facts.photo not in known]
    if fresh:
        connection.execute(insert(photo), [{"sop_uid": row.facts.photo, "version": 1} | _values(row) for row in fresh])
        known_now = _numbers(connection, uids)
        connection.execute(
            insert(photo_facts),
            [{"photo": known_now[row.facts.photo][0], "body": photo_to_json(row.facts)} for row in fresh],
        )
    else:
        known_now = known
    _supersede(connection, {known[row.facts.photo][0]: row for row in rows if row.facts.photo in known}, rows)
    for row in rows:
        former = known.get(row.facts.photo)
        if former is not None:
            _require_rise(row.facts.photo, former[1], row.state)
            changes = {"version": photo.c.version + 1} | _values(row)
            connection.execute(update(photo).where(photo.c.photo == former[0]).values(changes))
            _keep(connection, former[0], row.facts)
    numbers = {uid: number for uid, (number, _) in known_now.items()}
    _bind(
        connection,
        [(numbers[row.facts.photo], row.facts) for row in rows],
        former={number for number, _ in known.values()},
    )
    _refresh_copies(connection, {row.facts.photo: row.facts for row in rows})
    insert_missing(connection, photo_due, [{"photo": numbers[uid]} for uid in uids])
    return [numbers[uid] for uid in uids]


def _supersede(connection: Connection, former: Mapping[int, PhotoRow], rows: Sequence[PhotoRow]) -> None:
    """Keep what is about to change: of the photos, and of patients where their facts are read of photos."""
    fresh = {number: (PhotoState(row.state).value, photo_to_json(row.facts)) for number, row in former.items()}
    supersede_photos(connection, fresh)
    if results_are_read(connection):
        query = select(photo_patient.c.patient).where(among(connection, photo_patient.c.photo, former))
        shown = {patient for row in rows for each in _with_sources(row.facts) for patient in each.patients}
        supersede_patients(connection, shown.union(connection.execute(query).scalars()))


def _keep(connection: Connection, number: int, facts: PhotoFacts) -> None:
    """Facts that have changed."""
    connection.execute(update(photo_facts).where(photo_facts.c.photo == number).values(body=photo_to_json(facts)))


def _numbers(connection: Connection, uids: Collection[str]) -> dict[str, tuple[int, str]]:
    """Number and state of those that are there."""
    query = select(photo.c.photo, photo.c.sop_uid, photo.c.state).where(among(connection, photo.c.sop_uid, uids))
    return {row.sop_uid: (row.photo, row.state) for row in connection.execute(query)}


def _values(row: PhotoRow) -> dict[str, Any]:
    facts = row.facts
    return {
        "series_uid": row.series_uid,
        "study_uid": row.study_uid,
        "orthanc_id": row.orthanc_id,
        "state": PhotoState(row.state).value,
        "document": _id(facts.document),
        "imaging_study": _id(facts.imaging_study),
        "patient": next((patient for each in _with_sources(facts) for patient in each.patients), None),
        "taken": None if facts.taken is None else micros_or_none(facts.taken.start),
        "area": row.area,
        "view": row.view,
        "procedure": row.procedure,
    }


def _bind(connection: Connection, bound: Sequence[tuple[int, PhotoFacts]], *, former: Collection[int]) -> None:
    """Rows that lead from patients, links and sources to photos; the patients of before and after are changed.

    Parameters
    ----------
    former
        Numbers of those photos that may have such rows.
    """
    concerned: set[str] = set()
    if former:
        query = select(photo_patient.c.patient).where(among(connection, photo_patient.c.photo, former))
        concerned |= set(connection.execute(query).scalars())
    patients: list[dict[str, Any]] = []
    links: list[dict[str, Any]] = []
    sources: list[dict[str, Any]] = []
    nobodys: set[int] = set()
    for number, facts in bound:
        everything = list(_with_sources(facts))
        hers = {patient for each in everything for patient in each.patients}
        concerned |= hers
        if not hers:
            nobodys.add(number)
        named = facts.links | ({facts.encounter} if facts.encounter else set())
        patients += [{"photo": number, "patient": each} for each in sorted(hers)]
        links += [{"photo": number, "reference": each} for each in sorted(named)]
        sources += [{"photo": number, "source_uid": each} for each in sorted({each.photo for each in everything[1:]})]
    ensure(connection, concerned)
    for table, rows in ((photo_patient, patients), (photo_link, links), (photo_source, sources)):
        if former:
            connection.execute(delete(table).where(among(connection, table.c.photo, former)))
        if rows:
            connection.execute(insert(table), rows)
    if nobodys & set(former):
        _forget_answers(connection, nobodys)
    changed(connection, concerned)


def _forget_answers(connection: Connection, numbers: Collection[int]) -> None:
    """Photos that nobody is shown in any more have no stored answers."""
    mine = among(connection, decided.c.photo, numbers)
    taken: dict[rows_of_bits.Key, set[int]] = {}
    for row in connection.execute(select(decided.c.purpose, decided.c.audience, decided.c.photo).where(mine)):
        taken.setdefault((row.purpose, row.audience), set()).add(row.photo)
    connection.execute(delete(decided).where(mine))
    rows_of_bits.change(connection, decided_bits, {}, taken)


def _with_sources(facts: PhotoFacts) -> Iterator[PhotoFacts]:
    yield facts
    for source in facts.sources:
        yield from _with_sources(source)


def _refresh_copies(connection: Connection, facts: Mapping[str, PhotoFacts]) -> None:
    """Copies carry the facts of what they were made from; a source that changes changes its copies."""
    copies = connection.execute(
        select(photo_facts.c.photo, photo_facts.c.body, photo_source.c.source_uid)
        .join(photo_source, photo_source.c.photo == photo_facts.c.photo)
        .where(among(connection, photo_source.c.source_uid, facts))
    ).all()
    changes: dict[int, tuple[PhotoFacts, PhotoFacts]] = {}
    for row in copies:
        before, after = changes.get(row.photo) or (photo_from_json(row.body),) * 2
        changes[row.photo] = before, _replaced(after, facts[row.source_uid])
    for number, (former, fresh) in changes.items():
        if fresh != former:
            state = connection.execute(select(photo.c.state).where(photo.c.photo == number)).scalar_one()
            supersede_photos(connection, {number: (state, photo_to_json(fresh))})
            if results_are_read(connection):
                query = select(photo_patient.c.patient).where(photo_patient.c.photo == number)
                supersede_patients(connection, connection.execute(query).scalars())
            connection.execute(update(photo).where(photo.c.photo == number).values(version=photo.c.version + 1))
            _keep(connection, number, fresh)
            _bind(connection, [(number, fresh)], former=[number])


def _replaced(copy: PhotoFacts, source: PhotoFacts) -> PhotoFacts:
    return replace(
        copy,
        sources=tuple(source if each.photo == source.photo else _replaced(each, source) for each in copy.sources),
    )


def _require_rise(sop_uid: str, former: str, state: str) -> None:
    if _ORDER.index(PhotoState(state)) < _ORDER.index(PhotoState(former)):
        raise PhotoRefused(f"photo {sop_uid} is {former} and cannot become {state}")


def reject(connection: Connection, rejected: StoredPhoto) -> None:
    """Take an instance out of everybody's sight for good; its row stays, and its object.

    What is stored of answers about it goes, in the same transaction.
    """
    row = connection.execute(
        select(photo.c.area, photo.c.view, photo.c.procedure).where(photo.c.photo == rejected.number)
    ).one()
    save_photo(
        connection,
        rejected.facts,
        series_uid=rejected.series_uid,
        study_uid=rejected.study_uid,
        orthanc_id=rejected.orthanc_id,
        state=PhotoState.REJECTED,
        area=row.area,
        view=row.view,
        procedure=row.procedure,
    )
    _forget_answers(connection, [rejected.number])


def known_among(connection: Connection, sop_uids: Collection[str]) -> set[str]:
    """Those SOP Instance UIDs that have a row, whatever its state."""
    return set(
        connection.execute(select(photo.c.sop_uid).where(among(connection, photo.c.sop_uid, set(sop_uids)))).scalars()
    )


def rejected_among(connection: Connection, sop_uids: Collection[str]) -> frozenset[str]:
    """Those of the instances that are rejected."""
    if not sop_uids:
        return frozenset()
    query = select(photo.c.sop_uid).where(
        among(connection, photo.c.sop_uid, set(sop_uids)), photo.c.state == PhotoState.REJECTED.value
    )
    return frozenset(connection.execute(query).scalars())


def former_of(connection: Connection, numbers: Collection[int]) -> set[int]:
    """Numbers of the rejected instances in whose place these photos stand."""
    query = select(photo_facts.c.body).where(
        among(connection, photo_facts.c.photo, numbers), photo_facts.c.body.contains('"formerly":')
    )
    named = {each for body in connection.execute(query).scalars() for each in photo_from_json(body).formerly}
    documents = {identity for each in named if (identity := _id(each)) is not None}
    rows = connection.execute(select(photo.c.photo).where(among(connection, photo.c.document, documents)))
    return set(rows.scalars())


def copies_of(connection: Connection, sop_uid: str) -> list[StoredPhoto]:
    """The photos that were made from one and are not rejected themselves."""
    made_from = select(photo_source.c.photo).where(photo_source.c.source_uid == sop_uid)
    query = _WHOLE.where(photo.c.photo.in_(made_from), photo.c.state != PhotoState.REJECTED.value)
    return [_stored(row) for row in connection.execute(query.order_by(photo.c.photo))]


_WHOLE = select(photo, photo_facts.c.body).join(photo_facts, photo_facts.c.photo == photo.c.photo)


def by_sop(connection: Connection, sop_uid: str) -> StoredPhoto | None:
    """The photo with this SOP Instance UID; None where there is none."""
    row = connection.execute(_WHOLE.where(photo.c.sop_uid == sop_uid)).one_or_none()
    return None if row is None else _stored(row)


def _stored(row: Row[tuple[object, ...]]) -> StoredPhoto:
    return StoredPhoto(
        number=row.photo,
        sop_uid=row.sop_uid,
        series_uid=row.series_uid,
        study_uid=row.study_uid,
        orthanc_id=row.orthanc_id,
        state=PhotoState(row.state),
        facts=photo_from_json(row.body),
    )


def _id(reference: str | None) -> str | None:
    """The id in a relative reference."""
    return None if reference is None else reference.rpartition("/")[2]
