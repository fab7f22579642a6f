"""Names of the vocabularies, collected as messages: regions, views, protocols, settings, outcomes, reasons.

They are data of the packages that use them, and shown by the pages. Which strings of which file, ``[tool.babel]`` says
in pyproject.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO


def extract(
    source: BinaryIO, _keywords: Any, _comment_tags: Any, options: Mapping[str, str]
) -> Iterator[tuple[int, str, str, list[str]]]:
    """Messages of a TOML file, as Babel asks a method of extraction for them.

    Parameters
    ----------
    options
        ``texts``: where they stand, with spaces between; behind a colon ``words`` or ``title``, where names are written
        with hyphens and read without: ``shot.note time.name:title``.
    """
    read = tomllib.load(source)
    for path in options["texts"].split():
        place, _, form = path.partition(":")
        for text in _at(read, place.split(".")):
            if not text.rpartition("|")[2].isdigit():  # a code of another system, which is no name
                yield 0, "noted", _FORMS[form](text), []


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


_FORMS: Mapping[str, Callable[[str], str]] = {"": str, "words": words, "title": title}
