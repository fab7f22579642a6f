"""From differences to verdicts, in plain words: good, differs, or unknown with its reason, and never a guess."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dicom_bridge.judging import differences
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

NO_REFERENCE = "unknown: there is no earlier photo of this view"
NO_TARGET = "unknown without target"


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
            yield _burnt(photo) or _unknown(aspect, f"{NO_TARGET}, and there is no earlier photo of this view")
        elif aspect is Aspect.WHITE_BALANCE:
            yield _unknown(aspect, f"{NO_TARGET}, and there is no earlier photo of this view")
        else:
            yield _unknown(aspect, NO_REFERENCE if blind is None or aspect is Aspect.SHARPNESS else blind.why)


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
        return _unknown(Aspect.SHARPNESS, "unknown: the reference shows no fine detail")
    value = (photo.detail / reference.detail - 1) * 100
    words = f"softer: {-value:.0f} % less fine detail than the reference"
    # More detail than the reference is no fault of this photo.
    return _measured(Aspect.SHARPNESS, value, "as sharp as the reference", words, differs=value < -_within("sharpness"))


def _exposure(photo: Measured, light: Light) -> Iterator[Verdict]:
    if light.stops is None:
        yield _burnt(photo) or _unknown(Aspect.EXPOSURE, f"{NO_TARGET}: the two photos have no surface in common")
    else:
        words = f"{_amount(abs(light.stops))} {'brighter' if light.stops > 0 else 'darker'} than the reference"
        yield _measured(Aspect.EXPOSURE, light.stops, "as bright as the reference", words)
    if light.kelvin is None:
        why = ": skin and backdrop have changed colour differently" if light.contradictory else ""
        yield _unknown(Aspect.WHITE_BALANCE, NO_TARGET + why)
    else:
        tinge = "bluer" if light.kelvin > 0 else "more orange"
        words = f"{tinge} by about {round(abs(light.kelvin), -2):.0f} kelvin"
        yield _measured(Aspect.WHITE_BALANCE, light.kelvin, "the same colour of light as the reference", words)


def _by_card(photo: Measured, reference: Measured | None, blind: Blind | None) -> Iterator[Verdict]:
    """Exposure and white balance by the colour card, and by nothing else where a protocol asks for one."""
    card = photo.card
    if card is None:
        why = f"{NO_TARGET}: the protocol asks for a colour card, and none is seen" if blind is None else blind.why
        yield _unknown(Aspect.EXPOSURE, why)
        yield _unknown(Aspect.WHITE_BALANCE, why)
        return
    former = None if reference is None else reference.card
    stops = card.stops - (0.0 if former is None else former.stops)
    kelvin = differences.cooler(card.warm - (0.0 if former is None else former.warm))
    brighter = f"{_amount(abs(stops))} {'brighter' if stops > 0 else 'darker'}"
    bluer = f"{'bluer' if kelvin > 0 else 'more orange'} by about {round(abs(kelvin), -2):.0f} kelvin"
    known = "they should be" if former is None else "on the reference"
    for aspect, value, good, bad in (
        (Aspect.EXPOSURE, stops, "the colour card is as bright as it should be", brighter),
        (Aspect.WHITE_BALANCE, kelvin, "the greys of the colour card are grey", bluer),
    ):
        bad = f"the greys of the colour card are {bad} than {known}"
        within = WITHIN[aspect] if former is not None else _ALONE[aspect]
        wrong = abs(value) > within
        yield Verdict(aspect, Finding.DIFFERS if wrong else Finding.GOOD, bad if wrong else good, value, within)


def _burnt(photo: Measured) -> Verdict | None:
    if photo.burnt <= _BURNT:
        return None
    return Verdict(Aspect.EXPOSURE, Finding.DIFFERS, f"too bright: {photo.burnt:.0%} of it is burnt out")


def _resolution(photo: Measured, reference: Measured | None) -> Verdict:
    side = min(photo.width, photo.height)
    if side < LEAST_PIXELS:
        words = f"small: {side} pixels along the shorter side, {LEAST_PIXELS} are needed"
        return Verdict(Aspect.RESOLUTION, Finding.DIFFERS, words, float(side))
    if reference is not None and side < 0.6 * min(reference.width, reference.height):
        words = f"smaller than the reference: {side} pixels along the shorter side"
        return Verdict(Aspect.RESOLUTION, Finding.DIFFERS, words, float(side))
    return Verdict(Aspect.RESOLUTION, Finding.GOOD, "enough pixels", float(side))


def _posed(pose: Pose) -> Iterator[Verdict]:
    larger = (pose.scale - 1) * 100
    words = f"{abs(larger):.0f} % {'larger: too near' if larger > 0 else 'smaller: too far away'}"
    yield _measured(Aspect.SCALE, larger, "the same distance as the reference", words)
    off = max(abs(pose.right), abs(pose.down)) * 100
    if abs(pose.right) >= abs(pose.down):
        where = "right" if pose.right > 0 else "left"
    else:
        where = "bottom" if pose.down > 0 else "top"
    words = f"too far to the {where} of the picture, by {off:.0f} % of its width"
    yield _measured(Aspect.POSITION, off, "in the same place as in the reference", words)
    for aspect, value, toward, away, same in (
        (Aspect.YAW, pose.yaw, "turned {} to the patient's left", "turned {} to the patient's right", "turned"),
        (Aspect.PITCH, pose.pitch, "chin {} too high", "chin {} too low", "held"),
        (Aspect.ROLL, pose.roll, "leaning {} to the patient's left", "leaning {} to the patient's right", "upright"),
    ):
        words = (toward if value > 0 else away).format(_degrees(value))
        yield _measured(aspect, value, f"{same} as in the reference", words)


def _expression(found: Expression) -> Verdict:
    wider = found.wider * 100
    said = []
    if wider > _within("expression") and found.lifted > 0:
        said.append("smiles more")
    elif wider < -_within("expression") and found.lifted < 0:
        said.append("smiles less")
    elif abs(wider) > _within("expression"):
        said.append("mouth is wider" if wider > 0 else "mouth is narrower")
    for value, most, more, less in (
        (found.opened, _OPENED, "mouth is further open", "mouth is further closed"),
        (found.brows, _BROWS, "brows are higher", "brows are lower"),
        (found.lids, _LIDS, "eyes are further open", "eyes are further closed"),
    ):
        if abs(value) > most:
            said.append(more if value > 0 else less)
    words = f"{', '.join(said)} than in the reference"
    return _measured(Aspect.EXPRESSION, wider, "the same expression as in the reference", words, differs=bool(said))


def _lit(light: Light, faceless: str | None) -> Iterator[Verdict]:
    if light.to_left is None:
        yield _unknown(Aspect.LIGHT_DIRECTION, faceless or f"{NO_TARGET}: a cheek is burnt out or hidden")
    else:
        side = "left" if light.to_left > 0 else "right"
        words = f"{_amount(abs(light.to_left))} more light on the patient's {side} side"
        yield _measured(Aspect.LIGHT_DIRECTION, light.to_left, "light from the same side", words)
    if light.forward is None:
        yield _unknown(Aspect.FLASH, faceless or f"{NO_TARGET}: the backdrop is another one")
    elif light.burnt and abs(light.forward) <= WITHIN[Aspect.FLASH]:
        yield _unknown(Aspect.FLASH, f"{NO_TARGET}: a part of the face is burnt out")
    else:
        words = (
            f"face {_amount(light.forward)} brighter against the backdrop: a flash, or a lamp in front"
            if light.forward > 0
            else f"face {_amount(-light.forward)} darker against the backdrop: a flash or lamp is missing"
        )
        yield _measured(Aspect.FLASH, light.forward, "the face stands out from the backdrop as before", words)


def _faceless(photo: Measured, reference: Measured) -> str:
    if photo.face is None and reference.face is None:
        return "unknown: no face is seen"
    if photo.face is None or reference.face is None:
        return f"unknown: no face is seen in {'this photo' if photo.face is None else 'the reference'}"
    return "unknown: the face is seen from too different a side"


def _measured(aspect: Aspect, value: float, good: str, bad: str, *, differs: bool | None = None) -> Verdict:
    within = WITHIN[aspect]
    wrong = abs(value) > within if differs is None else differs
    return Verdict(aspect, Finding.DIFFERS if wrong else Finding.GOOD, bad if wrong else good, value, within)


def _unknown(aspect: Aspect, why: str) -> Verdict:
    return Verdict(aspect, Finding.UNKNOWN, why)


def _within(aspect: str) -> float:
    return WITHIN[Aspect(aspect)]


def _degrees(value: float) -> str:
    whole = round(abs(value))
    return f"{whole} degree{'' if whole == 1 else 's'}"


def _amount(stops: float) -> str:
    """Stops as people say them."""
    quarters = max(1, round(stops * 4))
    return {1: "a quarter of a stop", 2: "half a stop", 3: "three quarters of a stop", 4: "a stop"}.get(
        quarters, f"{stops:.1f} stops"
    )
