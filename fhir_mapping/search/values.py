"""Values as the index tables hold them; writing and searching go through the same functions."""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from datetime import datetime
from functools import lru_cache

from consent.store import clock
from fhir_mapping.tables import INDEXED

_PIECE = re.compile(r"\\.|.", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

#: How consonants sound alike (Soundex, US patent 1,261,167; as the census writes it).
_SOUNDS = str.maketrans("bfpvcgjkqsxzdtlmnr", "111122222222334556")

#: Open sides of a span.
FIRST, LAST = -(1 << 62), 1 << 62


def indexed(text: str, room: int = INDEXED) -> str:
    """A value that fits the index: itself, or its beginning with a digest of the whole."""
    if len(text) <= room:
        return text
    return f"{text[: room - 65]}~{hashlib.sha256(text.encode('utf-8')).hexdigest()}"


def folded(text: str) -> str:
    """A text as string search compares it: without case and accents (R4 search, string)."""
    return _remembered(text) if len(text) <= INDEXED else _folded(text)


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold().strip()[:INDEXED]


@lru_cache(maxsize=4096)
def _remembered(text: str) -> str:
    """The same few names of codes stand in every resource."""
    return _folded(text)


def sounds(text: str) -> set[str]:
    """How each word of a text sounds: its first letter, and three digits for the consonants that follow (Soundex).

    A word in other letters than these stands for itself.
    """
    return {_sound(word) for word in re.split(r"[^\w]+", folded(text)) if word}


def _sound(word: str) -> str:
    if not (word.isascii() and word.isalpha()):
        return word
    coded = re.sub("(?<=.)[hw]", "", word).translate(_SOUNDS)
    first = word[0].translate(_SOUNDS)
    digits = [each for before, each in itertools.pairwise([first, *coded[1:]]) if each.isdigit() and each != before]
    return (word[0] + "".join(digits))[:4].ljust(4, "0")


def parts(text: str, mark: str) -> list[str]:
    """A search value between its marks, ``,`` or ``|``; one behind a backslash is a character (R4 search, escaping).

    The parts are escaped still; see :func:`plain`.
    """
    found = [""]
    for piece in _PIECE.findall(text):
        if piece == mark:
            found.append("")
        else:
            found[-1] += piece
    return found


def plain(text: str) -> str:
    """What a part of a search value says: ``\\,`` ``\\|`` ``\\$`` ``\\\\`` stand for the character."""
    return _ESCAPE.sub(r"\1", text)


def token(text: str) -> tuple[str | None, str]:
    """System and code of a token; ``code`` names no system, ``|code`` says that there is none (R4 search, token)."""
    system, *codes = parts(text, "|")
    return (plain(system), plain("|".join(codes))) if codes else (None, plain(system))


def micros(moment: datetime | None, default: int) -> int:
    """A moment as microseconds since 1970 in UTC; ``default`` for an open side."""
    return default if moment is None else clock.micros(moment)
