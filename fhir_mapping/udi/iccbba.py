"""ISBT 128 data structures as ICCBBA's UDI has them (ST-001, and ST-017 for medical devices of human origin).

``=/A9999XYZ100T0944=,000025=A99971312345600=>014032=}013032&,1000000000000XYZ123``: product, serial number, donation,
expiry, production date and lot, one behind another in any order.
"""

from __future__ import annotations

import re

from consent.wording import worded
from fhir_mapping.udi.identifier import Issuer, Udi, UdiError, ordinal

#: Data identifier -> what its value looks like. A donation number has no second character of its own, so it is last.
_STRUCTURES: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("compound", "=+", re.compile(r"[0-9]{5}")),
    ("product", "=/", re.compile(r"[A-Z0-9]{16}")),
    ("serial", "=,", re.compile(r"[A-Z0-9]{6}")),
    ("expiry", "=>", re.compile(r"[0-9]{6}")),
    ("expiry", "&>", re.compile(r"[0-9]{10}")),
    ("made", "=}", re.compile(r"[0-9]{6}")),
    ("made", "&}", re.compile(r"[0-9]{10}")),
    ("lot", "&,1", re.compile(r"[A-Z0-9\-]{18}")),
    ("donation", "=", re.compile(r"[A-NP-Z1-9][A-Z0-9]{4}[0-9]{8}[A-Z0-9]{2}")),
)
_NAMES = {
    "compound": worded("compound"),
    "product": worded("product"),
    "serial": worded("serial"),
    "expiry": worded("expiry"),
    "made": worded("made"),
    "lot": worded("lot"),
    "donation": worded("donation"),
}


def read(text: str) -> Udi:
    """What a scanner gave, or a label's text, without symbology prefix.

    Raises
    ------
    UdiError
        The text names the structure that is against the standard.
    """
    found: dict[str, str] = {}
    rest = text.strip()
    while rest:
        name, value, rest = _first(rest)
        if name in found:
            raise UdiError(worded("the %(name)s stands twice.", name=_NAMES[name]))
        found[name] = value
        rest = rest.lstrip()
    if not found:
        raise UdiError(worded("there is no data structure in it."))
    return Udi(
        Issuer.ICCBBA,
        found.get("product"),
        lot=(found["lot"].lstrip("0") or None) if "lot" in found else None,  # padded with zeros to 18
        expiry=_day(found["expiry"], worded("expiry")) if "expiry" in found else None,
        manufactured=_day(found["made"], worded("production date")) if "made" in found else None,
        serial=found.get("serial"),
        donation=found["donation"][:13] if "donation" in found else None,  # without its two flag characters
    )


def _first(text: str) -> tuple[str, str, str]:
    for name, mark, pattern in _STRUCTURES:
        if text.startswith(mark):
            match = pattern.match(text, len(mark))
            if match is not None:
                return name, match.group(), text[match.end() :]
            if name != "donation":
                raise UdiError(
                    worded("%(mark)s is followed by a %(name)s of another form.", mark=repr(mark), name=_NAMES[name])
                )
    raise UdiError(worded("%(text)s begins no data structure that is read here.", text=repr(text[:2])))


def _day(digits: str, name: str) -> str:
    """``cyyjjj``: the century's last digit, year and day of the year (ST-001, data structures 004 and 006)."""
    year = (2000 if digits[0] == "0" else 1000) + int(digits[0]) * 100 + int(digits[1:3])
    return ordinal(year, int(digits[3:6]), name)
