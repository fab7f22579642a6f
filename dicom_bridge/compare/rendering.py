"""The worker's part: renditions of the photos that a care team may see, made before anybody waits for them.

A job is asked for in the transaction that writes a photo into the record or changes what is stored of the care team's
answer; what is to be done follows from the record alone, so that a job may be done twice, by any process. A photo that
the care team may not see any more, or that is no photo of the record any more, loses its renditions. That a rendition
is kept permits nothing: each reading is decided. Pixels are read from the archive with a ticket of our own work, which
the audit chain names before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, exists, literal, select

from consent import decided as answers
from consent.audit.chain import Chain
from consent.purposes import TREAT
from consent.store import clock, jobs
from consent.store.engine import reading, transaction
from consent.store.load import LINKED
from consent.store.sites import load_site
from consent.store.tables import decided, photo, photo_patient
from consent.store.write import among
from consent.types import Effect
from dicom_bridge.archive import Archive
from dicom_bridge.compare import prepared
from dicom_bridge.compare.renditions import NotRendered, Rendition, render, shown_picture
from dicom_bridge.settling import examination
from dicom_bridge.tables import rendition

AT_ONCE = 12
"""Photos that are rendered before other work has its turn: a second or two."""

_SWEPT = 2000
"""Photos that are looked through at once for such as have none."""


class Rendering:
    """Makes renditions and drops them; one for each process."""

    def __init__(self, engine: Engine, chain: Chain, archive: Archive, *, door: str) -> None:
        self._engine, self._chain, self._archive, self._door = engine, chain, archive, door

    def begin(self) -> None:
        """Look through all photos for such as have none: those of before an upgrade."""
        with transaction(self._engine) as connection:
            jobs.put(connection, jobs.RENDER, prepared.ALL, not_before=clock.now(connection))

    def work(self, key: str, body: str) -> None:
        """Do a job."""
        if key == prepared.ALL:
            self._sweep(int(json.loads(body).get("after", 0)))
        else:
            self._patient(key)

    def _sweep(self, after: int) -> None:
        with reading(self._engine) as connection:
            within = select(photo.c.photo).where(photo.c.photo > after).order_by(photo.c.photo).limit(_SWEPT)
            last = max(connection.execute(within).scalars(), default=None)
            if last is None:
                return
            missing = self._shown(connection).where(photo.c.photo > after, photo.c.photo <= last, ~_has_rows())
            due = connection.execute(missing.order_by(photo.c.photo).limit(AT_ONCE)).all()
        self._make("all photos", due)
        reached = due[-1].photo if len(due) == AT_ONCE else last
        with transaction(self._engine) as connection:
            jobs.put(
                connection, jobs.RENDER, prepared.ALL, json.dumps({"after": reached}), not_before=clock.now(connection)
            )

    def _patient(self, patient: str) -> None:
        hers = photo.c.photo.in_(select(photo_patient.c.photo).where(photo_patient.c.patient == patient))
        with reading(self._engine) as connection:
            shown = {each.photo: each for each in connection.execute(self._shown(connection).where(hers))}
            every = connection.execute(select(photo.c.photo).where(hers)).scalars().all()
            kept = prepared.known(connection, every)
        gone = kept.keys() - shown.keys()
        if gone:
            with transaction(self._engine) as connection:
                prepared.drop(connection, gone)
        due = [each for number, each in sorted(shown.items()) if kept.get(number) != each.orthanc_id]
        self._make(patient, due[:AT_ONCE])
        if len(due) > AT_ONCE:
            with transaction(self._engine) as connection:
                prepared.ask(connection, [patient])

    def _make(self, of: str, photos: Sequence[Row[tuple[int, str]]]) -> None:
        """Make those of some photos, and keep them of each that may still be seen by the time that they are made."""
        if not photos:
            return
        job = f"render {of}"
        self._chain.append([examination(job, [each.orthanc_id for each in photos], self._door)])
        made = {}
        for each in photos:
            data = self._archive.file(job, each.orthanc_id)
            if data is not None:  # else somebody is told of that otherwise
                made[each.photo, each.orthanc_id] = _renditions(data)
        with transaction(self._engine) as connection:
            still = self._shown(connection).where(among(connection, photo.c.photo, {number for number, _ in made}))
            for number, identity in {(row.photo, row.orthanc_id) for row in connection.execute(still)} & made.keys():
                prepared.keep(connection, number, identity, made[number, identity])

    def _shown(self, connection: Connection) -> Select[tuple[int, str]]:
        """Photos of the record that the care team may see, as stored answers have it, with their objects."""
        said = exists(
            select(literal(1)).where(
                decided.c.purpose == TREAT, decided.c.audience == answers.EVERYBODY, decided.c.photo == photo.c.photo
            )
        )
        usual = answers.default_effect(load_site(connection), TREAT)
        permitted: ColumnElement[bool] = ~said if usual is Effect.PERMIT else said
        return select(photo.c.photo, photo.c.orthanc_id).where(photo.c.state == LINKED, permitted)


def _has_rows() -> ColumnElement[bool]:
    mine = and_(rendition.c.photo == photo.c.photo, rendition.c.orthanc_id == photo.c.orthanc_id)
    return exists(select(literal(1)).where(mine))


def _renditions(data: bytes) -> dict[int, Rendition]:
    """Those of an object by width; none where it cannot be rendered here, so that Orthanc decodes it when asked."""
    try:
        picture = shown_picture(data)
        if picture is None:
            return {}
        made = {}
        for width in reversed(prepared.WIDTHS):  # each smaller one of the one before: the photo is decoded once
            made[width] = render(picture, width=width)
            picture = made[width].jpeg
    except NotRendered:
        return {}
    return made
