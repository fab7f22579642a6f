"""The photos that the next session is decided on: those that are named, and that the request may see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, or_, select

from consent.service import DecisionPoint
from consent.sets import Permitted
from consent.store.clock import instant
from consent.store.tables import photo, photo_link, photo_patient
from consent.store.write import among
from consent.types import Obligation, Request
from fhir_mapping import references
from fhir_mapping.course.views import Shot, View, view_of
from fhir_mapping.projections.standing import standing
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.treatment.read import Treated

FULFILS = frozenset({Obligation.WATERMARK})


@dataclass(frozen=True, slots=True)
class Seen:
    """The answer."""

    shots: tuple[Shot, ...] = ()
    """In order of time."""

    refused: int = 0
    stand: Mapping[str, str] = field(default_factory=dict)
    """``DocumentReference/…`` of a photo that was corrected -> of the one that stands in its place."""

    @property
    def visible(self) -> frozenset[str]:
        """``DocumentReference/…`` of all of them."""
        return frozenset(each.reference for each in self.shots)

    def now(self, reference: str) -> str:
        """The photo that is meant where the record names one, perhaps a former one."""
        return self.stand.get(reference, reference)

    def named(self, wanted: Collection[str]) -> list[Shot]:
        """Those of ``DocumentReference/…``, or what stands in their place."""
        meant = set(map(self.now, wanted))
        return [each for each in self.shots if each.reference in meant]

    def of_session(self, treated: Treated | None) -> list[Shot]:
        """Photos of a session: linked to it, else of its visit; of one view the newest."""
        if treated is None:
            return []
        linked = self.named(treated.photos)
        procedure = references.id_of(treated.reference)
        linked += [each for each in self.shots if each.procedure == procedure and each not in linked]
        visit = treated.session.encounter
        chosen = linked or [each for each in self.shots if visit is not None and each.visit == visit]
        newest = {each.view.key: each for each in chosen}  # shots come in order of time
        return [each for each in chosen if newest[each.view.key] is each]

    def of_visit(self, visit: str | None) -> list[Shot]:
        """Photos of a visit, ``Encounter/…``."""
        return [each for each in self.shots if visit is not None and each.visit == visit]


def seen(
    connection: Connection,
    reader: RecordReader,
    point: DecisionPoint,
    request: Request,
    everyone: Collection[str],
    *,
    documents: Collection[str],
    linked: Collection[str],
    may: Permitted | None = None,
) -> Seen:
    """Read them, undisclosed until the caller records it (:meth:`DecisionPoint.record_set`).

    Parameters
    ----------
    everyone
        Ids of the patient and of what is merged with her.
    documents
        ``DocumentReference/…``.
    linked
        ``Procedure/…`` and ``Encounter/…`` whose photos are wanted too.
    may
        What the request may see with :data:`FULFILS`, where that is decided in this snapshot already.
    """
    hers = photo.c.photo.in_(select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, everyone)))
    stand = standing(connection, documents)
    meant = {*documents, *stand.values()}
    named = among(connection, photo.c.document, {references.id_of(each) for each in meant})
    around = select(photo_link.c.photo).where(among(connection, photo_link.c.reference, set(linked)))
    wanted = hers & or_(named, photo.c.photo.in_(around))
    may = may or point.permitted(connection, request, fulfils=FULFILS)
    rows = connection.execute(
        select(photo.c.photo, photo.c.document, photo.c.taken, photo.c.procedure)
        .where(wanted, may.clause(photo.c.photo), photo.c.document.is_not(None))
        .order_by(photo.c.taken.nulls_first(), photo.c.photo)
    ).all()
    refused = connection.execute(select(photo.c.photo).where(wanted, may.refused(photo.c.photo))).all()
    bodies = {
        each.id: each for each in reader.read_many(connection, "DocumentReference", [row.document for row in rows])
    }
    made = []
    for row in rows:
        stored = bodies.get(row.document)
        if stored is None:
            continue
        document = stored.json()
        visits = references.local_of(document, reader.base, "context", "encounter")
        made.append(
            Shot(
                number=row.photo,
                document=row.document,
                version=stored.version,
                at=None if row.taken is None else instant(row.taken),
                view=view_of(document),
                visit=next(iter(visits), None),
                procedure=row.procedure,
            )
        )
    return Seen(tuple(made), len(refused), stand)


def missing(wanted: Sequence[Shot], today: Sequence[Shot]) -> tuple[View, ...]:
    """Views that today lacks."""
    have = {each.view.key for each in today}
    return tuple({each.view.key: each.view for each in wanted if each.view.key not in have}.values())
