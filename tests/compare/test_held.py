"""How two photos are held against each other is said in words, and read back from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_bridge.compare.held import MOST_STOPS, Held, Mode

pytestmark = pytest.mark.fast

_STOPS = st.integers(-150, 150).map(lambda each: each / 100)


@given(st.sampled_from(Mode), st.booleans(), st.none() | _STOPS)
def test_what_is_said_is_read_back(mode: Mode, aligned: bool, stops: float | None) -> None:
    held = Held(mode, aligned, stops)
    assert Held.read(held.words) == held


@pytest.mark.parametrize(
    ("words", "held"),
    [
        ("Comparison: slider", Held(Mode.SLIDER)),
        ("Comparison: side by side, aligned", Held(Mode.SIDE, aligned=True)),
        ("Comparison: onion skin, equal light by -0.25 stops", Held(Mode.BLEND, stops=-0.25)),
        ("Comparison: blink, aligned, equal light by +1.00 stops", Held(Mode.BLINK, aligned=True, stops=1.0)),
        ("slider", None),
        ("Comparison: three of them", None),
        ("Comparison: slider, equal light by +1.51 stops", None),
        ("Comparison: slider, equal light by 0.5 stops", None),
        ("Comparison: slider, turned", None),
        ("A note: Comparison: slider", None),
    ],
)
def test_words_of_others_are_none_of_ours(words: str, held: Held | None) -> None:
    assert Held.read(words) == held


@pytest.mark.parametrize("stops", [MOST_STOPS + 0.01, -2.0, float("nan"), float("inf")])
def test_light_has_a_bound(stops: float) -> None:
    with pytest.raises(ValueError, match="stops"):
        Held(Mode.SIDE, stops=stops)
