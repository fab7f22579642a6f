"""What one value of a question accepts, among the values that the index holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import ColumnElement, and_, or_

from consent.types import Laterality
from fhir_mapping.question.facets import Facet, Held, Value, name_of
from fhir_mapping.question.judgement import Judgement, at_least
from fhir_mapping.question.question import Grade, Question, Range, Token
from fhir_mapping.question.tables import facet_value
from fhir_mapping.search.values import indexed
from fhir_mapping.treatment.elements import system_and_code

_WIDER = 1e-9
"""Amounts are searched as floats, and compared as decimals."""


@dataclass(frozen=True, slots=True)
class Term:
    """One condition on values."""

    narrow: ColumnElement[bool]
    """Rows of ``facet_value`` among which all that are accepted are found by an index."""

    accepts: Callable[[Value], bool]

    @classmethod
    def of(cls, value: Value) -> Term:
        """One value and no other."""
        return cls(
            and_(
                facet_value.c.facet == value.facet,
                facet_value.c.system == value.system,
                facet_value.c.code == value.code,
            ),
            lambda each: (each.facet, each.system, each.code) == (value.facet, value.system, value.code),
        )


def terms_of(question: Question, facet: Facet) -> list[Term]:
    """What a question accepts of a facet; PATIENT and TAKEN are no values of the index."""
    if facet in (Facet.AREA, Facet.SIDE):
        return _regions(question, facet)
    if facet is Facet.SESSION:
        return [_token(facet, Token(str(each), "")) for each in question.session]
    if facet is Facet.LOT:
        return [_token(facet, Token(each, "")) for each in question.lot]
    if facet is Facet.SETTING:
        return [_range(each) for each in question.setting]
    if facet is Facet.OUTCOME:
        return [_grade(each) for each in question.outcome]
    named = getattr(question, facet.value)
    return [_token(facet, each if isinstance(each, Token) else Token(each, "")) for each in named]


def _regions(question: Question, facet: Facet) -> list[Term]:
    """With a side beside an area, the area is asked for on that side, and the side by itself asks for nothing more."""
    if facet is Facet.SIDE and not question.area:
        return [_token(facet, Token(each.value, "")) for each in question.side]
    if not question.side:
        return [Term.of(_area(each)) for each in question.area]
    return [Term.of(_on_side(area, side)) for area in question.area for side in question.side]


def _area(code: str) -> Value:
    system, bare = system_and_code(code)
    return Value(Facet.AREA, indexed(system), indexed(bare))


def _on_side(code: str, side: Laterality) -> Value:
    return Value(Held.AREA_ON_SIDE, indexed(code), side.value)


def _token(facet: str, token: Token) -> Term:
    facets, code = (facet, name_of(facet)), indexed(token.code)
    system = None if token.system is None else indexed(token.system)
    narrow = and_(facet_value.c.facet.in_(facets), facet_value.c.code == code)
    return Term(
        narrow if system is None else and_(narrow, facet_value.c.system == system),
        lambda each: each.facet in facets and each.code == code and system in (None, each.system),
    )


def _range(wanted: Range) -> Term:
    code, system = wanted.setting.code, wanted.setting.system
    names = (facet_value.c.system == indexed(code), facet_value.c.system.endswith(f"|{code}", autoescape=True))
    facets = (Facet.SETTING, name_of(Facet.SETTING))
    narrow: list[ColumnElement[bool]] = [facet_value.c.facet.in_(facets), facet_value.c.amount.is_not(None)]
    if system is None:
        narrow.append(or_(*names))
    else:
        narrow.append(facet_value.c.system == indexed(f"{system}|{code}" if system else code))
    for bound, above in ((wanted.low, True), (wanted.high, False)):
        if bound is not None:
            room = abs(float(bound)) * _WIDER + _WIDER
            amount = facet_value.c.amount
            narrow.append(amount >= float(bound) - room if above else amount <= float(bound) + room)

    def accepts(each: Value) -> bool:
        if each.amount is None:
            return False
        if system_and_code(each.system)[1] != code and each.system != indexed(code):
            return False
        if system is not None and each.system != indexed(f"{system}|{code}" if system else code):
            return False
        number, _, unit = each.code.partition(" ")
        amount = Decimal(number)
        return (
            unit == wanted.unit
            and (wanted.low is None or amount >= wanted.low)
            and (wanted.high is None or amount <= wanted.high)
        )

    return Term(and_(*narrow), accepts)


def _grade(wanted: Grade) -> Term:
    grades = None if wanted.grade is None else at_least(wanted.grade) if wanted.or_better else {wanted.grade}

    def accepts(each: Value) -> bool:
        if each.facet != Facet.OUTCOME:
            return False
        found, what = Judgement.of(each), wanted.characteristic
        return (
            (what is None or _is(found.characteristic, what))
            and (grades is None or found.grade in grades)
            and wanted.rater in (None, found.rater)
        )

    return Term(facet_value.c.facet == Facet.OUTCOME, accepts)


def _is(text: str, token: Token) -> bool:
    """Whether ``system|code`` is what a token names."""
    system, code = system_and_code(text)
    coded = code == token.code and token.system in (None, system)
    return coded or (text == token.code and token.system in (None, ""))
