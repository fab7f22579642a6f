"""English texts that remember what they were made of, so that whoever shows one can say it in another language.

What is decided, judged or advised is told by the module that knows it, in English, and so it stands in the record, in
answers to machines and in the terminal. A page speaks the language of its reader: it takes the message and its values
apart again (:func:`orthanc_plugin.workspace.language.said`). Messages are collected by ``make messages``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType

Value = str | int | float | Decimal | date | Sequence[str]
"""Of a Decimal its places are kept."""

_LONGEST = 500
"""Characters of a text that is taken apart again."""

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,11})(\.\d{1,6})?")
_NAME = re.compile(r"%\((\w+)\)s")


class PartialDate(str):
    """A day, a month or a year as FHIR writes it (R4 date), among the values of a text."""

    __slots__ = ()


class Wording(str):
    """A text. It is the English one wherever nothing else is asked of it."""

    __slots__ = ("many", "message", "number", "values")

    message: str
    """The text with names in the place of its values, ``%(name)s``; without values, the text itself."""

    values: Mapping[str, Value]
    """A text among them may be one of these again; several are a list, with commas."""

    many: str | None
    """Where a number decides the form: ``message`` is that for one, this is that for several."""

    number: int

    def __new__(
        cls,
        message: str,
        values: Mapping[str, Value],
        many: str | None = None,
        number: int = 1,
        code: str | None = None,
    ) -> Wording:
        """Made by :func:`worded`, :func:`worded_by` and :func:`coded`."""
        text = message if many is None or number == 1 else many
        text = text % {name: plain(each) for name, each in values.items()} if values else text
        made = super().__new__(cls, text if code is None else code)
        made.message, made.values, made.many, made.number = message, MappingProxyType(dict(values)), many, number
        return made

    def of(self, **values: Value) -> Wording:
        """The same text with values, where it stands in a table without them."""
        return Wording(self.message, values) if values else self

    def __reduce__(self) -> tuple[type[Wording], tuple[str, dict[str, Value], str | None, int, str]]:
        """For copies, and for other processes."""
        return Wording, (self.message, dict(self.values), self.many, self.number, str(self))


def worded(message: str, /, **values: Value) -> Wording:
    """A text: ``worded("Focal length alike, %(length)s mm", length=90.0)``. The message is a literal, or a name of a
    vocabulary, whose names are collected too.
    """
    return Wording(message, values)


def worded_by(number: int, one: str, many: str, /, **values: Value) -> Wording:
    """One of two texts by a number: ``worded_by(weeks, "a week", "%(weeks)s weeks", weeks=weeks)``."""
    return Wording(one, values, many, number)


def joined(texts: Iterable[str], between: str = ", ") -> Wording:
    """Several texts as one: ``Cheek, right lateral``."""
    values = {f"text{place}": each for place, each in enumerate(texts)}
    return Wording(between.join(f"%({name})s" for name in values), values)


def coded(code: str, name: str) -> Wording:
    """A code, or a term of a vocabulary, that pages call otherwise than records do.

    Parameters
    ----------
    name
        A message; see :func:`worded`.
    """
    return Wording(name, {}, code=code)


def plain(value: Value) -> str:
    """A value as an English text has it; days as ISO 8601 writes them."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return ", ".join(map(str, value))


def recognised(text: str, known: tuple[Wording, ...]) -> str:
    """A text that was kept as English, as the wording that it was made by; a text of none of them, as it is.

    Parameters
    ----------
    known
        Wordings without values; what stands between their words is looked for among them again.
    """
    first: Wording | None = None
    if len(text) > _LONGEST:
        return text
    for each, pattern in _patterns(known):
        found = pattern.fullmatch(text)
        if found is None:
            continue
        values = {name: _recognised_value(value, known) for name, value in found.groupdict().items()}
        made = each.of(**values)
        if not any(type(value) is str for value in values.values()):  # each of them is known, too
            return made
        first = first or made
    return first or text


def _recognised_value(text: str, known: tuple[Wording, ...]) -> Value:
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    whole = recognised(text, known)
    parts = [recognised(each, known) for each in text.split(", ")]
    return parts if len(parts) > 1 and all(isinstance(each, Wording) for each in parts) else whole


@lru_cache(maxsize=16)
def _patterns(known: tuple[Wording, ...]) -> tuple[tuple[Wording, re.Pattern[str]], ...]:
    """Those with more words of their own first."""
    made = []
    for each in known:
        parts = _NAME.split(each.message)
        source = "".join(f"(?P<{part}>.+?)" if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
        made.append((sum(map(len, parts[::2])), each, re.compile(source.replace("%%", "%"))))
    return tuple((each, pattern) for _, each, pattern in sorted(made, key=lambda one: -one[0]))
