"""A question as text: one text for each question, read back as it was; and what cannot be read is told by its facet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.regions import regions
from consent.types import Laterality
from dicom_bridge.objects.vocabulary import terms
from fhir_mapping.errors import Malformed
from fhir_mapping.question.facets import Facet, Value
from fhir_mapping.question.question import Grade, Period, Question, Range, Token
from fhir_mapping.question.terms import terms_of
from fhir_mapping.question.text import Names, counted_as, pairs, parse, read, text
from tests.counts import count, report

pytestmark = pytest.mark.fast

_ZONE = ZoneInfo("Europe/Athens")
_NAMES = Names({term.name: term.code for term in terms("view")}, {term.name: term.code for term in terms("expression")})
_IDS = st.from_regex(r"[A-Za-z0-9\-.]{1,20}", fullmatch=True)
_WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=r" |\,$&=+%#;."),
    min_size=1,
    max_size=20,
).filter(lambda each: each == each.strip() and each.isprintable())
_TOKENS = st.builds(Token, _WORDS, st.none() | st.just("") | _WORDS)
_NAMED = st.sampled_from([Token(each.partition("|")[2], each.partition("|")[0]) for each in _NAMES.views.values()])
_AMOUNTS = st.decimals(-1000, 1000, places=3).map(lambda each: each.normalize() + 0)


def _range(setting: Token, unit: str, one: Decimal | None, other: Decimal | None) -> Range:
    if one is None and other is None:
        one = Decimal(1)
    if one is not None and other is not None:
        one, other = min(one, other), max(one, other)
    return Range(setting, unit, one, other)


def _period(written: str) -> Period:
    (found,) = read([("taken", written)], _ZONE).taken
    return found


_GRADES = st.builds(
    Grade,
    _TOKENS,
    st.just("improved") | _WORDS,
    st.booleans(),
    st.none() | st.sampled_from(["patient", "investigator", "measured", ""]),
) | st.builds(Grade, _TOKENS | st.none(), st.sampled_from([None, ""]), st.just(False), st.just("patient"))


def _sets(values: st.SearchStrategy[Any]) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(values, max_size=3)


QUESTIONS = st.builds(
    Question,
    patient=_sets(_IDS),
    area=_sets(st.sampled_from([each.code for each in regions()]) | _WORDS.map(lambda each: f"urn:x|{each}")),
    side=_sets(st.sampled_from(Laterality)),
    view=_sets(_NAMED | _TOKENS),
    expression=_sets(_TOKENS),
    session=_sets(st.integers(1, 999)),
    treatment=_sets(_TOKENS),
    product=_sets(_TOKENS),
    lot=_sets(_WORDS),
    setting=_sets(st.builds(_range, _TOKENS, _WORDS, st.none() | _AMOUNTS, st.none() | _AMOUNTS)),
    clinician=_sets(_IDS.map(lambda each: f"Practitioner/{each}")),
    photographer=_sets(_IDS.map(lambda each: f"PractitionerRole/{each}")),
    outcome=_sets(_GRADES),
    plan=_sets(_IDS.map(lambda each: f"EpisodeOfCare/{each}")),
    taken=_sets(st.sampled_from(["2026", "2026-01..", "..2026-02-03", "2026-01..2026-03"]).map(_period)),
)
_EXAMPLES = count("question-text", small=60, full=5_000)


def test_a_text_gives_its_question_back() -> None:
    ran = 0

    @settings(max_examples=_EXAMPLES, deadline=None, derandomize=True)
    @given(QUESTIONS, st.sampled_from([_NAMES, Names()]))
    def holds(question: Question, names: Names) -> None:
        nonlocal ran
        ran += 1
        written = text(question, names)
        again = parse(written, _ZONE, names)
        assert again == question, written
        assert text(again, names) == written
        assert read(list(reversed(pairs(question, names))), _ZONE, names) == question

    holds()
    report("question-text", asked=_EXAMPLES, run=ran, failures=0)


@pytest.mark.parametrize("code", ["urn:x||", "urn:x|a|b", "|a|", "|||"])
def test_a_region_may_have_bars_in_its_code(code: str) -> None:
    question = Question(area=frozenset({code}))
    assert parse(text(question, _NAMES), _ZONE, _NAMES) == question


@pytest.mark.parametrize(
    ("said", "token"),
    [
        ("Energy | pulse", Token("Energy | pulse", "")),  # as somebody typed it
        ("Energy |", Token("Energy |", "")),
        ("a| b", Token("a| b", "")),
        ("urn:x|a|b", Token("a|b", "urn:x")),
        ("fluence", Token("fluence", "")),
    ],
)
def test_what_is_counted_can_be_asked_for(said: str, token: Token) -> None:
    setting = counted_as(Facet.SETTING, Value(Facet.SETTING, said, "5 J", 5.0))
    (wanted,) = read([("setting", setting)], _ZONE, _NAMES).setting
    assert wanted == Range(token, "J", Decimal(5), Decimal(5))
    outcome = counted_as(Facet.OUTCOME, Value(Facet.OUTCOME, said, "improved"))
    (grade,) = read([("outcome", outcome)], _ZONE, _NAMES).outcome
    assert grade.characteristic == token
    (in_range,) = terms_of(Question(setting=frozenset({wanted})), Facet.SETTING)
    (judged,) = terms_of(Question(outcome=frozenset({grade})), Facet.OUTCOME)
    assert in_range.accepts(Value(Facet.SETTING, said, "5 J", 5.0))
    assert judged.accepts(Value(Facet.OUTCOME, said, "improved"))


def test_people_type_names() -> None:
    question = parse("area=face&side=L&view=frontal&expression=smile&session=2&taken=2026-01..2026-03", _ZONE, _NAMES)
    assert text(question, _NAMES) == "area=face&side=L&view=frontal&expression=smile&session=2&taken=2026-01..2026-03"
    assert question.view == {Token("399033003", "http://snomed.info/sct")}


@pytest.mark.parametrize(
    ("facet", "wrong", "told"),
    [
        ("colour", "red", "no facet 'colour'; there are patient, area"),
        ("area", "mars", "area: 'mars' is not a region by name"),
        ("side", "X", "side: 'X' is not R, L or B"),
        ("session", "0", "session"),
        ("session", "zwei", "a whole number from 1"),
        ("setting", "fluence$5..8", "setting: 'fluence$5..8' is not SETTING"),
        ("setting", "fluence$8..5$J/cm2", "setting"),
        ("setting", "fluence$nan$J/cm2", "setting"),
        ("setting", "fluence$..$J/cm2", "setting"),
        ("outcome", "$$nobody", "outcome"),
        ("outcome", "", "outcome"),
        ("outcome", "scar$..", "outcome"),
        ("outcome", "scar$-..", "outcome"),
        ("outcome", "scar$improved$-$", "outcome"),
        ("plan", "Patient/p", "plan"),
        ("clinician", "../x", "clinician"),
        ("taken", "yesterday", "taken: 'yesterday' is not FROM..TO"),
        ("taken", "2026-03..2026-01", "taken"),
        ("taken", "..", "taken"),
        ("lot", "  ", "lot"),
        ("lot", "a\x00b", "lot"),
        ("product", "a\nb", "product"),
        ("treatment", "x" * 300, "treatment"),
        ("patient", "a b", "patient"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_facet(facet: str, wrong: str, told: str) -> None:
    with pytest.raises(Malformed) as refused:
        read([(facet, wrong)], _ZONE, _NAMES)
    assert told in str(refused.value)


def test_texts_that_are_no_question_are_refused() -> None:
    for wrong in ("area", "area=face&&", "=face", "area=%ff", "area=face&" * 900, "session=1&" * 61 + "session=1"):
        with pytest.raises(Malformed):
            parse(wrong, _ZONE)
    assert parse("", _ZONE) == Question()
