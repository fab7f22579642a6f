"""Transfer syntaxes and SOP Classes that are agreed on, and what is done where a peer does not take the stored one.

Photos leave in the transfer syntax in which they are stored. A peer that accepts none of the compressed ones gets them
decoded, within a bound; whatever cannot be decoded here is a sub-operation that failed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

from PIL import Image, UnidentifiedImageError
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import _STORAGE_CLASSES

from dicom_bridge.errors import BridgeError
from dicom_bridge.gateway.association import Association
from dicom_bridge.gateway.datasets import data_set, encoded
from dicom_bridge.objects.attributes import ODD
from dicom_bridge.query.classes import ENCAPSULATED_PDF, PHOTO_CLASSES

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
PLAIN = (EXPLICIT, IMPLICIT)
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
COMPRESSED = (
    JPEG_BASELINE,
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.5",  # RLE Lossless
)
"""The most frequent first."""

_PHOTOGRAPHS = frozenset({"1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.840.10008.5.1.4.1.1.77.1.7"})
"""VL Photographic and Dermoscopic Photography Image."""

_DECODED = frozenset({JPEG_BASELINE, COMPRESSED[1], COMPRESSED[6], COMPRESSED[7]})
"""What Pillow decodes."""

_UNREADABLE: tuple[type[Exception], ...] = (*ODD, Image.DecompressionBombError, UnidentifiedImageError)
_CONTEXTS = 127
"""Presentation contexts of one association: identifiers are odd, from 1 to 255; one is kept free."""

_AT_ONCE = BoundedSemaphore(2)
"""Decoding takes many times the memory of a stored photo."""


class NotConvertible(BridgeError):
    """An object cannot be sent in any transfer syntax that the peer accepts."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is sent for one object."""

    context_id: int
    data: memoryview


def offered(classes: Iterable[str]) -> list[PresentationContext]:
    """What a destination is offered: each class in every transfer syntax, each in a context of its own."""
    named = sorted(set(classes))
    room = max(1, _CONTEXTS // max(1, len(named)) - 1)
    contexts = []
    for sop_class in named:
        contexts.append(build_context(sop_class, list(PLAIN)))
        contexts += [build_context(sop_class, syntax) for syntax in COMPRESSED[:room]]
    return contexts[:_CONTEXTS]


def accepted_classes(*, others: bool) -> tuple[str, ...]:
    """SOP Classes that may be stored and retrieved.

    Parameters
    ----------
    others
        Whether those that are no photos may (PS3.4 B.5).
    """
    return tuple(sorted(PHOTO_CLASSES | frozenset(map(str, _STORAGE_CLASSES.values())) if others else PHOTO_CLASSES))


def preferred(sop_class: str) -> tuple[str, ...]:
    """Transfer syntaxes of a class, the best first: of several in one presentation context, that one is agreed on.

    Photographs are JPEG. Of other pictures it cannot be told, and those that are not compressed can be sent in no
    compressed transfer syntax, while the compressed ones can be decoded. Documents are never compressed.
    """
    if sop_class in _PHOTOGRAPHS:
        return COMPRESSED + PLAIN
    return PLAIN if sop_class == ENCAPSULATED_PDF else PLAIN + COMPRESSED


def outgoing(association: Association, sop_class: str, file: bytes, *, pixels: int) -> Outgoing:
    """The object as the peer takes it: as it is stored, else decoded.

    Parameters
    ----------
    pixels
        The most that are decoded.

    Raises
    ------
    NotConvertible
        The peer takes no transfer syntax that it can be sent in.
    """
    syntax, stored = data_set(file)
    taken = _taken(association, sop_class)
    if syntax in taken:
        return Outgoing(taken[syntax], stored)
    plain = next((each for each in PLAIN if each in taken), None)
    if plain is None:
        raise NotConvertible("the peer accepts no transfer syntax that the object can be sent in")
    with _AT_ONCE:
        return Outgoing(taken[plain], memoryview(_converted(file, syntax, plain, pixels)))


def _taken(association: Association, sop_class: str) -> dict[str, int]:
    """Transfer syntaxes in which the peer receives a class, and the context of each."""
    found: dict[str, int] = {}
    for context in association.accepted_contexts:
        if context.abstract_syntax == sop_class and context.as_scu and context.context_id is not None:
            found.setdefault(str(context.transfer_syntax[0]), context.context_id)
    return found


def _converted(file: bytes, syntax: str, to: str, most: int) -> bytes:
    try:
        dataset = dcmread(io.BytesIO(file))
        if syntax not in PLAIN:
            _decode(dataset, syntax, most)
        return encoded(dataset, to)
    except _UNREADABLE as error:
        raise NotConvertible("the object cannot be decoded") from error


def _decode(dataset: Dataset, syntax: str, most: int) -> None:
    """Replace compressed pixels by plain ones (PS3.5 8.2; PS3.3 C.7.6.3.1)."""
    count = int(dataset.get("NumberOfFrames") or 1)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if syntax not in _DECODED or dataset.BitsAllocated != 8 or rows * columns * count > most:
        raise NotConvertible("the object is larger than is decoded here, or in a form that is not")
    mode = "L" if dataset.SamplesPerPixel == 1 else "RGB"
    frames = []
    for frame in generate_frames(dataset.PixelData, number_of_frames=count):
        with Image.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")) as picture:
            if picture.size != (columns, rows):
                raise NotConvertible("the picture has another size than its object says")
            frames.append(_as(picture, mode).tobytes())
    pixels = b"".join(frames)
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = False
    if mode == "RGB":
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0


def _as(picture: Image.Image, mode: str) -> Any:
    return picture if picture.mode == mode else picture.convert(mode)
