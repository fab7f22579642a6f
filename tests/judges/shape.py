"""What is no R4 Consent at all, or has an extension of ours where nobody reads it: nothing is accepted and ignored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from tests.judges import vocabulary as words
from tests.judges.moments import stretch, window

REPEATING = ("purpose", "actor", "data", "securityLabel", "provision", "extension")


def malformed(body: dict[str, Any], zone: ZoneInfo) -> Iterator[str]:
    """The elements that cannot be read."""
    if not _is_date(body.get("dateTime", "2026"), zone):
        yield "dateTime"
    places = {
        words.REPLACES_EXTENSION: [id(body)],
        words.REGION_EXTENSION: [id(provision) for provision in _provisions(body.get("provision", {}))],
    }
    if any(id(node) not in places.get(url, []) for node, url in _ours(body)):
        yield "extension"
    for provision in _provisions(body.get("provision", {})):
        if provision.get("type", "deny") not in ("permit", "deny"):
            yield "type"
        for name in REPEATING:
            if not isinstance(provision.get(name, []), list):
                yield name
        for name in ("period", "dataPeriod"):
            stated = provision.get(name)
            if stated is None:
                continue
            if not stated or not all(_is_date(bound, zone) for bound in stated.values()):
                yield name
                continue
            # R4 Period, per-1: it does not end before it starts.
            meant = window(stated, zone)
            if meant.after <= meant.first:
                yield name


def _provisions(provision: Any) -> Iterator[dict[str, Any]]:
    if isinstance(provision, dict):
        yield provision
        inner = provision.get("provision", [])
        for one in inner if isinstance(inner, list) else []:
            yield from _provisions(one)


def _ours(node: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Every element, at whatever depth, that has an extension of ours, and which."""
    if isinstance(node, list):
        for one in node:
            yield from _ours(one)
    elif isinstance(node, dict):
        stated = node.get("extension")
        for extension in stated if isinstance(stated, list) else []:
            if str(extension.get("url")).startswith("urn:photospine:"):
                yield node, extension["url"]
        for name, value in node.items():
            if name != "extension":
                yield from _ours(value)


def _is_date(text: Any, zone: ZoneInfo) -> bool:
    try:
        stretch(text, zone)
    except (ValueError, TypeError):
        return False
    return True
