"""Photos of a set that are decided one by one, because stored answers cannot be used for them.

What was decided is remembered by who asked for what. It is used again only where the versions of everything that it
was decided on are the same in the snapshot of the question, and before the next moment at which it may change without
a write.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from consent.decision import decide
from consent.store.load import Loader
from consent.store.remembered import Remembered
from consent.store.tables import patient, photo, photo_patient
from consent.store.write import among
from consent.types import Obligation, Request
from consent.validity import next_answer

_CHUNK = 2000
MOST_PHOTOS = 5000
"""Of a question about more live photos nothing is remembered."""

MOST_QUESTIONS = 64

_Question = tuple[object, ...]
_Versions = tuple[str, int, frozenset[tuple[str, int | None]]]
"""SOP Instance UID and version of the photo, and the version of each patient whose Consents bind it."""


@dataclass(frozen=True, slots=True)
class _Answer:
    versions: _Versions
    since: datetime
    until: datetime | None
    """When it may be another with no write; None: never."""

    granted: bool

    def holds(self, versions: _Versions | None, now: datetime) -> bool:
        return self.versions == versions and self.since <= now and (self.until is None or now < self.until)


LiveAnswers = Remembered[_Question, Mapping[int, _Answer]]
"""What was answered to a question under a version of the settings, by number of the photo."""


def granted(
    loader: Loader,
    request: Request,
    numbers: Collection[int],
    fulfils: frozenset[Obligation],
    remembered: LiveAnswers | None,
) -> tuple[int, ...]:
    """Those of the photos that are permitted, sorted.

    Parameters
    ----------
    remembered
        The loader's connection sees committed facts alone then; None: each photo is decided.
    """
    ordered = sorted(numbers)
    if remembered is None or len(ordered) > MOST_PHOTOS:
        return tuple(number for number, answer in _decided(loader, request, ordered, fulfils) if answer.granted)
    # What the requester belongs to is of the question: it is the same for all its photos.
    question, site = (replace(request, session=None), fulfils, loader.belongs), loader.site.version
    known, versions = remembered.get(question, site) or {}, _versions(loader.connection, ordered)
    answers = {
        number: known[number]
        for number in ordered
        if number in known and known[number].holds(versions.get(number), loader.now)
    }
    missing = [number for number in ordered if number not in answers]
    if missing or len(answers) < len(known):
        answers |= dict(_decided(loader, request, missing, fulfils))
        remembered.put(question, site, answers)
    return tuple(number for number in ordered if number in answers and answers[number].granted)


def _decided(
    loader: Loader, request: Request, numbers: list[int], fulfils: frozenset[Obligation]
) -> list[tuple[int, _Answer]]:
    found: list[tuple[int, _Answer]] = []
    for start in range(0, len(numbers), _CHUNK):
        for one in loader.photos(numbers[start : start + _CHUNK]):
            assert one.number is not None
            decision = decide(request, one.facts, loader.now)
            people = frozenset((identity, facts.version) for identity, facts in one.facts.patients.items())
            answer = _Answer(
                (one.sop_uid, one.versions["photo"], people),
                loader.now,
                next_answer(one.facts, one.belongs_until, loader.now),
                decision.permitted and decision.obligations <= fulfils,
            )
            found.append((one.number, answer))
    return found


def _versions(connection: Connection, numbers: Collection[int]) -> dict[int, _Versions]:
    """The present versions; a patient who is not there has none, and no answer was decided on that."""
    people: dict[int, list[tuple[str, int | None]]] = {}
    bound = photo_patient.outerjoin(patient, patient.c.patient == photo_patient.c.patient)
    for number, identity, version in connection.execute(
        select(photo_patient.c.photo, photo_patient.c.patient, patient.c.version)
        .select_from(bound)
        .where(among(connection, photo_patient.c.photo, numbers))
    ):
        people.setdefault(number, []).append((identity, version))
    columns = (photo.c.photo, photo.c.sop_uid, photo.c.version)
    rows = connection.execute(select(*columns).where(among(connection, photo.c.photo, numbers)))
    return {number: (uid, version, frozenset(people.get(number, ()))) for number, uid, version in rows}
