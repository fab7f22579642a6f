"""What a client accepts (RFC 9110 12.5.1), as far as photos are concerned: media types and transfer syntaxes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LONGEST = 4096
_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
# A text that is never closed goes on to the end: looked for from each of its marks, it would cost the square of them.
_PART = re.compile(r'"(?:[^"\\]|\\.)*"?|[^",;]+|[,;]')
_DICOM = "application/dicom"
STORED = "*"
"""Whatever transfer syntax an object is stored in."""


@dataclass(frozen=True, slots=True)
class Range:
    """One of the things that are accepted."""

    media: str
    """In lower case: ``image/jpeg``, ``image/*``, ``*/*``."""

    parameters: Mapping[str, str]
    quality: float


def ranges(accept: str) -> list[Range]:
    """What is accepted, best first; what has quality 0, or cannot be read, is left out."""
    found = sorted(_ranges(accept), key=lambda one: -one.quality)
    return [one for one in found if one.quality > 0]


def image(accept: str, made: tuple[str, ...]) -> str | None:
    """The type of image, of those that can be made, that is accepted best; None: none of them."""
    for one in ranges(accept):
        for media in made:
            if one.media in (media, "image/*", "*/*"):
                return media
    return None


def transfer_syntaxes(accept: str) -> tuple[str, ...]:
    """Transfer syntaxes in which DICOM files are accepted, best first (PS3.18 8.7.3.5.2); :data:`STORED` is any."""
    found = []
    for one in ranges(accept):
        kind = one.parameters.get("type", _DICOM).lower() if one.media == "multipart/related" else one.media
        if kind in (_DICOM, "application/*", "multipart/*", "*/*"):
            found.append(one.parameters.get("transfer-syntax", STORED))
    return tuple(dict.fromkeys(found))


def _ranges(accept: str) -> Iterator[Range]:
    if len(accept) > _LONGEST:
        return
    for words in _split(accept):
        media, *rest = words
        pairs = (each.partition("=") for each in rest)
        parameters = {name.strip().lower(): _unquoted(value.strip()) for name, _, value in pairs}
        quality = parameters.pop("q", "1")
        if "/" in media and _QUALITY.fullmatch(quality):
            yield Range(media.strip().lower(), parameters, float(quality))


def _split(text: str) -> Iterator[list[str]]:
    """The parts between commas, each split at its semicolons; both mean nothing between quotation marks."""
    words = [""]
    for part in _PART.findall(text):
        if part == ",":
            yield words
            words = [""]
        elif part == ";":
            words.append("")
        else:
            words[-1] += part
    yield words


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if len(value) > 1 and value[0] == value[-1] == '"' else value
