"""Faults injected into photos of generated people are found against the reference photo, on skin of every tone."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from functools import cache

import pytest

from dicom_bridge.judging.landmarks import Landmarks, open_landmarks
from dicom_bridge.judging.measure import Measured, measure
from dicom_bridge.judging.picture import decode
from dicom_bridge.judging.verdicts import judge
from fhir_mapping.resources.appraisal import Aspect, Finding
from tests.counts import count, report
from tests.judging.people import FAULTS, PORTRAIT, TONES, faulty, kept, person, photograph

pytestmark = pytest.mark.skipif(not PORTRAIT.is_file(), reason="the portrait is not here: make test fetches it")

NAME = "Faults injected into photos of generated people are found, or said to be unknowable"
FOUND_BY = {
    "yaw": Aspect.YAW,
    "scale": Aspect.SCALE,
    "exposure": Aspect.EXPOSURE,
    "white-balance": Aspect.WHITE_BALANCE,
    "smile": Aspect.EXPRESSION,
    "flash": Aspect.FLASH,
    "blur": Aspect.SHARPNESS,
}
#: What a fault changes by its nature beside what it is found by: a flash lights the face, and hides what is fine.
_ALSO = {"flash": {Aspect.EXPOSURE, Aspect.WHITE_BALANCE, Aspect.LIGHT_DIRECTION, Aspect.SHARPNESS}}
_TWO_SIDED = frozenset({"yaw", "scale", "exposure", "white-balance"})


@cache
def _landmarks() -> Landmarks:
    return open_landmarks()


def _seen(jpeg: bytes) -> Measured:
    return measure(decode(jpeg), _landmarks())


def test_faults_are_found_and_nothing_else_is_told() -> None:
    people = count(NAME, small=6, full=204)
    started = time.monotonic()
    asked: Counter[tuple[str, str]] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    unknown: Counter[tuple[str, str]] = Counter()
    looked: Counter[tuple[str, str]] = Counter()
    alarms: dict[tuple[str, str], list[str]] = defaultdict(list)
    for number in range(people):
        who, shot = person(number), kept(number, again=True)
        reference = _seen(photograph(who, kept(number, again=False)))
        sign = 1 if (number // len(TONES)) % 2 == 0 else -1
        for fault in (None, *FAULTS):
            taken = shot if fault is None else faulty(fault, shot, sign if fault in _TWO_SIDED else 1)
            verdicts = {each.aspect: each for each in judge(_seen(photograph(who, taken)), reference)}
            if fault is not None:
                told = verdicts[FOUND_BY[fault]]
                asked[fault, who.tone] += 1
                found[fault, who.tone] += told.finding is Finding.DIFFERS
                unknown[fault, who.tone] += told.finding is Finding.UNKNOWN
            for name, aspect in FOUND_BY.items():
                if fault is not None and (name == fault or aspect in _ALSO.get(fault, ())):
                    continue
                looked[name, who.tone] += 1
                if verdicts[aspect].finding is Finding.DIFFERS:
                    alarms[name, who.tone].append(f"{number} {fault}: {verdicts[aspect].words}")
    lines, missed = [], 0
    for fault in FAULTS:
        whole = sum(asked[fault, tone] for tone in TONES)
        hits = sum(found[fault, tone] + unknown[fault, tone] for tone in TONES)
        wrong = sum(len(alarms[fault, tone]) for tone in TONES)
        of = sum(looked[fault, tone] for tone in TONES)
        each = ", ".join(f"{tone} {found[fault, tone]}/{asked[fault, tone]}" for tone in TONES if asked[fault, tone])
        lines.append(
            f"{fault}: {hits / whole:.1%} of {whole} ({sum(unknown[fault, tone] for tone in TONES)} unknowable), false "
            f"alarms {wrong / of:.1%} of {of}; found by tone {each}"
        )
        missed += whole - hits
    measured = ". ".join(lines)
    print(measured)
    report(
        NAME,
        asked=people * len(FAULTS),
        run=sum(asked.values()),
        failures=missed,
        started=started,
        measured=measured,
    )
    for fault in FAULTS:
        for tones in (tuple(TONES), *((each,) for each in TONES if people >= 200)):
            whole = sum(asked[fault, tone] for tone in tones)
            hits = sum(found[fault, tone] + unknown[fault, tone] for tone in tones)
            told_wrong = [each for tone in tones for each in alarms[fault, tone]]
            of = sum(looked[fault, tone] for tone in tones)
            assert hits >= 0.95 * whole, (fault, tones, measured)
            assert len(told_wrong) <= 0.05 * of, (fault, tones, told_wrong[:10], measured)
            assert sum(unknown[fault, tone] for tone in tones) <= 0.1 * whole, (fault, tones, measured)


@pytest.mark.parametrize("fault", FAULTS)
def test_without_the_fault_it_is_not_told(fault: str) -> None:
    """The same person, the same shot, the fault alone taken away: so what is told is told of the fault."""
    who, shot = person(1), kept(1, again=True)
    reference = _seen(photograph(who, kept(1, again=False)))
    with_it, without = (
        {each.aspect: each for each in judge(_seen(photograph(who, taken)), reference)}[FOUND_BY[fault]]
        for taken in (faulty(fault, shot, 1), shot)
    )
    assert (with_it.finding, without.finding) == (Finding.DIFFERS, Finding.GOOD)
    assert with_it.words != without.words
