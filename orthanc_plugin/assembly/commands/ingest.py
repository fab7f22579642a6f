"""``photospine ingest``: files become photos of a visit, with the record that comes with them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from consent.store.engine import reading
from consent.types import Laterality, Right
from dicom_bridge.errors import BridgeError
from dicom_bridge.intake import kind_of, require_name
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view
from dicom_bridge.pipeline import Outcome, Taken
from dicom_bridge.plan import Plan
from dicom_bridge.way import Arrow
from fhir_mapping.errors import MappingError
from fhir_mapping.text import MAX_BUNDLE_BYTES
from orthanc_plugin.assembly.commands._common import (
    AsOption,
    JsonOption,
    SettingsOption,
    account_of,
    failing,
    os_user,
    require,
)
from orthanc_plugin.assembly.commands._words import (
    ALSO,
    EXPRESSION,
    PATIENT,
    REGION,
    SIDE,
    VIEW,
    VISIT,
    also_coded,
    coded,
    finder,
    require_text,
    taken_at,
)
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.intake import open_archive, pipeline
from orthanc_plugin.assembly.open import Node, open_node
from orthanc_plugin.assembly.record import record_store
from orthanc_plugin.assembly.settings import load

_LONG = 4
"""From so many files on, a bar shows how far it is."""

_LARGEST = (1 << 31) - 1
"""Of a positiveInt (R4)."""

_SAID = {
    Outcome.ADDED: "added",
    Outcome.KNOWN: "known already",
    Outcome.UNLINKED: "kept unseen: the file is known as another patient's photo, and a task asks a person",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(ingest)


def ingest(
    files: Annotated[list[Path], typer.Argument(help="Photo files of one view.", show_default=False)],
    patient: Annotated[str, PATIENT],
    visit: Annotated[str, VISIT],
    region: Annotated[str, REGION],
    laterality: Annotated[Laterality, SIDE],
    view: Annotated[str, VIEW],
    also_region: Annotated[list[str] | None, ALSO] = None,
    session: Annotated[
        int | None, typer.Option(min=1, max=_LARGEST, help="Number of the session within its course.")
    ] = None,
    expression: Annotated[str | None, EXPRESSION] = None,
    procedure: Annotated[str | None, typer.Option(help="Procedure, or the fullUrl of one in --record.")] = None,
    clinician: Annotated[str | None, typer.Option(help="Practitioner who is the photo's author.")] = None,
    photographer: Annotated[str | None, typer.Option(help="Practitioner who took it.")] = None,
    taken: Annotated[str | None, typer.Option(help="When it was taken, as FHIR writes it; else EXIF says.")] = None,
    record: Annotated[Path | None, typer.Option(help="FHIR transaction Bundle to be written with the photos.")] = None,
    account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Take photographs in: all of the files, with their record, or none."""
    words = {
        "--as": account,
        "--patient": patient,
        "--visit": visit,
        "--procedure": procedure,
        "--clinician": clinician,
        "--photographer": photographer,
    }
    with failing(), open_node(load(settings)) as node:
        require_text(words)
        who = account_of(node, account)
        require(who, right=Right.CAPTURE)
        if record is not None:
            require(who, right=Right.RECORD)
        with reading(node.engine) as connection:
            find = finder(connection, record_store(node))
            body = None if record is None else _text(record)
            plan = Plan(
                account=who.account,
                os_user=os_user(),
                patient=find("--patient", "Patient", patient),
                visit=find("--visit", "Encounter", visit),
                region=coded("--region", find_region, region),
                laterality=laterality.value,
                view=coded("--view", find_view, view),
                expression=None if expression is None else coded("--expression", find_expression, expression),
                also=tuple(also_coded(each) for each in also_region or ()),
                session=session,
                procedure=_procedure(find, procedure, body),
                clinician=_person(find, "--clinician", clinician),
                photographer=_person(find, "--photographer", photographer),
                taken=taken_at(node, connection, taken),
                record=body,
            )
        results = _take(node, files, plan)
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results]))
        return
    for file, result in zip(files, results, strict=True):
        typer.echo(f"{_shown(file)}: {_SAID[result.outcome]}, photo {result.sop_uid}")
        if result.derivation is not None:
            typer.echo(f"  its viewing copy: {result.derivation}")


def _take(node: Node, files: list[Path], plan: Plan) -> list[Taken]:
    limit = node.settings.max_file_megabytes * 2**20
    data = [_photo(file, limit) for file in files]
    console = Console(stderr=True)
    with (
        open_archive(node) as archive,
        Progress(console=console, transient=True, disable=len(files) < _LONG or not console.is_terminal) as bar,
    ):
        task = bar.add_task("photos", total=len(files))

        def at(arrow: Arrow) -> None:
            if arrow is Arrow.ADDED:
                bar.advance(task)

        try:
            return pipeline(node, archive, at).take(data, plan)
        except BridgeError as error:
            digests = [hashlib.sha256(each).hexdigest() for each in data]
            if error.sha256 not in digests:
                raise
            raise AssemblyError(f"{_shown(files[digests.index(error.sha256)])}: {error}") from None
        except MappingError as error:
            if plan.record is None:
                raise
            raise AssemblyError(f"--record: {error}") from None


def _photo(file: Path, limit: int) -> bytes:
    """The bytes of an ordinary file; a pipe or a device would have no end."""
    name = _shown(file)
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise AssemblyError(f"{name}: it is no ordinary file; name the photo's own file")
        if status.st_size > limit:
            raise AssemblyError(f"{name}: it is larger than {limit} bytes (setting max_file_megabytes)")
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "its name cannot be one of a file"
        raise AssemblyError(f"{name}: {said}") from None
    try:
        require_name(name, kind_of(data))
    except BridgeError as error:
        raise AssemblyError(f"{name}: {error}") from None
    return data


def _shown(file: Path) -> str:
    """A file's name as it can be printed: bytes that are no UTF-8 and control characters are replaced."""
    name = os.fsencode(file.name or str(file)).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name)


def _person(find: Callable[[str, str, str], str], option: str, name: str | None) -> str | None:
    return None if name is None else f"Practitioner/{find(option, 'Practitioner', name)}"


def _procedure(find: Callable[[str, str, str], str], name: str | None, record: str | None) -> str | None:
    """The Procedure's id, or the name as it is where it may be a fullUrl of the record."""
    if name is None or (record is not None and ":" in name and "|" not in name):
        return name
    return find("--procedure", "Procedure", name)


def _text(file: Path) -> str:
    """The record as it was sent, every line end included."""
    name = _shown(file)
    try:
        if str(file) == "-":
            data = sys.stdin.buffer.read(MAX_BUNDLE_BYTES + 1)
        else:
            with file.open("rb") as source:
                data = source.read(MAX_BUNDLE_BYTES + 1)
        if len(data) > MAX_BUNDLE_BYTES:
            raise AssemblyError(f"--record: {name} is larger than {MAX_BUNDLE_BYTES} bytes")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise AssemblyError(f"--record: {name} is not UTF-8; save it so") from None
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "its name cannot be one of a file"
        raise AssemblyError(f"--record: {name}: {said}") from None
