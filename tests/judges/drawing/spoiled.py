"""Something in a Consent that cannot be honoured: every element for which the page refuses, at the root and below."""

from __future__ import annotations

from typing import Any

from tests.judges import worlds as build
from tests.judges.drawing import names, provisions
from tests.judges.drawing.dice import Dice

ODD = [{"url": "urn:example:strange", "valueBoolean": True}]
WAYS = 28


def spoil(dice: Dice, body: dict[str, Any], theme: names.Theme) -> None:
    """Spoil a Consent in one way; one that has ended only in its provisions, because nothing refuses it any more."""
    root = body.setdefault("provision", {"type": "permit"})
    target = root
    if dice.chance(35):
        target = root.setdefault("provision", [provisions.provision(dice, theme, "permit", root, rich=20)])[0]
    makes_rules = body["status"] in ("active", "proposed", "draft") and "treatment" not in str(body["scope"])
    way = dice.number(0 if makes_rules and "adr" not in str(body["scope"]) else 9, WAYS - 1)
    if way < 9:
        _spoil_whole(dice, way, body, root)
    else:
        _spoil_provision(dice, way, root, target)


def _spoil_whole(dice: Dice, way: int, body: dict[str, Any], root: dict[str, Any]) -> None:
    match way:
        case 0:
            body["modifierExtension"] = ODD
        case 1:
            body["implicitRules"] = "urn:example:rules"
        case 2:
            root["type"] = "permit"
            name = dice.one("Policy-deny", "Policy-break-glass-only")
            body["policy"] = [{"uri": f"https://profiles.ihe.net/ITI/PCF/{name}"}]
        case 3:
            body["scope"] = {"coding": [{"system": dice.one("urn:x", "scope"), "code": "patient-privacy"}]}
        case 4:
            body["dateTime"] = dice.one("2026-02-30", "yesterday", "2026-05-04T25:00:00Z")
        case 5:
            body["extension"] = [*body.get("extension", []), build.region_code(names.FACE)]
        case 6:
            body["performer"] = [{**body["patient"], "modifierExtension": ODD}]
        case 7:
            root.pop("type", None)
            body["policyRule"] = {"coding": [{"system": "urn:example:policy", "code": dice.one("OPTIN", "OPTOUT")}]}
        case _:
            body.pop("provision")
            body.pop("policyRule", None)


def _spoil_provision(dice: Dice, way: int, root: dict[str, Any], target: dict[str, Any]) -> None:
    actors, data = target.get("actor", []), target.get("data", [])
    match way:
        case 9:
            target["modifierExtension"] = ODD
        case 10:
            target["action"] = [{"text": "disclose"}]
        case 11:
            target["class"] = [build.purpose("WEB")]
        case 12:
            target["code"] = [{"text": "laser"}]
        case 13:
            third = {"type": dice.one("permit", "deny"), "provision": [{"type": "permit"}]}
            root["provision"] = [*root.get("provision", []), third]
        case 14:
            root["provision"] = [*root.get("provision", []), {"purpose": [build.purpose("WEB")]}]
        case 15:
            target["actor"] = [*actors, build.actor(dice.one(*names.NOBODY))]
        case 16:
            stranger = build.actor("Practitioner/d")
            custodian = {**stranger["role"]["coding"][0], "code": "CST"}
            roles = ([custodian], [*stranger["role"]["coding"], custodian], [{"system": "urn:x", "code": "IRCP"}])
            stranger["role"]["coding"] = dice.one(*roles)
            target["actor"] = [*actors, stranger]
        case 17:
            target["actor"] = [dice.one(build.channel("myspace"), build.project("secret"))]
        case 18:
            target["actor"] = [build.actor("Location/room")]
        case 19:
            target["data"] = [*data, build.data(dice.one("Encounter/none", "Media/none", "Group/none"), "related")]
        case 20:
            unknown = (build.purpose("HQUALIMP"), build.purpose("TREAT", "urn:x"), {"code": "WEB"}, {"code": "TREAT"})
            target |= {"type": "deny", "purpose": [dice.one(*unknown)]}
        case 21:
            target["securityLabel"] = [dice.one(build.label("XYZ"), {"system": "urn:x", "code": "N"})]
        case 22:
            strange = (build.region_code("urn:x|tongue"), build.region_code(names.FACE, "U"))
            target["extension"] = [dice.one(*strange)]
        case 23:
            target |= {"type": "permit", "purpose": [build.purpose("SOCIAL")]}
            for one in (target, root):
                one.pop("actor", None)
        case 24:
            root |= {"type": "deny", "actor": [dice.one(build.channel("tiktok"), build.project("peels"))]}
            root.pop("purpose", None)
        case _:
            backwards = {"start": "2026-06-15", "end": "2026-06-14"}
            target[dice.one("period", "dataPeriod")] = dice.one(backwards, {"start": "2026-13"})


def disguise(dice: Dice, node: Any, path: str = "") -> None:
    """Now and then a reference names a version, another server or nothing at all; the patient is left alone."""
    if isinstance(node, list):
        for one in node:
            disguise(dice, one, path)
    elif isinstance(node, dict):
        if isinstance(node.get("reference"), str) and path != "patient" and dice.chance(1.5):
            name = node["reference"]
            shapes = (
                f"{name}/_history/1",
                f"{name}/_history/2",
                f"https://elsewhere.example/fhir/{name}",
                "#contained",
            )
            node["reference"] = dice.one(*shapes)
        for name, value in node.items():
            disguise(dice, value, path or name)
