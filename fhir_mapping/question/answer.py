"""Answers to questions: how many photos there are, which are on a page, and how many have each value of a facet.

Everything is counted over the photos that the request may see. A value that only refused photos have is not named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, select

from consent.bits import NONE, Bits
from consent.sets import Permitted
from consent.store.clock import micros
from consent.store.engine import once
from consent.store.tables import photo, photo_patient
from consent.store.versions import group
from consent.store.write import among
from fhir_mapping.projections.written import Setting
from fhir_mapping.question.cases import cases
from fhir_mapping.question.facets import LINKED, OF_A_SERIES, OF_THE_RECORD, UNDATED, Facet, Held, Value
from fhir_mapping.question.facts import month
from fhir_mapping.question.index import Index, nothing_is_due
from fhir_mapping.question.page import FEW, Place, page, within
from fhir_mapping.question.pairs import Keeping, Pair, pairs
from fhir_mapping.question.question import Period, Question
from fhir_mapping.question.terms import Term, terms_of
from fhir_mapping.question.text import counted_as

MOST_ROWS = 15_000
"""Rows of the index that are read of a facet to count it over any number of photos: a value has one or more of them."""


@dataclass(frozen=True, slots=True)
class Portion:
    """What of an answer is wanted."""

    most: int
    """Photos on a page, or cases, or pairs; 0 counts alone."""

    after: Place | None = None
    """Where the page begins; None: with the newest photo."""

    counted: Sequence[Facet] = ()
    """Facets whose values are counted."""

    cases: bool = False
    """Whether the page is of cases: of photos of one patient and one region, with all that match of each."""

    pairs: bool = False
    """Whether the page is of pairs: of results that match, each with the photo that it is held against."""

    keeping: Keeping | None = None
    """Which pairs are wanted; None: all."""


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

    A value is written as a question asks for it. None where the facet has too many values to be counted over so many
    photos: narrow the question.
    """

    whole: int = 0
    """Photos that may be seen of all that the question is about, whatever it asks by facets other than patients."""

    cases: tuple[tuple[int, ...], ...] = ()
    """The page, where it is of cases: the photos of each, the oldest first."""

    pairs: tuple[Pair, ...] = ()
    """The page, where it is of pairs: before and after."""

    refused: int | None = 0
    """Photos that match and may not be seen: for the audit alone. None: some of them are not indexed yet."""

    may: Permitted | None = None
    """What the question was answered by, for what else is read in the same snapshot."""


def answer(
    connection: Connection,
    setting: Setting,
    may: Permitted,
    question: Question,
    portion: Portion,
    *,
    of: Collection[int] | None = None,
    tells: Callable[[Value], bool] = lambda _: True,
    closed: Bits = NONE,
) -> Found:
    """Answer a question; follow with a record before anything leaves.

    Parameters
    ----------
    connection
        In one snapshot, that of ``may``.
    of
        The photos that it is about; None: all.
    tells
        Which values there are for whoever asks.
    closed
        Photos of which nothing is told that the record around them says.

    Raises
    ------
    fhir_mapping.errors.Behind
        Too many of the photos are due to be indexed.
    """
    scope = _scope(connection, question, of)
    mine = Bits.of(may.granted) if may.stored is None else None
    index = Index(connection, setting, may=may, scope=_both(scope, mine), tells=tells)
    linked = index.bits([Term.of(LINKED)])
    permitted = may.bits(linked if scope is None else linked & scope)
    by_facet = {facet: _matching(index, connection, question, facet) for facet in question.asked()}
    by_facet |= {facet: bits - closed for facet, bits in by_facet.items() if facet in OF_THE_RECORD}
    matching = _all(linked if scope is None else linked & scope, by_facet.values())
    seen = matching & permitted
    months = index.all_of(Held.MONTH) if portion.most and len(seen) > FEW else {}
    by_month = {each.code: bits for each, bits in months.items()}
    grouped: tuple[tuple[int, ...], ...] = ()
    coupled: tuple[Pair, ...] = ()
    if portion.cases:
        several = cases(connection, seen, by_month, portion.most, portion.after)
        grouped, following = several.numbers, several.following
        numbers = tuple(number for case in grouped for number in case)
    elif portion.pairs:
        beginnings = _all(permitted, (bits for facet, bits in by_facet.items() if facet in OF_A_SERIES))
        zone = setting.site.zone
        paired = pairs(
            connection, index, seen, beginnings, by_month, portion.most, portion.after, zone, portion.keeping
        )
        coupled, following = paired.numbers, paired.following
        numbers = tuple(dict.fromkeys(number for pair in coupled for number in pair))
    else:
        single = page(connection, seen, by_month, portion.most, portion.after)
        numbers, following = single.numbers, single.following
    over = {facet: _beside(index, connection, question, facet, by_facet, permitted) for facet in portion.counted}
    over |= {facet: bits - closed for facet, bits in over.items() if facet in OF_THE_RECORD}
    # Asked once more of the stored answers: what stands on a page leaves.
    sure = may.of(numbers)
    return Found(
        total=len(seen),
        numbers=tuple(each for each in numbers if each in sure),
        following=following,
        counts=_counts(index, over),
        whole=len(permitted),
        cases=tuple(kept for case in grouped if (kept := tuple(each for each in case if each in sure))),
        pairs=tuple(pair for pair in coupled if sure.issuperset(pair)),
        refused=len(matching) - len(seen) if index.exact and (mine is None or nothing_is_due(connection)) else None,
        may=may,
    )


