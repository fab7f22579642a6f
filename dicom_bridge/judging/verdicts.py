"""From differences to verdicts, in plain words: good, differs, or unknown with its reason, and never a guess."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from consent.wording import Wording
from dicom_bridge.judging import differences, sayings
from dicom_bridge.judging.differences import Expression, Light, Pose
from dicom_bridge.judging.distance import distance
from dicom_bridge.judging.measure import Measured
from dicom_bridge.protocols.protocol import Shot, Target
from fhir_mapping.resources.appraisal import Aspect, Finding, Verdict

WITHIN = {
    Aspect.SHARPNESS: 13.0,
    Aspect.EXPOSURE: 0.25,
    Aspect.WHITE_BALANCE: 270.0,
    Aspect.SCALE: 4.0,
    Aspect.POSITION: 5.0,
    Aspect.YAW: 2.5,
    Aspect.PITCH: 3.5,
    Aspect.ROLL: 3.0,
    Aspect.EXPRESSION: 5.0,
    Aspect.LIGHT_DIRECTION: 0.35,
    Aspect.FLASH: 0.2,
}
"""What is let pass, in the unit of the aspect: about half of what a person sees when two photos lie side by side."""

_ALONE = {Aspect.EXPOSURE: 0.5, Aspect.WHITE_BALANCE: 500.0}
"""The same for a colour card by itself, which no two cameras show alike."""

LEAST_PIXELS = 1000
"""Of the shorter side; below, a page of a report shows single pixels."""

_BURNT = 0.03
"""Share of the face, or of the picture's middle, that may be burnt out."""

_OPENED, _BROWS, _LIDS = 0.07, 0.06, 0.05
"""Distances between the eyes by which mouth, brows and lids may differ."""

_PLAIN = 1e-3
"""Fine detail of a picture that shows none: a wall, or one that is all blurred."""


@dataclass(frozen=True, slots=True)
class Blind:
    """Why faces are not looked at here."""

    why: str


def judge(
    photo: Measured, reference: Measured | None, blind: Blind | None = None, asked: Shot | None = None
) -> tuple[Verdict, ...]:
    """One verdict on each aspect; on the distance only where a protocol asks for the photo.

    Parameters
    ----------
    reference
        The reference photo of the same view; None: there is none yet.
    blind
        Where landmarks are not to be had.
    asked
        What the protocol asks for that the photo was taken by.
    """
    found = tuple(_alone(photo, blind) if reference is None else _against(photo, reference, blind))
    if asked is None:
        return found
    if asked.target is Target.COLOUR_CARD:
        by_card = {each.aspect: each for each in _by_card(photo, reference, blind)}
        found = tuple(by_card.get(each.aspect, each) for each in found)
    return (*found, distance(photo, asked))


def unjudged(why: str) -> tuple[Verdict, ...]:
    """Every aspect unknown, for one reason."""
    return tuple(_unknown(each, why) for each in Aspect if each is not Aspect.DISTANCE)


def _alone(photo: Measured, blind: Blind | None) -> Iterator[Verdict]:
    for aspect in Aspect:
        if aspect is Aspect.DISTANCE:
            continue
        if aspect is Aspect.RESOLUTION:
            yield _resolution(photo, None)
        elif aspect is Aspect.EXPOSURE:
            yield _burnt(photo) or _unknown(aspect, sayings.NO_TARGET_FIRST)
        elif aspect is Aspect.WHITE_BALANCE:
            yield _unknown(aspect, sayings.NO_TARGET_FIRST)
        else:
            yield _unknown(
                aspect,
                sayings.unknown(sayings.NO_REFERENCE) if blind is None or aspect is Aspect.SHARPNESS else blind.why,
            )


def _against(photo: Measured, reference: Measured, blind: Blind | None) -> Iterator[Verdict]:
    pose, expression = differences.pose(photo, reference), differences.expression(photo, reference)
    light = differences.light(photo, reference)
    yield _sharpness(photo, reference)
    yield from _exposure(photo, light)
    yield _resolution(photo, reference)
    if pose is None or expression is None:
        why = _faceless(photo, reference) if blind is None else blind.why
        for aspect in (Aspect.SCALE, Aspect.POSITION, Aspect.YAW, Aspect.PITCH, Aspect.ROLL, Aspect.EXPRESSION):
            yield _unknown(aspect, why)
    else:
        yield from _posed(pose)
        yield _expression(expression)
    yield from _lit(light, None if pose is not None else _faceless(photo, reference) if blind is None else blind.why)


