"""The facets that photos are asked by, and the values that the index holds of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from consent.regions import regions
from fhir_mapping.search.values import indexed


class Facet(StrEnum):
    """What a question can name. The order is that of its text."""

    PATIENT = "patient"
    AREA = "area"
    """The region shown, its parts too: a question for the face finds the forehead."""

    SIDE = "side"
    """R, L or B. A region without a side is on both."""

    VIEW = "view"
    EXPRESSION = "expression"
    SESSION = "session"
    """The number of a session within its course."""

    TREATMENT = "treatment"
    """Procedure.code."""

    PRODUCT = "product"
    """What was given, handed over or implanted: code or name of a Medication or Device, or its device identifier."""

    LOT = "lot"
    SETTING = "setting"
    """A number that a machine was set to, from and to, with its unit."""

    CLINICIAN = "clinician"
    """Who performed the treatment, or is the photo's author."""

    PHOTOGRAPHER = "photographer"
    OUTCOME = "outcome"
    """What a judgement of the photo said: characteristic, grade and who judged, all of one judgement."""

    PLAN = "plan"
    """The CarePlan, the EpisodeOfCare or the Procedure of the whole course."""

    TAKEN = "taken"
    """When the photo was taken, from and to."""


#: Facets whose values can be counted.
COUNTED = (
    Facet.AREA,
    Facet.SIDE,
    Facet.VIEW,
    Facet.EXPRESSION,
    Facet.SESSION,
    Facet.TREATMENT,
    Facet.PRODUCT,
    Facet.LOT,
    Facet.SETTING,
    Facet.CLINICIAN,
    Facet.PHOTOGRAPHER,
    Facet.OUTCOME,
    Facet.PLAN,
)


#: Facets that the photo itself does not have, but what was done and said around it.
OF_THE_RECORD = frozenset(
    {
        Facet.SESSION,
        Facet.TREATMENT,
        Facet.PRODUCT,
        Facet.LOT,
        Facet.SETTING,
        Facet.CLINICIAN,
        Facet.OUTCOME,
        Facet.PLAN,
    }
)


#: Facets that all photos share that show the same of somebody: what a result is held against has them too.
OF_A_SERIES = frozenset({Facet.PATIENT, Facet.AREA, Facet.SIDE, Facet.VIEW, Facet.EXPRESSION})


class Held(StrEnum):
    """What the index holds of a photo, where it is not the facet itself."""

    LINKED = "linked"
    """That it is linked at all: one value, which all photos of patients have."""

    AREA_ON_SIDE = "area-on-side"
    """A region and its side together, so that the left hand is not found by a left cheek and a right hand."""

    MONTH = "month"
    """Of the capture time, in UTC; ``none`` where it is not known."""


@dataclass(frozen=True, slots=True, order=True)
class Value:
    """One value that photos have."""

    facet: str
    """A :class:`Facet` or :class:`Held`."""

    system: str
    code: str
    amount: float | None = None

    @property
    def text(self) -> str:
        """``system|code``; a code without a system alone."""
        return f"{self.system}|{self.code}" if self.system else self.code


def name_of(facet: str) -> str:
    """Where the index holds what a coded thing is called: it is found by its name, and counted by its code."""
    return f"{facet}-name"


LINKED = Value(Held.LINKED, "", "")
UNDATED = "none"
UNPLACED = Value(Facet.AREA, "", "none")
"""Of a photo that names no region."""


def value(facet: str, system: str, code: str, amount: float | None = None) -> Value:
    """A value as the index holds it: long texts shortened."""
    return Value(facet, indexed(system), indexed(code), amount)


@lru_cache(maxsize=4096)
def wholes(code: str) -> frozenset[str]:
    """A region with everything that it is part of, by the codes of the region tree; an unknown code alone."""
    tree = regions()
    if tree.by_code(code) is None:
        return frozenset({code})
    return frozenset(each.code for each in tree if tree.includes(each.code, code))


def canonical(code: str) -> str:
    """The code by which the region tree knows a region, which has synonyms; an unknown code itself."""
    region = regions().by_code(code)
    return code if region is None else region.code
