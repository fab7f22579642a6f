"""Device settings that have a code: data, ``settings.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from consent.wording import Wording, worded

SETTINGS = "urn:photospine:setting"
"""Our code system of device settings (fhir-record: no LOINC or IEEE 11073 codes were found)."""

DEVICE_SETTINGS = f"{SETTINGS}|device-settings"
"""Code of an Observation that holds a machine's settings as components."""

AMOUNT_USED = f"{SETTINGS}|amount-used"
"""Code of an Observation that says how much of a device, such as a filler, was used."""


@dataclass(frozen=True, slots=True)
class KnownSetting:
    """A setting with a code."""

    code: str
    name: Wording
    units: tuple[str, ...]
    """UCUM codes, the usual one first."""


@lru_cache(maxsize=1)
def known_settings() -> Mapping[str, KnownSetting]:
    """All of them, by code."""
    text = resources.files("fhir_mapping.treatment").joinpath("settings.toml").read_text("utf-8")
    return {
        each["code"]: KnownSetting(each["code"], worded(each["name"]), tuple(each["units"]))
        for each in tomllib.loads(text)["setting"]
    }
