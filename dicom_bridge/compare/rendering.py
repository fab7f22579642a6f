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
from datetime import timedelta

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
from dicom_bridge.settling import examination
from dicom_bridge.tables import rendition

AT_ONCE = 12
"""Photos that are rendered before other work has its turn: a second or two."""

_SWEPT = 2000
"""Photos that are looked through at once for such as have none."""

_UNSURE = timedelta(minutes=1)
"""When it is looked again at photos whose answers are being decided anew."""


class Rendering:
    """Makes renditions and drops them; one for each process."""

    def __init__(self, engine: Engine, chain: Chain, archive: Archive, *, door: str) -> None:
        self._engine, self._chain, self._archive, self._door = engine, chain, archive, door

    def begin(self) -> None:
        """Look through all photos for such as have none, as before an upgrade."""
        self._look(prepared.MISSING)

    def clear(self) -> None:
        """Look through all renditions for such as must not be kept any more: a period ended, settings were changed."""
        self._look(prepared.GONE)

    def _look(self, key: str) -> None:
        with transaction(self._engine) as connection:  # one that is on its way goes on where it is
            jobs.put_new(connection, jobs.RENDER, key, not_before=clock.now(connection))

    def work(self, key: str, body: str) -> None:
        """Do a job."""
        if key == prepared.MISSING:
            self._missing(int(json.loads(body).get("after", 0)))
        elif key == prepared.GONE:
            self._gone(int(json.loads(body).get("after", 0)))
        else:
            self._patient(key)

    def _missing(self, after: int) -> None:
        """One window of all photos: make what is missing, and ask for the next window."""
        with reading(self._engine) as connection:
            within = select(photo.c.photo).where(photo.c.photo > after).order_by(photo.c.photo).limit(_SWEPT)
            last = max(connection.execute(within).scalars(), default=None)
            if last is None:
                return
            shown = _shown(connection).where(photo.c.photo > after, photo.c.photo <= last, ~_has_rows())
            due = connection.execute(shown.order_by(photo.c.photo)).all()
        left = self._make("all photos", due)
        self._go_on(prepared.MISSING, left[0].photo - 1 if left else last)

    def _gone(self, after: int) -> None:
        """One window of what is kept: drop what must not be, and ask for the next window."""
        with reading(self._engine) as connection:
            kept = select(rendition.c.photo).where(rendition.c.photo > after).distinct().order_by(rendition.c.photo)
            numbers = connection.execute(kept.limit(_SWEPT)).scalars().all()
            gone = _refused(connection, numbers)
        if not numbers:
            return
        self._drop(gone)
        self._go_on(prepared.GONE, numbers[-1])

    def _go_on(self, key: str, after: int) -> None:
        with transaction(self._engine) as connection:
            body = json.dumps({"after": after})
            jobs.put(connection, jobs.RENDER, key, body, not_before=clock.now(connection))

    def _patient(self, patient: str) -> None:
        hers = photo.c.photo.in_(select(photo_patient.c.photo).where(photo_patient.c.patient == patient))
        with reading(self._engine) as connection:
            every = connection.execute(select(photo.c.photo).where(hers)).scalars().all()
            shown = {each.photo: each for each in connection.execute(_shown(connection).where(hers))}
            kept = prepared.known(connection, every)
            refused = set(_refused(connection, every))
        self._drop(kept.keys() & refused)
        due = [each for number, each in sorted(shown.items()) if kept.get(number) != each.orthanc_id]
        left = self._make(patient, due)
        unsure = not shown.keys() | refused >= set(every)
        if left or unsure:
            with transaction(self._engine) as connection:
                again = clock.now(connection) + (timedelta(0) if left else _UNSURE)
                jobs.put(connection, jobs.RENDER, patient, not_before=again)

    def _drop(self, numbers: Collection[int]) -> None:
        if numbers:
            with transaction(self._engine) as connection:
                prepared.drop(connection, numbers)

    def _make(self, of: str, photos: Sequence[Row[tuple[int, str]]]) -> Sequence[Row[tuple[int, str]]]:
        """Make those of some photos, until a dozen were made; gives the photos whose turn did not come.

        Each is kept where its photo may still be seen by the time that it is made. A photo whose object is not to be
        had is passed over: somebody is told of that otherwise, and it is tried again with the next question or start.
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
    return select(photo.c.photo, photo.c.orthanc_id).where(answers.stored(connection, TREAT).permitted)


def _refused(connection: Connection, numbers: Collection[int]) -> Sequence[int]:
    """Of these photos those that it may not see."""
    refused = select(photo.c.photo).where(
        among(connection, photo.c.photo, set(numbers)), answers.stored(connection, TREAT).refused
    )
    return connection.execute(refused).scalars().all()


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
