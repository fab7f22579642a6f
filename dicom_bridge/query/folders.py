"""Names of files in an archive: folders as Orthanc names them, made of the attributes of permitted photos alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dicom_bridge.query.dictionary import tag
from dicom_bridge.query.index import text_of

_LONGEST = 64
_LEVELS = (
    ("PatientID", "PatientName"),
    ("AccessionNumber", "StudyDescription"),
    ("Modality", "SeriesDescription"),
)
_UNNAMED = ("Unknown Patient", "Unknown Study", "Unknown Series")


class Folders:
    """One archive's folders. Numbers count the photos that were placed, so they tell nothing of any other."""

    def __init__(self) -> None:
        self._named: dict[tuple[str, ...], str] = {}
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def place(self, attributes: Mapping[str, Any]) -> str:
        """Where the photo stands: ``PATIENT/STUDY/SERIES/XC000000.dcm``, each path once."""
        uids = tuple(text_of(attributes, tag(name)) for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID"))
        folder = ""
        for depth, keywords in enumerate(_LEVELS):
            folder = self._folder(folder, uids[: depth + 1], _name(attributes, keywords) or _UNNAMED[depth])
        number = self._counts.get(folder, 0)
        self._counts[folder] = number + 1
        return f"{folder}{_clean(text_of(attributes, tag('Modality')))[:2].upper()}{number:06d}.dcm"

    def _folder(self, above: str, uids: tuple[str, ...], name: str) -> str:
        """The folder of these UIDs; another with the same name is told apart by a number."""
        found = self._named.get(uids)
        if found is None:
            found, number = f"{above}{name}/", 2
            while found.casefold() in self._taken:
                found, number = f"{above}{name}-{number}/", number + 1
            self._taken.add(found.casefold())
            self._named[uids] = found
        return found


def _name(attributes: Mapping[str, Any], keywords: tuple[str, ...]) -> str:
    return _clean(" ".join(text_of(attributes, tag(keyword)) for keyword in keywords))


def _clean(text: str) -> str:
    """Letters, digits, and what no file system minds; a name that means something to one (``..``) cannot come of it."""
    kept = "".join(letter if letter.isalnum() or letter in "-_" else " " for letter in text)
    return " ".join(kept.split())[:_LONGEST].strip()
