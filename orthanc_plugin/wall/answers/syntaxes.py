"""In which transfer syntax each photo leaves: as it is stored, or decoded within a bound."""

from __future__ import annotations

from collections.abc import Sequence

from consent.store.engine import reading
from dicom_bridge.query.index import text_of
from dicom_bridge.query.search import Instance, attributes_of
from orthanc_plugin.wall.accept import STORED
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.stream import Pieces

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
MOST_DECODED = 100
"""Photos of one answer."""

MOST_DECODED_BYTES = 2 << 30
"""Of the pixels of one answer: uncompressed, a photo of 12 megapixels has 36 million."""

MOST_PHOTO_BYTES = 256 << 20
#: Attributes that tell how large a decoded photo is, all of them in the index: Rows, Columns, SamplesPerPixel,
#: BitsAllocated, NumberOfFrames.
_SIZES = ("00280010", "00280011", "00280002", "00280100", "00280008")


def plan(foundation: Foundation, photos: Sequence[Instance], wanted: Sequence[str]) -> list[bool] | None:
    """For each photo whether it is decoded; None where not every one can leave in a syntax that is wanted."""
    if wanted[0] == STORED:
        return [False] * len(photos)
    stored = [foundation.host.syntax(one.orthanc_id) for one in photos]
    choices = [_choice(each, wanted) for each in stored]
    if any(choices) and not _bounded(foundation, [one for one, made in zip(photos, choices, strict=True) if made]):
        wanted = [each for each in wanted if each != EXPLICIT_LITTLE_ENDIAN]
        choices = [_choice(each, wanted) for each in stored]
    decoded = [each for each in choices if each is not None]
    return decoded if len(decoded) == len(choices) else None


def _choice(stored: str, wanted: Sequence[str]) -> bool | None:
    """Whether a photo is decoded; None where it can leave in no syntax that is wanted."""
    for syntax in wanted:
        if syntax in (STORED, stored):
            return False
        if syntax == EXPLICIT_LITTLE_ENDIAN:
            return True
    return None


def _bounded(foundation: Foundation, photos: Sequence[Instance]) -> bool:
    if len(photos) > MOST_DECODED:
        return False
    with reading(foundation.rooms().engine) as connection:
        found = attributes_of(connection, [one.number for one in photos])
    sizes = []
    for one in photos:
        rows, columns, samples, bits, frames = (text_of(found.get(one.number, {}), name) for name in _SIZES)
        values = (rows, columns, samples or "1", bits or "8", frames or "1")
        if not all(value.isdecimal() and len(value) < 10 for value in values):
            return False
        height, width, planes, depth, count = map(int, values)
        sizes.append(height * width * planes * ((depth + 7) // 8) * count)
    return max(sizes) <= MOST_PHOTO_BYTES and sum(sizes) <= MOST_DECODED_BYTES


def file(foundation: Foundation, one: Instance, decode: bool) -> Pieces:
    """The photo's file, in one piece."""
    if decode:
        return (foundation.host.transcoded(foundation.host.dicom(one.orthanc_id), EXPLICIT_LITTLE_ENDIAN),)
    return (foundation.files.mapped(one.orthanc_id),)


def ready(foundation: Foundation, one: Instance, decode: bool) -> Pieces | None:
    """As :func:`file`, where nothing need be asked or copied; else None."""
    found = None if decode else foundation.files.ready(one.orthanc_id)
    return None if found is None else (found,)
