"""Wishes -> Consents (R4, IHE PCF Intermediate): what she permits in one, what she denies in another.

Two, so that each can end by itself: taking a Yes back makes its Consent inactive and leaves the No's standing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent.directive import Region
from consent.purposes import HRESCH, SOCIAL, Catalog
from consent.site import Site
from consent.types import Laterality
from fhir_mapping import consent_codes as codes
from fhir_mapping import dates
from fhir_mapping.resources.consent import consent
from fhir_mapping.signing.wishes import Answer, Photos, Use, Wishes

POLICY = "urn:photospine:signed-at-hand"


@dataclass(frozen=True, slots=True)
class Signed:
    """How it was signed."""

    at: datetime
    by: str
    """``Patient/…`` or ``RelatedPerson/…``."""

    source: dict[str, Any]
    """The Attachment that holds the paper."""


def consents(site: Site, wishes: Wishes, signed: Signed, replaces: Sequence[str]) -> list[dict[str, Any]]:
    """The Consents of a signing: that of her Yes, that of her No; one of them where she says one alone.

    Parameters
    ----------
    replaces
        Ids of the Consents whose place the Yes takes where it says something.
    """
    made = []
    for answer, kind in ((Answer.YES, "permit"), (Answer.NO, "deny")):
        said = wishes.said(answer)
        if not said:
            continue
        provision = _provision(site, kind, said)
        provision |= _photos(wishes.photos)
        if answer is Answer.YES and wishes.until is not None:
            provision["period"] = {"end": wishes.until.isoformat()}
        made.append(
            consent(
                site,
                wishes.patient,
                signed.at,
                provision,
                performer=signed.by,
                source=signed.source,
                policy=POLICY,
                replaces=replaces if answer is Answer.YES else (),
            )
        )
    return made


def _provision(site: Site, kind: str, said: Iterable[Use]) -> dict[str, Any]:
    """The root, and a nested provision for what is said of other places: each names its purposes."""
    groups: dict[str, list[Use]] = {}
    for use in said:
        groups.setdefault(use.purpose if use.place else "", []).append(use)
    parts = [_said(site, kind, group) for _, group in sorted(groups.items())]
    root, *nested = parts
    return {**root, **({"provision": nested} if nested else {})}


def _said(site: Site, kind: str, group: Sequence[Use]) -> dict[str, Any]:
    catalog = Catalog.of(site)
    purposes = [catalog.get(code) for code in dict.fromkeys(use.purpose for use in group)]
    made: dict[str, Any] = {"type": kind}
    actors = [_actor(use) for use in group if use.place]
    if actors:
        made["actor"] = actors
    made["purpose"] = [{"system": each.system, "code": each.code} for each in purposes if each is not None]
    return made


def _actor(use: Use) -> dict[str, Any]:
    system = {SOCIAL: codes.CHANNEL, HRESCH: codes.PROJECT}[use.purpose]
    return {
        "role": {"coding": [{"system": codes.PARTICIPATION, "code": "IRCP"}]},
        "reference": {"identifier": {"system": system, "value": use.place}},
    }


def _photos(photos: Photos) -> dict[str, Any]:
    if photos.areas:
        return {"extension": [_region(each) for each in photos.areas]}
    named = [("related", f"Encounter/{each}") for each in photos.visits]
    named += [("instance", f"DocumentReference/{each}") for each in photos.documents]
    if not named:
        return {}
    return {"data": [{"meaning": meaning, "reference": {"reference": reference}} for meaning, reference in named]}


def _region(region: Region) -> dict[str, Any]:
    system, _, code = region.code.partition("|")
    parts: list[dict[str, Any]] = [
        {"url": "code", "valueCodeableConcept": {"coding": [{"system": system, "code": code}]}}
    ]
    if region.laterality is not Laterality.BOTH:
        parts.append({"url": "laterality", "valueCode": region.laterality.value})
    return {"url": codes.REGION_EXTENSION, "extension": parts}


def attachment(paper: bytes, title: str, signed: datetime, language: str = "en") -> dict[str, Any]:
    """The paper as an Attachment: its hash is SHA-1, as R4 says, and tells of a slip rather than of a forgery."""
    return {
        "contentType": "application/pdf",
        "language": language,
        "data": base64.b64encode(paper).decode(),
        "size": len(paper),
        "hash": base64.b64encode(hashlib.sha1(paper, usedforsecurity=False).digest()).decode(),
        "title": title,
        "creation": dates.instant(signed),
    }
