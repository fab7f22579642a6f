"""Regions of the body: one tree for Consents, for coding photos, and for asking by name.

A region includes its parts: a permit for the face covers the lips, a denial of the lips reaches a photo of the face.
The tree is data, ``rules/regions.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

SNOMED = "http://snomed.info/sct"
OWN_REGIONS = "urn:photospine:region"
_SYSTEMS = {"SCT": SNOMED, "99PHOTOSPINE": OWN_REGIONS}


@dataclass(frozen=True, slots=True)
class BodyRegion:
    """One region of the tree."""

    name: str
    """What people type: ``face``, ``lower-eyelid``."""

    scheme: str
    """DICOM Coding Scheme Designator (0008,0102): SCT or 99PHOTOSPINE."""

    value: str
    """DICOM Code Value (0008,0100)."""

    display: str
    """DICOM Code Meaning (0008,0104), FHIR Coding.display."""

    parents: tuple[str, ...]
    paired: bool
    also: tuple[str, ...] = ()
    """Further SNOMED codes that mean the same region."""

    called: str = ""
    """As people read it on a page, where that is not the name in capitals and spaces: ``Décolleté``."""

    @property
    def system(self) -> str:
        """The code system's address in FHIR."""
        return _SYSTEMS[self.scheme]

    @property
    def code(self) -> str:
        """``system|code``, as rules and photos hold it."""
        return f"{self.system}|{self.value}"


class Regions:
    """All regions, by name and by code."""

    def __init__(self, entries: tuple[BodyRegion, ...]) -> None:
        self._by_name = {entry.name: entry for entry in entries}
        self._by_code = {entry.code: entry for entry in entries}
        for entry in entries:
            for synonym in entry.also:
                self._by_code[f"{SNOMED}|{synonym}"] = entry
        self._wholes = {entry.name: self._upwards(entry.name) for entry in entries}

    def _upwards(self, name: str) -> frozenset[str]:
        found, pending = {name}, [name]
        while pending:
            for parent in self._by_name[pending.pop()].parents:
                if parent not in found:
                    found.add(parent)
                    pending.append(parent)
        return frozenset(found)

    def __iter__(self) -> Iterator[BodyRegion]:
        return iter(self._by_name.values())

    def by_name(self, name: str) -> BodyRegion | None:
        """The region that people call so."""
        return self._by_name.get(name)

    def by_code(self, code: str) -> BodyRegion | None:
        """The region with this ``system|code``."""
        return self._by_code.get(code)

    def includes(self, whole: str, part: str) -> bool:
        """Whether ``whole`` is ``part`` or includes it, both ``system|code``; codes unknown here only if equal."""
        if whole == part:
            return True
        upper, lower = self._by_code.get(whole), self._by_code.get(part)
        return upper is not None and lower is not None and upper.name in self._wholes[lower.name]

    def overlap(self, one: str, other: str) -> bool:
        """Whether one of two regions includes the other; neighbours that share a border region do not."""
        return self.includes(one, other) or self.includes(other, one)


@lru_cache(maxsize=1)
def regions() -> Regions:
    """The tree, read once."""
    text = resources.files("consent.rules").joinpath("regions.toml").read_text("utf-8")
    return Regions(
        tuple(
            BodyRegion(
                name=entry["name"],
                scheme=entry["scheme"],
                value=entry["code"],
                display=entry["display"],
                parents=tuple(entry["parents"]),
                paired=entry["paired"],
                also=tuple(entry.get("also", ())),
                called=entry.get("called", ""),
            )
            for entry in tomllib.loads(text)["region"]
        )
    )
