"""Consents: what the page says of a whole Consent, and, now and then, something in it that cannot be honoured."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from tests.judges import vocabulary as words
from tests.judges import worlds as build
from tests.judges.drawing import names, provisions
from tests.judges.drawing.dice import Dice
from tests.judges.drawing.spoiled import disguise, spoil
from tests.judges.moments import stretch

ENDED = ("inactive", "entered-in-error", "rejected")
DATES = (
    *("2026-05-04", "2026-05", "2026", "2025-01-01", "2026-06-14T23:59:59.5Z", "2026-06-15", "2026-06-16"),
    *("2026-05-04T10:00:00", "2026-05-04T07:00:00Z", "2026-06-15T12:00:00+03:00", "2027", "2023-05-01"),
    *("2026-03-29T03:30:00", "2025-10-26T03:30:00", "2026-05-04T10:00", "2024-06-15T00:00:00+03:00"),
)


def consents(dice: Dice, theme: names.Theme, zone: ZoneInfo) -> list[dict[str, Any]]:
    """All Consents of a world, in the order of writing."""
    found: list[dict[str, Any]] = []
    dates = [
        _date(dice, theme)
        for _ in range(dice.one(*((2, 2, 3) if theme.focus == "replaces" else (0, 1, 1, 2, 2, 3, 4, 5))))
    ]
    for number, date in enumerate(sorted(dates, key=lambda text: stretch(text, zone).first)):
        found.append(_written(dice, f"c{number}", date, found, theme))
    return found


def _date(dice: Dice, theme: names.Theme) -> str:
    usual = dice.chance(40 if theme.focus == "signature" else 70)
    return f"2026-05-{dice.number(4, 28):02d}T10:00:00+03:00" if usual else dice.one(*DATES)


def _written(dice: Dice, name: str, date: str, before: list[dict[str, Any]], theme: names.Theme) -> dict[str, Any]:
    patient = "p" if dice.chance(86) else dice.one("q", "r")
    body = build.consent(
        name,
        patient={"reference": f"Patient/{patient}"},
        dateTime=None if dice.chance(theme.often("signature", 4)) else date,
        performer=[{"reference": one} for one in _signers(dice, patient, theme)],
        organization=[{"reference": one} for one in _organizations(dice, theme)],
    )
    if dice.chance(10):
        body["scope"]["coding"][0]["code"] = dice.one("research", "research", "research", "treatment", "adr")
    elif "HRESCH" in theme.purposes and dice.chance(40):
        body["scope"]["coding"][0]["code"] = "research"
    if dice.chance(theme.often("signature", 7)):
        body["verification"] = [{"verified": True}] * dice.number(0, 1) + [{"verified": dice.one(True, False, False)}]
    _add_rules(dice, body, theme)
    history = _state(dice, body, theme)
    _replace(dice, body, before, theme)
    if dice.chance(theme.often("refused", 18)) and not (body["status"] in ENDED and "extension" in body):
        spoil(dice, body, theme)
    if not (body["status"] in ENDED and "extension" in body):
        disguise(dice, body)
    return build.written(body, *history, synchronised=body["status"] == "active" and dice.chance(35))


def _add_rules(dice: Dice, body: dict[str, Any], theme: names.Theme) -> None:
    rule = dice.one(*[None] * 9, "OPTIN", "OPTOUT", "OPTOUT", "EMRGONLY")
    if rule is not None:
        body["policyRule"] = {"coding": [{"system": words.ACT_CODE, "code": rule}]}
        if dice.chance(8):
            body["policyRule"]["coding"].append({"system": words.ACT_CODE, "code": dice.one("OPTIN", "OPTOUT")})
        if dice.chance(5):
            body["policyRule"]["coding"][0]["system"] = "urn:example:policy"
    if rule not in ("OPTIN", "OPTOUT") or dice.chance(75):
        body["provision"] = provisions.root(dice, theme, may_lack_type=rule in ("OPTIN", "OPTOUT"))


def _state(dice: Dice, body: dict[str, Any], theme: names.Theme) -> list[str]:
    """Its status, and the states of its former versions."""
    if not dice.chance(45 if theme.focus == "replaces" else theme.often("state", 14)):
        return []
    if theme.focus == "replaces" and dice.chance(80):
        body["status"] = dice.one("inactive", "entered-in-error")
        return ["active"]
    body["status"] = dice.one("inactive", "inactive", "inactive", *ENDED, "proposed", "draft")
    return dice.one(["active"], ["active"], ["active"], ["draft"], [])


def _replace(dice: Dice, body: dict[str, Any], before: list[dict[str, Any]], theme: names.Theme) -> None:
    """What it replaces: mostly one or two of the same patient's.

    One that has ended is not refused any more, and what it replaces was accepted while it was active: there, only what
    the same patient replaces herself.
    """
    ended = body["status"] in ENDED
    own = [one["body"]["id"] for one in before if one["body"]["patient"] == body["patient"]]
    all_ = [one["body"]["id"] for one in before]
    earlier = own if ended or dice.chance(94) else all_
    if not earlier or not dice.chance(75 if theme.focus in ("replaces", "state", "signature") else 30):
        return
    chosen = [earlier[-1]] if dice.chance(50) else dice.some(earlier, 2)
    if not ended and dice.chance(2):
        chosen = ["nothing"]
    if ended:
        body["performer"] = [dict(body["patient"])]
    body["extension"] = [
        {"url": words.REPLACES_EXTENSION, "valueReference": {"reference": f"Consent/{other}"}} for other in chosen
    ]


def _signers(dice: Dice, patient: str, theme: names.Theme) -> list[str]:
    own = f"Patient/{patient}"
    if not dice.chance(theme.often("signature", 18)):
        return [own]
    if dice.chance(60):
        return dice.one(["RelatedPerson/mother"], ["RelatedPerson/mother"], ["Practitioner/d"])
    return dice.one(
        *(["Practitioner/d"], ["RelatedPerson/mother"], ["RelatedPerson/uncle"], ["RelatedPerson/mother", own]),
        *(["Practitioner/d"], ["Practitioner/d", "RelatedPerson/mother"], ["Organization/clinic"], ["Patient/r"], []),
        [*names.KIN],
    )


def _organizations(dice: Dice, theme: names.Theme) -> list[str]:
    if not dice.chance(theme.often("signature", 10)):
        return ["Organization/clinic"]
    return dice.one(
        *(["Organization/holding"], ["Organization/ward"], ["Organization/other", "Organization/clinic"]),
        *(["Organization/other"], []),
    )
