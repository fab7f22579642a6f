"""Which photo each photo of a patient is held against, and which of them are to be judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from consent.store.photos import PhotoState
from consent.store.tables import photo, photo_patient
from consent.store.versions import group
from consent.store.write import among
from fhir_mapping import references
from fhir_mapping.course.views import view_of
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.treatment.elements import parts, text


@dataclass(frozen=True, slots=True)
class Candidate:
    """A photo of a patient, as far as it matters here."""

    reference: str
    """``DocumentReference/…``."""

    sop_uid: str
    orthanc_id: str
    taken: int | None
    """Microseconds since 1970."""

    visit: str
    view: tuple[str, str, str, str]
    """What two photos of one view share; without a region or a view nothing is compared with it."""

    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """A photo, and the reference photo of its view."""

    photo: Candidate
    against: Candidate | None


def candidates(connection: Connection, reader: RecordReader, patient: str) -> list[Candidate]:
    """The photos that are linked to a patient, or to a record that is hers too, as their subject; in order of time."""
    everyone = group(connection, [patient])
    shown = select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, everyone))
    rows = connection.execute(
        select(photo.c.document, photo.c.sop_uid, photo.c.orthanc_id, photo.c.taken)
        .where(photo.c.photo.in_(shown), photo.c.state == PhotoState.LINKED.value, photo.c.document.is_not(None))
        .order_by(photo.c.taken.nulls_first(), photo.c.photo)
    ).all()
    documents = {
        each.id: each.json()
        for each in reader.read_many(connection, "DocumentReference", [row.document for row in rows])
    }
    made = []
    for row in rows:
        document = documents.get(row.document)
        if document is None or not _is_picture(document):
            continue
        subject = {references.id_of(each) for each in references.local_of(document, reader.base, "subject")}
        if not subject & everyone:  # it is another patient's, and shows this one too
            continue
        visits = references.local_of(document, reader.base, "context", "encounter")
        made.append(
            Candidate(
                f"DocumentReference/{row.document}",
                row.sop_uid,
                row.orthanc_id,
                row.taken,
                next(iter(visits), ""),
                view_of(document).key,
                document,
            )
        )
    return made


def pairs(photos: Sequence[Candidate]) -> list[Pair]:
    """Each photo with its reference: of the earliest visit before its own with a photo of that view, the last one.

    So all photos of a view are held against one and the same baseline.
    """
    return [Pair(each, _reference(each, photos)) for each in photos]


def formers(photos: Iterable[Candidate], base: str | None) -> set[str]:
    """``DocumentReference/…`` of those in whose place one of these stands: what was told of them counts no longer."""
    found: set[str] = set()
    for each in photos:
        for relation in parts(each.document, "relatesTo"):
            if text(relation, "code") == "replaces":
                found |= set(references.local_of(relation, base, "target"))
    return found


def _reference(one: Candidate, photos: Sequence[Candidate]) -> Candidate | None:
    region, _, view, _ = one.view
    if one.taken is None or not region or not view:
        return None
    earlier = [
        each
        for each in photos
        if each.view == one.view and each.visit != one.visit and each.taken is not None and each.taken < one.taken
    ]
    if not earlier:
        return None
    first = earlier[0].visit
    return [each for each in earlier if each.visit == first][-1]


def _is_picture(document: Mapping[str, Any]) -> bool:
    kinds = {text(each, "contentType") for each in parts(document, "content", "attachment")}
    return any(each.startswith("image/") for each in kinds)
