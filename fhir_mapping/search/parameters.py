"""The search parameters that the record answers, for each type: ``r4.toml``, and beside R4 ``own.toml``.

The index, the conditions and the CapabilityStatement are all made from these two tables.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.resources import files

from fhir_mapping.search.paths import Path, members, path

OWN_DEFINITION = "urn:photospine:search-parameter:"
"""The canonical address of one of our own: this, the type and the name."""


class Kind(StrEnum):
    """How a parameter is compared (R4 search-param-type); ``_id`` and ``_lastUpdated`` are columns, not elements."""

    ID = "id"
    UPDATED = "updated"
    TOKEN = "token"  # noqa: S105  a kind of search parameter, no secret
    REFERENCE = "reference"
    STRING = "string"
    DATE = "date"
    NUMBER = "number"
    QUANTITY = "quantity"
    URI = "uri"
    COMPOSITE = "composite"


class Form(StrEnum):
    """What the elements are; each is compared in one way."""

    ID = "id"
    UPDATED = "updated"
    TOKEN = "token"  # noqa: S105
    """Coding, CodeableConcept, Identifier."""

    CODE = "code"
    """code, boolean, id, or a string that is compared as a token: no system is stated."""

    CONTACT = "contact"
    """ContactPoint: by its value; its system is its use."""

    PRESENT = "present"
    """``true`` where one of the elements is there and is not false, else ``false``."""

    REFERENCE = "reference"
    CANONICAL = "canonical"
    STRING = "string"
    NAME = "name"
    """HumanName, by each of its parts."""

    ADDRESS = "address"
    """Address, by each of its parts."""

    PHONETIC = "phonetic"
    """HumanName or string, by how it sounds."""

    DATE = "date"
    """date, dateTime, instant, Period, Timing."""

    NUMBER = "number"
    QUANTITY = "quantity"
    """Quantity, Age, Duration, Range, SampledData."""

    URI = "uri"
    COMPOSITE = "composite"


_KINDS = {
    Form.CODE: Kind.TOKEN,
    Form.CONTACT: Kind.TOKEN,
    Form.PRESENT: Kind.TOKEN,
    Form.CANONICAL: Kind.REFERENCE,
    Form.NAME: Kind.STRING,
    Form.ADDRESS: Kind.STRING,
    Form.PHONETIC: Kind.STRING,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One of the two parts of a composite."""

    form: Form
    ways: tuple[Path, ...]

    @property
    def kind(self) -> Kind:
        """How it is compared."""
        return _KINDS.get(self.form) or Kind(self.form.value)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one type."""

    name: str
    form: Form
    ways: tuple[Path, ...] = ()
    """The elements; of a composite those that hold its parts."""

    targets: tuple[str, ...] = ()
    """Reference: the types kept here that it may name; a bare id is looked for in all of them."""

    only: bool = False
    """Reference: names of other types at these elements are not meant."""

    parts: tuple[Part, ...] = ()
    """Composite: its two parts."""

    own: bool = False
    """Whether R4 does not have it."""

    @property
    def kind(self) -> Kind:
        """How it is compared."""
        return _KINDS.get(self.form) or Kind(self.form.value)

    @property
    def bare(self) -> bool:
        """Token: the element is a code, which has no system."""
        return self.form in (Form.CODE, Form.PRESENT)

    @property
    def paths(self) -> tuple[str, ...]:
        """Reference: the elements as the index names them."""
        return tuple(members(way) for way in self.ways)


@functools.cache
def parameters(kind: str) -> Mapping[str, Parameter]:
    """The parameters of a type, by name."""
    found = {"_id": Parameter("_id", Form.ID), "_lastUpdated": Parameter("_lastUpdated", Form.UPDATED)}
    standard, own = _tables()
    for rows in (standard["Resource"], standard.get(kind, {})):
        found |= {name: _read(name, text) for name, text in rows.items()}
    found |= {name: replace(_read(name, text), own=True) for name, text in own.get(kind, {}).items()}
    return found


@functools.cache
def searched_types() -> tuple[str, ...]:
    """The types that have parameters."""
    return tuple(kind for kind in _tables()[0] if kind != "Resource")


@functools.cache
def _tables() -> tuple[Mapping[str, Mapping[str, str]], Mapping[str, Mapping[str, str]]]:
    standard, own = (
        tomllib.loads(files(__package__).joinpath(name).read_text("utf-8")) for name in ("r4.toml", "own.toml")
    )
    return standard, own


def _read(name: str, text: str) -> Parameter:
    word, _, rest = text.partition(" ")
    form = Form(word)
    if form is Form.COMPOSITE:
        bases, _, parts = rest.partition(" ; ")
        return Parameter(name, form, tuple(_ways(bases)), parts=tuple(_parts(parts)))
    elements, arrow, named = rest.partition("->")
    words = named.split()
    only = "only" in words
    targets = searched_types() if words == ["*"] else tuple(word for word in words if word != "only")
    if bool(arrow) != (form is Form.REFERENCE):
        raise ValueError(f"search parameter {name}: {text!r}")
    return Parameter(name, form, tuple(_ways(elements)), targets, only)


def _parts(text: str) -> Iterator[Part]:
    for each in text.split(" $ "):
        word, _, elements = each.partition(" ")
        yield Part(Form(word), tuple(_ways(elements)))


def _ways(text: str) -> Iterator[Path]:
    for each in text.split("|"):
        yield path(each.strip())
