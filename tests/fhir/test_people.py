"""What a DICOM header takes from people of the record."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_mapping.resources.people import patient_facts

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ({"family": "Berg", "given": ["Mia", "Eva"], "prefix": ["Dr."]}, "Berg^Mia^Eva^Dr."),
        ({"family": "Berg", "given": [None, "Mia"], "_given": [{"extension": []}, None]}, "Berg^Mia"),
        ({"family": "Berg", "given": ["Mia"], "suffix": [None]}, "Berg^Mia"),
        ({"text": "Mia^Berg=x"}, "Mia Berg x"),
        ({}, ""),
    ],
)
def test_a_name_holds_what_is_said_and_nothing_else(name: dict[str, Any], said: str) -> None:
    assert patient_facts({"resourceType": "Patient", "id": "p", "name": [name]}).name == said