def _sharpness(photo: Measured, reference: Measured) -> Verdict:
    if (photo.face is None) != (reference.face is None):
        return _unknown(Aspect.SHARPNESS, _faceless(photo, reference))
    if reference.detail < _PLAIN:
        return _unknown(Aspect.SHARPNESS, sayings.unknown(sayings.NO_DETAIL))
    value = (photo.detail / reference.detail - 1) * 100
    words = sayings.SOFTER.of(by=f"{-value:.0f}")
    # More detail than the reference is no fault of this photo.
    return _measured(Aspect.SHARPNESS, value, sayings.AS_SHARP, words, differs=value < -_within("sharpness"))


def _exposure(photo: Measured, light: Light) -> Iterator[Verdict]:
    if light.stops is None:
        yield _burnt(photo) or _unknown(Aspect.EXPOSURE, sayings.NO_TARGET_WHY.of(why=sayings.NOTHING_IN_COMMON))
    else:
        words = (sayings.BRIGHTER if light.stops > 0 else sayings.DARKER).of(by=_amount(abs(light.stops)))
        yield _measured(Aspect.EXPOSURE, light.stops, sayings.AS_BRIGHT, words)
    if light.kelvin is None:
        apart = sayings.NO_TARGET_WHY.of(why=sayings.COLOURS_APART)
        yield _unknown(Aspect.WHITE_BALANCE, apart if light.contradictory else sayings.NO_TARGET)
    else:
        yield _measured(Aspect.WHITE_BALANCE, light.kelvin, sayings.SAME_COLOUR, _tinge(light.kelvin))


def _by_card(photo: Measured, reference: Measured | None, blind: Blind | None) -> Iterator[Verdict]:
    """Exposure and white balance by the colour card, and by nothing else where a protocol asks for one."""
    card = photo.card
    if card is None:
        why = sayings.NO_TARGET_WHY.of(why=sayings.NO_CARD) if blind is None else blind.why
        yield _unknown(Aspect.EXPOSURE, why)
        yield _unknown(Aspect.WHITE_BALANCE, why)
        return
    former = None if reference is None else reference.card
    stops = card.stops - (0.0 if former is None else former.stops)
    kelvin = differences.cooler(card.warm - (0.0 if former is None else former.warm))
    brighter = (sayings.CARD_BRIGHTER if stops > 0 else sayings.CARD_DARKER).of(by=_amount(abs(stops)))
    than = sayings.CARD_THAN_ASKED if former is None else sayings.CARD_THAN_BEFORE
    for aspect, value, good, bad in (
        (Aspect.EXPOSURE, stops, sayings.CARD_AS_BRIGHT, brighter),
        (Aspect.WHITE_BALANCE, kelvin, sayings.CARD_GREY, _tinge(kelvin)),
    ):
        within = WITHIN[aspect] if former is not None else _ALONE[aspect]
        wrong = abs(value) > within
        yield Verdict(
            aspect, Finding.DIFFERS if wrong else Finding.GOOD, than.of(what=bad) if wrong else good, value, within
        )


def _burnt(photo: Measured) -> Verdict | None:
    if photo.burnt <= _BURNT:
        return None
    return Verdict(Aspect.EXPOSURE, Finding.DIFFERS, sayings.BURNT.of(share=f"{photo.burnt:.0%}"))


def _resolution(photo: Measured, reference: Measured | None) -> Verdict:
    side = min(photo.width, photo.height)
    if side < LEAST_PIXELS:
        words = sayings.SMALL.of(side=side, least=LEAST_PIXELS)
        return Verdict(Aspect.RESOLUTION, Finding.DIFFERS, words, float(side))
    if reference is not None and side < 0.6 * min(reference.width, reference.height):
        words = sayings.SMALLER.of(side=side)
        return Verdict(Aspect.RESOLUTION, Finding.DIFFERS, words, float(side))
    return Verdict(Aspect.RESOLUTION, Finding.GOOD, sayings.ENOUGH_PIXELS, float(side))


def _posed(pose: Pose) -> Iterator[Verdict]:
    larger = (pose.scale - 1) * 100
    words = (sayings.LARGER if larger > 0 else sayings.SMALLER_FAR).of(by=f"{abs(larger):.0f}")
    yield _measured(Aspect.SCALE, larger, sayings.SAME_DISTANCE, words)
    off = max(abs(pose.right), abs(pose.down)) * 100
    if abs(pose.right) >= abs(pose.down):
        where = sayings.TOO_RIGHT if pose.right > 0 else sayings.TOO_LEFT
    else:
        where = sayings.TOO_LOW if pose.down > 0 else sayings.TOO_HIGH
    yield _measured(Aspect.POSITION, off, sayings.SAME_PLACE, where.of(by=f"{off:.0f}"))
    for aspect, value, toward, away, same in (
        (Aspect.YAW, pose.yaw, sayings.TURNED_LEFT, sayings.TURNED_RIGHT, sayings.TURNED_ALIKE),
        (Aspect.PITCH, pose.pitch, sayings.CHIN_HIGH, sayings.CHIN_LOW, sayings.HELD_ALIKE),
        (Aspect.ROLL, pose.roll, sayings.LEANING_LEFT, sayings.LEANING_RIGHT, sayings.UPRIGHT),
    ):
        yield _measured(aspect, value, same, (toward if value > 0 else away).of(by=_degrees(value)))


