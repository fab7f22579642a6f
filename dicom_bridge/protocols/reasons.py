"""Why a photo that a protocol asks for was not taken: codes that people choose from. Data, ``reasons.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from consent.wording import worded

REASONS = "urn:photospine:missing-reason"


@dataclass(frozen=True, slots=True)
class Reason:
    """One of the list."""

    code: str
    name: str
    told: bool = False
    """Whether it wants a sentence beside it."""


@lru_cache(maxsize=1)
def reasons() -> Mapping[str, Reason]:
    """The list, in its order, by code."""
    text = resources.files("dicom_bridge.protocols").joinpath("reasons.toml").read_text("utf-8")
    return {
        each["code"]: Reason(each["code"], worded(each["name"]), each.get("told", False))
        for each in tomllib.loads(text)["reason"]
    }
