"""Purposes of use: who decides, what holds when the patient has said nothing, and what a permit obliges to.

Codes are of HL7 v3-ActReason (PurposeOfUse) where one exists; children of ours have the system
``urn:photospine:purpose``. A site may add purposes, each a child of one of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from consent.errors import ConsentError
from consent.site import PortalDefault, Site, TreatmentDefault
from consent.types import Effect, Obligation
from consent.wording import coded, worded

V3_ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
OWN_PURPOSES = "urn:photospine:purpose"

TREAT = "TREAT"
BTG = "BTG"
PATRQT = "PATRQT"
PORTFOLIO = "PORTFOLIO"
WEB = "WEB"
SOCIAL = "SOCIAL"
CONF = "CONF"
TEACH = "TEACH"
HRESCH = "HRESCH"
HPAYMT = "HPAYMT"
HOPERAT = "HOPERAT"
HLEGAL = "HLEGAL"
HCOMPL = "HCOMPL"
PATSFTY = "PATSFTY"
HMARKT = "HMARKT"
TRAIN = "TRAIN"

_NAMES = {
    TREAT: worded("Treatment in this clinic"),
    BTG: worded("Emergency"),
    PATRQT: worded("Own view"),
    HMARKT: worded("Marketing"),
    PORTFOLIO: worded("Album in the clinic"),
    WEB: worded("Website"),
    SOCIAL: worded("Social media"),
    TRAIN: worded("Training"),
    CONF: worded("Conferences and journals"),
    TEACH: worded("Teaching in the clinic"),
    HRESCH: worded("Research"),
    HPAYMT: worded("Billing"),
    HOPERAT: worded("Running of the clinic"),
    HLEGAL: worded("Legal claims"),
    HCOMPL: worded("Review of compliance"),
    PATSFTY: worded("Patient safety"),
}


def named(code: str) -> str:
    """A purpose's code, which pages call by its name; one that a site has added as it is."""
    return coded(code, _NAMES[code]) if code in _NAMES else code


class PurposeRefused(ConsentError):
    """The settings add a purpose with a code taken already or a parent unknown. Mend ``[site] purposes``."""


