"""A colour card in a photo: found where one is held into it, nowhere else, and exposure and colour judged by it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from consent.types import Laterality
from dicom_bridge.judging.landmarks import open_landmarks
from dicom_bridge.judging.measure import Measured, measure
from dicom_bridge.judging.picture import decode
from dicom_bridge.judging.target import find_card
from dicom_bridge.judging.verdicts import judge
from dicom_bridge.objects.vocabulary import find_region, find_view
from dicom_bridge.protocols.protocol import Background, Lighting, Target
from dicom_bridge.protocols.protocol import Shot as Asked
from fhir_mapping.resources.appraisal import Aspect, Finding, Verdict
from tests.counts import count, report
from tests.judging.cards import drawn, held_in
from tests.judging.people import Shot, faulty, held_out, kept, person, photograph
from tests.judging.portraits import COLLINS, HELD_OUT

pytestmark = pytest.mark.skipif(
    not all(each.file.is_file() for each in (COLLINS, *HELD_OUT)),
    reason="the portraits are not here: make test fetches them",
)
NAME = "Colour cards in generated photos are found, and exposure and white balance judged by them"
ASKED = Asked(
    "front", find_region("face"), Laterality.BOTH, find_view("frontal"), None, True, None, 10.0, Lighting.EVEN,
    Background.GREY, target=Target.COLOUR_CARD,
)  # fmt: skip
_FAULTS = {"exposure": Aspect.EXPOSURE, "white-balance": Aspect.WHITE_BALANCE}


def _seen(number: int, shot: Shot, *, card: bool) -> Measured:
    who = person(number) if number % 2 else held_out(number)
    data = photograph(who, shot, (lambda scene: held_in(scene, shot.seed)) if card else None)
    return measure(decode(data), open_landmarks(), card=True)


def _by(verdicts: tuple[Verdict, ...]) -> dict[Aspect, Verdict]:
    return {each.aspect: each for each in verdicts}


@cache
def _plain() -> Measured:
    return _seen(0, kept(0, again=False), card=False)


def test_cards_are_found_and_nothing_else_is_taken_for_one() -> None:
    many = count(NAME, small=6, full=200)
    started = time.monotonic()
    found = mistaken = 0
    missed: list[str] = []
    wrong: list[str] = []
    for number in range(many):
        shots = {again: kept(700_000 + number, again=again) for again in (False, True)}
        reference = _seen(number, shots[False], card=True)
        again = _by(judge(_seen(number, shots[True], card=True), reference, None, ASKED))
        found += reference.card is not None
        mistaken += _seen(number, shots[False], card=False).card is not None
        for fault, aspect in _FAULTS.items():
            taken = faulty(fault, shots[True], 1 if number % 4 < 2 else -1)
            told = _by(judge(_seen(number, taken, card=True), reference, None, ASKED))
            if told[aspect].finding is not Finding.DIFFERS:
                missed.append(f"{number} {fault}: {told[aspect].words} {told[aspect].value}")
            wrong += [
                f"{number} {fault}: {each.words}"
                for each in (told[_FAULTS[other]] for other in _FAULTS if other != fault)
                if each.finding is Finding.DIFFERS
            ]
        wrong += [
            f"{number}: {again[each].words}" for each in _FAULTS.values() if again[each].finding is Finding.DIFFERS
        ]
    measured = (
        f"card found in {found / many:.1%} of {many}, seen in {mistaken} without one; faults missed "
        f"{len(missed) / (2 * many):.1%} of {2 * many}, false alarms {len(wrong) / (4 * many):.1%} of {4 * many}"
    )
    print(measured)
    report(NAME, asked=many, run=many, failures=len(missed) + mistaken, started=started, measured=measured)
    assert found >= 0.95 * many, measured
    assert mistaken == 0, measured
    assert len(missed) <= 0.05 * 2 * many, (measured, missed[:10])
    assert len(wrong) <= 0.05 * 4 * many, (measured, wrong[:10])


def test_without_the_card_that_is_asked_for_nothing_is_guessed() -> None:
    bright = _seen(0, replace(kept(0, again=True), stops=0.6), card=False)
    told = _by(judge(bright, _plain(), None, ASKED))
    for aspect in _FAULTS.values():
        assert told[aspect].finding is Finding.UNKNOWN
        assert told[aspect].words == "unknown without target: the protocol asks for a colour card, and none is seen"
    plainly = _by(judge(bright, _plain(), None, replace(ASKED, target=None)))
    assert plainly[Aspect.EXPOSURE].finding is Finding.DIFFERS


def test_a_first_photo_is_judged_by_its_card_alone() -> None:
    good = _by(judge(_seen(1, kept(1, again=False), card=True), None, None, ASKED))
    assert {good[each].finding for each in _FAULTS.values()} == {Finding.GOOD}
    dark = replace(kept(1, again=False), stops=-1.0, kelvin=4500.0)
    told = _by(judge(_seen(1, dark, card=True), None, None, ASKED))
    assert told[Aspect.EXPOSURE].words == "the greys of the colour card are a stop darker than they should be"
    assert "more orange by about" in told[Aspect.WHITE_BALANCE].words


@pytest.mark.parametrize("kind", ["chess", "one", "another", "noise", "mirrored"])
def test_what_looks_like_a_card_is_none(kind: str) -> None:
    """A board for chess, grids of squares of other colours, noise, the card in a mirror."""
    chance = np.random.default_rng(len(kind))
    picture = np.full((600, 800, 3), 40, np.uint8)
    for row in range(4):
        for column in range(6):
            shade = (row + column) % 2 * 255 if kind == "chess" else chance.integers(0, 256, 3)
            picture[100 + row * 80 : 165 + row * 80, 100 + column * 80 : 165 + column * 80] = shade
    if kind == "noise":
        picture = chance.integers(0, 256, picture.shape, dtype=np.uint8)
    assert find_card(picture) is None
    if kind == "mirrored":
        card = np.rint(255 * drawn() ** (1 / 2.2)).astype(np.uint8)
        picture[100 : 100 + card.shape[0], 100 : 100 + card.shape[1]] = card
        assert find_card(picture) is not None
        assert find_card(np.ascontiguousarray(picture[:, ::-1])) is None
