"""``photospine worker``: everything that nobody waits for."""

from __future__ import annotations

import signal
import threading
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from orthanc_plugin.assembly import memory
from orthanc_plugin.assembly.commands._common import JsonOption, SettingsOption, failing, show
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load

_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(worker)


def worker(
    settings: SettingsOption = None,
    once: Annotated[
        bool, typer.Option("--once", help="Look at every object that Orthanc holds, with progress, and return.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Work on arrivals, stored answers and recovery until stopped."""
    from orthanc_plugin.assembly import worker as process  # loaded for this command alone

    if once:
        with failing(), open_node(load(settings), process.ROLE) as node, open_archive(node) as archive:
            arrivals = process.worker_of(node, archive, lambda _: None, threading.Event()).arrivals
            with Progress(*_COLUMNS, console=Console(stderr=True), disable=as_json) as progress:
                bar = progress.add_task("objects", total=arrivals.outstanding())
                found = arrivals.look(everything=True, told=lambda: progress.advance(bar))
        show(
            asdict(found),
            as_json,
            f"{found.examined} objects were not known: {found.linked} are linked and seen, {found.others} are no "
            f"photos, {found.refused} cannot be kept, {found.waiting} wait for their visit or for a person",
        )
        return
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with failing(), open_node(load(settings), process.ROLE) as node:
        typer.echo("worker: at work")
        memory.begun()
        process.run(node, stopped)
