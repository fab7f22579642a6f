"""What verdicts say: read back from the record it is the same, and known in every language."""

from __future__ import annotations

import re

import pytest

from consent.wording import Wording
from dicom_bridge.judging import sayings
from orthanc_plugin.workspace import language

pytestmark = pytest.mark.fast

_NAMES = re.compile(r"%\((\w+)\)s")
_INNER: dict[str, str] = {"why": "no face is seen", "what": "half a stop brighter", "by": "half a stop"}


def _all() -> list[Wording]:
    return [each for each in vars(sayings).values() if isinstance(each, Wording)]


@pytest.mark.parametrize("saying", _all(), ids=lambda saying: saying.message)
def test_each_is_read_back_as_itself(saying: Wording) -> None:
    made = saying.of(**{name: _INNER.get(name, "12") for name in _NAMES.findall(saying.message)})
    back = sayings.read_back(str(made))
    assert isinstance(back, Wording)
    assert (back, back.message) == (made, saying.message)


@pytest.mark.parametrize("inner", [each for each in _all() if not _NAMES.search(each.message)], ids=str)
@pytest.mark.parametrize("outer", [sayings.UNKNOWN, sayings.NO_TARGET_WHY, sayings.OF_REFERENCE], ids=str)
def test_what_stands_within_another_is_read_back_whole(outer: Wording, inner: Wording) -> None:
    back = sayings.read_back(str(outer.of(why=inner)))
    assert isinstance(back, Wording)
    assert (back.message, back.values["why"]) == (outer.message, str(inner))
    assert isinstance(back.values["why"], Wording)


@pytest.mark.parametrize("words", ["unknown: " * 400 + "x", "x" * 100_000, ", " * 20_000])
def test_what_is_longer_than_any_saying_is_left_alone(words: str) -> None:
    assert sayings.read_back(words) is words


@pytest.mark.parametrize(
    ("words", "german"),
    [
        ("turned 4 degrees to the patient's left", "4 Grad zur linken Seite der Patientin gedreht"),
        ("unknown: no face is seen in this photo", "nicht bekannt: kein Gesicht auf diesem Foto zu sehen"),
        ("unknown without target: the backdrop is another one",
         "ohne Farbkarte nicht bekannt: der Hintergrund ist ein anderer"),
        ("1.5 stops brighter than the reference", "1,5 Blenden heller als die Referenz"),
        ("smiles more, brows are higher than in the reference",
         "anders als auf der Referenz: lächelt mehr, Brauen höher"),
        ("somebody else wrote this", "somebody else wrote this"),
    ],
)  # fmt: skip
def test_what_the_record_holds_is_said_in_german(words: str, german: str) -> None:
    token = language._spoken.set(language.languages()["de"])
    try:
        assert language.said(sayings.read_back(words)) == german
    finally:
        language._spoken.reset(token)


@pytest.mark.parametrize(
    ("words", "why"),
    [("unknown: no face is seen", "no face is seen"), ("unknown without target", "without target"),
     ("unknown without target: a part of the face is burnt out", "without target: a part of the face is burnt out")],
)  # fmt: skip
def test_why_something_is_not_known_does_not_say_again_that_it_is_not(words: str, why: str) -> None:
    made = sayings.why_unknown(words)
    assert isinstance(made, Wording)
    assert made == why