class Decider(StrEnum):
    """Who decides about a purpose."""

    CARE = "care"
    PATIENT = "patient"
    DUTY = "duty"


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose of the catalogue."""

    code: str
    system: str
    parent: str | None
    decider: Decider
    publishing: bool = False
    requestable: bool = True
    """False for HMARKT and TRAIN: they can be denied, never requested."""

    pixels_only: bool = False
    """Whether a permit carries the obligation ``no-identifiers``."""


_BUILT_IN = (
    Purpose(TREAT, V3_ACT_REASON, None, Decider.CARE),
    Purpose(BTG, V3_ACT_REASON, None, Decider.CARE),
    Purpose(PATRQT, V3_ACT_REASON, None, Decider.PATIENT),
    Purpose(HMARKT, V3_ACT_REASON, None, Decider.PATIENT, publishing=True, requestable=False, pixels_only=True),
    Purpose(PORTFOLIO, OWN_PURPOSES, HMARKT, Decider.PATIENT, publishing=True, pixels_only=True),
    Purpose(WEB, OWN_PURPOSES, HMARKT, Decider.PATIENT, publishing=True, pixels_only=True),
    Purpose(SOCIAL, OWN_PURPOSES, HMARKT, Decider.PATIENT, publishing=True, pixels_only=True),
    Purpose(TRAIN, V3_ACT_REASON, None, Decider.PATIENT, requestable=False, pixels_only=True),
    Purpose(CONF, OWN_PURPOSES, TRAIN, Decider.PATIENT, publishing=True, pixels_only=True),
    Purpose(TEACH, OWN_PURPOSES, TRAIN, Decider.PATIENT, pixels_only=True),
    Purpose(HRESCH, V3_ACT_REASON, None, Decider.PATIENT, pixels_only=True),
    Purpose(HPAYMT, V3_ACT_REASON, None, Decider.PATIENT),
    Purpose(HOPERAT, V3_ACT_REASON, None, Decider.PATIENT),
    Purpose(HLEGAL, V3_ACT_REASON, None, Decider.DUTY),
    Purpose(HCOMPL, V3_ACT_REASON, None, Decider.DUTY),
    Purpose(PATSFTY, V3_ACT_REASON, None, Decider.DUTY),
)


class Catalog:
    """The purposes of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._obligations: dict[str, frozenset[Obligation]] = {}
        self._purposes = {purpose.code: purpose for purpose in _BUILT_IN}
        for added in site.purposes:
            parent = self._purposes.get(added.parent)
            if parent is None or added.code in self._purposes:
                raise PurposeRefused(f"[site] purposes: {added.code!r} needs a new code and a parent that is known")
            self._purposes[added.code] = Purpose(
                added.code,
                added.system,
                added.parent,
                parent.decider,
                publishing=parent.publishing,
                pixels_only=parent.pixels_only,
            )

    @staticmethod
    def of(site: Site) -> Catalog:
        """The catalogue of a site; made once for equal settings."""
        known = _nearest.get(id(site))
        if known is not None and known[0] is site:
            return known[1]
        if len(_nearest) >= _MOST:
            _nearest.clear()
        catalog = _catalog(site)
        _nearest[id(site)] = (site, catalog)
        return catalog

    def __iter__(self) -> Iterator[Purpose]:
        return iter(self._purposes.values())

    def get(self, code: str) -> Purpose | None:
        """The purpose with this code."""
        return self._purposes.get(code)

    def by_coding(self, system: str | None, code: str | None) -> Purpose | None:
        """The purpose that a FHIR Coding names; ETREAT is read as BTG."""
        if system == V3_ACT_REASON and code == "ETREAT":
            return self._purposes[BTG]
        purpose = self._purposes.get(code or "")
        return purpose if purpose is not None and purpose.system == system else None

    def codes(self) -> tuple[str, ...]:
        """Every code that can be requested, in the order of the table."""
        return tuple(purpose.code for purpose in self._purposes.values() if purpose.requestable)

    def is_publishing(self, code: str) -> bool:
        """PORTFOLIO, WEB, SOCIAL, CONF, and a site's children of them or of HMARKT."""
        purpose = self._purposes.get(code)
        return purpose is not None and purpose.publishing

    def is_duty(self, code: str) -> bool:
        """Whether the purpose rests on law, not on consent."""
        purpose = self._purposes.get(code)
        return purpose is not None and purpose.decider is Decider.DUTY

    def line(self, code: str) -> tuple[str, ...]:
        """The purpose and its parents, nearest first: what a denial must name to reach it."""
        found = []
        step: str | None = code
        while step is not None:
            found.append(step)
            purpose = self._purposes.get(step)
            step = purpose.parent if purpose else None
        return tuple(found)

    def default_effect(self, code: str) -> Effect:
        """What holds when the patient has said nothing. For PATRQT: to the patient herself."""
        if code == TREAT and self._site.treatment_default is TreatmentDefault.IMPLIED:
            return Effect.PERMIT
        if code == PATRQT and self._site.portal_default is PortalDefault.OPEN:
            return Effect.PERMIT
        return Effect.PERMIT if self.is_duty(code) else Effect.DENY

    def obligations(self, code: str) -> frozenset[Obligation]:
        """What a permit for the purpose obliges to."""
        known = self._obligations.get(code)
        if known is None:
            purpose = self._purposes.get(code)
            found = {Obligation.NO_IDENTIFIERS} if purpose is None or purpose.pixels_only else set()
            if not self._site.watermark.isdisjoint(self.line(code)):
                found.add(Obligation.WATERMARK)
            known = frozenset(found)
            if purpose is not None:
                self._obligations[code] = known
        return known


_MOST = 64
_nearest: dict[int, tuple[Site, Catalog]] = {}
"""Catalogues by the settings' object, kept alive with it: hashing all settings at each decision costs more."""


@lru_cache(maxsize=64)
def _catalog(site: Site) -> Catalog:
    return Catalog(site)
