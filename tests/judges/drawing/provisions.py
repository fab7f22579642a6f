"""Provisions of Consents: every element that the page names, stated or left empty."""

from __future__ import annotations

from typing import Any

from tests.judges import vocabulary as words
from tests.judges import worlds as build
from tests.judges.drawing import names
from tests.judges.drawing.dice import Dice

PERIODS: tuple[dict[str, str], ...] = (
    *({"start": "2026-05-01"}, {"end": "2026-05-31"}, {"start": "2026-06-01", "end": "2026-06-30"}),
    *({"end": "2026-06-15"}, {"end": "2026-06-15T09:00:00Z"}, {"start": "2026-06-15T12:00:00+03:00"}),
    *(
        {"start": "2026-06-16"},
        {"end": "2026"},
        {"end": "2026-06-14"},
        {"start": "2026-06"},
        {"end": "2026-06-15T12:00"},
    ),
    *({"start": "2026-06-16"}, {"start": "2026-06-20", "end": "2026-06-30"}, {"start": "2026-07"}),
    *({"start": "2026-03-29", "end": "2026-10-25"}, {"end": "2026-06-15T09:00:00.123Z"}, {"start": "2026-06-15"}),
)
TIMES: tuple[dict[str, str], ...] = (
    *({"start": "2026-05-01"}, {"end": "2026-05-31"}, {"start": "2026-05-03", "end": "2026-05-03"}),
    *({"start": "2026", "end": "2026"}, {"start": "2026-05-03T07:00:00Z"}, {"end": "2026-05-03T10:00"}),
    *({"start": "2026-05-20T08:15:30Z", "end": "2026-05-20T08:15:30Z"}, {"start": "2026-05", "end": "2026-05"}),
)
MEANINGS = ("instance", "related", "dependents")


def root(dice: Dice, theme: names.Theme, *, may_lack_type: bool) -> dict[str, Any]:
    """A root provision with its nested ones."""
    kind = "permit" if dice.chance(74) else "deny"
    made = provision(dice, theme, kind, {}, rich=16 if kind == "permit" else 30)
    if may_lack_type and dice.chance(50):
        del made["type"]
    if dice.chance(32):
        number = dice.one(1, 1, 2, 3)
        made["provision"] = [provision(dice, theme, dice.one("permit", "deny"), made, rich=45) for _ in range(number)]
    return made


def provision(dice: Dice, theme: names.Theme, kind: str, above: dict[str, Any], *, rich: float) -> dict[str, Any]:
    """One provision; ``rich`` is how often in a hundred it states what is not usual."""
    made: dict[str, Any] = {"type": kind}
    if dice.chance(50 if above else 85):
        made["purpose"] = _purposes(dice, theme, kind)
    if dice.chance(theme.often("actor", rich / 2)):
        made["actor"] = [_actor(dice, theme) for _ in range(dice.one(1, 1, 2))]
    if dice.chance(theme.often("data", rich)):
        made["data"] = [_data(dice) for _ in range(dice.one(1, 1, 2, 3))]
    if dice.chance(theme.often("dataPeriod", rich / 2.5)):
        made["dataPeriod"] = dice.one(*TIMES)
    if dice.chance(theme.often("region", rich / 2)):
        made["extension"] = [_region(dice) for _ in range(dice.one(1, 1, 2, 3))]
    if dice.chance(theme.often("label", rich / 2.5)):
        codes = ("N", "N", "R", "R", "V", "M", *words.SENSITIVITIES[:2])
        made["securityLabel"] = [build.label(code) for code in dice.some(codes, 3)]
    if dice.chance(30 if theme.focus == "replaces" else theme.often("period", rich / 1.5)):
        made["period"] = dice.one(*PERIODS)
    _make_acceptable(dice, made, above)
    return {name: value for name, value in made.items() if value != []}


