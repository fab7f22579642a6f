"""A data set in the DICOM JSON Model (PS3.18 F.2), pixel data left out: what the index keeps of an object."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

_PIXELS = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00008, 0x7FE00009, 0x7FE00010})
_BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


def attributes_json(dataset: Dataset) -> dict[str, Any]:
    """The attributes by tag, ``00100020`` -> ``{"vr": "LO", "Value": [...]}``; binary values are left out."""
    slim = Dataset()
    for element in dataset:
        if element.tag not in _PIXELS and element.VR not in _BULK:
            slim.add(element)
    value: dict[str, Any] = slim.to_json_dict(suppress_invalid_tags=True)
    return value
