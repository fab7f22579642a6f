"""Rows of tests/tables/consent_cases.toml as worlds of the judges: the few words of the table, read once more.

What a row does not say is as at the head of the table: one clinic in Athens, patients P and Q, photos f1, h1 and f2.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.judges import vocabulary as words
from tests.judges import worlds as build

TABLE = Path(__file__).parent.parent / "tables" / "consent_cases.toml"
SITUATION = ("site", "now", "stale", "patients", "photos", "belongs", "parents", "consents")
OWN = {*words.OWN_PURPOSES, "FooBar", "FLYER", "LAWSUIT", "REELS"}
SITE_PURPOSES = {"FooBar": "HRESCH", "FLYER": "HMARKT", "LAWSUIT": "HLEGAL"}

ACCOUNTS = {
    "D": build.account("TREAT", "BTG", reference="Practitioner/d"),
    "B": build.account("BTG", reference="Practitioner/b"),
    "E": build.account("TREAT", reference="Practitioner/e"),
    "M": build.account("PORTFOLIO", "WEB", "SOCIAL", "FLYER", reference="Practitioner/m"),
    "N": build.account("PORTFOLIO", "WEB", "SOCIAL", reference="Practitioner/n"),
    "C": build.account("HCOMPL", "PATSFTY", reference="Practitioner/c"),
    "L": build.account("HLEGAL", "LAWSUIT", reference="Practitioner/l"),
    "T": build.account("TEACH", reference="Practitioner/t"),
    "K": build.account("CONF", reference="Practitioner/k"),
    "R": build.account("HRESCH", "FooBar", "HPAYMT", reference="Practitioner/r"),
    "S": build.account("TREAT", "WEB", "HCOMPL", "PATRQT", "BTG", reference="Practitioner/s", own_patient="P"),
    "P": build.account("PATRQT", reference="Patient/P", confined_to=["P"]),
    "Q": build.account("PATRQT", reference="Patient/Q", confined_to=["Q"]),
    "mother": build.account("PATRQT", reference="RelatedPerson/mother", confined_to=["P"]),
    "stranger": build.account("PATRQT", reference="RelatedPerson/stranger", confined_to=["P"]),
    "nameless": build.account("TREAT", "WEB"),
    "marketer": build.account("HMARKT", "TRAIN", "SOMETHING"),
    "A": build.account("TREAT", "BTG", "HCOMPL", reference="Practitioner/a", rights=["archive"]),
    "portal": build.account("TREAT", confined_to=["P"], rights=["archive"]),
    "admin": build.account(),
}


class Everybody:
    """The record of the table: whoever is not called so is in it."""

    def __contains__(self, reference: str) -> bool:
        return not reference.endswith("nobody")


def rows() -> list[dict[str, Any]]:
    """All rows; ``like`` takes the situation of an earlier one."""
    found: dict[str, dict[str, Any]] = {}
    for row in tomllib.loads(TABLE.read_text("utf-8"))["case"]:
        earlier = found.get(row.get("like", ""), {})
        found[row["id"]] = {**{key: earlier[key] for key in SITUATION if key in earlier}, **row}
    return list(found.values())


def world(row: Mapping[str, Any]) -> dict[str, Any]:
    """The situation of a row."""
    photos = {
        "f1": _photo("f1", "2026-05-03T10:00:00+03:00", "V1", "face,neck", "Practitioner/d"),
        "h1": _photo("h1", "2026-05-03T10:05:00+03:00", "V1", "hand", "Practitioner/e"),
        "f2": _photo("f2", "2026-06-10T09:00:00+03:00", "V2", "face", "Practitioner/d"),
    }
    for name, stated in row.get("photos", {}).items():
        photos[name] = _changed(name, stated, photos[stated.get("like", "f1")])
    patients = {"P": _patient({}), "Q": _patient({"birth": "1985-01-01"})}
    patients |= {name: _patient(stated) for name, stated in row.get("patients", {}).items()}
    belongs = row.get("belongs", {})
    return {
        "site": build.site(
            **{
                "purposes": [
                    {"code": code, "system": words.OWN_PURPOSE, "parent": parent}
                    for code, parent in SITE_PURPOSES.items()
                ],
                **row.get("site", {}),
            }
        ),
        "now": row.get("now", build.NOW),
        "patients": patients,
        "merged": [stated["records"] for stated in row.get("patients", {}).values() if "records" in stated],
        "exists": Everybody(),
        "members": [
            [account["reference"], of]
            for who, account in ACCOUNTS.items()
            if account["reference"] is not None
            for of in belongs.get(who, ["Organization/clinic"] if "Practitioner" in account["reference"] else [])
        ],
        "part_of": {"Organization/clinic": "Organization/group", **row.get("parents", {})},
        "consents": [_written(stated, number + 1) for number, stated in enumerate(row.get("consents", ()))],
        "photos": photos,
    }


def request(row: Mapping[str, Any]) -> dict[str, Any]:
    """The request of a row."""
    who, purpose, photo, *rest = row["ask"].split()
    code, _, place = purpose.partition("/")
    return build.ask(
        ACCOUNTS[who],
        photo,
        code,
        channel=place or None if code == "SOCIAL" else None,
        project=place or None if code == "HRESCH" else None,
        reason=next((word[1:] for word in rest if word.startswith("!")), None),
        emergency_patient=next((word.removeprefix("for=") for word in rest if word.startswith("for=")), None),
        stale=row.get("stale", False),
    )


# --- Photos and patients ---------------------------------------------------------------------------------------------


def _photo(name: str, taken: str, visit: str, regions: str, author: str) -> dict[str, Any]:
    return {
        **build.photo(name, patients=["P"], taken=taken, author=author, photographer=author),
        "known_since": {"P": taken},
        "imaging_study": f"ImagingStudy/{visit}",
        "encounter": f"Encounter/{visit}",
        "links": [f"Encounter/{visit}", f"Procedure/of-{visit}"],
        "regions": _shown(regions),
    }


def _shown(text: str) -> list[dict[str, Any]]:
    found = []
    for word in text.split(",") if text else []:
        name, _, side = word.partition("/")
        found.append({"code": build.REGION.get(name, name), "laterality": side or None})
    return found


def _changed(name: str, stated: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    changed = {**base, "document": f"DocumentReference/{name}"}
    for key, value in stated.items():
        if key == "regions":
            changed[key] = _shown(value)
        elif key == "labels":
            changed[key] = [[build.label(code)["system"], code] for code in value.split(",") if code]
        elif key == "visit":
            links = [f"Encounter/{value}"]
            changed |= {"encounter": links[0], "imaging_study": f"ImagingStudy/{value}", "links": links}
        elif key == "patients":
            changed |= {key: value, "known_since": dict.fromkeys(value, base["taken"])}
        elif key != "like":
            changed[key] = value or None if isinstance(value, str) else value
    return changed | {key: stated[key] for key in ("known_since",) if key in stated}


def _patient(stated: Mapping[str, Any]) -> dict[str, Any]:
    representatives = [words_.partition(" ") for words_ in stated.get("representatives", ())]
    return build.patient(
        birth=stated.get("birth", "1990-01-01") or None,
        representatives=[{"person": person, "period": _period(during)} for person, _, during in representatives],
        care_team=stated.get("care_team", []),
        results={build.REGION[name]: when for name, when in stated.get("results", {}).items()},
    )


def _period(text: str) -> dict[str, str]:
    start, _, end = text.partition("..")
    return {name: bound for name, bound in (("start", start), ("end", end)) if bound}


# --- Consents --------------------------------------------------------------------------------------------------------


def _written(stated: str | Mapping[str, Any], number: int) -> dict[str, Any]:
    given: Mapping[str, Any] = {"root": stated} if isinstance(stated, str) else stated
    patient = given.get("patient", "P")
    root = _provision(given["root"]) if "root" in given else {}
    if "nested" in given:
        root["provision"] = [_provision(each) for each in given["nested"]]
    changed: dict[str, Any] = {
        "status": given.get("status", "active"),
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": given.get("on", "2026-05-04T10:00:00+03:00") or None,
        "performer": [{"reference": each} for each in given.get("by", f"Patient/{patient}").split(",") if each],
        "organization": [{"reference": each} for each in given.get("org", "Organization/clinic").split(",") if each],
        "policy": [{"uri": given.get("uri", "https://clinic.example/photos")}],
        "rule": given.get("policy"),
        "replaces": given["replaces"].split(",") if "replaces" in given else (),
    }
    if "scope" in given:
        changed["scope"] = {"coding": [{"system": words.SCOPES, "code": given["scope"]}]}
    if "verified" in given:
        changed["verification"] = [{"verified": each} for each in given["verified"]]
    body = build.consent(given.get("id", f"c{number}"), root or None, **changed) | given.get("json", {})
    history = ["active"] if given.get("was_active", True) else []
    return build.written(body, *history, synchronised=bool(given.get("arrived")))


def _provision(stated: str | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(stated, str):
        return dict(stated)
    found: dict[str, Any] = {}
    for word in stated.split():
        name, equals, value = word.partition("=")
        if not equals:
            if name in ("permit", "deny"):
                found["type"] = name
            else:
                found["purpose"] = [
                    build.purpose(code, words.OWN_PURPOSE if code in OWN else None) for code in name.split(",")
                ]
        elif name in ("period", "dataPeriod"):
            found[name] = _period(value)
        elif name == "actor":
            found[name] = [_actor(each) for each in value.split(",")]
        elif name == "data":
            found[name] = [build.data(each.partition(":")[2], each.partition(":")[0]) for each in value.split(",")]
        elif name == "region":
            found["extension"] = [
                build.region_code(build.REGION.get(one.partition("/")[0], "urn:x|none"), one.partition("/")[2] or None)
                for one in value.split(",")
            ]
        elif name == "label":
            found["securityLabel"] = [build.label(each) for each in value.split(",")]
        else:
            raise ValueError(f"the table has no word {word!r}")
    return found


def _actor(text: str) -> dict[str, Any]:
    text, _, role = text.partition("@")
    kind, colon, value = text.partition(":")
    made = {"channel": build.channel, "project": build.project}[kind](value) if colon else build.actor(text)
    if role:
        made["role"]["coding"][0]["code"] = role
    return made
