"""The words of outcomes: data, ``outcomes.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import resources

from consent.wording import Wording, worded

SYSTEM = "urn:photospine:outcome"
"""Our code system of characteristics, grades and raters."""

SCALES = "urn:photospine:scale"
"""Our code system of validated scales; a step is ``urn:photospine:scale:CODE|STEP``."""


class Rater(StrEnum):
    """Whose judgement it is."""

    INVESTIGATOR = "investigator"
    PATIENT = "patient"
    MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class Grade:
    """A step of the Global Aesthetic Improvement Scale."""

    code: str
    name: Wording
    change: int
    """3 very much improved, 0 no change, below 0 worse."""

    words: tuple[str, ...]
    """How else people write it."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A validated scale of a finding."""

    code: str
    name: Wording
    source: str
    steps: tuple[str, ...]
    """In order; empty: a number."""

    better: str
    """``down``: lower steps are the better finding; ``up``."""

    def position(self, step: str) -> float | None:
        """Where a step stands, so that two can be compared; None where it is no step of this scale."""
        if not self.steps:
            return float(step) if step.replace(".", "", 1).isdigit() and step.isascii() else None
        return float(self.steps.index(step)) if step in self.steps else None

    def change(self, before: str, after: str) -> int | None:
        """1 improved, 0 no change, -1 worse; None where either is no step of it."""
        one, other = self.position(before), self.position(after)
        if one is None or other is None:
            return None
        sign = (other > one) - (other < one)
        return -sign if self.better == "down" else sign


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All of it, by code."""

    characteristics: Mapping[str, Wording]
    """Code -> name."""

    grades: Mapping[str, Grade]
    scales: Mapping[str, Scale]
    raters: Mapping[str, Wording]

    def characteristic(self, said: str) -> str | None:
        """The code of a characteristic that is called so: ``Hair density``, ``hair-density``, ``wrinkles, static``."""
        wanted = _words(said)
        for code, name in self.characteristics.items():
            if wanted in (_words(code), _words(name)):
                return code
        return None

    def grade(self, said: str) -> Grade | None:
        """The grade that is called so."""
        wanted = " ".join(said.lower().replace("-", " ").split())
        for grade in self.grades.values():
            if wanted in (grade.code.replace("-", " "), *grade.words):
                return grade
        return None

    def of_change(self, change: int) -> Grade:
        """The grade of a change, the nearest where it is beyond the ends."""
        return min(self.grades.values(), key=lambda each: (abs(each.change - change), each.code))


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """Read once."""
    data = tomllib.loads(resources.files("fhir_mapping.outcome").joinpath("outcomes.toml").read_text("utf-8"))
    return Vocabulary(
        characteristics={each["code"]: worded(each["name"]) for each in data["characteristic"]},
        grades={
            each["code"]: Grade(each["code"], worded(each["name"]), each["change"], tuple(each["words"]))
            for each in data["grade"]
        },
        scales={
            each["code"]: Scale(
                each["code"], worded(each["name"]), each["source"], tuple(each["steps"]), each["better"]
            )
            for each in data["scale"]
        },
        raters={each["code"]: worded(each["name"]) for each in data["rater"]},
    )


@lru_cache(maxsize=1024)
def _words(said: str) -> frozenset[str]:
    plain = "".join(letter if letter.isalnum() else " " for letter in said.lower())
    return frozenset(word.rstrip("s") for word in plain.split())
