"""What became of the pairs of a portfolio since somebody took them in: what came, what went, and why it went.

Whoever may publish learns that a pair is no longer eligible, and nothing else of it: whether consent was withdrawn, ran
out, or the photo was corrected is told to compliance alone (:func:`reasons`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from consent.inquiry import Named, inquire
from consent.store.load import LINKED
from consent.store.tables import photo
from consent.store.write import among
from consent.types import Request, Requester
from dicom_bridge.publish.saved import Saved
from fhir_mapping.question.pairs import Pair


class Fate(StrEnum):
    """Why a pair is there no longer."""

    INELIGIBLE = "ineligible"
    REPLACED = "replaced"
    """A newer result of the same view, or an earlier beginning."""

    BEHIND = "behind"
    """So many newer results came that it has no place."""

    UNASKED = "unasked"
    """It is not what is asked for any more."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Since the pairs were taken in."""

    came: tuple[Pair, ...] = ()
    gone: tuple[tuple[Pair, Fate], ...] = ()

    def counted(self, fate: Fate) -> int:
        """Pairs that are gone so."""
        return sum(each is fate for _, each in self.gone)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a photo of a pair may not be shown any more: for compliance."""

    number: int
    document: str | None
    """Id of its DocumentReference."""

    lines: tuple[str, ...]


def changes(
    before: Sequence[Pair], now: Sequence[Pair], permitted: Collection[int], asked: Collection[Pair]
) -> Changes:
    """What came and went.

    Parameters
    ----------
    permitted
        Photos of ``before`` that may still be shown.
    asked
        Pairs of ``before`` that are still found where nothing else is looked at.
    """
    shown = {number for pair in now for number in pair}
    gone = [pair for pair in before if pair not in set(now)]

    def fate(pair: Pair) -> Fate:
        if not set(pair) <= set(permitted):
            return Fate.INELIGIBLE
        if shown.intersection(pair):
            return Fate.REPLACED
        return Fate.BEHIND if pair in asked else Fate.UNASKED

    known = set(before)
    return Changes(tuple(pair for pair in now if pair not in known), tuple((pair, fate(pair)) for pair in gone))


def reasons(connection: Connection, saved: Saved, pairs: Collection[Pair]) -> list[Reason]:
    """Why photos of these pairs may not be shown for the question's purpose, each with the Consents that speak.

    Parameters
    ----------
    connection
        In one snapshot (:func:`consent.store.engine.reading`).
    """
    numbers = {number for pair in pairs for number in pair}
    columns = (photo.c.photo, photo.c.sop_uid, photo.c.document, photo.c.state)
    rows = {
        row.photo: row for row in connection.execute(select(*columns).where(among(connection, photo.c.photo, numbers)))
    }
    anybody = Request(Requester("", (saved.purpose,)), saved.purpose, channel=saved.channel)
    found = []
    for number in sorted(numbers):
        row = rows.get(number)
        if row is None or row.state != LINKED:
            found.append(Reason(number, row and row.document, ("The photo was corrected, unlinked or removed.",)))
            continue
        explained = inquire(connection, anybody, Named(number, row.sop_uid, row.document)).explanation
        if not explained.decision.permitted:
            found.append(Reason(number, row.document, explained.lines))
    return found
