"""Consent in the language of the page: what is read is what is signed, and what the paper keeps."""

from __future__ import annotations

from consent.directive import Region
from fhir_mapping.signing.spoken import Spoken
from orthanc_plugin.workspace.language import day, gettext, ngettext, spoken
from orthanc_plugin.workspace.record import sided, within_sentence
from orthanc_plugin.workspace.shown_names import tree_name


def region_name(region: Region) -> str:
    """``Right hand``."""
    return tree_name(region.code, region.laterality) or sided(region.code, region.laterality.value)


def speaking() -> Spoken:
    """The language of the answer that is being made."""
    return Spoken(gettext, ngettext, day, lambda region: within_sentence(region_name(region)), spoken().code)
