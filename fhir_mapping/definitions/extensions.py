"""Our extensions, as ``extensions.toml`` states them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from fhir_mapping.consent_codes import OURS


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an extension that is composed."""

    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension: it has either a value or parts (R4, ext-1)."""

    name: str
    on: tuple[str, ...]
    """Elements that may have it."""

    what: str
    repeats: bool = False
    value: str = ""
    """Its type, ``Reference(Patient)`` for one that names a resource."""

    parts: tuple[Part, ...] = ()

    @property
    def url(self) -> str:
        """What stands in ``Extension.url``."""
        return f"{OURS}{self.name}"


@cache
def extensions() -> tuple[Extension, ...]:
    """All of them, by name."""
    stated = tomllib.loads(resources.files(__package__).joinpath("extensions.toml").read_text("utf-8"))
    return tuple(
        Extension(
            name,
            tuple(each["on"]),
            each["what"],
            each.get("repeats", False),
            each.get("value", ""),
            tuple(Part(part, kind.rstrip("?"), not kind.endswith("?")) for part, kind in each.get("parts", {}).items()),
        )
        for name, each in sorted(stated.items())
    )
