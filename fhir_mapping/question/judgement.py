"""Judgements as the index holds them: what was judged, how it came out, and who says so, all three in one value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fhir_mapping.outcome.outcome import read
from fhir_mapping.outcome.vocabulary import SYSTEM, Rater, vocabulary
from fhir_mapping.question import elements
from fhir_mapping.question.elements import Json
from fhir_mapping.question.facets import Facet, Value, value
from fhir_mapping.search.paths import listed


@dataclass(frozen=True, slots=True)
class Judgement:
    """One judgement."""

    characteristic: str
    """``system|code``, or a name."""

    grade: str
    """A code; empty: something was measured, and nobody called it better or worse."""

    rater: str
    """A :class:`Rater`; empty: not known."""

    @property
    def value(self) -> Value:
        """As the index holds it."""
        return value(Facet.OUTCOME, self.characteristic, f"{self.grade} {self.rater}" if self.rater else self.grade)

    @classmethod
    def of(cls, held: Value) -> Judgement:
        """The judgement that a value of the index is."""
        grade, _, rater = held.code.rpartition(" ")
        if rater not in list(Rater):
            grade, rater = held.code, ""
        return cls(held.system, grade, rater)


def judged(observed: Json, base: str | None) -> Iterator[Value]:
    """The judgements that an Observation states: as :mod:`fhir_mapping.outcome` reads it, and in its own codes.

    So an outcome is found by the clinic's words whoever wrote it in his own, and by his.
    """
    found = read(observed, base)
    rater = "" if found is None or found.rater is None else found.rater.value
    if found is not None:
        grade = "" if found.change is None else vocabulary().of_change(found.change).code
        yield Judgement(f"{SYSTEM}|{found.characteristic}", grade, rater).value
    if not rater:
        rater = next((_RATERS[each] for each in map(_kind, listed(observed.get("performer")))
                      if each in _RATERS), "")  # fmt: skip
    grades = {each.code for each in elements.concept(Facet.OUTCOME, observed.get("valueCodeableConcept"), named=False)}
    for what in elements.concept(Facet.OUTCOME, observed.get("code"), named=False):
        for grade in grades:
            yield Judgement(what.text, grade, rater).value


def at_least(grade: str) -> frozenset[str]:
    """A grade and those that are better; of no scale that is known, itself."""
    grades = vocabulary().grades
    if grade not in grades:
        return frozenset({grade})
    return frozenset(code for code, each in grades.items() if each.change >= grades[grade].change)


#: Who judged, by the type of Observation.performer.
_RATERS = {
    "Patient": Rater.PATIENT.value,
    "RelatedPerson": Rater.PATIENT.value,
    "Practitioner": Rater.INVESTIGATOR.value,
    "PractitionerRole": Rater.INVESTIGATOR.value,
    "Organization": Rater.INVESTIGATOR.value,
    "CareTeam": Rater.INVESTIGATOR.value,
}


def _kind(reference: object) -> str:
    said = reference.get("reference") if isinstance(reference, dict) else None
    return said.split("/")[-2] if isinstance(said, str) and said.count("/") >= 1 else ""
