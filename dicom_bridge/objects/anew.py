"""An object is made anew from another one: read within our limits, changed by whoever asks, written whole."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_bridge.errors import ObjectRefused
from dicom_bridge.objects.attributes import ODD, attributes_json
from dicom_bridge.objects.structure import measure


@dataclass(frozen=True, slots=True)
class MadeObject:
    """An object, ready to be stored."""

    file: bytes
    attributes: dict[str, Any]
    """DICOM JSON Model."""


def made_anew(former: bytes, make: Callable[[Dataset], Dataset], refusal: str, *, pixels: bool) -> MadeObject:
    """The object that is made of another one.

    Parameters
    ----------
    former
        A DICOM file.
    make
        Given its data set, the new one, with file meta information.
    refusal
        What is said where a value of the former object cannot be written.
    pixels
        Whether ``make`` reads the pixel data.

    Raises
    ------
    ObjectRefused
        It cannot be read, or what is made of it cannot be written.
    """
    measure(former)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of every odd value
        try:
            made = make(dcmread(io.BytesIO(former), stop_before_pixels=not pixels))
            out = io.BytesIO()
            made.save_as(out, enforce_file_format=True)
        except ODD as error:
            raise ObjectRefused(refusal) from error
    return MadeObject(out.getvalue(), attributes_json(made))
