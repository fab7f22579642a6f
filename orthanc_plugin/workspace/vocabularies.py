"""Names of the vocabularies, collected as messages: regions, views, protocols, settings, outcomes, reasons.

They are data of the packages that use them, and shown by the pages. Which strings of which file, ``[tool.babel]`` says
in pyproject.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, BinaryIO

from consent.regions import regions
from dicom_bridge.gaps.gap import time_name
from dicom_bridge.objects.vocabulary import terms

_OWN = "urn:photospine:"
_SHORT = {"Ipl": "IPL", "Prp": "PRP"}
"""Treatments whose codes are abbreviations."""


def extract(
    source: BinaryIO, _keywords: Any, _comment_tags: Any, options: Mapping[str, str]
) -> Iterator[tuple[int, str, str, list[str]]]:
    """Messages of a TOML file, as Babel asks a method of extraction for them.

    Parameters
    ----------
    options
        ``texts``: where they stand, with spaces between; behind a colon, where names are written with hyphens and read
        without, the form in which they are: ``shot.note time.name:title``.
    """
    read = tomllib.load(source)
    for path in options["texts"].split():
        place, _, form = path.partition(":")
        for text in _at(read, place.split(".")):
            if message := _FORMS[form](text):
                yield 0, "noted", message, []


def _at(value: Any, path: list[str]) -> Iterable[str]:
    if isinstance(value, list):
        for each in value:
            yield from _at(each, path)
    elif path:
        if path[0] in value:
            yield from _at(value[path[0]], path[1:])
    else:
        yield value


def words(name: str) -> str:
    """A name as people read it within a sentence; of a code, without its system: ``right lateral``."""
    return name.rpartition("|")[2].replace("-", " ")


def title(name: str) -> str:
    """The same where it stands alone: ``Lower eyelid``."""
    return words(name).capitalize()


def own_title(code: str) -> str:
    """The title of a code of ours; of another system's, nothing: it is no name."""
    return title(code) if code.startswith(_OWN) else ""


@cache
def called() -> Mapping[str, str]:
    """Names that do not read well in English where they are made of what people type, and how they are read."""
    made = {title(each.name): each.called for each in regions() if each.called}
    return _SHORT | made | {words(each.name): each.called for kind in ("view", "expression") for each in terms(kind)
                   if each.called}  # fmt: skip


_FORMS: Mapping[str, Callable[[str], str]] = {
    "": str,
    "words": words,
    "title": title,
    "own_title": own_title,
    "time": time_name,
}
