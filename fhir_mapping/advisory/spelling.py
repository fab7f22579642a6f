"""How lot numbers are misread: what reads alike, and what is one slip of the pen away.

A lot is kept as it stands. Beside it stand its readings: whole, and by words where a field holds more than the lot. A
reading is without case, spaces, marks and leading zeros; characters that look alike are one. The neighbourhood of a
reading is itself and what remains without any one of its characters, so that two readings which differ by one character
(in place of another, too many, missing) or by two neighbours exchanged have a text in common (Garbe, SymSpell, 2012).
"""

from __future__ import annotations

import re
from enum import StrEnum

from fhir_mapping.search.values import folded

_WORD = re.compile(r"[^\W_]+")
_MAX_WORDS = 12
_LONGEST = 40  # characters of a reading whose neighbourhood is kept; no agency's lot has more than 20
_SHORTEST = 4  # a shorter reading has neighbours without end
_KEPT = 64
_WILD = re.compile(r"[?*_]")
_LABELS = frozenset({"lot", "batch", "charge", "ch", "lote", "no", "nr", "number"})

#: Latin letters that are taken for digits; Greek and Cyrillic ones of a Latin letter's shape, with those among them.
_ALIKE = str.maketrans("oilsbz" + "αβεζηικμνορτυχ" + "авекмнорстух", "011582" + "a8e2h1kmn0ptyx" + "a8ekmh0pctyx")


class Near(StrEnum):
    """How a lot on record comes close to the one asked for; the closest first."""

    ALIKE = "reads alike"
    EXCHANGED = "two characters exchanged"
    ONE = "one character differs"


def reading(text: str) -> set[str]:
    """A lot as a tired eye reads it, with the zeros that it begins with and without."""
    kept = "".join(each for each in folded(text) if each.isalnum()).translate(_ALIKE)[:_KEPT]
    return {kept, kept.lstrip("0")} - {""}


def readings(text: str) -> set[str]:
    """A lot's readings, whole and by words: ``Lot C3709C3, exp 12/2023``, or two lots in one field."""
    words = _WORD.findall(folded(text))[:_MAX_WORDS]
    runs = ("".join(words[first:last]) for first in range(len(words)) for last in range(first + 1, len(words) + 1))
    return {each for run in (text, *runs) for each in reading(run)}


def asked(text: str) -> set[str]:
    """The readings of a lot that is asked for: whole, and without a word for "lot" before it."""
    words = _WORD.findall(folded(text))
    while len(words) > 1 and words[0] in _LABELS:
        words = words[1:]
    return reading(text) | reading("".join(words))


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
    """Whether a lot has illegible places."""
    return _WILD.search(lot) is not None


def fits(lot: str, wanted: str) -> bool:
    """Whether a lot with illegible places, ``LOT-00?1``, could be the one asked for."""
    pieces = re.split(r"([?*_])", lot.strip()) if len(lot) <= 100 else []
    kept: list[str] = []
    for piece in pieces:
        if piece and not (piece == "*" and kept and kept[-1] == "*"):
            kept.append(piece)
    if not kept or kept.count("*") > 3:  # matching stays cheap
        return False
    pattern = "".join(".*" if each == "*" else "." if each in ("?", "_") else re.escape(each) for each in kept)
    return re.fullmatch(pattern, wanted.strip(), re.IGNORECASE) is not None


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
