"""The words of the consent table, read.

A provision is a line of words: its type, its purposes, then ``name=value`` pairs. ``permit WEB region=face,hand/L``,
``deny SOCIAL actor=Practitioner/n,channel:instagram period=2026-06-01..2026-06-30``. The words become R4 JSON, and go
through ``to_directive`` and ``decide`` like any Consent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from consent.directive import Label, Region, Span
from consent.purposes import OWN_PURPOSES, V3_ACT_REASON
from consent.regions import regions
from consent.types import Laterality
from fhir_mapping import consent_codes as codes
from fhir_mapping import dates

ZONE = ZoneInfo("Europe/Athens")
SIGNED = "2026-05-04T10:00:00+03:00"
OWN = {"PORTFOLIO", "WEB", "SOCIAL", "CONF", "TEACH", "FooBar", "REELS", "FLYER", "LAWSUIT"}


def span(text: str) -> Span:
    """``2026``, ``2026-05-03T10:00:00+03:00`` or ``2026-06-01..2026-06-30``, with either side left out."""
    start, dots, end = text.partition("..")
    if not dots:
        return dates.span(start, ZONE)
    return Span(dates.span(start, ZONE).start if start else None, dates.span(end, ZONE).end if end else None)


def moment(text: str) -> datetime:
    """The instant of a time with an offset."""
    return datetime.fromisoformat(text).astimezone(UTC)


def read_regions(text: str) -> tuple[Region, ...]:
    """``face,hand/L``."""
    found = []
    for word in text.split(",") if text else []:
        name, _, side = word.partition("/")
        region = regions().by_name(name)
        found.append(Region(region.code if region else name, Laterality(side or "B")))
    return tuple(found)


def read_labels(text: str) -> tuple[Label, ...]:
    """``N,HIV``."""
    return tuple(Label(_label_system(code), code) for code in text.split(",") if code)


def _label_system(code: str) -> str:
    return codes.CONFIDENTIALITY if code in codes.CONFIDENTIALITY_CODES else codes.ACT_CODE


def consent_json(stated: str | Mapping[str, Any], number: int) -> dict[str, Any]:
    """R4 JSON of a Consent in the words of the table."""
    given: Mapping[str, Any] = {"root": stated} if isinstance(stated, str) else stated
    resource: dict[str, Any] = {
        "resourceType": "Consent",
        "id": given.get("id", f"c{number}"),
        "status": given.get("status", "active"),
        "scope": {"coding": [{"system": codes.CONSENT_SCOPE, "code": given.get("scope", "patient-privacy")}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{given.get('patient', 'P')}"},
        "policy": [{"uri": given.get("uri", "https://clinic.example/photos")}],
    }
    if given.get("on", SIGNED):
        resource["dateTime"] = given.get("on", SIGNED)
    signers = given.get("by", f"Patient/{given.get('patient', 'P')}")
    resource["performer"] = [{"reference": each} for each in signers.split(",") if each]
    resource["organization"] = [
        {"reference": each} for each in given.get("org", "Organization/clinic").split(",") if each
    ]
    if "verified" in given:
        resource["verification"] = [{"verified": each} for each in given["verified"]]
    if "policy" in given:
        resource["policyRule"] = {"coding": [{"system": codes.ACT_CODE, "code": given["policy"]}]}
    provision = _provision(given["root"]) if "root" in given else {}
    if "nested" in given:
        provision["provision"] = [_provision(each) for each in given["nested"]]
    if provision:
        resource["provision"] = provision
    if "replaces" in given:
        resource["extension"] = [
            {"url": codes.REPLACES_EXTENSION, "valueReference": {"reference": f"Consent/{each}"}}
            for each in given["replaces"].split(",")
        ]
    resource.update(given.get("json", {}))
    return resource


def _provision(words: str | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(words, str):
        return dict(words)
    found: dict[str, Any] = {}
    for word in words.split():
        name, equals, value = word.partition("=")
        if name in ("permit", "deny"):
            found["type"] = name
        elif not equals:
            found["purpose"] = [
                {"system": OWN_PURPOSES if code in OWN else V3_ACT_REASON, "code": code} for code in word.split(",")
            ]
        elif name in ("period", "dataPeriod"):
            start, _, end = value.partition("..")
            found[name] = {key: text for key, text in (("start", start), ("end", end)) if text}
        elif name == "actor":
            found["actor"] = [_actor(each) for each in value.split(",")]
        elif name == "data":
            found["data"] = [
                {"meaning": each.partition(":")[0], "reference": {"reference": each.partition(":")[2]}}
                for each in value.split(",")
            ]
        elif name == "region":
            found["extension"] = [_region(each) for each in value.split(",")]
        elif name == "label":
            found["securityLabel"] = [{"system": _label_system(each), "code": each} for each in value.split(",")]
        else:
            raise ValueError(f"the table has no word {word!r}")
    return found


def _actor(text: str) -> dict[str, Any]:
    role = "IRCP"
    if "@" in text:
        text, _, role = text.partition("@")
    kind, colon, value = text.partition(":")
    reference = {"identifier": {"system": f"urn:photospine:{kind}", "value": value}} if colon else {"reference": text}
    return {"role": {"coding": [{"system": codes.PARTICIPATION, "code": role}]}, "reference": reference}


def _region(text: str) -> dict[str, Any]:
    name, _, side = text.partition("/")
    entry = regions().by_name(name)
    coding = {"system": entry.system, "code": entry.value} if entry else {"system": "urn:x", "code": name}
    parts: list[dict[str, Any]] = [{"url": "code", "valueCodeableConcept": {"coding": [coding]}}]
    if side:
        parts.append({"url": "laterality", "valueCode": side})
    return {"url": codes.REGION_EXTENSION, "extension": parts}
