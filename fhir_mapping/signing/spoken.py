"""The language that the texts of a signing are written in: it is what the signer reads, and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from consent.directive import Region
from consent.regions import regions
from consent.types import Laterality

_SIDES = {Laterality.RIGHT: "right ", Laterality.LEFT: "left ", Laterality.BOTH: ""}


def region_name(region: Region) -> str:
    """``right hand``."""
    known = regions().by_code(region.code)
    name = region.code if known is None else known.name.replace("-", " ")
    return f"{_SIDES[region.laterality]}{name}"


def _one_or_many(one: str, many: str, number: int) -> str:
    return one if number == 1 else many


@dataclass(frozen=True, slots=True)
class Spoken:
    """A language. Texts are messages in English; whoever knows another translates them."""

    phrase: Callable[[str], str] = str
    """A message."""

    plural: Callable[[str, str, int], str] = _one_or_many
    """One of two messages, by a number."""

    day: Callable[[date], str] = date.isoformat
    region: Callable[[Region], str] = region_name
    """A region within a sentence."""

    code: str = "en"
    """BCP 47."""


ENGLISH = Spoken()
