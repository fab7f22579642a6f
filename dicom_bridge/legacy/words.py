"""The words that a clinic's folders and lists use, and what they mean here.

A file of them is TOML, a table for each kind: ``[region]``, ``[side]``, ``[view]``, ``[expression]``, ``[patient]``,
with lines such as ``"profile" = "left-lateral"``. Capitals, blanks and underscores do not matter.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from consent.types import Laterality
from dicom_bridge.errors import BridgeError, UnknownCode
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view

_KINDS = ("region", "side", "view", "expression", "patient")
_SIDES = {
    **{each.value.lower(): each for each in Laterality},
    "right": Laterality.RIGHT,
    "left": Laterality.LEFT,
    "both": Laterality.BOTH,
    "bilateral": Laterality.BOTH,
}
_GAPS = re.compile(r"[\s_]+")


class WordsRefused(BridgeError):
    """A file of words cannot be read; the text names the line or the word."""


@dataclass(frozen=True, slots=True)
class Words:
    """Words of a clinic's own, by kind."""

    own: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def patient(self, word: str) -> str:
        """How the record names the patient whom a word means."""
        return self.own.get("patient", {}).get(_plain(word), word)

    def region(self, word: str) -> str:
        """The code of a region, ``system|code``. Raises UnknownCode."""
        return self._coded("region", word, lambda name: find_region(name).code)

    def view(self, word: str) -> str:
        """The code of a view. Raises UnknownCode."""
        return self._coded("view", word, lambda name: find_view(name).code)

    def expression(self, word: str) -> str:
        """The code of an expression. Raises UnknownCode."""
        return self._coded("expression", word, lambda name: find_expression(name).code)

    def side(self, word: str) -> str:
        """R, L or B. Raises UnknownCode."""
        return self._coded("side", word, _side)

    def _coded(self, kind: str, word: str, find: Callable[[str], str]) -> str:
        if "|" in word:
            return find(word)
        plain = _plain(word)
        return find(self.own.get(kind, {}).get(plain, plain))


def read_words(data: bytes) -> Words:
    """Read a file of words.

    Raises
    ------
    WordsRefused
    """
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WordsRefused(f"--words: it is no TOML: {error}") from None
    own: dict[str, dict[str, str]] = {}
    for kind, table in values.items():
        if kind not in _KINDS or not isinstance(table, Mapping):
            raise WordsRefused(f"--words: unknown table {kind!r}; known are {', '.join(_KINDS)}")
        for word, meaning in table.items():
            if not isinstance(meaning, str):
                raise WordsRefused(f"--words: [{kind}] {word!r}: write what it means in quotes")
        own[kind] = {_plain(word): meaning for word, meaning in table.items()}
    words = Words(own)
    checks = {"region": words.region, "side": words.side, "view": words.view, "expression": words.expression}
    for kind, check in checks.items():
        for word in own.get(kind, {}):
            try:
                check(word)
            except UnknownCode as error:
                raise WordsRefused(f"--words: [{kind}] {word!r}: {error}") from None
    return words


def _plain(word: str) -> str:
    return _GAPS.sub("-", word.strip().lower())


def _side(word: str) -> str:
    found = _SIDES.get(word.lower())
    if found is None:
        raise UnknownCode(f"unknown side {word!r}; known are R, L and B, and right, left, both")
    return found.value
