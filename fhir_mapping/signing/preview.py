"""Who may see which of a patient's photos, by the decision itself: as things stand, and as they would after a signing.

The latter writes the Consents in a transaction that is taken back; so what is shown before signing is what holds after.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from consent.decided import generic, generic_facts
from consent.decision import decide
from consent.purposes import PATRQT
from consent.store.engine import transaction
from consent.store.load import Loader
from consent.types import Request, Requester
from fhir_mapping.signing.wishes import Use

Seen = Mapping[Use, frozenset[int]]
"""For each use the photos, by number, that may be seen for it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a signing changes."""

    before: Seen
    after: Seen


class _TakenBack(Exception):
    """Nothing of it is kept."""


def seen(connection: Connection, patient: str, numbers: Collection[int], uses: Iterable[Use]) -> Seen:
    """Decide each of the photos for each use, as anybody is answered who holds it; her own view as she is.

    Treatment is what her care team is answered, whoever that is.

    Nothing is released by asking this; the caller has seen that the photos may be counted for whoever asks.
    """
    found: dict[Use, frozenset[int]] = {}
    nobody = Loader(connection, Requester(""))
    loaded = {each.number: each for each in nobody.photos(numbers)}
    for use in uses:
        request, mine = _request(use, patient), loaded
        if use.purpose == PATRQT:
            mine = {each.number: each for each in Loader(connection, request.requester).photos(numbers)}
        found[use] = frozenset(
            number
            for number, each in mine.items()
            if number is not None and decide(request, generic_facts(each.facts), each.now).permitted
        )
    return found


def rehearsed(
    engine: Engine,
    patient: str,
    numbers: Collection[int],
    uses: Collection[Use],
    write: Callable[[Connection], object],
) -> Change:
    """What would be after ``write``; nothing of it stays.

    Raises
    ------
    fhir_mapping.errors.Refused
        It cannot be written so.
    """
    found: Change | None = None
    try:
        with transaction(engine) as connection:
            before = seen(connection, patient, numbers, uses)
            write(connection)
            found = Change(before, seen(connection, patient, numbers, uses))
            raise _TakenBack
    except _TakenBack:
        assert found is not None
        return found


def _request(use: Use, patient: str) -> Request:
    if use.purpose != PATRQT:
        return generic(use.purpose, use.place)
    herself = Requester("", (PATRQT,), reference=f"Patient/{patient}", confined_to=frozenset({patient}))
    return Request(herself, PATRQT)
