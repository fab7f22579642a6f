"""A manufacturer's or an authority's notice: the lots, expiries and products that its text names.

What is recognised is shown with its place in the text, for somebody to confirm; nothing is asked by itself. A lot is
recognised where a word for "lot" or "batch" stands before it (:mod:`fhir_mapping.advisory.labelled`), where a UDI tells
it, and where it is on record. A range is told with the lots in it where its numbers count them; "all lots" is told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Connection, select

from consent.store.write import among, each_value
from consent.wording import worded
from fhir_mapping.advisory import labelled, printed, spelling, words
from fhir_mapping.advisory.tables import advisory_lot, advisory_name, advisory_spelling
from fhir_mapping.errors import Invalid, Issue
from fhir_mapping.search.values import folded
from fhir_mapping.udi.identifier import UdiError
from fhir_mapping.udi.parse import parse

LONGEST = 100_000
_MOST_MARKS = 400
_MOST_IN_RANGE = 100
"""Lots of a range that are told one by one: no question names more."""

_UDI = re.compile(
    r"\(01\)[^\s,;]+(?:\s?\(\d{2,4}\)[^\s,;]+)*|\+[A-Z][A-Z0-9]{4,}/?[A-Z0-9$/+.\-%]+|=/[A-Z0-9=,>}&]{16,}"
    r"|https?://[^\s/]+/(?:[^\s/]+/)*01/\d{8,14}[^\s,;]*"
)
_EVERY = re.compile(
    r"\b(?:all|every|any|alle|samtliche|tous les|todos los|tutti i) (?:(?:the|affected|unexpired) )?"
    rf"{words.LOT.pattern}",
    re.IGNORECASE,
)
_BOUND = re.compile(
    r"\bexp[a-z]*\.?(?: dates?)?(?: is| are)? ?(?:on or )?"
    r"(?:before|after|prior to|(?:later|earlier) than|up to|between|from|vor|nach|avant|apres|a partir du)\s*$",
    re.IGNORECASE,
)
_IS = re.compile(r"[\s:.=]*")
_DIGIT = re.compile(r"[0-9]")
_SHORTEST_NAME = 4

_TOO_MANY = Issue(
    "too-costly",
    worded("The notice names more than %(most)s lots, dates and products: paste it in parts.", most=_MOST_MARKS),
)


class Mark(StrEnum):
    """What was recognised at a place."""

    LOT = "lot"
    RANGE = "range of lots"
    EVERY = "all lots"
    EXPIRY = "expiry"
    PRODUCT = "product"


@dataclass(frozen=True, slots=True)
class Recognised:
    """Something that a notice names."""

    mark: Mark
    start: int
    end: int
    """Its place in the text, half-open."""

    value: str
    """The lot; the expiry as a FHIR date; the product's name on record."""

    expiry: str | None = None
    """Of a lot: the date that stands with it."""

    on_record: bool = False
    """Whether a lot on record is written so, or reads alike."""

    labelled: bool = True
    """Whether the text calls it a lot; else it is one on record alone."""

    within: tuple[str, ...] = ()
    """Of a range: the lots from its first to its last, where these can be counted and are not too many."""


def recognise(connection: Connection, text: str) -> list[Recognised]:
    """All that is recognised, in order of the text.

    Raises
    ------
    Invalid
        The text is too long, or names more than anybody could confirm.
    """
    if len(text) > LONGEST:
        raise Invalid(Issue("too-long", worded("A notice has %(most)s characters at most.", most=LONGEST)))
    plain = words.level(text)
    rows = list(labelled.tabled(plain))
    dates = {each.start: each for each in (*_dates(plain), *(row.expiry for row in rows if row.expiry is not None))}
    expiries = [Recognised(Mark.EXPIRY, each.start, each.end, each.value) for each in dates.values()]
    taken = _covered(text, expiries)
    lots: dict[tuple[int, int, Mark], Recognised] = {}
    for each in (*labelled.named(plain, lambda at: bool(taken[at])), *rows):
        made = _made(text, each)
        lots[(made.start, made.end, made.mark)] = made
    lots |= {(each.start, each.end, each.mark): each for each in _identifiers(text)}
    if len(lots) + len(expiries) > _MOST_MARKS:
        raise Invalid(_TOO_MANY)
    taken = _covered(text, [*expiries, *lots.values()])
    free = [
        Recognised(Mark.LOT, match.start(), match.end(), words.tidy(text[match.start() : match.end()]), labelled=False)
        for match in labelled.TOKEN.finditer(plain)
        if _DIGIT.search(match.group()) and not any(taken[match.start() : match.end()])
    ]
    known = _known(connection, {each.value for each in (*lots.values(), *free) if each.mark is Mark.LOT})
    exactly = _on_record(connection, {each.value for each in free})
    found = [replace(each, on_record=each.value in known) for each in lots.values()]
    # A100-A140 is a lot where one is on record that is written so.
    counted = {(each.start, each.end) for each in lots.values() if each.within}
    found = [
        each for each in found if each.mark is Mark.RANGE or each.on_record or (each.start, each.end) not in counted
    ]
    found += [replace(each, on_record=True) for each in free if each.value in exactly]
    if len(found) > _MOST_MARKS:
        raise Invalid(_TOO_MANY)
    found = _with_expiries(text, sorted(found, key=lambda each: each.start), expiries)
    found += [*expiries, *_products(connection, plain, text)]
    found += [Recognised(Mark.EVERY, each.start(), each.end(), each.group().strip()) for each in _EVERY.finditer(plain)]
    if len(found) > _MOST_MARKS:
        raise Invalid(_TOO_MANY)
    return sorted(found, key=lambda each: (each.start, -each.end))


