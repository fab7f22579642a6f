"""The rules of sites and jurisdictions as text: what each says, and where it comes from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import resources

from consent.wording import worded


class SiteRuleId(StrEnum):
    """Ids of the rules that a decision may name."""

    NO_PUBLISHING_OF_MINORS = "no-publishing-of-minors"
    OWN_RECORD_AS_PATIENT = "own-record-as-patient"
    SIGNATURE_AFTER_RESULT = "signature-after-result"
    FORBID_BREAK_GLASS = "forbid-break-glass"


@dataclass(frozen=True, slots=True)
class SiteRule:
    """One rule, for people to read."""

    id: SiteRuleId
    on: bool
    """Whether it is on as shipped."""

    sentence: str
    source: str


@lru_cache(maxsize=1)
def site_rules() -> dict[SiteRuleId, SiteRule]:
    """All rules by id, read once."""
    text = resources.files("consent.rules").joinpath("site.toml").read_text("utf-8")
    rules = (
        SiteRule(SiteRuleId(entry["id"]), entry["on"], worded(entry["sentence"]), worded(entry["source"]))
        for entry in tomllib.loads(text)["rule"]
    )
    return {rule.id: rule for rule in rules}
