"""Regions, views and expressions by the name that people type, or by ``system|code``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from consent.regions import SNOMED, BodyRegion, regions
from consent.wording import worded
from dicom_bridge.errors import UnknownCode

OWN_SCHEME = "99PHOTOSPINE"
"""Coding Scheme Designator (0008,0102) of our codes; 99 marks private schemes."""

_OWN = {"view": "urn:photospine:view", "expression": "urn:photospine:expression"}

_KINDS = {"region": worded("region"), "view": worded("view"), "expression": worded("expression")}


@dataclass(frozen=True, slots=True)
class Group:
    """A context group of the standard (PS3.16 Annex B)."""

    identifier: str
    version: str


@dataclass(frozen=True, slots=True)
class Term:
    """A view or an expression, coded."""

    name: str
    scheme: str
    """Coding Scheme Designator (0008,0102)."""

    value: str
    meaning: str
    system: str
    """The code system's address in FHIR."""

    group: Group
    """The group that holds the code, or that a code of ours extends."""

    orientation: tuple[str, str] | None = None
    """Patient Orientation (0020,0020) of a view, where it follows from it."""

    called: str = ""
    """As people read it on a page, where that is not the name with spaces: ``upward gaze``."""

    @property
    def code(self) -> str:
        """``system|code``."""
        return f"{self.system}|{self.value}"


def find_region(word: str) -> BodyRegion:
    """The region of the body that is called so. Raises UnknownCode."""
    tree = regions()
    found = tree.by_code(word) if "|" in word else tree.by_name(word)
    if found is None:
        raise _unknown("region", word, (entry.name for entry in tree))
    return found


def find_view(word: str) -> Term:
    """The view that is called so. Raises UnknownCode."""
    return _find("view", word)


def find_expression(word: str) -> Term:
    """The expression that is called so. Raises UnknownCode."""
    return _find("expression", word)


def terms(kind: str) -> tuple[Term, ...]:
    """All of a kind: ``view`` or ``expression``."""
    return tuple(_read()[kind].values())


def _find(kind: str, word: str) -> Term:
    known = _read()[kind]
    found = known.get(word)
    if found is None and "|" in word:
        found = next((term for term in known.values() if term.code == word), None)
    if found is None:
        raise _unknown(kind, word, known)
    return found


@lru_cache(maxsize=1)
def _read() -> dict[str, dict[str, Term]]:
    text = resources.files("dicom_bridge.objects").joinpath("views.toml").read_text("utf-8")
    values = tomllib.loads(text)
    return {
        kind: {
            entry["name"]: Term(
                name=entry["name"],
                scheme=entry["scheme"],
                value=entry["code"],
                meaning=entry["meaning"],
                group=Group(**values["group"][kind]),
                system=SNOMED if entry["scheme"] != OWN_SCHEME else _OWN[kind],
                orientation=tuple(entry["orientation"]) if "orientation" in entry else None,
                called=entry.get("called", ""),
            )
            for entry in values[kind]
        }
        for kind in ("view", "expression")
    }


def _unknown(kind: str, word: str, known: Iterable[str]) -> UnknownCode:
    return UnknownCode(
        worded(
            "unknown %(kind)s %(word)s; known are %(names)s", kind=_KINDS[kind], word=repr(word), names=sorted(known)
        )
    )
