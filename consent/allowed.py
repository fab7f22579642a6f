"""For which purposes some photos may be shown: every stored question at once, by as many statements for one as for all.

The answers are those of :func:`consent.sets.permitted` for a requester who holds the purpose, is confined to nobody and
is nobody's own record. Nothing is released by asking this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, func, select

from consent.decided import audiences, default_effect, generic, stored_purposes, unsettled_of
from consent.decision import decide
from consent.facts import Facts
from consent.purposes import TREAT
from consent.site import CareTeamScope
from consent.store.load import LINKED, Loader
from consent.store.tables import decided, photo, photo_patient
from consent.store.write import among
from consent.types import Effect, Requester

Asked = tuple[str, str]
"""Purpose and audience: a channel, a project, or everybody."""


def allowed(connection: Connection, numbers: Collection[int]) -> dict[Asked, frozenset[int]]:
    """For each question the photos among these that may be shown.

    Parameters
    ----------
    connection
        In one snapshot.
    """
    loader = Loader(connection, Requester(""))
    site = loader.site.site
    questions = [(purpose, each) for purpose in stored_purposes(site) for each in audiences(site, purpose)]
    linked = set(
        connection.execute(
            select(photo.c.photo).where(
                among(connection, photo.c.photo, numbers),
                func.coalesce(photo.c.state, "") == LINKED,  # as in consent.decided: by the number, not by the state
                photo.c.patient.is_not(None),
            )
        )
        .scalars()
        .all()
    )
    if not linked:
        return {each: frozenset() for each in questions}
    bound = _bound(connection, linked)
    exceptions: dict[Asked, set[int]] = defaultdict(set)
    rows = select(decided.c.purpose, decided.c.audience, decided.c.photo)
    for purpose, audience, number in connection.execute(rows.where(among(connection, decided.c.photo, linked))).all():
        exceptions[purpose, audience].add(number)
    live = _live(connection, loader, bound)
    facts = {
        one.number: one.facts
        for one in loader.photos({number for each in live.values() for number in each})
        if one.number is not None
    }
    found: dict[Asked, frozenset[int]] = {}
    for asked in questions:
        purpose = asked[0]
        rows_of = exceptions.get(asked, set())
        usual = linked - rows_of if default_effect(site, purpose) is Effect.PERMIT else linked & rows_of
        if purpose == TREAT and site.care_team is CareTeamScope.RECORD:
            usual = {number for number in usual if not bound.get(number)}  # nobody in particular cares for nobody
        mine = live.get(purpose, set())
        found[asked] = frozenset((usual - mine) | _decided(loader, asked, mine, facts))
    return found


def _bound(connection: Connection, numbers: Collection[int]) -> Mapping[int, set[str]]:
    """The patients whose Consents bind each photo."""
    found: dict[int, set[str]] = defaultdict(set)
    query = select(photo_patient.c.photo, photo_patient.c.patient)
    for number, patient in connection.execute(query.where(among(connection, photo_patient.c.photo, numbers))).all():
        found[number].add(patient)
    return found


def _live(connection: Connection, loader: Loader, bound: Mapping[int, set[str]]) -> dict[str, set[int]]:
    """By purpose the photos whose stored answers cannot be used."""
    unsettled: dict[str, set[str]] = defaultdict(set)
    patients = {each for those in bound.values() for each in those}
    for patient, purpose in unsettled_of(connection, patients, loader.now):
        unsettled[purpose].add(patient)
    return {
        purpose: {number for number, mine in bound.items() if not mine.isdisjoint(those)}
        for purpose, those in unsettled.items()
    }


def _decided(loader: Loader, asked: Asked, numbers: Collection[int], facts: Mapping[int, Facts]) -> set[int]:
    question = generic(*asked)
    return {each for each in numbers if each in facts and decide(question, facts[each], loader.now).permitted}
