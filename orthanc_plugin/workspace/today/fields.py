"""The fields of a form that came back, read one by one; what is wrong is said beside each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from consent.regions import regions
from consent.types import Laterality
from fhir_mapping.treatment.session import Amount, Named, Place, plain
from fhir_mapping.treatment.units import DOSES
from orthanc_plugin.workspace.language import digits, in_order, said
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.shown_names import region_name

LONGEST = 200
"""Characters of a field."""

_EXPIRY = re.compile(r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?", re.ASCII)
_THOUSANDS = {sign: re.compile(rf"[+-]?0*[1-9]\d{{0,2}}({re.escape(sign)}\d{{3}})+", re.ASCII) for sign in ",."}
"""The comma parts thousands, or what is less than one."""

_SIDES = {"": None, "R": Laterality.RIGHT, "L": Laterality.LEFT, "B": Laterality.BOTH}


@dataclass(frozen=True, slots=True)
class Fields:
    """What was sent, and what is wrong with it."""

    sent: Mapping[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    """Field -> what is wrong with it, and what would be right."""

    def wrong(self, name: str, words: str, **inserted: str) -> None:
        """Something is wrong with a field, said in words that insert ``%(name)s``; the first fault counts."""
        text = _(said(words))
        self.errors.setdefault(name, text % {key: said(each) for key, each in inserted.items()} if inserted else text)

    def ticked(self, name: str) -> bool:
        """Whether a box is ticked."""
        return name in self.sent

    def text(self, name: str, most: int = LONGEST) -> str:
        """A line as typed, without blanks around it."""
        said = self.sent.get(name, "").strip()
        if len(said) > most:
            self.wrong(name, _("Keep it within %d characters.") % most)
            return ""
        return said

    def count(self, name: str, most: int, least: int = 0) -> int:
        """How many rows of a kind the page had."""
        said = self.sent.get(name, "")
        return max(least, min(most, int(said) if said.isascii() and said.isdigit() and len(said) < 4 else least))

    def number(self, name: str, words: str) -> Decimal | None:
        """A number of the record; None where the field is empty or wrong."""
        said = self.text(name, 20)
        if not said:
            return None
        if _of_two_readings(said):
            self.wrong(
                name,
                "%(said)s can be read in two ways: write %(whole)s, or the decimal with one more zero.",
                said=said,
                whole=said.replace(",", "").replace(".", ""),
            )
            return None
        said = said.replace(",", ".")
        value = Decimal(said) if _NUMBER.fullmatch(said) else Decimal("NaN")
        if not value.is_finite() or abs(value.adjusted()) >= 12:
            self.wrong(name, words)
            return None
        return value

    def dose(self, name: str, unit: tuple[str, str]) -> Amount | None:
        """A number that is not below zero, in a unit."""
        value = self.number(name, "A dose is a number.")
        if value is not None and value < 0:
            self.wrong(name, "A dose is a number.")
            return None
        return None if value is None else Amount(value, *unit)

    def unit(self, name: str) -> tuple[str, str]:
        """A unit as it was chosen; nothing where none was."""
        said = self.text(name, 40)
        if said and said not in DOSES:
            self.wrong(name, "Choose a unit of the list.")
        return (said, DOSES[said]) if said in DOSES else ("", "")

    def expiry(self, name: str) -> str:
        """A FHIR date, to the month or the day; empty where the field is empty or wrong."""
        said = self.text(name, 20)
        if said and not _is_day(said):
            self.wrong(name, "An expiry is written as 2027-01 or 2027-01-31.")
            return ""
        return said

    def place(self, name: str, side: str) -> Place | None:
        """An area of the list, with its side."""
        code = self.text(name)
        if not code:
            return None
        known = regions().by_code(code)
        said = self.sent.get(side, "")
        if known is None or said not in _SIDES:
            self.wrong(name, "Choose an area of the list.")
            return None
        return Place(Named(known.display, known.code), _SIDES[said])


def areas() -> list[tuple[str, str]]:
    """The areas that can be chosen: code and name, by name."""
    found = [(each.code, region_name(Place(Named("", each.code)))) for each in regions()]
    return sorted(found, key=lambda each: in_order(each[1]))


def as_typed(value: Decimal) -> str:
    """A number of the record as a field holds it: with the reader's decimal sign; with one more zero where it could
    be misread."""
    typed = digits(plain(value))
    return f"{typed}0" if _of_two_readings(typed) else typed


def _of_two_readings(typed: str) -> bool:
    """Whether thousands may be meant: by a comma, and by a point where the reader's decimals have a comma."""
    return any(_THOUSANDS[sign].fullmatch(typed) for sign in {",", *({"."} if digits(".") == "," else ())})


def _is_day(said: str) -> bool:
    """A month or a day that exists."""
    if not _EXPIRY.fullmatch(said):
        return False
    try:
        date.fromisoformat(said if len(said) > len("2027-01") else f"{said}-01")
    except ValueError:
        return False
    return True
