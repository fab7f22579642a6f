"""What purposes of use are called on the pages."""

from __future__ import annotations

from consent.purposes import named
from orthanc_plugin.workspace.language import said


def purpose_name(code: str) -> str:
    """``Social media: Instagram`` of ``SOCIAL:instagram``; one that a site has added by its code."""
    purpose, _, place = code.partition(":")
    name = said(named(purpose))
    return f"{name}: {place.capitalize()}" if place else name
