"""How far two photos can be compared: seven causes, each with what is known of it, and a score that is never a guess.

Every cause counts alike, and so does every fact within one. A fact that is alike counts as 1, one that differs as less,
and one that is not known as 0: so knowing less never raises :attr:`Comparability.score`, which is what is proved.
:attr:`Comparability.possible` is what it would be if everything unknown were alike.

A fact is compared in one way alone. What the judge measured (:mod:`dicom_bridge.judging`) is compared where one of the
two photos was held against the other, or both against a third one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from consent.wording import worded
from dicom_bridge.compare.conditions import Conditions, Focal
from dicom_bridge.judging.sayings import why_unknown
from fhir_mapping.resources.appraisal import MEANINGS, Appraisal, Aspect, Finding, Verdict


class Cause(StrEnum):
    """Why two photos may look different though nothing about the patient is."""

    DISTANCE = "distance"
    POSE = "pose"
    LIGHT = "light"
    COLOUR = "colour"
    EXPRESSION = "expression"
    INTERVAL = "interval"
    DEVICE = "device"


class Kind(StrEnum):
    """One thing that is compared."""

    FOCAL_LENGTH = "focal-length"
    SCALE = "scale"
    VIEW = "view"
    YAW = "yaw"
    PITCH = "pitch"
    ROLL = "roll"
    FLASH_FIRED = "flash-fired"
    FLASH = "flash"
    EXPOSURE = "exposure"
    LIGHT_DIRECTION = "light-direction"
    WHITE_BALANCE = "white-balance"
    EXPRESSION_STATED = "expression-stated"
    EXPRESSION = "expression"
    INTERVAL = "interval"
    DEVICE = "device"


CAUSES = {
    Cause.DISTANCE: (Kind.FOCAL_LENGTH, Kind.SCALE),
    Cause.POSE: (Kind.VIEW, Kind.YAW, Kind.PITCH, Kind.ROLL),
    Cause.LIGHT: (Kind.FLASH_FIRED, Kind.FLASH, Kind.EXPOSURE, Kind.LIGHT_DIRECTION),
    Cause.COLOUR: (Kind.WHITE_BALANCE,),
    Cause.EXPRESSION: (Kind.EXPRESSION_STATED, Kind.EXPRESSION),
    Cause.INTERVAL: (Kind.INTERVAL,),
    Cause.DEVICE: (Kind.DEVICE,),
}
"""What each cause is known by."""

WARNED = frozenset(
    {Kind.FOCAL_LENGTH, Kind.FLASH_FIRED, Kind.FLASH, Kind.EXPRESSION_STATED, Kind.EXPRESSION, Kind.VIEW}
)
"""What makes a result look better or worse than it is, so that nobody should have to look for it."""

_GONE = 3.0
"""At so many times what is let pass, nothing of a likeness is left."""

_DOUBTED = 0.5
"""What the judge calls different is at most so much alike, however little was measured."""

_FOCAL_WITHIN = 0.1
"""Focal lengths may differ by a tenth: what perspective that changes, nobody sees in a face."""

_YEAR, _LONG, _LONGEST = 365.25, 5.0, 10.0
"""Days; years from which on it is said, and from which on nothing of a likeness is left."""


@dataclass(frozen=True, slots=True)
class Fact:
    """How one thing came out. The same whichever of the two photos is named first."""

    kind: Kind
    finding: Finding
    words: str
    likeness: float = 0.0
    """From 0 to 1; of what is not known 0."""


@dataclass(frozen=True, slots=True)
class CauseFound:
    """How one cause came out."""

    cause: Cause
    facts: tuple[Fact, ...]

    @property
    def finding(self) -> Finding:
        """Differs where any fact does; unknown where none is known."""
        found = {each.finding for each in self.facts}
        if Finding.DIFFERS in found:
            return Finding.DIFFERS
        return Finding.GOOD if Finding.GOOD in found else Finding.UNKNOWN

    @property
    def partly(self) -> bool:
        """Whether something of it is not known."""
        return any(each.finding is Finding.UNKNOWN for each in self.facts)


@dataclass(frozen=True, slots=True)
class Comparability:
    """The answer."""

    causes: tuple[CauseFound, ...]
    """All seven, in the order of :class:`Cause`."""

    @property
    def score(self) -> float:
        """From 0 to 1, what is proved."""
        return self._mean(lambda fact: fact.likeness)

    @property
    def possible(self) -> float:
        """From 0 to 1, if everything that is not known were alike."""
        return self._mean(lambda fact: 1.0 if fact.finding is Finding.UNKNOWN else fact.likeness)

    @property
    def warnings(self) -> tuple[Fact, ...]:
        """What differs of flash, focal length, expression and view."""
        facts = (fact for each in self.causes for fact in each.facts)
        return tuple(fact for fact in facts if fact.finding is Finding.DIFFERS and fact.kind in WARNED)

    def named(self, finding: Finding) -> tuple[Cause, ...]:
        """The causes that came out so."""
        return tuple(each.cause for each in self.causes if each.finding is finding)

    def _mean(self, value: Callable[[Fact], float]) -> float:
        means = [math.fsum(map(value, each.facts)) / len(each.facts) for each in self.causes]
        return min(1.0, math.fsum(means) / len(means))


def comparability(one: Conditions, other: Conditions) -> Comparability:
    """Compare two photos; which is named first changes nothing."""
    facts = {fact.kind: fact for fact in (*_stated(one, other), *_judged(one, other))}
    return Comparability(
        tuple(CauseFound(cause, tuple(facts[kind] for kind in kinds)) for cause, kinds in CAUSES.items())
    )


# --- what the objects state -----------------------------------------------------------------------------------------


def _stated(one: Conditions, other: Conditions) -> Iterator[Fact]:
    yield _focal(one, other)
    yield _same(Kind.VIEW, one.view, other.view, (worded("The same view"), worded("Another view")))
    yield _same(
        Kind.FLASH_FIRED,
        one.flash,
        other.flash,
        (worded("Flash used alike"), worded("Flash in one of the photos alone")),
    )
    yield _same(
        Kind.EXPRESSION_STATED,
        one.expression,
        other.expression,
        (
            worded("The same expression on record"),
            worded("Expression on record: %(both)s", both=_both(_name(one.expression), _name(other.expression))),
        ),
    )
    yield _interval(one, other)
    yield _same(
        Kind.DEVICE,
        one.device,
        other.device,
        (worded("The same kind of camera"), worded("Cameras: %(both)s", both=_both(one.device, other.device))),
    )


_NAMES = {
    Kind.FOCAL_LENGTH: worded("Focal length"),
    Kind.VIEW: worded("View"),
    Kind.FLASH_FIRED: worded("Flash"),
    Kind.EXPRESSION_STATED: worded("Expression on record"),
    Kind.INTERVAL: worded("Time between"),
    Kind.DEVICE: worded("Camera"),
}


def _same(kind: Kind, one: object | None, other: object | None, words: tuple[str, str]) -> Fact:
    if one is None or other is None:
        return _absent(kind)
    return _good(kind, words[0], 1.0) if one == other else _differs(kind, words[1], 0.0)


def _both(one: str | None, other: str | None) -> str:
    first, second = sorted((one or "", other or ""))
    return worded("%(first)s and %(second)s", first=first, second=second)


def _name(expression: str | None) -> str | None:
    """As people read it."""
    return worded(expression.replace("-", " ")) if expression is not None else None


def _focal(one: Conditions, other: Conditions) -> Fact:
    lengths = _lengths(one.focal, other.focal, alike=one.device is not None and one.device == other.device)
    if lengths is None:
        return _absent(Kind.FOCAL_LENGTH)
    shorter, longer = sorted(lengths)
    off = longer / shorter - 1
    if off <= _FOCAL_WITHIN:
        return _good(Kind.FOCAL_LENGTH, worded("Focal length alike, %(length)s mm", length=round(longer)), 1.0)
    words = worded("Focal length %(shorter)s mm and %(longer)s mm", shorter=round(shorter), longer=round(longer))
    return _differs(Kind.FOCAL_LENGTH, words, _left(off, _FOCAL_WITHIN))


def _lengths(one: Focal | None, other: Focal | None, *, alike: bool) -> tuple[float, float] | None:
    if one is None or other is None:
        return None
    if one.film is not None and other.film is not None:
        return one.film, other.film
    return (one.lens, other.lens) if alike and one.lens is not None and other.lens is not None else None


def _interval(one: Conditions, other: Conditions) -> Fact:
    """The longer the time, the more else has changed: weight, age, season."""
    if one.taken is None or other.taken is None:
        return _absent(Kind.INTERVAL)
    years = abs((one.taken - other.taken).total_seconds()) / 86_400 / _YEAR
    likeness = min(1.0, max(0.0, (_LONGEST - years) / (_LONGEST - 1)))
    if years > _LONG:
        return _differs(
            Kind.INTERVAL, worded("%(years)s years lie between: much else has changed", years=round(years)), likeness
        )
    apart = (
        worded("Less than a year apart")
        if years < 1
        else worded("%(years)s years apart", years=Decimal(f"{years:.1f}"))
    )
    return _good(Kind.INTERVAL, apart, likeness)


# --- what was judged ------------------------------------------------------------------------------------------------

_ASPECTS = {
    Kind.SCALE: Aspect.SCALE,
    Kind.YAW: Aspect.YAW,
    Kind.PITCH: Aspect.PITCH,
    Kind.ROLL: Aspect.ROLL,
    Kind.FLASH: Aspect.FLASH,
    Kind.EXPOSURE: Aspect.EXPOSURE,
    Kind.LIGHT_DIRECTION: Aspect.LIGHT_DIRECTION,
    Kind.WHITE_BALANCE: Aspect.WHITE_BALANCE,
    Kind.EXPRESSION: Aspect.EXPRESSION,
}
_NOT_JUDGED = worded("not judged against each other")
_NOT_OF_BOTH = worded("not known of both photos")


def _judged(one: Conditions, other: Conditions) -> Iterator[Fact]:
    direct = [
        each.appraisal
        for each, against in ((one, other), (other, one))
        if each.appraisal is not None and each.appraisal.reference == against.document
    ]
    for kind, aspect in _ASPECTS.items():
        if direct:  # two that name each other: the one that says less of a likeness
            yield min((_direct(kind, aspect, each) for each in direct), key=lambda fact: (fact.likeness, fact.words))
        elif one.appraisal is not None and other.appraisal is not None and _third(one.appraisal, other.appraisal):
            yield _by_third(kind, _of(one.appraisal, aspect), _of(other.appraisal, aspect))
        else:
            yield _unknown(kind, aspect, _NOT_JUDGED)


def _third(one: Appraisal, other: Appraisal) -> bool:
    return one.reference is not None and one.reference == other.reference and one.version == other.version


def _of(appraisal: Appraisal, aspect: Aspect) -> Verdict | None:
    return next((each for each in appraisal.verdicts if each.aspect is aspect), None)


def _direct(kind: Kind, aspect: Aspect, appraisal: Appraisal) -> Fact:
    said = _of(appraisal, aspect)
    if said is None or said.finding is Finding.UNKNOWN:
        return _unknown(kind, aspect, why_unknown(said.words) if said else _NOT_JUDGED)
    if said.finding is Finding.GOOD:
        return _alike(kind, aspect)
    left = _left(_size(aspect, said.value), said.within) if said.value is not None and said.within else 0.0
    return _differs(kind, _differing(aspect, said.value), min(_DOUBTED, left))


def _by_third(kind: Kind, one: Verdict | None, other: Verdict | None) -> Fact:
    """Both were held against the same photo: what they differ from it by, they differ from each other by."""
    aspect = _ASPECTS[kind]
    if one is None or other is None or one.value is None or other.value is None:
        return _unknown(kind, aspect, _NOT_OF_BOTH)
    if Finding.UNKNOWN in (one.finding, other.finding) or one.within is None or other.within is None:
        return _unknown(kind, aspect, _NOT_OF_BOTH)
    off, within = _between(aspect, one.value, other.value), min(one.within, other.within)
    if off > within:
        return _differs(kind, _differing(aspect, off), min(_DOUBTED, _left(off, within)))
    if aspect is Aspect.EXPRESSION and (one.finding, other.finding) != (Finding.GOOD, Finding.GOOD):
        # The number tells of the mouth alone; brows and lids may differ from each other or not.
        return _unknown(kind, aspect, worded("both differ from their reference"))
    return _alike(kind, aspect)


def _size(aspect: Aspect, value: float) -> float:
    return _between(aspect, value, 0.0)


def _between(aspect: Aspect, one: float, other: float) -> float:
    """How far two values lie apart, never below 0; a scale is a ratio."""
    if aspect is not Aspect.SCALE:
        return abs(one - other)
    if one <= -100 or other <= -100:  # of no size at all
        return math.inf
    return (math.exp(abs(math.log1p(one / 100) - math.log1p(other / 100))) - 1) * 100


def _alike(kind: Kind, aspect: Aspect) -> Fact:
    return _good(kind, worded("%(what)s: alike", what=MEANINGS[aspect].name), 1.0)


def _differing(aspect: Aspect, value: float | None) -> str:
    meaning = MEANINGS[aspect]
    if value is None or aspect is Aspect.EXPRESSION or not math.isfinite(value):
        return worded("%(what)s: differs", what=meaning.name)
    size = _size(aspect, value)
    amount = Decimal(
        f"{size:.1f}" if meaning.unit == "stops" else f"{round(size, -2 if meaning.unit == 'K' else 0):.0f}"
    )
    return worded("%(what)s: differs by %(amount)s %(unit)s", what=meaning.name, amount=amount, unit=meaning.unit)


def _left(off: float, within: float) -> float:
    """What is left of a likeness: all of it up to what is let pass, nothing from three times that on."""
    return min(1.0, max(0.0, (_GONE - off / within) / (_GONE - 1)))


def _good(kind: Kind, words: str, likeness: float) -> Fact:
    return Fact(kind, Finding.GOOD, words, likeness)


def _differs(kind: Kind, words: str, likeness: float) -> Fact:
    return Fact(kind, Finding.DIFFERS, words, likeness)


def _absent(kind: Kind) -> Fact:
    return Fact(kind, Finding.UNKNOWN, worded("%(what)s: not on record of both photos", what=_NAMES[kind]))


def _unknown(kind: Kind, aspect: Aspect, why: str) -> Fact:
    return Fact(kind, Finding.UNKNOWN, worded("%(what)s: %(why)s", what=MEANINGS[aspect].name, why=why))
