"""What may be said where a purpose shows no identifiers: codes of lists that are known, and never what somebody typed.

A treatment that a sender wrote as free text, or coded in a list of its own, could hold a name. So for these purposes
there are no such values: they are not counted, and whoever asks for one finds as many photos as if nobody had it.
"""

from __future__ import annotations

import re

from consent.regions import SNOMED, regions
from fhir_mapping.outcome.vocabulary import SYSTEM, vocabulary
from fhir_mapping.question.facets import UNPLACED, Facet, Held, Value
from fhir_mapping.question.judgement import Judgement
from fhir_mapping.treatment.elements import system_and_code

_ALWAYS = frozenset({Facet.SIDE, Facet.SESSION, Held.LINKED, Held.MONTH})
_CODED = frozenset({Facet.VIEW, Facet.EXPRESSION, Facet.TREATMENT, Facet.PRODUCT})
_WHO_TREATS = re.compile(r"(Practitioner|PractitionerRole|Organization)/[A-Za-z0-9.\-]{1,64}")
"""Who performed a treatment can be a patient, too: of these nothing is told."""

_OWN = re.compile(r"urn:photospine:(view|expression|treatment|product)")
_WORDS = re.compile(r"[a-z0-9]+(-[a-z0-9]+){0,7}")
_NUMBER = re.compile(r"[0-9]{5,18}")
#: Code systems whose codes are numbers that their publishers give: SNOMED CT, DICOM, RxNorm.
_NUMBERED = frozenset(
    {SNOMED, "http://dicom.nema.org/resources/ontology/DCM", "http://www.nlm.nih.gov/research/umls/rxnorm"}
)


def is_nameless(value: Value) -> bool:
    """Whether a value tells of nobody."""
    if value.facet in _ALWAYS:
        return True
    if value.facet == Facet.AREA:
        return value == UNPLACED or regions().by_code(f"{value.system}|{value.code}") is not None
    if value.facet == Held.AREA_ON_SIDE:
        return regions().by_code(value.system) is not None
    if value.facet == Facet.OUTCOME:
        return _is_outcome(value)
    if value.facet == Facet.CLINICIAN:
        return _WHO_TREATS.fullmatch(value.code) is not None
    if value.facet not in _CODED:
        return False
    if value.system in _NUMBERED:
        return _NUMBER.fullmatch(value.code) is not None
    return _OWN.fullmatch(value.system) is not None and _WORDS.fullmatch(value.code) is not None


def _is_outcome(value: Value) -> bool:
    found, words = Judgement.of(value), vocabulary()
    system, characteristic = system_and_code(found.characteristic)
    return system == SYSTEM and characteristic in words.characteristics and found.grade in ("", *words.grades)
