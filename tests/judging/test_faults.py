"""Faults injected into photos of generated people are found against the reference photo, on skin of every tone."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import pytest

from dicom_bridge.judging.differences import pose
from dicom_bridge.judging.landmarks import Landmarks, open_landmarks
from dicom_bridge.judging.measure import Measured, measure
from dicom_bridge.judging.picture import decode
from dicom_bridge.judging.verdicts import judge
from fhir_mapping.resources.appraisal import Aspect, Finding
from tests.counts import count, report
from tests.judging.people import FAULTS, TONES, Person, faulty, held_out, kept, person, photograph
from tests.judging.portraits import COLLINS, HELD_OUT

pytestmark = pytest.mark.skipif(
    not all(each.file.is_file() for each in (COLLINS, *HELD_OUT)),
    reason="the portraits are not here: make test fetches them",
)


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the generated people."""

    name: str
    who: Callable[[int], Person]
    first: int
    """Number of the first one's shots, so that each group has its own."""

    turns: int
    """So many people in a row have the same sign of a fault."""


GROUPS = (
    Group("Faults injected into photos of generated people are found, or said to be unknowable", person, 0, len(TONES)),
    Group(
        "Faults injected into photos of people made from portraits that no limit was chosen by are found likewise",
        held_out,
        500_000,
        len(TONES) * len(HELD_OUT),
    ),
)
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


@pytest.mark.parametrize("group", GROUPS, ids=["first portrait", "held out"])
def test_faults_are_found_and_nothing_else_is_told(group: Group) -> None:
    people = count(group.name, small=6 if group.who is person else 12, full=204)
    started = time.monotonic()
    asked: Counter[tuple[str, str]] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    unknown: Counter[tuple[str, str]] = Counter()
    looked: Counter[tuple[str, str]] = Counter()
    alarms: dict[tuple[str, str], list[str]] = defaultdict(list)
    for number in range(people):
        who, shot = group.who(number), kept(group.first + number, again=True)
        reference = _seen(photograph(who, kept(group.first + number, again=False)))
        sign = 1 if (number // group.turns) % 2 == 0 else -1
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
        group.name,
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


@pytest.mark.parametrize("who", [person, held_out], ids=["first portrait", "held out"])
def test_how_far_a_head_is_turned_is_measured(who: Callable[[int], Person]) -> None:
    """To half a degree, on faces whose depth no constant was chosen by too."""
    many, off = count("Turns of heads measured in degrees", small=6, full=24), []
    for number in range(many):
        turned = (-6.0, -3.0, 0.0, 2.0, 4.0, 6.0)[number % 6]
        reference = _seen(photograph(who(number), kept(800_000 + number, again=False)))
        taken = kept(800_000 + number, again=True)
        seen = pose(_seen(photograph(who(number), replace(taken, yaw=taken.yaw + turned))), reference)
        assert seen is not None
        off.append(seen.yaw - (taken.yaw + turned - kept(800_000 + number, again=False).yaw))
    assert math.sqrt(sum(each**2 for each in off) / many) < 0.55, off
    assert max(map(abs, off)) < 1.2, off
