"""A question as text, for addresses and for what is saved: ``area=face&side=L&taken=2026-01..2026-03``.

It is the query of an address (RFC 3986): a pair for each value, facets and values in order, so that the same question
has one text. Within a value ``\\`` stands before a ``|``, ``,``, ``$`` or ``\\`` that is a character (R4 search,
escaping).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl, quote
from zoneinfo import ZoneInfo

from consent.regions import regions
from consent.types import Laterality
from fhir_mapping import dates, references
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.outcome.vocabulary import Rater
from fhir_mapping.question.facets import UNPLACED, Facet, Value
from fhir_mapping.question.judgement import Judgement
from fhir_mapping.question.question import Grade, Period, Question, Range, Token
from fhir_mapping.search.values import parts, plain
from fhir_mapping.treatment.elements import system_and_code

MAX_VALUES = 60
MAX_TEXT = 8000
"""Characters of a question."""

_UNSTATED = "-"
"""In the place of a grade or a rater: that of judgements that state none."""

_UNPLACED = f"|{UNPLACED.code}"
_CODE = re.compile(r"[^\s](?:.{0,198}[^\s])?")
_ESCAPED = re.compile(r"([\\|,$])")
_FORMAT = {
    Facet.PATIENT: "an id",
    Facet.AREA: "a region by name (face) or as system|code; none: of photos that name no region",
    Facet.SIDE: "R, L or B",
    Facet.VIEW: "a view by name (frontal) or as system|code",
    Facet.EXPRESSION: "an expression by name (smile) or as system|code",
    Facet.SESSION: "a whole number from 1",
    Facet.TREATMENT: "a code, or system|code",
    Facet.PRODUCT: "a code or name, or system|code",
    Facet.LOT: "a lot number as printed",
    Facet.SETTING: "SETTING$FROM..TO$UNIT: fluence$5..8$J/cm2",
    Facet.CLINICIAN: "an id, or Practitioner/ID",
    Facet.PHOTOGRAPHER: "an id, or Practitioner/ID",
    Facet.OUTCOME: "CHARACTERISTIC$GRADE$RATER: hair-density$improved..$patient; "
    ".. is: or better, - is: not stated; a part may be empty",
    Facet.PLAN: "an id, or CarePlan/ID, EpisodeOfCare/ID, Procedure/ID",
    Facet.TAKEN: "FROM..TO, FROM.., ..TO or one date: 2026-01..2026-03",
}


@dataclass(frozen=True, slots=True)
class Names:
    """Codes by the names that people type, ``system|code`` each. Regions have theirs in the region tree."""

    views: Mapping[str, str] = field(default_factory=dict)
    expressions: Mapping[str, str] = field(default_factory=dict)


UNNAMED = Names()


def read(pairs: Sequence[tuple[str, str]], zone: ZoneInfo, names: Names = UNNAMED) -> Question:
    """The question that facets and values ask.

    Raises
    ------
    Malformed
        The text names the facet and what it takes.
    """
    if len(pairs) > MAX_VALUES:
        raise Malformed(Issue("too-costly", f"A question takes up to {MAX_VALUES} values."))
    reader = _Reader(zone, names)
    found: dict[str, set[Any]] = {}
    for name, text in pairs:
        try:
            facet = Facet(name)
        except ValueError:
            known = ", ".join(Facet)
            raise Malformed(Issue("not-supported", f"There is no facet {name[:40]!r}; there are {known}.")) from None
        found.setdefault(facet.value, set()).add(reader.value(facet, text))
    return Question(**{name: frozenset(values) for name, values in found.items()})


def parse(text: str, zone: ZoneInfo, names: Names = UNNAMED) -> Question:
    """The question of a text.

    Raises
    ------
    Malformed
    """
    if len(text) > MAX_TEXT:
        raise Malformed(Issue("too-long", f"A question has up to {MAX_TEXT} characters."))
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError:
        raise Malformed(Issue("value", "A question is FACET=VALUE&FACET=VALUE, as in an address.")) from None
    return read(pairs, zone, names)


def pairs(question: Question, names: Names = UNNAMED) -> list[tuple[str, str]]:
    """Facets and values, in order."""
    writer = _Writer(names)
    return [
        (facet.value, each)
        for facet in question.asked()
        for each in sorted(writer.value(facet, value) for value in getattr(question, facet.value))
    ]


def text(question: Question, names: Names = UNNAMED) -> str:
    """The text of a question; :func:`parse` gives the question back."""
    return "&".join(f"{name}={quote(value, safe='/:|,$.')}" for name, value in pairs(question, names))


def counted_as(facet: Facet, value: Value) -> str:
    """A value of the index, as a question asks for it."""
    if facet is Facet.AREA:
        return f"{value.system}|{value.code}"
    if facet is Facet.OUTCOME:
        found = Judgement.of(value)
        return _grade_text(Grade(_whole_token(found.characteristic), found.grade, rater=found.rater))
    if facet is Facet.SETTING:
        amount, _, unit = value.code.partition(" ")
        return "$".join((_token_text(_whole_token(value.system)), amount, _escaped(unit)))
    if facet in _TOKENS:
        return _token_text(Token(value.code, value.system))
    return value.code


_TOKENS = frozenset({Facet.VIEW, Facet.EXPRESSION, Facet.TREATMENT, Facet.PRODUCT})


def _whole_token(text: str) -> Token:
    """``system|code``, or what somebody typed, which may have bars, too: with blanks around them, as no code has."""
    system, code = system_and_code(text)
    typed = not _CODE.fullmatch(code) or system != system.strip()
    return Token(text, "") if typed else Token(code, system)


class _Reader:
    def __init__(self, zone: ZoneInfo, names: Names) -> None:
        self._zone = zone
        self._of: Mapping[Facet, Callable[[str], Any]] = {
            Facet.PATIENT: lambda text: _reference(text, "Patient", ("Patient",)).removeprefix("Patient/"),
            Facet.AREA: _area,
            Facet.SIDE: Laterality,
            Facet.VIEW: lambda text: _named(text, names.views),
            Facet.EXPRESSION: lambda text: _named(text, names.expressions),
            Facet.SESSION: _whole,
            Facet.TREATMENT: _token,
            Facet.PRODUCT: _token,
            Facet.LOT: lambda text: _matching(_CODE, text.strip()),
            Facet.SETTING: _range,
            Facet.CLINICIAN: _person,
            Facet.PHOTOGRAPHER: _person,
            Facet.OUTCOME: _grade,
            Facet.PLAN: lambda text: _reference(text, "CarePlan", ("CarePlan", "EpisodeOfCare", "Procedure")),
            Facet.TAKEN: self._period,
        }

    def value(self, facet: Facet, text: str) -> Any:
        """One value of a facet."""
        try:
            if not text.isprintable():
                raise ValueError(text)
            return self._of[facet](text)
        except (ValueError, OverflowError, InvalidOperation):
            shown = text[:60] if text.isprintable() else ""
            raise Malformed(Issue("value", f"{facet.value}: {shown!r} is not {_FORMAT[facet]}.")) from None

    def _period(self, text: str) -> Period:
        first, dots, last = text.partition("..")
        if not (first or last):
            raise ValueError(text)
        start = dates.span(first, self._zone).start if first else None
        end = dates.span(last if dots else first, self._zone).end if last or not dots else None
        if start is not None and end is not None and end <= start:
            raise ValueError(text)
        return Period(start, end, text)


class _Writer:
    def __init__(self, names: Names) -> None:
        self._views = {code: name for name, code in names.views.items()}
        self._expressions = {code: name for name, code in names.expressions.items()}

    def value(self, facet: Facet, value: Any) -> str:
        """One value of a facet."""
        if isinstance(value, Token):
            written = _token_text(value)
            if facet is Facet.VIEW:
                return self._views.get(f"{value.system}|{value.code}", written)
            if facet is Facet.EXPRESSION:
                return self._expressions.get(f"{value.system}|{value.code}", written)
            return written
        if isinstance(value, Range):
            ends = "..".join("" if each is None else f"{each:f}" for each in (value.low, value.high))
            return "$".join((_token_text(value.setting), ends, _escaped(value.unit)))
        if isinstance(value, Grade):
            return _grade_text(value)
        if isinstance(value, Period):
            return value.text
        if isinstance(value, Laterality):
            return value.value
        if facet is Facet.AREA:
            found = regions().by_code(value)
            return found.name if found is not None else value.removeprefix("|") if value == _UNPLACED else str(value)
        return str(value)


def _area(text: str) -> str:
    """A region of the tree by its name or any of its codes; a code that the tree does not hold stands for itself."""
    if text == UNPLACED.code:
        return _UNPLACED
    tree = regions()
    found = tree.by_code(text) if "|" in text else tree.by_name(text)
    if found is not None:
        return found.code
    if not ("|" in text and _CODE.fullmatch(system_and_code(text)[1])):
        raise ValueError(text)
    return text


def _named(text: str, names: Mapping[str, str]) -> Token:
    code = names.get(text)
    if code is None:
        return _token(text)
    return _whole_token(code)


def _token(text: str) -> Token:
    system, *codes = parts(text, "|")
    if not codes:
        return Token(_matching(_CODE, plain(system)))
    return Token(_matching(_CODE, plain("|".join(codes))), plain(system)[:400])


def _token_text(token: Token) -> str:
    code = _escaped(token.code)
    return code if token.system is None else f"{_escaped(token.system)}|{code}"


def _grade_text(grade: Grade) -> str:
    what = "" if grade.characteristic is None else _token_text(grade.characteristic)
    step = _UNSTATED if grade.grade == "" else _escaped(grade.grade or "")
    if step.endswith("..") or grade.grade == _UNSTATED:  # points of its own do not mean: or better
        step = f"{step[:-1]}\\{step[-1]}"
    stated = [what, step + ".." * grade.or_better, _UNSTATED if grade.rater == "" else grade.rater or ""]
    while len(stated) > 1 and not stated[-1]:
        stated.pop()
    return "$".join(stated)


def _escaped(text: str) -> str:
    return _ESCAPED.sub(r"\\\1", text)


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) == 0:
        raise ValueError(text)
    return int(text)


def _range(text: str) -> Range:
    setting, ends, unit = parts(text, "$")
    low, dots, high = ends.partition("..")
    if not (low or high):
        raise ValueError(text)
    first = _number(low) if low else None
    last = _number(high) if high else (None if dots else first)
    if first is not None and last is not None and last < first:
        raise ValueError(text)
    return Range(_token(setting), _matching(_CODE, plain(unit)), first, last)


def _number(text: str) -> Decimal:
    if not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text, re.ASCII):
        raise ValueError(text)
    return Decimal(text).normalize() + 0


def _grade(text: str) -> Grade:
    what, grade, rater = [*parts(text, "$"), "", ""][:3]
    better = grade.endswith("..")
    grade = grade.removesuffix("..")
    if len(parts(text, "$")) > 3 or not (what or grade or rater) or (better and grade in ("", _UNSTATED)):
        raise ValueError(text)
    if rater not in ("", _UNSTATED, *Rater):
        raise ValueError(text)
    return Grade(
        _token(what) if what else None,
        "" if grade == _UNSTATED else _matching(_CODE, plain(grade)) if grade else None,
        better,
        "" if rater == _UNSTATED else rater or None,
    )


def _person(text: str) -> str:
    kinds = ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Organization", "Device")
    return _reference(text, "Practitioner", kinds)


def _reference(text: str, usual: str, kinds: Iterable[str]) -> str:
    if references.ID.fullmatch(text):
        return f"{usual}/{text}"
    found = references.local(text)
    if found is None or found.partition("/")[0] not in kinds:
        raise ValueError(text)
    return found


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(text)
    return text