def _make_acceptable(dice: Dice, made: dict[str, Any], above: dict[str, Any]) -> None:
    """A permit for SOCIAL needs a channel, and a denial without a purpose may not name places alone: mostly so."""
    actors = [*made.get("actor", []), *above.get("actor", [])]
    purposes = made.get("purpose") or above.get("purpose") or []
    social = any(coding["code"] == "SOCIAL" for coding in purposes)
    if made["type"] == "permit" and social and not any(_is_channel(one) for one in actors) and dice.chance(95):
        made["actor"] = [*made.get("actor", []), build.channel(dice.one(*names.CHANNELS))]
    if made["type"] == "deny" and not purposes and dice.chance(90):
        made["actor"] = [one for one in made.get("actor", []) if "reference" in one["reference"]]


def _is_channel(actor: dict[str, Any]) -> bool:
    return bool(actor["reference"].get("identifier", {}).get("system") == words.CHANNEL)


def _purposes(dice: Dice, theme: names.Theme, kind: str) -> list[dict[str, Any]]:
    found = []
    for _ in range(dice.one(1, 1, 1, 2)):
        code = dice.one(*theme.purposes) if dice.chance(85) else dice.one(*words.HL7_PURPOSES, *words.OWN_PURPOSES)
        if dice.chance(18 if kind == "deny" else 2):
            code = dice.one("HMARKT", "TRAIN", "TREAT")
        if code == "BTG" and dice.chance(30):
            code = "ETREAT"
        found.append(coding(code))
    if kind == "permit" and dice.chance(5):
        found[0] = dice.one(build.purpose("HQUALIMP"), build.purpose("TREAT", "urn:x"), {"code": "WEB"})
    return found


def coding(code: str) -> dict[str, Any]:
    """The Coding of a purpose."""
    return build.purpose(code, names.SITE_SYSTEM if code in names.SITE_PURPOSES else None)


def _actor(dice: Dice, theme: names.Theme) -> dict[str, Any]:
    kind, place = dice.one("channel", "project"), ""
    if "SOCIAL" in theme.purposes or "HRESCH" in theme.purposes:
        kind = place = "channel" if "SOCIAL" in theme.purposes else "project"
    bound = build.channel(dice.one(*names.CHANNELS)) if kind == "channel" else build.project(dice.one(*names.PROJECTS))
    if place and dice.chance(30):
        return bound
    made = dice.one(
        build.actor(dice.one(*names.CLINICIANS)),
        build.actor(dice.one(*names.CLINICIANS)),
        build.actor(dice.one(*names.GROUPS)),
        build.actor(dice.one("Patient/p", "Patient/p", "Patient/q", *names.KIN)),
        bound,
    )
    if dice.chance(20):
        made["role"]["coding"][0]["code"] = "PRCP"
    return made


def _data(dice: Dice) -> dict[str, Any]:
    meaning = dice.one(*MEANINGS)
    photo = dice.one(*(f"DocumentReference/{name}" for name in names.PHOTOS if name != "f3"), "Media/m1")
    person = dice.one("Practitioner/d", *names.CLINICIANS, "Device/app", "Organization/clinic", "Patient/p")
    return dice.one(
        build.data(photo, meaning),
        build.data(photo, "instance"),
        build.data(f"ImagingStudy/{dice.one(*names.VISITS)}", meaning),
        build.data(f"Encounter/{dice.one(*names.VISITS)}", dice.one("related", meaning)),
        build.data(dice.one(*names.LINKS), meaning),
        build.data(person, "authoredby"),
        build.data(
            dice.one("Observation/x", "Media/m1", "Practitioner/d", "ImagingStudy/v1", "Encounter/v1"),
            dice.one("related", "authoredby", "instance"),
        ),
    )


def _region(dice: Dice) -> dict[str, Any]:
    code = names.FACE if dice.chance(30) else dice.one(*names.REGIONS)
    return build.region_code(code, dice.one(None, None, "R", "L", "B"))
