"""Coded items of an object (PS3.3 8.8): region, view, expression, session."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from consent.regions import BodyRegion
from consent.types import Laterality
from dicom_bridge.objects.vocabulary import OWN_SCHEME, Group, Term

CODES_UID = "2.25.104353284915478310957430817244903514161"
"""Context Group Extension Creator UID (0008,010D): ours, the same for every site."""

CODES_VERSION = "20261126"
"""Context Group Local Version (0008,0107) of the codes in ``views.toml`` and in the tree of regions."""

REGIONS = Group("4029", "20240913")
"""CID 4029 Dermatology Anatomic Site, which regions of ours extend."""

_MODIFIERS = {
    Laterality.RIGHT: ("24028007", "Right"),
    Laterality.LEFT: ("7771000", "Left"),
    Laterality.BOTH: ("51440002", "Bilateral"),
}
"""CID 245 (includes 244): the side of a paired region."""


def code(scheme: str, value: str, meaning: str, group: Group | None = None) -> Dataset:
    """One item. A code of ours says which standard group it extends (PS3.3 Table 8.8-1)."""
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    if group is not None and scheme == OWN_SCHEME:
        item.ContextIdentifier = group.identifier
        item.MappingResource = "DCMR"
        item.ContextGroupVersion = group.version
        item.ContextGroupExtensionFlag = "Y"
        item.ContextGroupLocalVersion = CODES_VERSION
        item.ContextGroupExtensionCreatorUID = CODES_UID
    return item


def region_code(region: BodyRegion, side: Laterality) -> Dataset:
    """Anatomic Region (0008,2218), the side as its modifier where the region is paired."""
    item = code(region.scheme, region.value, region.display, REGIONS)
    if region.paired:
        value, meaning = _MODIFIERS[side]
        item.AnatomicRegionModifierSequence = [code("SCT", value, meaning)]
    return item


def term_code(term: Term) -> Dataset:
    """A view or an expression."""
    return code(term.scheme, term.value, term.meaning, term.group)


def context_code(concept: Dataset, value: Dataset) -> Dataset:
    """A coded item of the acquisition context (C.7.6.14)."""
    item = Dataset()
    item.ValueType = "CODE"
    item.ConceptNameCodeSequence = [concept]
    item.ConceptCodeSequence = [value]
    return item


def context_number(concept: Dataset, value: float, unit: str, unit_meaning: str) -> Dataset:
    """A number of the acquisition context, its unit in UCUM."""
    item = Dataset()
    item.ValueType = "NUMERIC"
    item.ConceptNameCodeSequence = [concept]
    item.NumericValue = format_number_as_ds(float(value))
    item.MeasurementUnitsCodeSequence = [code("UCUM", unit, unit_meaning)]
    return item


def own_scheme(items: Iterable[Dataset]) -> list[Dataset]:
    """Coding Scheme Identification (0008,0110): says what our designator stands for, where an item uses it."""
    pending = list(items)
    while pending:
        item = pending.pop()
        if item.get("CodingSchemeDesignator") == OWN_SCHEME:
            scheme = Dataset()
            scheme.CodingSchemeDesignator = OWN_SCHEME
            scheme.CodingSchemeName = "Photospine local codes"
            return [scheme]
        pending += [inner for element in item if element.VR == "SQ" for inner in element.value]
    return []
