"""What a file's path says, where somebody states how its parts are to be read.

A pattern is a path with fields: ``{patient}/{date:%Y-%m-%d}/{region}_{view}.jpg``. A field ends at the first character
that follows it in the pattern, the last one of a folder or name at its end; so a path is read in one way, and in a time
that grows with its length. ``{}`` is a part that says nothing, ``**/`` any number of folders. Capitals do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dicom_bridge.errors import BridgeError

FIELDS = ("patient", "date", "visit", "treatment", "session", "region", "side", "view", "expression")
"""What a part of a path may say; a date says how it is written: ``{date:%Y-%m-%d}``."""

_LONGEST = 1024
"""Characters of a path that is read."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_DIRECTIVES = {
    "%Y": "[0-9]{4}",
    "%y": "[0-9]{2}",
    "%m": "[0-9]{1,2}",
    "%d": "[0-9]{1,2}",
    "%H": "[0-9]{2}",
    "%M": "[0-9]{2}",
    "%S": "[0-9]{2}",
    "%b": "[^\\W\\d_]{3,4}",
    "%B": "[^\\W\\d_]{3,12}",
}
_DIRECTIVE = re.compile(r"%.")
_EVERYWHERE = "**/"


class PatternRefused(BridgeError):
    """A pattern cannot be read; the text names the part of it, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a path says."""

    values: Mapping[str, str]
    """By field, as it is written; without the date."""

    date: datetime | None = None
    timed: bool = False
    """Whether the date has a time of day."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, ready to be held against paths."""

    text: str
    expression: re.Pattern[str]
    names: tuple[str, ...]
    date: str | None = None
    """How its date is written (``strptime``)."""

    date_names: tuple[str, ...] = field(default=())

    def read(self, path: str) -> Said | None:
        """What a path says, parts joined by ``/``; None where the pattern does not fit it."""
        found = None if len(path) > _LONGEST else self.expression.fullmatch(path)
        if found is None:
            return None
        values = {name: found[name].strip() for name in self.names if name != "date"}
        if self.date is None:
            return Said(values)
        try:
            moment = datetime.strptime(found["date"], self.date)  # noqa: DTZ007  # it is in the site's zone
        except ValueError:  # a month 13: no date, so not this pattern
            return None
        return Said(values, moment, any(each in self.date for each in ("%H", "%M")))


def pattern(text: str) -> Pattern:
    """Read a pattern.

    Raises
    ------
    PatternRefused
    """
    if not text or len(text) > _LONGEST:
        raise PatternRefused("--pattern: write a path with fields, such as {patient}/{date:%Y-%m-%d}/{region}.jpg")
    if text.startswith("/") or "\\" in text:
        raise PatternRefused("--pattern: paths are relative to the folder that is imported, with / between folders")
    if text.count(_EVERYWHERE) > 1:
        raise PatternRefused("--pattern: **/ may stand once")
    written, names, date = "", [], None
    at = 0
    for found in _FIELD.finditer(text):
        written += _literal(text[at : found.start()])
        at = found.end()
        name, _, form = found[1].partition(":")
        if at < len(text) and text[at] == "{":
            raise PatternRefused(f"--pattern: nothing parts {found[0]} from the field behind it; put a character there")
        if name == "date":
            inner, date = _date(form), form
        elif form:
            raise PatternRefused(f"--pattern: only a date says how it is written, and not {found[0]}")
        elif name and name not in FIELDS:
            raise PatternRefused(f"--pattern: unknown field {found[0]}; known are {', '.join(FIELDS)}, and {{}}")
        else:
            inner = _run(text, at)
        if name in names:
            raise PatternRefused(f"--pattern: {{{name}}} stands twice")
        if name:
            names.append(name)
        written += f"(?P<{name}>{inner})" if name else f"(?:{inner})"
    written += _literal(text[at:])
    if not names:
        raise PatternRefused(f"--pattern: it has no field; known are {', '.join(FIELDS)}")
    return Pattern(text, re.compile(written, re.IGNORECASE), tuple(names), date)


def _literal(text: str) -> str:
    if "{" in text or "}" in text:
        raise PatternRefused("--pattern: a brace has no partner; write fields as {name}")
    return "(?:[^/]+/)*".join(re.escape(each) for each in text.split(_EVERYWHERE))


def _run(text: str, at: int) -> str:
    """What a field holds: up to the character behind it, or up to the end of its part of the path."""
    rest = text[at:].partition("/")[0]
    if not rest or "{" not in rest:
        return "[^/]+"
    following = re.escape(rest[0])
    return f"[^/{following}]+"


def _date(form: str) -> str:
    if not form:
        raise PatternRefused("--pattern: say how the date is written: {date:%Y-%m-%d}")
    for directive in _DIRECTIVE.findall(form):
        if directive not in _DIRECTIVES:
            raise PatternRefused(f"--pattern: {directive} is unknown in a date; known are {' '.join(_DIRECTIVES)}")
    has = set(_DIRECTIVE.findall(form))
    if not (has & {"%Y", "%y"} and has & {"%m", "%b", "%B"} and "%d" in has) or "/" in form:
        raise PatternRefused("--pattern: a date has a year, a month and a day, within one folder's or file's name")
    return "".join(
        _DIRECTIVES[part] if part in _DIRECTIVES else re.escape(part) for part in re.split(r"(%.)", form) if part
    )
