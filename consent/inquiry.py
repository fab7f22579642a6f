"""Why somebody may or may not see a photo, asked without showing it: now, at another time, or of a recorded answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, select

from consent.explanation import Explanation, explain
from consent.replay import past_facts
from consent.store.clock import now as database_now
from consent.store.history import Past
from consent.store.load import Loader
from consent.store.tables import photo
from consent.types import Request
from consent.wording import worded

_NUMBER = re.compile(r"[0-9]{1,18}")
_ORTHANC = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_DOCUMENT = "DocumentReference/"

NOT_KEPT = worded("The account is read as it is today: its purposes and whom it stands for in the record are not kept.")
BY_TIME = worded(
    "Photo, patients, Consents, memberships and settings are those that held at that time, to the length of a commit."
)
AHEAD = worded("The facts are today's; what is written until then is not known.")
NOW = worded("The facts are those of this moment.")


@dataclass(frozen=True, slots=True)
class Named:
    """A photo as the records of answers name it."""

    number: int | None
    """None: it is not known here, but may have been asked for."""

    sop_uid: str
    document: str | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation, with the time it holds for and what it rests on."""

    explanation: Explanation
    now: datetime
    rests_on: tuple[str, ...]


def named(connection: Connection, word: str) -> Named | None:
    """The photo that is meant by a SOP Instance UID, an Orthanc id, a number, or a DocumentReference.

    A UID that no photo has is given back all the same: somebody may have asked for it.
    """
    column: ColumnElement[bool]
    if _NUMBER.fullmatch(word):
        column = photo.c.photo == int(word)
    elif _ORTHANC.fullmatch(word):
        column = photo.c.orthanc_id == word
    elif _UID.fullmatch(word):
        column = photo.c.sop_uid == word
    else:
        column = photo.c.document == word.removeprefix(_DOCUMENT)
    row = connection.execute(select(photo.c.photo, photo.c.sop_uid, photo.c.document).where(column)).one_or_none()
    if row is None:
        return Named(None, word) if _UID.fullmatch(word) else None
    return Named(row.photo, row.sop_uid, row.document)


def inquire(connection: Connection, request: Request, about: Named, at: datetime | None = None) -> Explained:
    """Decide, and say how the answer comes about.

    Parameters
    ----------
    connection
        In one snapshot (:func:`consent.store.engine.reading`).
    at
        The time to decide for; None: now.
    """
    if at is not None:
        ahead = at > database_now(connection)
        facts = past_facts(Past(connection, at), request, about.number, at, {})
        rests_on = (AHEAD,) if ahead else (BY_TIME, NOT_KEPT)
        return Explained(explain(request, facts, at), at, rests_on)
    loader = Loader(connection, request.requester)
    found = loader.photos([about.number]) if about.number is not None else []
    loaded = found[0] if found else loader.absent(about.sop_uid)
    return Explained(explain(request, loaded.facts, loaded.now), loaded.now, (NOW,))
