"""Texts that remember what they were made of: English as they stand, and taken apart again."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import date
from decimal import Decimal

import pytest

from consent.wording import Value, Wording, recognised, worded, worded_by

pytestmark = pytest.mark.fast

_KNOWN = (
    worded("as sharp as before"),
    worded("unknown: %(why)s"),
    worded("no face is seen"),
    worded("turned %(by)s to the left"),
    worded("%(degrees)s degrees"),
    worded("%(share)s %% larger"),
    worded("changed: %(what)s"),
    worded("eyes"),
    worded("brows"),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (3, "3"), (1.5, "1.5"), (2.0, "2"), (Decimal("2.40"), "2.40"), (date(2026, 3, 1), "2026-03-01"),
     (["a", "b"], "a, b"), (worded("x %(n)s", n=1), "x 1")],
)  # fmt: skip
def test_a_value_stands_in_english_as_english_writes_it(value: Value, text: str) -> None:
    assert worded("it is %(value)s", value=value) == f"it is {text}"


def test_it_is_a_text_wherever_one_is_wanted() -> None:
    made = worded("%(share)s %% of %(what)s", share=5, what=worded("it"))
    assert made == "5 % of it"
    assert json.loads(json.dumps({"text": made})) == {"text": "5 % of it"}
    assert worded("a % sign alone") == "a % sign alone"
    for again in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):  # our own
        assert (again, again.message, dict(again.values)) == (made, made.message, dict(made.values))


@pytest.mark.parametrize(("number", "text"), [(0, "0 weeks"), (1, "a week"), (2, "2 weeks")])
def test_a_number_chooses_the_form(number: int, text: str) -> None:
    made = worded_by(number, "a week", "%(number)s weeks", number=number)
    assert (made, made.many, made.number) == (text, "%(number)s weeks", number)


@pytest.mark.parametrize(
    ("text", "message", "values"),
    [
        ("as sharp as before", "as sharp as before", {}),
        ("unknown: no face is seen", "unknown: %(why)s", {"why": "no face is seen"}),
        ("turned 4 degrees to the left", "turned %(by)s to the left", {"by": "4 degrees"}),
        ("12.50 % larger", "%(share)s %% larger", {"share": Decimal("12.50")}),
        ("changed: eyes, brows", "changed: %(what)s", {"what": ["eyes", "brows"]}),
        ("changed: eyes, ears", "changed: %(what)s", {"what": "eyes, ears"}),
    ],
)
def test_what_was_kept_as_text_is_taken_apart_again(text: str, message: str, values: dict[str, Value]) -> None:
    made = recognised(text, _KNOWN)
    assert isinstance(made, Wording)
    assert (made, made.message, dict(made.values)) == (text, message, values)
    inner = [value for value in made.values.values() if isinstance(value, str)]
    assert all(isinstance(each, Wording) for each in inner) == (text != "changed: eyes, ears")


@pytest.mark.parametrize("text", ["", "something else", "as sharp as before.", "turned ", "changed:\neyes"])
def test_what_nobody_made_stays_as_it_is(text: str) -> None:
    made = recognised(text, _KNOWN)
    assert made == text
    assert not isinstance(made, Wording)
