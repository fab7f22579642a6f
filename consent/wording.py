"""English texts that remember what they were made of, so that whoever shows one can say it in another language.

What is decided, judged or advised is told by the module that knows it, in English, and so it stands in the record, in
answers to machines and in the terminal. A page speaks the language of its reader: it takes the message and its values
apart again (:func:`orthanc_plugin.workspace.language.said`). Messages are collected by ``make messages``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from types import MappingProxyType

Value = str | int | float | Decimal | date | Sequence[str]
"""A decimal keeps the digits that it was written with."""


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

    def __new__(cls, message: str, values: Mapping[str, Value], many: str | None = None, number: int = 1) -> Wording:
        """Made by :func:`worded` and :func:`worded_by`."""
        text = message if many is None or number == 1 else many
        made = super().__new__(cls, text % {name: plain(each) for name, each in values.items()} if values else text)
        made.message, made.values, made.many, made.number = message, MappingProxyType(dict(values)), many, number
        return made

    def __reduce__(self) -> tuple[type[Wording], tuple[str, dict[str, Value], str | None, int]]:
        """For copies, and for other processes."""
        return Wording, (self.message, dict(self.values), self.many, self.number)


def worded(message: str, /, **values: Value) -> Wording:
    """A text: ``worded("Focal length alike, %(length)s mm", length=90.0)``. The message is a literal, or a name of a
    vocabulary, whose names are collected too.
    """
    return Wording(message, values)


def worded_by(number: int, one: str, many: str, /, **values: Value) -> Wording:
    """One of two texts by a number: ``worded_by(weeks, "a week", "%(weeks)s weeks", weeks=weeks)``."""
    return Wording(one, values, many, number)


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
