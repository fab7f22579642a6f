"""How lot numbers are misread: what reads alike, and what is one slip of the pen away.

A lot is kept as it stands. Beside it stand its readings: whole, and by words where a field holds more than the lot. A
reading is without case, spaces and marks, with the zeros that lead a number and without them; characters that look
alike are one, and digits are digits in whichever script. The neighbourhood of a
reading is itself and what remains without any one of its characters, so that two readings which differ by one character
(in place of another, too many, missing) or by two neighbours exchanged have a text in common (Garbe, SymSpell, 2012).
"""

from __future__ import annotations

import re
from enum import StrEnum

from consent.wording import worded
from fhir_mapping.advisory import words
from fhir_mapping.search.values import folded

_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 40
_WHOLLY = 12  # words of which every run is read; of more, every run of a few
_RUN = 4
_LONGEST = 40  # characters of a reading whose neighbourhood is kept; no agency's lot has more than 20
_SHORTEST = 4  # a shorter reading has neighbours without end
_KEPT = 64
_ZEROS = re.compile(r"(?<![0-9o])[0o]+(?=[0-9])")
_LABELS = frozenset({"lot", "batch", "charge", "ch", "lote", "no", "nr", "number"})
_GLUED = re.compile(r"^\W*(?:lot|batch|charge|ch|lote)\W*(?=\d)")  # LOT0071 is 0071, too

#: Latin letters that are taken for digits; Greek and Cyrillic ones of a Latin letter's shape, with those among them.
_ALIKE = str.maketrans("oilsbz" + "αβεζηικμνορτυχ" + "авекмнорстух", "011582" + "a8e2h1kmn0ptyx" + "a8ekmh0pctyx")


class Near(StrEnum):
    """How a lot on record comes close to the one asked for; the closest first."""

    ALIKE = "reads alike"
    EXCHANGED = "two characters exchanged"
    ONE = "one character differs"

    @property
    def words(self) -> str:
        """The same, for pages to say in their language."""
        return _NEAR[self]


_NEAR = {
    Near.ALIKE: worded("reads alike"),
    Near.EXCHANGED: worded("two characters exchanged"),
    Near.ONE: worded("one character differs"),
}


def reading(text: str) -> set[str]:
    """A lot as a tired eye reads it, with the zeros that its numbers begin with and without."""
    plain = folded(words.level(text))
    bare = _GLUED.sub("", plain)
    return {each for one in (plain, bare, _ZEROS.sub("", plain), _ZEROS.sub("", bare)) for each in _whole(one)} - {""}


def _whole(plain: str) -> set[str]:
    kept = "".join(each for each in plain if each.isalnum()).translate(_ALIKE)[:_KEPT]
    return {kept, kept.lstrip("0")}


def readings(text: str) -> set[str]:
    """A lot's readings, whole and by words: ``Lot C3709C3, exp 12/2023``, or two lots in one field."""
    found = _WORD.findall(folded(words.level(text)))[:_MOST_WORDS]
    longest = len(found) if len(found) <= _WHOLLY else _RUN
    runs = (
        " ".join(found[first:last])
        for first in range(len(found))
        for last in range(first + 1, min(first + longest, len(found)) + 1)
    )
    return {each for run in (text, *runs) for each in reading(run)}


def asked(text: str) -> set[str]:
    """The readings of a lot that is asked for: whole, and without a word for "lot" before it."""
    said = _WORD.findall(folded(words.level(text)))
    while len(said) > 1 and said[0] in _LABELS:
        said = said[1:]
    return reading(text) | reading(" ".join(said))


def neighbourhood(of: str) -> set[str]:
    """A reading, and each text that is left of it without one character."""
    if not _SHORTEST <= len(of) <= _LONGEST:
        return {of}
    return {of, *(of[:place] + of[place + 1 :] for place in range(len(of)))}


def near(lot: str, wanted: set[str]) -> Near | None:
    """How near a lot on record comes to one of the readings asked for; None: not near."""
    best: Near | None = None
    for mine in readings(lot):
        for other in wanted:
            if mine == other:
                return Near.ALIKE
            if min(len(mine), len(other)) < _SHORTEST or max(len(mine), len(other)) > _LONGEST:
                continue
            if _exchanged(mine, other):
                best = Near.EXCHANGED
            elif best is None and _one_apart(mine, other):
                best = Near.ONE
    return best


def wild(lot: str) -> bool:
    """Whether a lot has illegible places, and a digit that can be read beside them."""
    pieces = words.legible(lot)
    return pieces is not None and not all(map(words.tells_nothing, pieces))


def fits(lot: str, wanted: set[str]) -> bool:
    """Whether a lot with illegible places, ``LOT-00?1``, could be one of the readings asked for.

    A place may hide any number of characters, none too. What stands around the lot (``Lot LOT-00?1, exp 12/27``) is
    read with it and without.
    """
    words_of = lot.split()[:_WHOLLY]
    runs = {
        " ".join(words_of[first:last]) for first in range(len(words_of)) for last in range(first + 1, len(words_of) + 1)
    }
    return any(_covers(pieces, each) for run in runs if (pieces := _pieces(run)) for each in wanted)


def _pieces(lot: str) -> list[str] | None:
    """The legible pieces as they read; None: there is no illegible place, or nothing else."""
    pieces = words.legible(lot)
    read = None if pieces is None else [max(reading(each), key=len, default="") for each in pieces]
    return read if read is not None and any(read) else None


def _covers(pieces: list[str], wanted: str) -> bool:
    """Whether pieces stand in a text in this order, the first at its beginning and the last at its end."""
    first, *middle, last = pieces
    if not wanted.startswith(first) or not wanted.endswith(last) or len(first) + len(last) > len(wanted):
        return False
    at, end = len(first), len(wanted) - len(last)
    for each in middle:
        place = wanted.find(each, at, end)
        if place < 0:
            return False
        at = place + len(each)
    return True


def _exchanged(one: str, other: str) -> bool:
    if len(one) != len(other):
        return False
    places = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    return (
        len(places) == 2
        and places[1] == places[0] + 1
        and (one[places[0]], one[places[1]]) == (other[places[1]], other[places[0]])
    )


def _one_apart(one: str, other: str) -> bool:
    """Whether one character in place of another, too many or missing turns one into the other."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    same = next((place for place, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return short[same + (len(short) == len(long)) :] == long[same + 1 :]
