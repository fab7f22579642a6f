"""English texts that remember what they were made of, so that whoever shows one can say it in another language.

What is decided, judged or advised is told by the module that knows it, in English, and so it stands in the record, in
answers to machines and in the terminal. A page speaks the language of its reader: it takes the message and its values
apart again (:func:`orthanc_plugin.workspace.language.said`). Messages are collected by ``make messages``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from types import MappingProxyType

Value = str | int | float | date | Sequence[str]


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


def coded(code: str, name: str) -> Wording:
    """A code, or a term of a vocabulary, that pages call otherwise than records do.

    Parameters
    ----------
    name
        A message; see :func:`worded`.
    """
    return Wording(name, {}, code=code)


def in_a_row(texts: Iterable[str]) -> str:
    """Texts one behind another, with a space between."""
    first, *more = [*texts] or [""]
    for each in more:
        first = worded("%(text)s %(more)s", text=first, more=each)
    return first


def plain(value: Value) -> str:
    """A value as an English text has it; days as ISO 8601 writes them."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return ", ".join(map(str, value))
