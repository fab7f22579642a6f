"""What is typed at commands: resources of the record by their names, codes, times."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

import typer
from sqlalchemy import Connection

from consent.regions import BodyRegion
from consent.store import clock
from consent.types import Laterality
from dicom_bridge.errors import UnknownCode
from dicom_bridge.objects.vocabulary import Term, find_region
from fhir_mapping import dates
from fhir_mapping.errors import MappingError
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.open import Node

PATIENT = typer.Option("--patient", help="Patient: FHIR id, system|value, or a value that is unique.")
VISIT = typer.Option("--visit", help="Encounter, named likewise.")
REGION = typer.Option("--region", help="Region of the body: a name (face) or system|code.")
SIDE = typer.Option("--laterality", help="Side: R, L or B (both).")
VIEW = typer.Option("--view", help="View: a name (frontal) or system|code.")
ALSO = typer.Option(
    "--also-region",
    help="A further region that it shows, treated or not: hand, or with its side hand:R. Repeatable.",
)
EXPRESSION = typer.Option("--expression", help="Expression: a name (smile) or system|code.")
"""Options that several commands have; each says itself whether it must be given."""

_AHEAD = timedelta(minutes=5)
"""So far may the clock of whoever says when a photo was taken be before the database's."""

#: R4 dateTime.
_DATE_TIME = re.compile(
    r"[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00))?)?)?",
    re.ASCII,
)


def require_text(words: Mapping[str, str | None]) -> None:
    """Let words go on that are texts: bytes that are none name nothing in the record, and no database takes them.

    Raises
    ------
    AssemblyError
    """
    for option, word in words.items():
        if word is not None and any("\ud800" <= letter <= "\udfff" for letter in word):
            raise AssemblyError(f"{option}: it is not UTF-8; write it anew")


def coded(option: str, find: Callable[[str], BodyRegion | Term], word: str) -> str:
    """The code, ``system|code``, of a region, view or expression that is named at an option.

    Raises
    ------
    AssemblyError
    """
    try:
        return find(word).code
    except UnknownCode as error:
        raise AssemblyError(f"{option}: {error}") from None


def also_coded(word: str) -> str:
    """A further region, ``NAME``, ``NAME:R`` or ``system|code``, as a plan holds it: ``system|code#R``.

    Raises
    ------
    AssemblyError
    """
    name, colon, side = word.rpartition(":")
    if not colon or side not in list(Laterality):
        return coded("--also-region", find_region, word)
    return f"{coded('--also-region', find_region, name)}#{side}"


def finder(connection: Connection, store: RecordStore) -> Callable[[str, str, str], str]:
    """Finds the id of what an option names: option, type, name. What it does not find is an AssemblyError."""

    def find(option: str, kind: str, name: str) -> str:
        try:
            return store.find(connection, kind, name)
        except MappingError as error:
            raise AssemblyError(f"{option}: {error}") from None

    return find


def taken_at(node: Node, connection: Connection, text: str | None) -> str | None:
    """When a photo was taken, as ``--taken`` says it.

    Raises
    ------
    AssemblyError
    """
    if text is not None:
        if not _DATE_TIME.fullmatch(text):
            raise AssemblyError("--taken: write a day, 2026-05-03, or a time with its zone, 2026-05-03T10:00:00+02:00")
        try:
            start = dates.span(text, node.site.zone).start
        except (ValueError, OverflowError) as error:
            raise AssemblyError(f"--taken: {error}") from None
        if start is not None and start > clock.now(connection) + _AHEAD:
            raise AssemblyError("--taken: it lies in the future")
    return text
