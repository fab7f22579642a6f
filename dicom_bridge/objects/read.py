"""Reading an object that came from elsewhere: what it is, and what the index keeps of it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.filereader import read_dataset

from consent.wording import worded
from dicom_bridge.errors import ObjectRefused
from dicom_bridge.objects.attributes import ODD, attributes_json
from dicom_bridge.objects.structure import measure

_UID = re.compile(r"[0-9.]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReadObject:
    """An object's UIDs, and its attributes."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    attributes: dict[str, Any]
    """DICOM JSON Model, binary values left out."""

    has_picture: bool = True
    """Whether pixel data follows."""


def read_object(data: bytes) -> ReadObject:
    """Parse a DICOM file up to its pixel data.

    Raises
    ------
    ObjectRefused
        It is none, lacks a UID, or exceeds the limits on depth, number of elements and text
        (:mod:`dicom_bridge.objects.structure`).
    """
    measured = measure(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of every odd value; the object is judged by what is asked of it
        try:
            dataset = read_dataset(io.BytesIO(measured.header), measured.implicit, measured.little)
            attributes = attributes_json(dataset)
        except ODD as error:
            raise ObjectRefused(worded("the object cannot be read")) from error
    found = ReadObject(
        sop_class_uid=_text(attributes, "00080016"),
        sop_instance_uid=_text(attributes, "00080018"),
        series_instance_uid=_text(attributes, "0020000E"),
        study_instance_uid=_text(attributes, "0020000D"),
        attributes=attributes,
        has_picture=measured.pixels,
    )
    uids = (found.sop_class_uid, found.sop_instance_uid, found.series_instance_uid, found.study_instance_uid)
    if not all(_UID.fullmatch(uid) for uid in uids):
        raise ObjectRefused(worded("the object lacks a UID"))
    return found


def _text(attributes: Mapping[str, Any], tag: str) -> str:
    """The value of an attribute; several are parted by a backslash, as in the object."""
    values = (attributes.get(tag) or {}).get("Value") or ()
    return "\\".join("" if value is None else str(value) for value in values).strip()
