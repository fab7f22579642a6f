"""SMART App Launch scopes: which resource types a token may read and write (SMART 2.2, scopes for FHIR resources)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from consent.types import Right

EVERYTHING = "*"
_SCOPE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.(read|write|\*|c?r?u?d?s?)")
_CLINICAL = re.compile(r"(patient|user|system)/")
_PHOTOS = ("ImagingStudy", "DocumentReference")

#: Rights that go with writing what they are about; the others go with no scope of SMART's.
_WRITING: dict[Right, tuple[str, ...]] = {
    Right.CAPTURE: ("ImagingStudy", "DocumentReference"),
    Right.STORE: ("ImagingStudy", "DocumentReference"),
    Right.LINK: ("DocumentReference",),
    Right.CONSENT: ("Consent",),
}


@dataclass(frozen=True, slots=True)
class Scopes:
    """Resource types, ``*`` standing for all of them."""

    reads: frozenset[str]
    writes: frozenset[str]
    patient: bool
    """Whether one is about a patient in context: the token must name her."""

    def may_read(self, kind: str) -> bool:
        """Whether the type may be read and searched."""
        return EVERYTHING in self.reads or kind in self.reads

    def may_write(self, kind: str) -> bool:
        """Whether the type may be created and changed."""
        return EVERYTHING in self.writes or kind in self.writes

    @property
    def sees_photos(self) -> bool:
        """Whether photos may be asked for at a door that speaks of no FHIR type."""
        return any(self.may_read(kind) for kind in _PHOTOS)

    def rights(self, held: Iterable[Right]) -> frozenset[Right]:
        """The rights of an account that remain."""
        kept = {right for right in held if right in _WRITING and any(self.may_write(k) for k in _WRITING[right])}
        if self.writes and Right.RECORD in held:  # each write is held against its own type beside it
            kept.add(Right.RECORD)
        return frozenset(kept)


def read(words: Iterable[str]) -> Scopes | None:
    """The scopes among the words of a token; None where it speaks of no resource, and so narrows nothing.

    A scope with a query, or one of a form that is not known, grants nothing. Reading wants both read and search.
    """
    reads: set[str] = set()
    writes: set[str] = set()
    patient = found = False
    for word in words:
        if not _CLINICAL.match(word):
            continue
        found = True
        match = _SCOPE.fullmatch(word)
        if match is None:
            continue
        level, kind, may = match.groups()
        patient = patient or level == "patient"
        if may in ("read", EVERYTHING) or {"r", "s"} <= set(may if may not in ("read", "write") else ""):
            reads.add(kind)
        if may in ("write", EVERYTHING) or {"c", "u"} <= set(may if may not in ("read", "write") else ""):
            writes.add(kind)
    return Scopes(frozenset(reads), frozenset(writes), patient) if found else None
