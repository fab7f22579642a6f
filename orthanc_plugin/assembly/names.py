"""Views and expressions by the names that people type, for questions about photos."""

from __future__ import annotations

from dicom_bridge.objects.vocabulary import terms
from fhir_mapping.question.text import Names


def names() -> Names:
    """The names of the vocabulary."""
    return Names(
        {term.name: term.code for term in terms("view")}, {term.name: term.code for term in terms("expression")}
    )
