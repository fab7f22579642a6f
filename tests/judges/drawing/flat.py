"""Worlds of flat Consents: one root provision each, of purposes, actors and data, and all of them count."""

from __future__ import annotations

from typing import Any

from tests.judges import worlds as build
from tests.judges.drawing import corrected, names, others, people, provisions
from tests.judges.drawing.dice import Dice
from tests.judges.drawing.photos import photos
from tests.judges.drawing.requests import request

REQUESTS = 6
ELEMENTS = ("type", "purpose", "actor", "data")


def flat(seed: int) -> dict[str, Any]:
    """The world of a seed."""
    dice = Dice(seed)
    site = people.site(dice, "all") | {"care_team": "organization", "majority_age": 18, "rules_on": []}
    theme = names.Theme(dice.one(*names.THEMES), dice.one("actor", "data", "all"))
    if site["purposes"] and dice.chance(25):
        theme = names.Theme((dice.one(*site["purposes"])["code"], *theme.purposes), theme.focus)
    world: dict[str, Any] = {
        "site": site,
        "now": build.NOW,
        "patients": {name: build.patient() for name in names.PATIENTS},
        "merged": [],
        "exists": names.EXISTING,
        "members": people.memberships(dice),
        "part_of": {"Organization/ward": "Organization/clinic", "Organization/clinic": "Organization/holding"},
        "consents": [_written(dice, f"c{number}", theme) for number in range(dice.number(0, 4))],
        "photos": {},
    }
    for name, photo in photos(dice, theme, []).items():
        patient = dice.one("p", "p", "p", "q")
        world["photos"][name] = photo | {
            "patients": [patient],
            "known_since": {patient: "2026-05-01T10:00:00Z"},
            "custodian": "Organization/clinic",
            "sources": [],
        }
    drawn = (request(dice, theme, world) for _ in range(50))
    asked = [one for one in drawn if _is_flat(one)][:REQUESTS]
    world["requests"] = [one | {"emergency_patient": None} for one in asked]
    others.add(Dice(seed), world, copies=False)
    corrected.add(Dice(seed), world, others=False)
    return world


def _written(dice: Dice, name: str, theme: names.Theme) -> dict[str, Any]:
    patient = dice.one("p", "p", "p", "q")
    kind = dice.one("permit", "permit", "deny")
    drawn = provisions.provision(dice, theme, kind, {}, rich=35)
    root = {element: drawn[element] for element in ELEMENTS if element in drawn}
    signed = {"patient": {"reference": f"Patient/{patient}"}, "performer": [{"reference": f"Patient/{patient}"}]}
    return build.written(build.consent(name, root, **signed))


def _is_flat(asked: dict[str, Any]) -> bool:
    """Whether the request is about one patient, by somebody who acts for nobody else."""
    account = asked["account"]
    proxy = (account["reference"] or "").startswith("RelatedPerson/") or account["own_patient"] is not None
    return not asked["stale"] and asked["photo"] != "unknown" and not proxy and asked["reason"] != " "
