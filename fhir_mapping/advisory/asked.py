"""A batch question: lots with what narrows them, or a product and a time."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from consent.wording import PartialDate, joined, worded
from fhir_mapping import dates
from fhir_mapping.advisory import printed, words
from fhir_mapping.errors import Invalid, Issue
from fhir_mapping.search.values import folded
from fhir_mapping.udi.parse import parse

_MOST = 100
_LONGEST = 200
_TITLED = 5  # lots that a title names


@dataclass(frozen=True, slots=True)
class Wanted:
    """One lot, or one serial number."""

    lot: str = ""
    """As printed; empty: the serial number alone counts."""

    expiry: str | None = None
    """FHIR date; None: whichever."""

    device: str | None = None
    """Device identifier of a UDI; None: whichever product has the lot."""

    serial: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. Without a lot, all uses of the product in that time."""

    lots: tuple[Wanted, ...] = ()
    product: str | None = None
    """Name, code, ``system|code`` or device identifier."""

    since: str | None = None
    until: str | None = None
    """FHIR dates, both included: when the product was used."""

    def plain(self) -> dict[str, Any]:
        """As JSON keeps it; what is not asked is left out."""
        lots = [{name: value for name, value in _members(each).items() if value} for each in self.lots]
        said = {"lots": lots, "product": self.product, "since": self.since, "until": self.until}
        return {name: value for name, value in said.items() if value}

    @property
    def key(self) -> str:
        """The same for the same question, whenever it is asked."""
        said = self.plain()
        said["lots"] = sorted(said.get("lots", []), key=lambda each: json.dumps(each, sort_keys=True))
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def words(self) -> tuple[str, ...]:
        """What is asked, a lot each, and what narrows them."""
        parts = [_of_lot(each) for each in self.lots]
        parts += [self.product] if self.product else []
        parts += [worded("from %(since)s", since=PartialDate(self.since))] if self.since else []
        parts += [worded("to %(until)s", until=PartialDate(self.until))] if self.until else []
        return tuple(parts)

    @property
    def short(self) -> tuple[str, ...]:
        """The same, without most of the lots where these are many."""
        more, words = len(self.lots) - _TITLED, self.words
        if more <= 1:
            return words
        return (*words[:_TITLED], worded("%(number)s more lots", number=more), *words[len(self.lots) :])

    @property
    def title(self) -> str:
        """In a few words."""
        return ", ".join(self.short)


def _of_lot(wanted: Wanted) -> str:
    said = [
        worded("lot %(lot)s", lot=wanted.lot)
        if wanted.lot
        else worded("serial number %(serial)s", serial=wanted.serial or "")
    ]
    if wanted.expiry:
        said.append(worded("expiry %(expiry)s", expiry=PartialDate(wanted.expiry)))
    if wanted.device:
        said.append(worded("of device %(device)s", device=wanted.device))
    return joined(said, " ")


def question(
    lots: list[tuple[str, str | None]] | None = None,
    *,
    udi: str | None = None,
    product: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Question:
    """Put a question together as somebody typed it.

    Raises
    ------
    Invalid
        Nothing on record could answer it: the answer would read as if nobody were concerned.
    """
    wanted = [Wanted(words.tidy(lot), expiry and (printed.expiry(expiry) or expiry)) for lot, expiry in lots or []]
    product = (product or "").strip() or None
    if udi is not None:
        told = parse(udi)
        # The serial number of human tissue counts the pieces of one donation.
        serial = None if told.lot else " ".join(filter(None, (told.donation, told.serial))) or None
        if told.lot or serial:
            wanted.append(Wanted(told.lot or "", told.expiry if told.lot else None, told.device, serial))
        elif product is None:
            product = told.device
    made = Question(tuple(dict.fromkeys(wanted)), product, since or None, until or None)
    _check(made)
    return made


def of_plain(said: Mapping[str, Any]) -> Question:
    """A question that was kept.

    Raises
    ------
    Invalid
    """
    lots = tuple(
        Wanted(str(each.get("lot", "")), each.get("expiry"), each.get("device"), each.get("serial"))
        for each in said.get("lots") or ()
    )
    made = Question(lots, said.get("product"), said.get("since"), said.get("until"))
    _check(made)
    return made


def is_text(text: str) -> bool:
    """Whether a text is one that FHIR keeps: no control characters but tab and line ends (R4 string)."""
    return not any(unicodedata.category(each) in ("Cc", "Cs") and each not in "\t\r\n" for each in text)


def _check(made: Question) -> None:
    if not made.lots and made.product is None:
        raise Invalid(Issue("value", worded("A batch question names a lot, a UDI or a product.")))
    if len(made.lots) > _MOST:
        raise Invalid(Issue("too-costly", worded("A batch question names %(most)s lots at most.", most=_MOST)))
    for each in made.lots:
        if not any(character.isalnum() for character in each.lot or each.serial or "") or len(each.lot) > _LONGEST:
            raise Invalid(
                Issue(
                    "value",
                    worded("A batch question names lots with a letter or a digit, of 200 characters at most."),
                )
            )
        if each.expiry is not None:
            _date(each.expiry, worded("The expiry is a date: YYYY-MM or YYYY-MM-DD."))
    for said in (made.product, *(each.lot for each in made.lots), *(each.serial for each in made.lots)):
        if said is not None and not is_text(said):
            raise Invalid(Issue("value", worded("A batch question holds a character that FHIR does not allow.")))
    if made.product is not None and not (folded(made.product) and len(made.product) <= _LONGEST):
        raise Invalid(Issue("value", worded("A product is named by 1 to 200 characters.")))
    said_of = (
        (made.since, worded("The beginning is a date: YYYY-MM or YYYY-MM-DD.")),
        (made.until, worded("The end is a date: YYYY-MM or YYYY-MM-DD.")),
    )
    ends = [_date(each, otherwise) for each, otherwise in said_of if each is not None]
    if len(ends) == 2 and ends[0] > ends[1]:
        raise Invalid(Issue("value", worded("The time ends before it begins.")))


def _date(text: str, otherwise: str) -> date:
    try:
        if "T" in text:
            raise ValueError(text)
        start = dates.span(text, ZoneInfo("UTC")).start
    except ValueError:
        start = None
    if start is None:
        raise Invalid(Issue("value", otherwise))
    return start.date()


def _members(wanted: Wanted) -> dict[str, str | None]:
    return {"lot": wanted.lot, "expiry": wanted.expiry, "device": wanted.device, "serial": wanted.serial}
