"""Answers to questions: how many photos there are, which are on a page, and how many have each value of a facet.

Everything is counted over the photos that the request may see. A value that only refused photos have is not named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, select

from consent.bits import NONE, Bits
from consent.sets import Permitted
from consent.store.clock import micros
from consent.store.tables import photo, photo_patient
from consent.store.versions import group
from consent.store.write import among
from fhir_mapping.projections.written import Setting
from fhir_mapping.question.facets import LINKED, UNDATED, Facet, Held
from fhir_mapping.question.facts import month
from fhir_mapping.question.index import Index
from fhir_mapping.question.page import FEW, Place, page, within
from fhir_mapping.question.question import Period, Question
from fhir_mapping.question.terms import Term, terms_of

MOST_VALUES = 500
"""Values of a facet that are counted over any number of photos."""


@dataclass(frozen=True, slots=True)
class Found:
    """The answer."""

    total: int
    numbers: tuple[int, ...]
    """The page."""

    following: Place | None
    """Where the next page begins, where there are more."""

    counts: Mapping[Facet, Mapping[str, int] | None] = field(default_factory=dict)
    """For each facet asked for, photos by value; what the question asks of that facet itself does not narrow them.

    None where the facet has too many values to be counted over so many photos: narrow the question.
    """

    refused: int = 0
    """Photos that match and may not be seen: for the audit alone."""


def answer(
    connection: Connection,
    setting: Setting,
    may: Permitted,
    question: Question,
    *,
    most: int,
    after: Place | None = None,
    counted: Sequence[Facet] = (),
) -> Found:
    """Answer a question; follow with a record before anything leaves.

    Parameters
    ----------
    connection
        In one snapshot, that of ``may``.
    most
        Photos on a page; 0 counts alone.
    """
    index = Index(connection, setting)
    linked = index.bits([Term.of(LINKED)])
    permitted = may.bits(linked)
    by_facet = {facet: _matching(index, connection, question, facet) for facet in question.asked()}
    matching = _all(linked, by_facet.values())
    seen = matching & permitted
    months = index.all_of(Held.MONTH) if most and len(seen) > FEW else {}
    found = page(connection, seen, {each.code: bits for each, bits in months.items()}, most, after)
    counts: dict[Facet, Mapping[str, int] | None] = {}
    for facet in counted:
        own = {Facet.AREA, Facet.SIDE} if facet in (Facet.AREA, Facet.SIDE) else {facet}
        others = [bits for each, bits in by_facet.items() if each not in own]
        if len(others) == len(by_facet):
            counts[facet] = _counts(index, facet, seen)
        else:
            rest = replace(question, **{facet.value: frozenset()})
            others += [_matching(index, connection, rest, each) for each in own - {facet} if getattr(rest, each.value)]
            counts[facet] = _counts(index, facet, _all(permitted, others))
    # Asked once more of the stored answers: what stands on a page leaves.
    sure = _sure(connection, may, found.numbers)
    numbers = tuple(each for each in found.numbers if each in sure)
    return Found(len(seen), numbers, found.following, counts, len(matching) - len(seen))


def matching(connection: Connection, setting: Setting, question: Question) -> Bits:
    """All photos that match a question, whoever may see them: whoever asks this decides them next."""
    index = Index(connection, setting)
    linked = index.bits([Term.of(LINKED)])
    return _all(linked, (_matching(index, connection, question, facet) for facet in question.asked()))


def _all(first: Bits, others: Iterable[Bits]) -> Bits:
    for each in others:
        first = first & each
    return first


def _matching(index: Index, connection: Connection, question: Question, facet: Facet) -> Bits:
    """The photos that meet what a question asks of one facet."""
    if facet is Facet.PATIENT:
        everyone = group(connection, question.patient)
        hers = select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, everyone))
        return Bits.of(connection.execute(hers).scalars())
    if facet is Facet.TAKEN:
        return Bits.union([_taken(index, connection, each) for each in question.taken])
    if facet is Facet.SIDE and question.area:
        return index.bits(terms_of(question, Facet.AREA))
    if facet is Facet.SETTING:
        found: Bits | None = None
        for setting in {each.setting for each in question.setting}:
            ranges = frozenset(each for each in question.setting if each.setting == setting)
            bits = index.bits(terms_of(replace(question, setting=ranges), facet))
            found = bits if found is None else found & bits
        return NONE if found is None else found
    return index.bits(terms_of(question, facet))


def _taken(index: Index, connection: Connection, period: Period) -> Bits:
    """The months that lie in a period, and of those at its ends the photos by their time."""
    first, last = (None if each is None else month(each) for each in (period.start, period.end))
    exact = [photo.c.taken >= micros(period.start)] if period.start is not None else []
    exact += [photo.c.taken < micros(period.end)] if period.end is not None else []
    inside: list[Term] = []
    found = NONE
    for each in index.values(Held.MONTH):
        if each.code == UNDATED or (first is not None and each.code < first) or (last is not None and each.code > last):
            continue
        if each.code in (first, last):
            query = select(photo.c.photo).where(within(each.code), *exact)
            found = found | Bits.of(connection.execute(query).scalars())
        else:
            inside.append(Term.of(each))
    return found | index.bits(inside)


def _counts(index: Index, facet: Facet, seen: Bits) -> Mapping[str, int] | None:
    found: Counter[str] = Counter()
    if len(seen) <= FEW:
        for each, number in index.tally(facet, seen).items():
            found[each.text] += number
    elif index.how_many(facet) > MOST_VALUES:
        return None
    else:
        for each, bits in index.all_of(facet).items():
            if number := bits.shared_with(seen):
                found[each.text] += number
    return dict(found)


def _sure(connection: Connection, may: Permitted, numbers: Sequence[int]) -> set[int]:
    if not numbers:
        return set()
    query = select(photo.c.photo).where(among(connection, photo.c.photo, numbers), may.clause(photo.c.photo))
    return set(connection.execute(query).scalars())
