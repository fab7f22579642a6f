"""Lot and expiry in a device identifier, as GS1 writes it (GS1 General Specifications, section 3).

On a label the identifiers stand in brackets, ``(01)09504000059118(17)270131(10)7654321D``; a scanner gives them one
behind another, those of no fixed length ended by the separator 1D.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

_LABEL = re.compile(r"\((\d{2,4})\)([^()]+)")
_SYMBOLOGY = re.compile(r"^\](?:C1|d2|Q3|e0|J1)")
_SEPARATOR = "\x1d"

#: Length of the value behind each application identifier that has a fixed one.
_FIXED = {"00": 18, "01": 14, "02": 14, "11": 6, "12": 6, "13": 6, "15": 6, "16": 6, "17": 6, "20": 2}

_DEVICE, _LOT, _EXPIRY, _SERIAL = "01", "10", "17", "21"
_LONGEST = 20


def lot_in(carrier: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """Lot and expiry (a FHIR date) of a ``Device.udiCarrier``; None where it tells no lot that can be read."""
    label, scanned = carrier.get("carrierHRF"), carrier.get("carrierAIDC")
    for found in (_label(label), _scan(label), _scan(_decoded(scanned))):
        lot = found.get(_LOT, "")
        if lot and len(lot) <= _LONGEST:
            return lot, _date(found.get(_EXPIRY, ""))
    return None


def _label(text: Any) -> dict[str, str]:
    parts = _LABEL.findall(text) if isinstance(text, str) else []
    return {name: value.strip() for name, value in parts}


def _scan(text: Any) -> dict[str, str]:
    """What stands one behind another, up to an identifier that tells neither; nothing where no device is named."""
    found: dict[str, str] = {}
    rest = _SYMBOLOGY.sub("", text.strip()).lstrip(_SEPARATOR) if isinstance(text, str) else ""
    while rest:
        name, rest = rest[:2], rest[2:]
        if name in _FIXED:
            value, rest = rest[: _FIXED[name]], rest[_FIXED[name] :]
            if len(value) != _FIXED[name] or not value.isdigit():
                return {}
            rest = rest.removeprefix(_SEPARATOR)
        elif name in (_LOT, _SERIAL):
            value, _, rest = rest.partition(_SEPARATOR)
        else:
            break
        found[name] = value
    return found if _DEVICE in found else {}


def _decoded(value: Any) -> str | None:
    """R4 has what a scanner gives in base64."""
    try:
        return base64.b64decode(value, validate=True).decode("ascii") if isinstance(value, str) else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _date(digits: str) -> str | None:
    """``YYMMDD`` as a date; the day 00 is the last of the month."""
    if not re.fullmatch(r"[0-9]{6}", digits):
        return None
    year, month, day = 2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:])
    try:
        if day:
            return date(year, month, day).isoformat()
        return (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).isoformat()
    except ValueError:
        return None