def _expression(found: Expression) -> Verdict:
    wider = found.wider * 100
    said: list[str] = []
    if wider > _within("expression") and found.lifted > 0:
        said.append(sayings.SMILES_MORE)
    elif wider < -_within("expression") and found.lifted < 0:
        said.append(sayings.SMILES_LESS)
    elif abs(wider) > _within("expression"):
        said.append(sayings.MOUTH_WIDER if wider > 0 else sayings.MOUTH_NARROWER)
    for value, most, more, less in (
        (found.opened, _OPENED, sayings.MOUTH_OPENED, sayings.MOUTH_CLOSED),
        (found.brows, _BROWS, sayings.BROWS_UP, sayings.BROWS_DOWN),
        (found.lids, _LIDS, sayings.EYES_OPENED, sayings.EYES_CLOSED),
    ):
        if abs(value) > most:
            said.append(more if value > 0 else less)
    words = sayings.ANOTHER_EXPRESSION.of(changes=said)
    return _measured(Aspect.EXPRESSION, wider, sayings.SAME_EXPRESSION, words, differs=bool(said))


def _lit(light: Light, faceless: str | None) -> Iterator[Verdict]:
    if light.to_left is None:
        yield _unknown(Aspect.LIGHT_DIRECTION, faceless or sayings.NO_TARGET_WHY.of(why=sayings.CHEEK_LOST))
    else:
        more = sayings.MORE_LEFT if light.to_left > 0 else sayings.MORE_RIGHT
        yield _measured(
            Aspect.LIGHT_DIRECTION, light.to_left, sayings.SAME_SIDE, more.of(by=_amount(abs(light.to_left)))
        )
    if light.forward is None:
        yield _unknown(Aspect.FLASH, faceless or sayings.NO_TARGET_WHY.of(why=sayings.OTHER_BACKDROP))
    elif light.burnt and abs(light.forward) <= WITHIN[Aspect.FLASH]:
        yield _unknown(Aspect.FLASH, sayings.NO_TARGET_WHY.of(why=sayings.FACE_BURNT))
    else:
        words = (sayings.FLASHED if light.forward > 0 else sayings.NOT_FLASHED).of(by=_amount(abs(light.forward)))
        yield _measured(Aspect.FLASH, light.forward, sayings.STANDS_OUT, words)


def _faceless(photo: Measured, reference: Measured) -> str:
    if photo.face is None and reference.face is None:
        return sayings.unknown(sayings.NO_FACE)
    if photo.face is None or reference.face is None:
        return sayings.unknown(sayings.NO_FACE_HERE) if photo.face is None else sayings.unknown(sayings.NO_FACE_THERE)
    return sayings.unknown(sayings.TURNED_TOO_FAR)


def _measured(aspect: Aspect, value: float, good: str, bad: str, *, differs: bool | None = None) -> Verdict:
    within = WITHIN[aspect]
    wrong = abs(value) > within if differs is None else differs
    return Verdict(aspect, Finding.DIFFERS if wrong else Finding.GOOD, bad if wrong else good, value, within)


def _unknown(aspect: Aspect, why: str) -> Verdict:
    return Verdict(aspect, Finding.UNKNOWN, why)


def _tinge(kelvin: float) -> Wording:
    tinge = sayings.BLUER if kelvin > 0 else sayings.MORE_ORANGE
    return tinge.of(by=f"{round(abs(kelvin), -2):.0f}")


def _within(aspect: str) -> float:
    return WITHIN[Aspect(aspect)]


def _degrees(value: float) -> str:
    whole = round(abs(value))
    return sayings.ONE_DEGREE if whole == 1 else sayings.DEGREES.of(degrees=whole)


def _amount(stops: float) -> str:
    """Stops as people say them."""
    quarters = max(1, round(stops * 4))
    known = {1: sayings.QUARTER_STOP, 2: sayings.HALF_STOP, 3: sayings.THREE_QUARTERS, 4: sayings.ONE_STOP}
    return known.get(quarters) or sayings.STOPS.of(stops=Decimal(f"{stops:.1f}"))