def matching(connection: Connection, setting: Setting, question: Question, of: Collection[int] | None = None) -> Bits:
    """All photos that match a question, whoever may see them: whoever asks this decides them next."""
    scope = _scope(connection, question, of)
    index = Index(connection, setting, scope=scope)
    linked = index.bits([Term.of(LINKED)])
    everything = linked if scope is None else linked & scope
    return _all(everything, (_matching(index, connection, question, facet) for facet in question.asked()))


def _scope(connection: Connection, question: Question, of: Collection[int] | None) -> Bits | None:
    """The photos among which the answer is found without the index: of the patients named."""
    named = None if of is None else Bits.of(of)
    return _both(named, _hers(connection, question) if question.patient else None)


def _both(one: Bits | None, other: Bits | None) -> Bits | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _all(first: Bits, others: Iterable[Bits]) -> Bits:
    for each in others:
        first = first & each
    return first


def _hers(connection: Connection, question: Question) -> Bits:
    """The photos in the records of the patients named."""
    everyone = group(connection, question.patient)
    hers = select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, everyone))
    return once(connection, ("photos of", frozenset(everyone)), lambda: Bits.of(connection.execute(hers).scalars()))


def _beside(
    index: Index,
    connection: Connection,
    question: Question,
    facet: Facet,
    by_facet: Mapping[Facet, Bits],
    permitted: Bits,
) -> Bits:
    """The photos over which a facet is counted: what the question asks of it itself is left out."""
    own = {Facet.AREA, Facet.SIDE} if facet in (Facet.AREA, Facet.SIDE) else {facet}
    others = [bits for each, bits in by_facet.items() if each not in own]
    if len(others) < len(by_facet):
        rest = replace(question, **{facet.value: frozenset()})
        others += [_matching(index, connection, rest, each) for each in own - {facet} if getattr(rest, each.value)]
    return _all(permitted, others)


def _matching(index: Index, connection: Connection, question: Question, facet: Facet) -> Bits:
    """The photos that meet what a question asks of one facet."""
    if facet is Facet.PATIENT:
        return _hers(connection, question)
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


def _counts(index: Index, over: Mapping[Facet, Bits]) -> dict[Facet, Mapping[str, int] | None]:
    """Photos by value, for each facet over its own photos; what is counted over the same few is read once."""
    counted: dict[Facet, Mapping[Value, int] | None] = dict.fromkeys(over)
    few: dict[Bits, list[Facet]] = {}
    for facet, seen in over.items():
        if len(seen) <= FEW:
            few.setdefault(seen, []).append(facet)
    for seen, facets in few.items():
        tallied = index.tally(facets, seen)
        counted |= {facet: tallied[facet] for facet in facets}
    many = [facet for facet in over if counted[facet] is None and not index.has_more(facet, MOST_ROWS)]
    stored = index.counts({facet: over[facet] for facet in many})
    counted |= {facet: stored[facet] for facet in many}
    return {facet: _written(facet, counted[facet]) for facet in over}


def _written(facet: Facet, counted: Mapping[Value, int] | None) -> dict[str, int] | None:
    if counted is None:
        return None
    found: Counter[str] = Counter()
    for each, number in counted.items():
        found[counted_as(facet, each)] += number
    return dict(found)
