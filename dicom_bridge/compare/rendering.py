"""The worker's part: renditions of the photos that a care team may see, made before anybody waits for them.

A job is asked for in the transaction that writes a photo into the record or changes what is stored of the care team's
answer; what is to be done follows from the record alone, so that a job may be done twice, by any process. A photo that
the care team may not see any more, or that is no photo of the record any more, loses its renditions. That a rendition
is kept permits nothing: each reading is decided. Pixels are read from the archive with a ticket of our own work, which
the audit chain names before.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, exists, literal, select

from consent import decided as answers
from consent.audit.chain import Chain
from consent.purposes import TREAT
from consent.store import clock, jobs
from consent.store.engine import reading, transaction
from consent.store.tables import photo, photo_patient
from consent.store.versions import lock
from consent.store.write import among
from dicom_bridge.archive import Archive, file_at_hand
from dicom_bridge.compare import prepared
from dicom_bridge.compare.renditions import NotRendered, Rendition, render, shown_picture
from dicom_bridge.objects.attributes import ODD
from dicom_bridge.settling import examination
from dicom_bridge.tables import rendition

AT_ONCE = 12
"""Photos that are rendered before other work has its turn: a second or two."""

_SWEPT = 2000
"""Photos that are looked through at once for such as have none."""

_UNFIT: tuple[type[Exception], ...] = (NotRendered, *ODD)
"""What an object raises that cannot be rendered here."""


class Rendering:
    """Makes renditions and drops them; one for each process."""

    def __init__(self, engine: Engine, chain: Chain, archive: Archive, *, door: str) -> None:
        self._engine, self._chain, self._archive, self._door = engine, chain, archive, door

    def begin(self) -> None:
        """Look through all photos: for such as have none, as before an upgrade, and for such as must not have any more,
        since a period has ended or the site's settings changed.
        """
        with transaction(self._engine) as connection:
            jobs.put(connection, jobs.RENDER, prepared.ALL, not_before=clock.now(connection))

    def work(self, key: str, body: str) -> None:
        """Do a job."""
        if key == prepared.ALL:
            self._sweep(int(json.loads(body).get("after", 0)))
        else:
            self._patient(key)

    def _sweep(self, after: int) -> None:
        """One window of all photos: drop what must not be kept, make what is missing, and ask for the next window."""
        with reading(self._engine) as connection:
            within = select(photo.c.photo).where(photo.c.photo > after).order_by(photo.c.photo).limit(_SWEPT)
            last = max(connection.execute(within).scalars(), default=None)
            if last is None:
                return
            window = and_(photo.c.photo > after, photo.c.photo <= last)
            shown = _shown(connection).where(window)
            due = connection.execute(shown.where(~_has_rows()).order_by(photo.c.photo)).all()
            kept = select(rendition.c.photo).where(rendition.c.photo > after, rendition.c.photo <= last)
            seen = select(photo.c.photo).where(window, answers.stored_permit(connection, TREAT))
            gone = connection.execute(kept.where(rendition.c.photo.not_in(seen))).scalars().all()
        self._drop(gone)
        left = self._make("all photos", due)
        reached = left[0].photo - 1 if left else last
        with transaction(self._engine) as connection:
            body = json.dumps({"after": reached})
            jobs.put(connection, jobs.RENDER, prepared.ALL, body, not_before=clock.now(connection))

    def _patient(self, patient: str) -> None:
        hers = photo.c.photo.in_(select(photo_patient.c.photo).where(photo_patient.c.patient == patient))
        with reading(self._engine) as connection:
            shown = {each.photo: each for each in connection.execute(_shown(connection).where(hers))}
            every = connection.execute(select(photo.c.photo).where(hers)).scalars().all()
            kept = prepared.known(connection, every)
        self._drop(kept.keys() - shown.keys())
        due = [each for number, each in sorted(shown.items()) if kept.get(number) != each.orthanc_id]
        if self._make(patient, due):
            with transaction(self._engine) as connection:
                prepared.ask(connection, [patient])

    def _drop(self, numbers: Collection[int]) -> None:
        if numbers:
            with transaction(self._engine) as connection:
                prepared.drop(connection, numbers)

    def _make(self, of: str, photos: Sequence[Row[tuple[int, str]]]) -> Sequence[Row[tuple[int, str]]]:
        """Make those of some photos, until a dozen were made; gives the photos whose turn did not come.

        Each is kept where its photo may still be seen by the time that it is made. A photo whose object is not to be
        had is passed over: somebody is told of that otherwise, and it is tried again with the next question.
        """
        job, made = f"render {of}", 0
        while photos and made < AT_ONCE:
            turn, photos = photos[:AT_ONCE], photos[AT_ONCE:]
            self._chain.append([examination(job, [each.orthanc_id for each in turn], self._door)])
            found = {}
            for each in turn:
                data = file_at_hand(self._archive, job, each.orthanc_id)
                if data is not None:
                    found[each.photo, each.orthanc_id] = _renditions(data)
            made += len(found)
            with transaction(self._engine) as connection:
                lock(connection)  # so that nobody speaks between the question and the keeping
                still = _shown(connection).where(among(connection, photo.c.photo, {number for number, _ in found}))
                seen = {(row.photo, row.orthanc_id) for row in connection.execute(still)}
                for number, identity in seen & found.keys():
                    prepared.keep(connection, number, identity, found[number, identity])
        return photos


def _shown(connection: Connection) -> Select[tuple[int, str]]:
    """Photos of the record that the care team may see, with their objects."""
    return select(photo.c.photo, photo.c.orthanc_id).where(answers.stored_permit(connection, TREAT))


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
    except _UNFIT:
        return {}
    return made
