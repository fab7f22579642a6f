"""An answer of the past, decided again: the same facts, the same request, the same time, the same decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from consent.audit.record import Kind, answer, request_of, unpack
from consent.errors import ConsentError
from consent.explanation import Explanation, explain
from consent.facts import Facts
from consent.reasons import Reason
from consent.service import UNFULFILLED
from consent.sources import patients_of, sources_of
from consent.store.clock import instant
from consent.store.history import Past, numbers_of
from consent.types import Request

_COMPARED = ("effect", "reason", "step", "rule", "patient", "directives", "obligations")

_FORMER = (
    "the record does not tell what the requester held: it was written before that was kept, or nothing was held. "
    "It cannot be decided again"
)
_NOT_NAMED = (
    "The set does not name the photo: it was not asked for, a limit left it out, or the door could not do what the "
    "permit obliges to."
)


class NotReplayable(ConsentError):
    """The record tells of nothing that was decided, or of an answer without facts. The text says which."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recorded answer beside the one that is given to it today."""

    request: Request
    now: datetime
    explanation: Explanation
    differs: tuple[str, ...]
    """The parts of the answer that came out otherwise."""

    exact: bool
    """Whether the record names the facts' versions; else they are those of its time, to the length of a commit."""

    door: str = ""
    """What the door itself added to the decision; empty: nothing."""

    @property
    def same(self) -> bool:
        """Whether it is the same answer."""
        return not self.differs


def past_facts(past: Past, request: Request, number: int | None, now: datetime, versions: Mapping[str, int]) -> Facts:
    """What a decision read then.

    Parameters
    ----------
    versions
        As in the record; not read where the past is given by time.
    """
    site = past.site(versions.get("site", 0))
    belongs = past.requester(request.requester, site, now, versions.get("site", 0))
    shown = None
    if number is not None and (past.at is not None or "photo" in versions):
        shown = past.photo(number, versions.get("photo", 0))
    bound = () if shown is None else patients_of(sources_of(shown))
    people = {each: past.patient(each, versions.get(f"Patient/{each}", 0)) for each in bound}
    known = {identity: facts for identity, facts in people.items() if facts is not None}
    return Facts(site.site, shown, known, belongs, site.parents)


def replay(connection: Connection, record: Mapping[str, Any], sop_uid: str | None = None) -> Replayed:
    """Decide again what a record tells of.

    Parameters
    ----------
    connection
        In one snapshot (:func:`consent.store.engine.reading`).
    record
        A record of one photo; or of a set, with ``sop_uid``, the photo of it that is meant.

    Raises
    ------
    NotReplayable
        There is nothing to decide again.
    """
    if record.get("kind") == Kind.SET and sop_uid is not None:
        return _of_set(connection, record, sop_uid)
    if record.get("kind") != Kind.DECISION:
        raise NotReplayable("the record tells of no single answer" + _which(record))
    if "as_of" not in record or "site" not in record.get("versions", {}):
        if record.get("reason") != Reason.FACTS_UNAVAILABLE:
            raise NotReplayable(_FORMER)
        raise NotReplayable("the facts could not be read then, and so it was refused: there is nothing to decide again")
    if record.get("reason") == Reason.FACTS_UNAVAILABLE:
        raise NotReplayable("a fact was missing then, and so it was refused: there is nothing to decide again")
    request, now = request_of(record), instant(record["as_of"])
    facts = past_facts(Past(connection), request, record.get("number"), now, record["versions"])
    explanation = explain(request, facts, now)
    again = _plain(answer(explanation.decision))
    recorded = {name: record.get(name) for name in _COMPARED}
    door = ""
    if recorded["reason"] == UNFULFILLED and explanation.decision.permitted and explanation.decision.obligations:
        recorded |= {"effect": again["effect"], "reason": again["reason"]}
        door = "The door could not do what the permit obliges to, and refused."
    differs = tuple(name for name in _COMPARED if (recorded[name] or None) != (again[name] or None))
    return Replayed(request, now, explanation, differs, True, door)


def _which(record: Mapping[str, Any]) -> str:
    return ": name one photo of the set" if record.get("kind") == Kind.SET else ""


def _of_set(connection: Connection, record: Mapping[str, Any], sop_uid: str) -> Replayed:
    """A photo of a set: its record names no versions, so the facts are those of its time.

    The record names what left, and counts what was refused: a photo that it does not name may not have been asked for.
    """
    if "held" not in record:
        raise NotReplayable(_FORMER)
    numbers = numbers_of(connection, sop_uid)
    left = frozenset(unpack(record["photos"]) if "photos" in record else ())
    number = next((each for each in numbers if each in left), numbers[-1] if numbers else None)
    released = number in left
    request, now = request_of(record), instant(record["at"])
    explanation = explain(request, past_facts(Past(connection, now), request, number, now, {}), now)
    permitted = explanation.decision.permitted
    return Replayed(
        request,
        now,
        explanation,
        ("effect",) if released and not permitted else (),
        exact=False,
        door=_NOT_NAMED if permitted and not released else "",
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as JSON has it."""
    lists = {"directives": [list(each) for each in values["directives"]], "obligations": list(values["obligations"])}
    return {**values, **lists}
