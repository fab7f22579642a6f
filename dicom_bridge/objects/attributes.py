"""A data set in the DICOM JSON Model (PS3.18 F.2), pixel data left out: what the index keeps of an object."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

from pydicom.config import strict_reading
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

_PIXELS = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00008, 0x7FE00009, 0x7FE00010})
_BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})

ODD: tuple[type[Exception], ...] = (
    BytesLengthException,
    InvalidDicomError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    RecursionError,
    EOFError,
    OSError,
    struct.error,
)
"""What pydicom raises over values that break the rules of their VR."""


def attributes_json(dataset: Dataset) -> dict[str, Any]:
    """The attributes by tag, ``00100020`` -> ``{"vr": "LO", "Value": [...]}``; binary values are left out.

    An element whose value breaks the rules of its VR is left out too: one odd element of a foreign device is no reason
    to know nothing of its object.
    """
    elements = []
    for tag in sorted(dataset.keys(), key=int):  # tags compare slowly
        if tag in _PIXELS:
            continue
        try:
            element = dataset[tag]
        except ODD:
            continue
        if element.VR not in _BULK:
            elements.append(element)
    found: dict[str, Any] = {}
    with strict_reading():  # what breaks its rules deeper down is found out, too
        for element in elements:
            with suppress(*ODD):
                found[f"{int(element.tag):08X}"] = element.to_json_dict(None, 0)
    return found
