"""``photospine worker``: everything that nobody waits for."""

from __future__ import annotations

import signal
import threading

import typer

from orthanc_plugin.assembly.commands._common import SettingsOption, failing
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(worker)


def worker(settings: SettingsOption = None) -> None:
    """Work on arrivals, stored answers and recovery until stopped."""
    from orthanc_plugin.assembly import worker as process  # loaded for this command alone

    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with failing(), open_node(load(settings), process.ROLE) as node:
        typer.echo("worker: at work")
        process.run(node, stopped)
