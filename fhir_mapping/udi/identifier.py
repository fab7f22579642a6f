"""What a unique device identifier tells, whoever issues it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from consent.wording import worded
from fhir_mapping.errors import Invalid, Issue


class Issuer(StrEnum):
    """The agencies whose identifiers are read (R4 Device.udiCarrier.issuer is the address)."""

    GS1 = "http://hl7.org/fhir/NamingSystem/gs1-di"
    HIBCC = "http://hl7.org/fhir/NamingSystem/hibcc"
    ICCBBA = "http://hl7.org/fhir/NamingSystem/iccbba-blood"


@dataclass(frozen=True, slots=True)
class Udi:
    """A device identifier and the production identifiers that came with it."""

    issuer: Issuer
    device: str | None = None
    """As ``Device.udiCarrier.deviceIdentifier`` holds it: GTIN-14, LIC with product and unit, or product code."""

    lot: str | None = None
    expiry: str | None = None
    """FHIR date, to the day or the month."""

    manufactured: str | None = None
    serial: str | None = None
    donation: str | None = None
    """ISBT 128 Donation Identification Number: the distinct identification code of human tissue."""

    doubted: bool = False
    """Whether it was read although its check character says that a character is wrong or missing."""


class UdiError(Invalid):
    """What was given is no such identifier; the text says where, and what would be."""

    def __init__(self, text: str) -> None:
        super().__init__(Issue("value", worded("The UDI cannot be read: %(why)s", why=text)))
        self.why = text


def day_of(digits: str, order: str, name: str, *, last: bool = False) -> str:
    """A date of two digits each in some order, ``ymd`` or ``mdy``; years are of this century.

    Parameters
    ----------
    last
        Whether the day 00 stands for the last of the month (GS1, AI 17); else the month is what is known.

    Raises
    ------
    UdiError
    """
    parts = dict(zip(order, (digits[at : at + 2] for at in range(0, 6, 2)), strict=True))
    year, month, day = 2000 + int(parts["y"]), int(parts["m"]), int(parts["d"])
    try:
        if day:
            return date(year, month, day).isoformat()
        first = date(year, month, 1)
    except ValueError:
        raise UdiError(worded("the %(name)s %(digits)s is no date.", name=name, digits=digits)) from None
    if not last:
        return f"{first:%Y-%m}"
    return (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).isoformat()


def ordinal(year: int, day: int, name: str) -> str:
    """A year and the number of a day in it, from 1.

    Raises
    ------
    UdiError
    """
    found = date(year, 1, 1) + timedelta(days=day - 1)
    if day < 1 or found.year != year:
        raise UdiError(worded("the %(name)s is day %(day)s of a year.", name=name, day=day))
    return found.isoformat()