def _made(text: str, named: labelled.Named) -> Recognised:
    value = words.tidy(text[named.start : named.end])
    if named.range is None:
        expiry = None if named.expiry is None else named.expiry.value
        return Recognised(Mark.LOT, named.start, named.end, value, expiry)
    first, last = (words.tidy(text[start:end]) for start, end in named.range)
    within = labelled.between(first, last) or []
    counted = tuple(within) if len(within) <= _MOST_IN_RANGE else ()
    return Recognised(Mark.RANGE, named.start, named.end, value, within=counted)


def _covered(text: str, found: Iterable[Recognised]) -> bytearray:
    """A byte for each character: whether something recognised lies there."""
    mask = bytearray(len(text))
    for each in found:
        mask[each.start : each.end] = b"\x01" * (each.end - each.start)
    return mask


def _identifiers(text: str) -> Iterator[Recognised]:
    for match in _UDI.finditer(text):
        try:
            udi = parse(match.group().rstrip(".)"))
        except UdiError:
            continue
        if udi.lot:
            yield Recognised(Mark.LOT, match.start(), match.end(), udi.lot, udi.expiry)


def _dates(plain: str) -> Iterator[printed.Printed]:
    """The dates of each line in which a word for "expiry" stands, and behind that word those in short forms too."""
    for line in re.finditer(r"[^\n]+", plain):
        labels = list(words.EXPIRY.finditer(line.group()))
        if not labels:
            continue
        for label in labels:
            mark = _IS.match(line.group(), label.end())
            date = printed.date_at(line.group(), mark.end() if mark else label.end())
            if date is not None:
                yield replace(date, start=line.start() + date.start, end=line.start() + date.end)
        for date in printed.dates_in(line.group()):
            if _BOUND.search(line.group(), max(0, date.start - 60), date.start):
                continue  # "expiring before" names many
            yield replace(date, start=line.start() + date.start, end=line.start() + date.end)


def _with_expiries(text: str, lots: list[Recognised], expiries: list[Recognised]) -> list[Recognised]:
    """Each lot with the date that follows it before the next lot, in the same line or the next one."""
    made = []
    for number, each in enumerate(lots):
        following = [other.start for other in lots[number + 1 :] if other.start >= each.end]
        until = min(following, default=len(text))
        mine = [one for one in expiries if each.end <= one.start < until and text.count("\n", each.end, one.start) <= 1]
        if each.expiry is None and mine:
            made.append(replace(each, expiry=mine[0].value))
        else:
            made.append(each)
    for one in (
        each for each in made if each.mark is Mark.RANGE
    ):  # what stands behind a range is said of both its ends
        said = one.expiry or next((each.expiry for each in made if each.mark is Mark.LOT and each.end == one.end), None)
        made = [
            replace(each, expiry=said) if each.start == one.start and each.expiry is None else each for each in made
        ]
    return made


def _known(connection: Connection, lots: Collection[str]) -> set[str]:
    """Those lots that one on record is, or comes near."""
    readings = {lot: spelling.asked(lot) for lot in lots}
    every = {each for mine in readings.values() for each in mine}
    query = select(advisory_spelling.c.reading).where(among(connection, advisory_spelling.c.reading, every)).distinct()
    there = set(connection.execute(query).scalars())
    return {lot for lot, mine in readings.items() if mine & there}


def _on_record(connection: Connection, lots: Collection[str]) -> set[str]:
    query = select(advisory_lot.c.lot).where(among(connection, advisory_lot.c.lot, lots)).distinct()
    return set(connection.execute(query).scalars())


def _products(connection: Connection, plain: str, text: str) -> Iterator[Recognised]:
    """Names of products on record that stand in the text, the longest at each place."""
    plain = "".join((folded(each) or each)[:1] if not each.isspace() else each for each in plain)
    every = connection.execute(each_value(advisory_name.c.name)).scalars()
    names = [each for each in every if each and len(each) >= _SHORTEST_NAME]
    taken = bytearray(len(text))
    for name in sorted(names, key=lambda each: (-len(each), each)):
        if "|" in name or not any(each.isalpha() for each in name):
            continue
        for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", plain) if name in plain else ():
            if not any(taken[match.start() : match.end()]):
                taken[match.start() : match.end()] = b"\x01" * (match.end() - match.start())
                value = text[match.start() : match.end()]
                yield Recognised(Mark.PRODUCT, match.start(), match.end(), value, on_record=True)
