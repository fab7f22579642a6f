"""Where no identifiers are shown there are no values but those of known lists."""

from __future__ import annotations

import pytest

from fhir_mapping.question.facets import LINKED, UNPLACED, Facet, Held, Value, name_of
from fhir_mapping.question.nameless import is_nameless

pytestmark = pytest.mark.fast

_SNOMED = "http://snomed.info/sct"
_OUTCOME = "urn:photospine:outcome"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (LINKED, True),
        (UNPLACED, True),
        (Value(Held.MONTH, "", "2026-03"), True),
        (Value(Facet.AREA, _SNOMED, "73897004"), True),
        (Value(Facet.AREA, _SNOMED, "1"), False),
        (Value(Facet.AREA, "", "Anna's scar"), False),
        (Value(Held.AREA_ON_SIDE, f"{_SNOMED}|73897004", "L"), True),
        (Value(Held.AREA_ON_SIDE, "urn:x|anna", "L"), False),
        (Value(Facet.SIDE, "", "L"), True),
        (Value(Facet.SESSION, "", "3"), True),
        (Value(Facet.VIEW, "urn:photospine:view", "left-oblique"), True),
        (Value(Facet.VIEW, "", "as Anna likes it"), False),
        (Value(Facet.TREATMENT, "urn:photospine:treatment", "botulinum-toxin"), True),
        (Value(Facet.TREATMENT, "urn:photospine:treatment", "Toxin, Anna"), False),
        (Value(Facet.TREATMENT, "urn:photospine:treatment:anna", "toxin"), False),
        (Value(Facet.TREATMENT, "urn:ehr", "botulinum-toxin"), False),
        (Value(Facet.TREATMENT, _SNOMED, "404909007"), True),
        (Value(Facet.TREATMENT, _SNOMED, "Anna"), False),
        (Value(Facet.TREATMENT, _SNOMED, "٤٠٤٩٠٩٠٠٧"), False),
        (Value(name_of(Facet.TREATMENT), "", "Toxin"), False),
        (Value(Facet.OUTCOME, f"{_OUTCOME}|scar", "improved patient"), True),
        (Value(Facet.OUTCOME, f"{_OUTCOME}|scar", "improved"), True),
        (Value(Facet.OUTCOME, f"{_OUTCOME}|scar", " measured"), True),
        (Value(Facet.OUTCOME, f"{_OUTCOME}|scar", "as Anna says"), False),
        (Value(Facet.OUTCOME, "urn:ehr|anna", "improved patient"), False),
        (Value(Facet.LOT, "", "L1"), False),
        (Value(Facet.SETTING, "urn:photospine:setting|fluence", "5 J/cm2", 5.0), False),
        (Value(Facet.CLINICIAN, "", "Practitioner/d"), True),
        (Value(Facet.CLINICIAN, "", "Patient/anna"), False),
        (Value(Facet.CLINICIAN, "", "RelatedPerson/anna"), False),
        (Value(Facet.CLINICIAN, "", "Practitioner/d, for Anna"), False),
        (Value(Facet.PHOTOGRAPHER, "", "Practitioner/d"), False),
        (Value(Facet.PLAN, "", "CarePlan/anna"), False),
    ],
    ids=lambda each: each if isinstance(each, bool) else f"{each.facet} {each.system} {each.code}",
)
def test_codes_of_known_lists_alone_are_told(value: Value, told: bool) -> None:
    assert is_nameless(value) is told
