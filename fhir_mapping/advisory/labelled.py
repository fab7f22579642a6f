"""Lots that a text calls by a word for "lot" or "batch": in a sentence, a list, a table.

Texts are levelled (:func:`fhir_mapping.advisory.words.level`): places are those of the text as it came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fhir_mapping.advisory import printed, words

TOKEN = re.compile(
    r"(?<![\w/])[A-Z0-9](?:[A-Z0-9]|[-/._\u200b\u200c\u2060\ufeff](?=[A-Z0-9])){2,39}(?!\w)", re.IGNORECASE
)
_TAIL = re.compile(r" [A-Z][0-9](?!\w)")  # C3016 C3
_MARKS = r"[\s\u00b0\u00ba,;|/&\u2022*\u00b7()\[\]\"'\u201c\u201d\u201e\u00ab\u00bb:#=-]*"
_AND = r"\b(?:and|or|und|oder|sowie|et|ou|y|e|en|as well as|ainsi que)\b"
_BETWEEN = re.compile(rf"{_MARKS}(?:(?:{_AND}|(?:(?<=\s)|^)\d{{1,2}}[.)](?=\s)){_MARKS})?", re.IGNORECASE)
_THROUGH = re.compile(
    r"\s*(?:\b(?:to|through|thru|up to|bis|a|au|jusqu'a|hasta|al?|t/m)\b|\.\.\.?)\s*|\s+-+\s+", re.IGNORECASE
)
_DIGIT = re.compile(r"[0-9]")
_COLON = re.compile(r"[^\n:0-9]{0,80}:")
_ASIDE = re.compile(r"\s*\([^()\n]{0,80}\)")
_LOOSE = re.compile(r"[^\W\d_]{1,4}\.|[^\W\d_]+")
_MOST_LOOSE = 5  # words between "lot" and the first one
_CELL = re.compile(r"[^\s|;](?:[^\s|;]| (?! ))*")
_TITLE = 5  # words of a column's title
_COUNTED = re.compile(r"(.*?)([0-9]+)([^0-9]*)")
_WIDEST = 10_000
_COMMA = re.compile(r"\s*[,;]?\s*")
_IS = re.compile(r"[\s:.=]*")


@dataclass(frozen=True, slots=True)
class Named:
    """A lot that a text names, or a range of them."""

    start: int
    end: int
    expiry: printed.Printed | None = None
    """In a table: the date of its line."""

    range: tuple[tuple[int, int], tuple[int, int]] | None = None
    """Of a range: the places of its first and its last lot."""


def named(plain: str, taken: Callable[[int], bool] = lambda _at: False) -> Iterator[Named]:
    """What follows a word for "lot", as long as it goes on like a list of lots; a range with both its ends.

    Parameters
    ----------
    taken
        Whether something else was recognised at a place.
    """
    done = 0
    for label in words.LOT.finditer(plain):
        if label.start() < done:
            continue  # of a list that was read already
        glued = TOKEN.match(plain, label.start())
        if glued is not None and glued.end() > label.end() and _DIGIT.search(glued.group()):
            at = glued.start()  # LOT-0071 is a lot
        else:
            heading = _COLON.match(plain, label.end())
            at = heading.end() if heading else label.end()
        listed, loose = 0, 0
        while True:
            between = _BETWEEN.match(plain, at)
            at = between.end() if between else at
            match = TOKEN.match(plain, at)
            if match is not None and not taken(match.start()) and _DIGIT.search(match.group()):
                tail = _TAIL.match(plain, match.end())
                last = tail.end() if tail else match.end()
                at = last
                for each in _ranged(plain, match.start(), last):
                    yield each
                    at = max(at, each.end)
                listed += 1
                at = _aside(plain, at)
                continue
            word = _LOOSE.match(plain, at)
            if listed or loose >= _MOST_LOOSE or word is None:
                done = at if listed else 0
                break
            at, loose = word.end(), loose + 1


def _ranged(plain: str, start: int, end: int) -> Iterator[Named]:
    """A token, and where it begins a range, the range first, and its other end."""
    inner = plain.find("-", start, end)
    if inner > 0 and plain.count("-", start, end) == 1 and between(plain[start:inner], plain[inner + 1 : end]):
        yield Named(start, end, range=((start, inner), (inner + 1, end)))
        yield Named(start, end)
        return
    through = _THROUGH.match(plain, end)
    other = TOKEN.match(plain, through.end()) if through else None
    dashed = through is not None and "-" in through.group()
    if (
        other is not None
        and _DIGIT.search(other.group())
        and (not dashed or between(plain[start:end], other.group()) is not None)
    ):
        yield Named(start, other.end(), range=((start, end), (other.start(), other.end())))
        yield Named(start, end)
        yield Named(other.start(), other.end())
        return
    yield Named(start, end)


def between(first: str, last: str) -> list[str] | None:
    """The lots from one to another, counted by their last number; None: they are no range that can be counted."""
    one, other = _COUNTED.fullmatch(first.strip()), _COUNTED.fullmatch(last.strip())
    if one is None or other is None:
        return None
    (head, low, tail), (same, high, end) = one.groups(), other.groups()
    alike = (head.casefold(), tail.casefold(), len(low)) == (same.casefold(), end.casefold(), len(high))
    if not alike or not 0 < int(high) - int(low) <= _WIDEST:
        return None
    return [f"{head}{each:0{len(low)}}{tail}" for each in range(int(low), int(high) + 1)]


def _aside(plain: str, at: int) -> int:
    """Where a list goes on behind what is said of its last lot: in brackets, or an expiry."""
    aside = _ASIDE.match(plain, at)
    if aside is not None:
        return aside.end()
    label = words.EXPIRY.match(plain, _end(_COMMA, plain, at))
    if label is None:
        return at
    date = printed.date_at(plain, _end(_IS, plain, label.end()))
    return at if date is None else date.end


def _end(pattern: re.Pattern[str], plain: str, at: int) -> int:
    match = pattern.match(plain, at)
    return at if match is None else match.end()


def tabled(plain: str) -> Iterator[Named]:
    """Lots in the lines below a heading that names them, with the expiry of their line; as long as lines look so."""
    table: tuple[int, int | None, int] | None = None
    for line in re.finditer(r"[^\n]+|\n(?=\n)", plain):
        cells = [(each.start(), each.group()) for each in _CELL.finditer(line.group())]
        heading = _heading([each for _, each in cells])
        if heading is not None:
            table = heading
            continue
        found = None if table is None or len(cells) != table[2] else _row(line.group(), cells, table)
        if found is None:
            table = None
            continue
        at, date = line.start(), found.expiry
        said = None if date is None else printed.Printed(at + date.start, at + date.end, date.value)
        yield Named(at + found.start, at + found.end, said)


def _heading(titles: list[str]) -> tuple[int, int | None, int] | None:
    """Columns of the lots and of the expiries, and how many there are, where a line is a table's heading."""
    if len(titles) < 2 or any(_DIGIT.search(each) or len(each.split()) > _TITLE for each in titles):
        return None
    lot = next((at for at, each in enumerate(titles) if words.LOT.match(each.strip())), None)
    until = next((at for at, each in enumerate(titles) if words.EXPIRY.match(each.strip())), None)
    return None if lot is None else (lot, until, len(titles))


def _row(line: str, cells: list[tuple[int, str]], table: tuple[int, int | None, int]) -> Named | None:
    """A line's lot and expiry; None where it is no line of the table."""
    lot, until, _ = table
    date = None if until is None else printed.date_at(line, cells[until][0])
    date = date or next(printed.dates_in(line), None)
    start, cell = cells[lot]
    for match in TOKEN.finditer(cell):
        at = start + match.start()
        if _DIGIT.search(match.group()) and not (date is not None and date.start <= at < date.end):
            return Named(at, start + match.end(), date) if date is not None or until is None else None
    return None
