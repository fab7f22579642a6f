"""How two photos are held against each other, and the words that a kept comparison says it in, to any viewer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Mode(StrEnum):
    """Where the one photo lies beside or on the other."""

    SIDE = "side by side"
    SLIDER = "slider"
    BLEND = "onion skin"
    BLINK = "blink"


DESCRIPTION = "Comparison: "
"""Begins the Key Object Description; the rest follows."""

MOST_STOPS = 1.5
"""By so much light is changed at most, either way."""

_SAID = re.compile(
    rf"{DESCRIPTION}(?P<mode>{'|'.join(Mode)})(?P<aligned>, aligned)?"
    r"(?:, equal light by (?P<stops>[+-][01]\.[0-9]{2}) stops)?"
)


@dataclass(frozen=True, slots=True)
class Held:
    """How two photos are held against each other."""

    mode: Mode
    aligned: bool = False
    """Whether the right photo is laid on the left one, by what is found or kept where they are shown."""

    stops: float | None = None
    """The one gain in linear light that both are shown with, in stops, to the hundredth; None: both as they are."""

    def __post_init__(self) -> None:
        if self.stops is not None and not abs(self.stops) <= MOST_STOPS:
            raise ValueError(f"stops: at most {MOST_STOPS} either way")

    @property
    def words(self) -> str:
        """The Key Object Description: ``Comparison: slider, aligned, equal light by +0.45 stops``."""
        light = "" if self.stops is None else f", equal light by {self.stops:+.2f} stops"
        return f"{DESCRIPTION}{self.mode.value}{', aligned' if self.aligned else ''}{light}"

    @classmethod
    def read(cls, words: str) -> Self | None:
        """What a Key Object Description says; None where it is not of a comparison, or of one by a later version."""
        said = _SAID.fullmatch(words)
        if said is None or abs(stops := float(said["stops"] or 0)) > MOST_STOPS:
            return None
        return cls(Mode(said["mode"]), said["aligned"] is not None, stops if said["stops"] else None)
