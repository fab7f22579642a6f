"""The words of the page on consent, once more and for the judges alone: purposes, regions, labels, code systems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
OWN_PURPOSE = "urn:photospine:purpose"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
CHANNEL = "urn:photospine:channel"
PROJECT = "urn:photospine:project"
REGION_EXTENSION = "urn:photospine:photo-region"
REPLACES_EXTENSION = "urn:photospine:replaces"
SNOMED = "http://snomed.info/sct"
OWN_REGION = "urn:photospine:region"

LADDER = "ULMNRV"
SENSITIVITIES = ("HIV", "PSY", "SEX", "ETH", "SDV")

HL7_PURPOSES = (
    *("TREAT", "BTG", "PATRQT", "HMARKT", "TRAIN", "HRESCH"),
    *("HPAYMT", "HOPERAT", "HLEGAL", "HCOMPL", "PATSFTY"),
)
OWN_PURPOSES = ("PORTFOLIO", "WEB", "SOCIAL", "CONF", "TEACH")
PARENTS = {"PORTFOLIO": "HMARKT", "WEB": "HMARKT", "SOCIAL": "HMARKT", "CONF": "TRAIN", "TEACH": "TRAIN"}
DUTIES = ("HLEGAL", "HCOMPL", "PATSFTY")
PUBLISHING = ("PORTFOLIO", "WEB", "SOCIAL", "CONF")
NEVER_REQUESTED = ("HMARKT", "TRAIN")

# A piece of the body, large enough for a region with two wholes, for sides, and for neighbours.
REGIONS: dict[str, tuple[str, ...]] = {
    f"{OWN_REGION}|head-and-neck": (),
    f"{OWN_REGION}|head": (f"{OWN_REGION}|head-and-neck",),
    f"{SNOMED}|73897004": (f"{OWN_REGION}|head",),  # face
    f"{SNOMED}|110488009": (f"{SNOMED}|73897004",),  # perioral
    f"{SNOMED}|88089004": (f"{SNOMED}|110488009",),  # lips
    f"{SNOMED}|36141000": (f"{SNOMED}|73897004",),  # cheek
    f"{SNOMED}|37108007": (f"{SNOMED}|36141000", f"{SNOMED}|110488009"),  # nasolabial fold
    f"{SNOMED}|43081002": (f"{OWN_REGION}|head-and-neck",),  # neck
    f"{SNOMED}|34926004": (f"{SNOMED}|43081002", f"{SNOMED}|73897004"),  # below the chin
    f"{OWN_REGION}|arm": (),
    f"{SNOMED}|33712006": (f"{OWN_REGION}|arm",),  # hand
    f"{SNOMED}|70887009": (f"{SNOMED}|33712006",),  # palm
}
SAME_REGION = {f"{SNOMED}|89545001": f"{SNOMED}|73897004", f"{SNOMED}|85562004": f"{SNOMED}|33712006"}


class Purposes:
    """The purposes of one site."""

    def __init__(self, site: dict[str, Any]) -> None:
        self._own: dict[str, tuple[str, str]] = {
            purpose["code"]: (purpose["system"], purpose["parent"]) for purpose in site["purposes"]
        }

    def read(self, coding: dict[str, Any]) -> str | None:
        """The purpose that a Coding names; None where it is unknown here. ETREAT is read as BTG."""
        system, code = coding.get("system"), coding.get("code")
        if system == ACT_REASON and code == "ETREAT":
            return "BTG"
        if system == ACT_REASON and code in HL7_PURPOSES:
            return str(code)
        if system == OWN_PURPOSE and code in OWN_PURPOSES:
            return str(code)
        if code in self._own and self._own[code][0] == system:
            return str(code)
        return None

    def line(self, code: str) -> Iterator[str]:
        """The purpose and all that it descends from."""
        at: str | None = code
        while at is not None:
            yield at
            at = self._own[at][1] if at in self._own else PARENTS.get(at)

    def known(self, code: str) -> bool:
        """Whether it can be requested at all."""
        return code not in NEVER_REQUESTED and (code in HL7_PURPOSES or code in OWN_PURPOSES or code in self._own)

    def duty(self, code: str) -> bool:
        """Whether it rests on law."""
        return any(step in DUTIES for step in self.line(code))

    def publishing(self, code: str) -> bool:
        """PORTFOLIO, WEB, SOCIAL and CONF, with a site's children of them or of HMARKT."""
        return any(step in (*PUBLISHING, "HMARKT") for step in self.line(code))

    def without_identifiers(self, code: str) -> bool:
        """Publishing purposes, TEACH and HRESCH, and what a site hangs below these or TRAIN."""
        return self.publishing(code) or any(step in ("TRAIN", "HRESCH") for step in self.line(code))


def known_region(codings: Iterable[dict[str, Any]]) -> str | None:
    """The region that a CodeableConcept names, by its main code; None where it is unknown, or several are named."""
    codes = {f"{coding.get('system')}|{coding.get('code')}" for coding in codings}
    found = {SAME_REGION.get(code, code) for code in codes} & set(REGIONS)
    return found.pop() if len(found) == 1 else None


def wholes(region: str) -> set[str]:
    """The region and every region that it is a part of; of one that is not known here, itself alone."""
    found = {region}
    for parent in REGIONS.get(region, ()):
        found |= wholes(parent)
    return found


def known_label(coding: dict[str, Any]) -> tuple[str, str] | None:
    """The security label that a Coding names; None where it is unknown."""
    system, code = coding.get("system"), coding.get("code")
    if system == CONFIDENTIALITY and isinstance(code, str) and len(code) == 1 and code in LADDER:
        return CONFIDENTIALITY, code
    if system == ACT_CODE and code in SENSITIVITIES:
        return ACT_CODE, str(code)
    return None
