"""Units of doses and settings: as people read them, and in UCUM."""

from __future__ import annotations

import re
from decimal import Decimal

from consent.wording import Value, Wording, worded, worded_by

#: Shown -> UCUM. Packs and applications are annotations: UCUM has no unit for what is merely counted.
DOSES = {
    "U": "[arb'U]",
    "mL": "mL",
    "mg": "mg",
    "g": "g",
    "cm²": "cm2",
    "piece": "{piece}",
    "tube": "{tube}",
    "bottle": "{bottle}",
    "application": "{application}",
}

_SHOWN = {code: name for name, code in DOSES.items()}
_SHOWN |= {"1": "", "us": "µs", "Cel": "°C", "[g]": "× g", "[pH]": ""}
_SQUARE = re.compile(r"(?<![A-Za-z])([cm]?)m2(?![A-Za-z0-9])")
_COUNTED = {
    "piece": worded("piece"),
    "tube": worded("tube"),
    "bottle": worded("bottle"),
    "application": worded("application"),
}


def shown(code: str) -> str:
    """A UCUM unit as people read it; one that is written otherwise, as it stands."""
    said = _SHOWN.get(code, _SQUARE.sub(r"\1m²", code))
    return _COUNTED.get(said, said)


def amount(value: Decimal, unit: str, comparator: str = "") -> Wording:
    """``2.4 J/cm²``: a number with its unit, which is UCUM or as people write it."""
    number: Value = value
    if comparator:
        number = Wording("%(comparator)s%(value)s", {"comparator": comparator, "value": value})
    said = shown(unit)
    many = 1 if value == 1 else 2
    match str(said):
        case "":
            return Wording("%(number)s", {"number": number})
        case "piece":
            return worded_by(many, "%(number)s piece", "%(number)s piece", number=number)
        case "tube":
            return worded_by(many, "%(number)s tube", "%(number)s tube", number=number)
        case "bottle":
            return worded_by(many, "%(number)s bottle", "%(number)s bottle", number=number)
        case "application":
            return worded_by(many, "%(number)s application", "%(number)s application", number=number)
    return Wording("%(number)s %(unit)s", {"number": number, "unit": said})
