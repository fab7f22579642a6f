"""A manufacturer's or an authority's notice: the lots, expiries and products that its text names.

What is recognised is shown with its place in the text, for somebody to confirm; nothing is asked by itself. A lot is
recognised where a word for "lot" or "batch" stands before it (a list, a table's column), where a UDI tells it, and
where it is on record. What looks like a range is told as one: what lies between is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Connection, select

from consent.store.write import among, each_value
from fhir_mapping.advisory import spelling
from fhir_mapping.advisory.tables import advisory_lot, advisory_name, advisory_spelling
from fhir_mapping.errors import Invalid, Issue
from fhir_mapping.search.values import folded
from fhir_mapping.udi.identifier import UdiError
from fhir_mapping.udi.parse import parse

LONGEST = 100_000
_MOST_MARKS = 400

_LABEL = re.compile(
    r"\b(?:lots?|batch(?:es)?|charge(?:n(?:nummer|nr)?)?|lote|partida|\u03c0\u03b1\u03c1\u03c4\u03af\u03b4\u03b1)\b"
    r"(?:\s*(?:code|identification|id|number|numbers|nos?|nr|n\u00b0|n\u00ba|#)\b\.?)?(?:\(s\))?\s*(?:[:#=.]|\bis\b|\bare\b)?\s*",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"(?<![\w/])[A-Za-z0-9](?:[A-Za-z0-9]|[-/.](?=[A-Za-z0-9])){2,24}(?![\w])")
_TAIL = re.compile(r" [A-Z][0-9](?!\w)")  # C3016 C3
_BETWEEN = re.compile(
    r"[\s,;|/&\u2022*\u00b7()]*(?:\b(?:and|or|und|et|y|as well as)\b)?[\s,;|/&\u2022*\u00b7()]*", re.IGNORECASE
)
_RANGE = re.compile(r"\s*(?:\b(?:to|through|thru|bis)\b|\u2013|\u2014|\.\.\.?)\s*", re.IGNORECASE)
_UDI = re.compile(
    r"\(01\)[^\s,;]+(?:\s?\(\d{2,4}\)[^\s,;]+)*|\+[A-Z][A-Z0-9]{4,}/?[A-Z0-9$/+.\-%]+|=/[A-Z0-9=,>}&]{16,}"
)
_EXPIRY = re.compile(
    r"\b(?:exp(?:iry|iration|ires|\.)?|use[- ]by|best before|valid until|verwendbar bis|\u03bb\u03ae\u03be\u03b7)"
    r"(?:\s*dates?)?\s*[:.=]?\s*",
    re.IGNORECASE,
)
_A_DATE = (
    r"20\d\d-\d\d(?:-\d\d)?|\d{1,2}[/.-]20\d\d|\d{1,2}[/.]\d{1,2}[/.]20\d\d|(?:\d{1,2}\s+)?[A-Za-z]{3,9}\.?\s+20\d\d"
)
_ASIDE = re.compile(rf"\s*\([^()\n]{{0,80}}\)|\s*,?\s*(?:{_EXPIRY.pattern})(?:{_A_DATE})", re.IGNORECASE)
_DATE = re.compile(
    r"(?P<iso>20\d\d-\d\d(?:-\d\d)?)|(?P<my>\d{1,2}[/.-]20\d\d)|(?P<dmy>\d{1,2}[/.]\d{1,2}[/.]20\d\d)"
    r"|(?:(?P<day>\d{1,2})\s+)?(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?P<year>20\d\d)",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CELL = re.compile(r"(?:[^\s|]| (?! ))+")
_MOST_WORDS = 5
_DIGIT = re.compile(r"[0-9]")
_NO_LOT = frozenset({"number", "numbers", "code", "date", "expiry", "exp", "lot", "lots", "batch", "and", "the"})


_TOO_MANY = Issue("too-costly", f"The notice names more than {_MOST_MARKS} lots, dates and products.")


class Mark(StrEnum):
    """What was recognised at a place."""

    LOT = "lot"
    RANGE = "range of lots"
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


def recognise(connection: Connection, text: str) -> list[Recognised]:
    """All that is recognised, in order of the text.

    Raises
    ------
    Invalid
        The text is too long, or names more than anybody could confirm.
    """
    if len(text) > LONGEST:
        raise Invalid(Issue("too-long", f"A notice has {LONGEST} characters at most."))
    tabled = list(_tabled(text))
    expiries = list({each.start: each for each in (*_expiries(text), *tabled) if each.mark is Mark.EXPIRY}.values())
    taken = _covered(text, expiries)
    lots = {(each.start, each.end): each for each in _labelled(text, taken)}
    lots |= {(each.start, each.end): each for each in tabled if each.mark is Mark.LOT}
    lots |= {(each.start, each.end): each for each in _identifiers(text)}
    if len(lots) + len(expiries) > _MOST_MARKS:
        raise Invalid(_TOO_MANY)
    taken = _covered(text, [*expiries, *lots.values()])
    free = [
        Recognised(Mark.LOT, match.start(), match.end(), match.group(), labelled=False)
        for match in _TOKEN.finditer(text)
        if _DIGIT.search(match.group()) and not any(taken[match.start() : match.end()])
    ]
    known = _known(connection, {each.value for each in (*lots.values(), *free) if each.mark is Mark.LOT})
    exactly = _on_record(connection, {each.value for each in free})
    found = [replace(each, on_record=each.value in known) for each in lots.values()]
    found += [replace(each, on_record=True) for each in free if each.value in exactly]
    if len(found) > _MOST_MARKS:
        raise Invalid(_TOO_MANY)
    found = _with_expiries(text, sorted(found, key=lambda each: each.start), expiries)
    found += [*expiries, *_products(connection, text)]
    if len(found) > _MOST_MARKS:
        raise Invalid(_TOO_MANY)
    return sorted(found, key=lambda each: (each.start, -each.end))


def _covered(text: str, found: Iterable[Recognised]) -> bytearray:
    """A byte for each character: whether something recognised lies there."""
    mask = bytearray(len(text))
    for each in found:
        mask[each.start : each.end] = b"\x01" * (each.end - each.start)
    return mask


def _labelled(text: str, taken: bytearray) -> Iterator[Recognised]:
    """What follows a word for "lot", as long as it goes on like a list of lots."""
    for label in _LABEL.finditer(text):
        at, listed, passed = label.end(), 0, 0
        while True:
            between = _BETWEEN.match(text, at)
            at = between.end() if between else at
            match = _TOKEN.match(text, at)
            if match is None or taken[match.start()]:
                break
            word = match.group()
            if folded(word) in _NO_LOT and not listed and passed < _MOST_WORDS:
                at, passed = match.end(), passed + 1
                continue
            if not _DIGIT.search(word):
                break
            tail = _TAIL.match(text, match.end())
            last = tail.end() if tail else match.end()
            word = text[match.start() : last]
            through = _RANGE.match(text, last)
            end = _TOKEN.match(text, through.end()) if through and through.end() > last else None
            if through and end is not None and _DIGIT.search(end.group()):
                yield Recognised(Mark.RANGE, match.start(), end.end(), text[match.start() : end.end()])
                yield Recognised(Mark.LOT, match.start(), last, word)
                yield Recognised(Mark.LOT, end.start(), end.end(), end.group())
                at = end.end()
            else:
                yield Recognised(Mark.LOT, match.start(), last, word)
                at = last
            listed += 1
            aside = _ASIDE.match(text, at)
            at = aside.end() if aside else at


def _identifiers(text: str) -> Iterator[Recognised]:
    for match in _UDI.finditer(text):
        try:
            udi = parse(match.group().rstrip(".)"))
        except UdiError:
            continue
        if udi.lot:
            yield Recognised(Mark.LOT, match.start(), match.end(), udi.lot, udi.expiry)


def _expiries(text: str) -> Iterator[Recognised]:
    """Dates behind a word for "expiry"; in a line that has one, all dates."""
    for line in re.finditer(r"[^\n]+", text):
        label = _EXPIRY.search(line.group())
        for match in _DATE.finditer(line.group()) if label else ():
            value = _date(match)
            if value is not None:
                start = line.start() + match.start()
                yield Recognised(Mark.EXPIRY, start, line.start() + match.end(), value)


def _tabled(text: str) -> Iterator[Recognised]:
    """Lots and expiries in the lines below a heading that names both, as long as each line has both."""
    columns: tuple[int, int] | None = None
    for line in re.finditer(r"[^\n]+|\n(?=\n)", text):
        cells = [(each.start(), each.group()) for each in _CELL.finditer(line.group())]
        titles = [folded(each) for _, each in cells]
        lot = next((at for at, each in enumerate(titles) if _LABEL.match(each) and not _DIGIT.search(each)), None)
        if lot is not None and any(_EXPIRY.match(each) for each in titles) and not _DIGIT.search(line.group()):
            columns = (lot, len(cells))
            continue
        date = next(_DATE.finditer(line.group()), None)
        value = None if date is None else _date(date)
        if columns is None or date is None or value is None or not _is_row(cells, columns[1]):
            columns = None
            continue
        held = [
            (start + match.start(), match.group())
            for number, (start, cell) in enumerate(cells)
            if number == columns[0]
            for match in _TOKEN.finditer(cell)
            if _DIGIT.search(match.group()) and not date.start() <= start + match.start() < date.end()
        ]
        if not held:
            columns = None
            continue
        at, word = held[0]
        yield Recognised(Mark.LOT, line.start() + at, line.start() + at + len(word), word, value)
        yield Recognised(Mark.EXPIRY, line.start() + date.start(), line.start() + date.end(), value)


def _is_row(cells: list[tuple[int, str]], columns: int) -> bool:
    """Whether a line has a table's columns, and is no sentence where the table has but one."""
    return len(cells) == columns and (columns > 1 or len(cells[0][1].split()) <= _MOST_WORDS)


