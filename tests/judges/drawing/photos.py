"""Photos, and copies of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.judges import vocabulary as words
from tests.judges import worlds as build
from tests.judges.drawing import names
from tests.judges.drawing.dice import Dice

SINCE = (
    *("2026-05-03T12:00:00+03:00",) * 6,
    *(
        "2026-05-04T10:00:00+03:00",
        "2026-05-04T10:00:00.500+03:00",
        "2026-05-05T00:00:00+03:00",
        "2026-05-20T12:00:00Z",
    ),
    "2026-06-15T12:00:00+03:00",
)


def photos(dice: Dice, theme: names.Theme, instants: Sequence[str]) -> dict[str, dict[str, Any]]:
    """All photos of a world; ``instants`` are those at which a signature begins or ends."""
    found: dict[str, dict[str, Any]] = {}
    for name in names.PHOTOS:
        made = _photo(dice, name, theme, instants)
        if name.startswith("x") and dice.chance(theme.often("copies", 40)):
            made |= _copied(dice, made, found)
        found[name] = made
    return found


def _photo(dice: Dice, name: str, theme: names.Theme, instants: Sequence[str]) -> dict[str, Any]:
    patients: list[str] = ["p"]
    if dice.chance(theme.often("people", 20)):
        patients = dice.one(*[["p", "q"]] * 4, ["q"], ["r"], ["p", "r"], ["p", "q", "r"])
    if dice.chance(2):
        patients = dice.one(["ghost"], ["p", "ghost"], [], [])
    visit = dice.one(*names.VISITS) if dice.chance(95) else None
    links = dice.few(names.LINKS, 25) + ([f"Encounter/{visit}"] if visit is not None and dice.chance(90) else [])
    since = (*SINCE, *instants) if theme.focus == "snapshot" else SINCE
    return build.photo(
        name,
        patients=patients,
        known_since={one: dice.one(*since) for one in patients if dice.chance(97)},
        document="Media/m1" if name == "f3" else f"DocumentReference/{name}",
        imaging_study=None if visit is None else f"ImagingStudy/{visit}",
        encounter=None if visit is None else f"Encounter/{visit}",
        links=links,
        author=_maker(dice, 6),
        photographer=_maker(dice, 12),
        custodian=dice.one(*["Organization/clinic"] * 12, "Organization/ward", "Organization/other", None),
        taken=_taken(dice),
        regions=[] if dice.chance(8) else [_shown(dice) for _ in range(dice.one(1, 1, 2))],
        labels=_labels(dice),
    )


def _maker(dice: Dice, unknown: float) -> str | None:
    if dice.chance(unknown):
        return None
    return dice.one(*["Practitioner/d"] * 5, *names.CLINICIANS, "Device/app", "Organization/clinic", "Patient/p")


def _taken(dice: Dice) -> str | None:
    if dice.chance(75):
        return dice.one("2026-05-03T10:00:00+03:00", "2026-05-20T08:15:30Z")
    return dice.one(
        *(None, "2026", "2026-05", "2026-05-03", "2026-05-03T10:00:00", "2025-12-31T23:59:59Z", "2026-05-03T09:59"),
        *("2026-05-31T23:59:59.999", "2024-06-15", "2026-03-29T03:30:00", "2025-10-26T03:30:00"),
    )


def _shown(dice: Dice) -> dict[str, Any]:
    code = names.FACE if dice.chance(45) else dice.one(*names.REGIONS)
    if dice.chance(2):
        code = names.STRANGE_REGION
    return {"code": code, "laterality": dice.one(None, None, "R", "L", "B")}


def _labels(dice: Dice) -> list[list[str]]:
    found = []
    if dice.chance(40):
        found.append([words.CONFIDENTIALITY, dice.one(*words.LADDER)])
    if dice.chance(20):
        found.append([words.ACT_CODE, dice.one(*words.SENSITIVITIES[:3])])
    if dice.chance(4):
        found.append([words.CONFIDENTIALITY, dice.one(*words.LADDER)])
    if dice.chance(2):
        found.append(dice.one(*names.STRANGE_LABELS))
    return found


def _copied(dice: Dice, made: dict[str, Any], others: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A copy of one or two others, or of copies; sometimes linked to somebody whom no source shows."""
    sources = dice.some(tuple(others), 2)
    patients = list(dict.fromkeys(one for source in sources for one in others[source]["patients"]))
    if dice.chance(8):
        patients = list(dict.fromkeys([*patients, *made["patients"]]))
    return {
        "sources": sources,
        "own_description": dice.chance(40),
        "patients": patients,
        "known_since": {one: dice.one(*SINCE) for one in patients},
    }
