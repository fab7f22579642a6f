"""Requests: half of them at random, half aimed at what one Consent of the world speaks about."""

from __future__ import annotations

from typing import Any

from tests.judges import vocabulary as words
from tests.judges import worlds as build
from tests.judges.drawing import names
from tests.judges.drawing.dice import Dice

REQUESTABLE = tuple(code for code in (*words.HL7_PURPOSES, *words.OWN_PURPOSES) if code not in words.NEVER_REQUESTED)


def request(dice: Dice, theme: names.Theme, world: dict[str, Any]) -> dict[str, Any]:
    """One request."""
    own = [one["code"] for one in world["site"]["purposes"]]
    if world["consents"] and dice.chance(60):
        return _aimed(dice, world, dice.one(*world["consents"])["body"], own)
    purpose = dice.one(*theme.purposes)
    if dice.chance(25):
        purpose = dice.one(*REQUESTABLE, *own, *own, "BTG", "BTG", "TREAT", "HQUALIMP", "HMARKT", "TRAIN")
    photo = dice.one(*names.PHOTOS) if dice.chance(98) else "unknown"
    return _asking(dice, purpose, photo, _account(dice, purpose))


def _aimed(dice: Dice, world: dict[str, Any], body: dict[str, Any], own: list[str]) -> dict[str, Any]:
    """One that a Consent is likely to speak about: its purpose or a child, its photos, its people, its channel."""
    root = body.get("provision", {})
    provision = dice.one(root, *root.get("provision", []))
    codes = [coding["code"] for coding in provision.get("purpose") or root.get("purpose") or [{"code": "TREAT"}]]
    purpose = dice.one(*codes)
    parents = {**words.PARENTS, **{code: names.SITE_PURPOSES[code] for code in own}}
    children = [child for child, parent in parents.items() if parent == purpose]
    if children and (purpose in words.NEVER_REQUESTED or dice.chance(25)):
        purpose = dice.one(*children)
    actors = provision.get("actor") or root.get("actor") or []
    people = [one["reference"]["reference"] for one in actors if "reference" in one["reference"]]
    places = [one["reference"]["identifier"]["value"] for one in actors if "identifier" in one["reference"]]
    account = _account(dice, purpose)
    if people and dice.chance(60):
        person = dice.one(*people)
        if person.startswith(("Practitioner/", "Device/")) and purpose != "PATRQT":
            account["reference"] = person
        if person in names.KIN and purpose == "PATRQT":
            account |= {"reference": person, "confined_to": ["p"]}
    found = _asking(dice, purpose, _meant(dice, world, body, provision), account)
    for code, key, options in (("SOCIAL", "channel", names.CHANNELS), ("HRESCH", "project", names.PROJECTS)):
        fitting = [place for place in places if place in options]
        if purpose == code and fitting and dice.chance(70):
            found[key] = dice.one(*fitting)
    return found


def _meant(dice: Dice, world: dict[str, Any], body: dict[str, Any], provision: dict[str, Any]) -> str:
    """A photo that the provision names, or any of the patient's."""
    stated = provision.get("data") or body.get("provision", {}).get("data") or []
    documents = {photo["document"]: name for name, photo in world["photos"].items()}
    named = [documents[one["reference"]["reference"]] for one in stated if one["reference"]["reference"] in documents]
    patient = body["patient"]["reference"].removeprefix("Patient/")
    hers = [name for name, photo in world["photos"].items() if patient in photo["patients"]]
    return dice.one(*(named or hers or names.PHOTOS)) if dice.chance(80) else dice.one(*names.PHOTOS)


def _asking(dice: Dice, purpose: str, photo: str, account: dict[str, Any]) -> dict[str, Any]:
    emergency = purpose in ("BTG", "ETREAT")
    return build.ask(
        account,
        photo,
        purpose,
        channel=dice.one(*names.CHANNELS * 4, None, "myspace") if purpose == "SOCIAL" else None,
        project=dice.one(*names.PROJECTS, None) if purpose == "HRESCH" else None,
        reason=dice.one(*["no pulse"] * 10, None, " ") if emergency else None,
        emergency_patient=dice.one("p", "p", "p", "q", "r", None) if emergency else None,
        stale=dice.chance(1),
    )


def _account(dice: Dice, purpose: str) -> dict[str, Any]:
    held = {"BTG" if purpose == "ETREAT" else purpose} if dice.chance(97) else {"PORTFOLIO"}
    if dice.chance(40):
        held.add("TREAT")
    reference: str | None = None if dice.chance(4) else dice.one(*names.CLINICIANS, "Practitioner/d", "Device/app")
    account = build.account(*sorted(held), reference=reference)
    if purpose == "PATRQT" and dice.chance(94):
        who = dice.one(*["p"] * 5, "q", "mother", "mother", "uncle")
        if who in names.PATIENTS:
            account |= {"reference": f"Patient/{who}", "confined_to": None if dice.chance(5) else [who]}
        else:
            confined = dice.one(["p"], ["p"], ["p", "q"], ["q"], None)
            account |= {"reference": f"RelatedPerson/{who}", "confined_to": confined}
    elif dice.chance(5):
        account["confined_to"] = dice.one(["p"], ["p"], ["q"], ["r"], [])
    if not (account["reference"] or "").startswith(("Patient/", "RelatedPerson/")) and dice.chance(5):
        account["own_patient"] = dice.one("p", "q", "r")
    return account
