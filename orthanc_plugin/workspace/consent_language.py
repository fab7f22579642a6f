"""Consent in the language of the page: what is read is what is signed, and what the paper keeps."""

from __future__ import annotations

from consent.directive import Region
from consent.regions import regions
from consent.types import Laterality
from fhir_mapping.signing.spoken import Spoken
from orthanc_plugin.workspace.language import day, gettext, ngettext, spoken
from orthanc_plugin.workspace.record import sided


def region_name(region: Region) -> str:
    """``Right hand``."""
    known = regions().by_code(region.code)
    name = region.code if known is None else gettext(known.name.replace("-", " ").capitalize())
    return sided(name, "" if region.laterality is Laterality.BOTH else region.laterality.value)


def _within(region: Region) -> str:
    name = region_name(region)
    return name.lower() if spoken().code == "en" else name


def speaking() -> Spoken:
    """The language of the answer that is being made."""
    return Spoken(gettext, ngettext, day, _within, spoken().code)