def _date(match: re.Match[str]) -> str | None:
    """As a FHIR date. Of 03/04/2027 nobody knows which is the month, so the month is all that is said where it is."""
    if match["iso"]:
        return match["iso"]
    if match["my"]:
        month, _, year = re.sub(r"[/.-]", " ", match["my"]).partition(" ")
        return f"{year}-{int(month):02d}" if 1 <= int(month) <= 12 else None
    if match["dmy"]:
        first, second, year = re.split(r"[/.]", match["dmy"])
        day, month = (second, first) if int(second) > 12 else (first, second)
        if int(month) > 12:
            return None
        if int(day) <= 12 and day != month and "/" in match["dmy"]:
            return None
        return f"{year}-{int(month):02d}-{int(day):02d}" if 1 <= int(day) <= 31 else None
    month = f"{_MONTHS.index(match['month'].lower()) + 1:02d}"
    return f"{match['year']}-{month}" + (f"-{int(match['day']):02d}" if match["day"] else "")


def _with_expiries(text: str, lots: list[Recognised], expiries: list[Recognised]) -> list[Recognised]:
    """Each lot with the date that follows it before the next lot, in the same line or the next one."""
    made = []
    for number, each in enumerate(lots):
        following = [other.start for other in lots[number + 1 :] if other.start >= each.end]
        until = min(following, default=len(text))
        mine = [one for one in expiries if each.end <= one.start < until and text.count("\n", each.end, one.start) <= 1]
        if each.mark is Mark.LOT and each.expiry is None and mine:
            made.append(replace(each, expiry=mine[0].value))
        else:
            made.append(each)
    ranges = [each for each in made if each.mark is Mark.RANGE]
    for one in ranges:  # what stands behind a range is said of both its ends
        said = next((each.expiry for each in made if each.mark is Mark.LOT and each.end == one.end), None)
        made = [
            replace(each, expiry=said) if each.mark is Mark.LOT and each.start == one.start else each for each in made
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


def _products(connection: Connection, text: str) -> Iterator[Recognised]:
    """Names of products on record that stand in the text, the longest at each place."""
    plain = _folded_in_place(text)
    names = [each for each in connection.execute(each_value(advisory_name.c.name)).scalars() if each and len(each) >= 4]
    taken = bytearray(len(text))
    for name in sorted(names, key=lambda each: (-len(each), each)):
        if "|" in name or not any(each.isalpha() for each in name):
            continue
        for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", plain) if name in plain else ():
            if not any(taken[match.start() : match.end()]):
                taken[match.start() : match.end()] = b"\x01" * (match.end() - match.start())
                value = text[match.start() : match.end()]
                yield Recognised(Mark.PRODUCT, match.start(), match.end(), value, on_record=True)


def _folded_in_place(text: str) -> str:
    """A text folded character by character, so that places stay the same."""
    return "".join((folded(each) or each)[:1] if not each.isspace() else each for each in text)
