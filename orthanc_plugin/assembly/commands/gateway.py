"""``photospine gateway``: the door for DICOM's own network protocol."""

from __future__ import annotations

import signal
import threading

import typer

from orthanc_plugin.assembly import memory
from orthanc_plugin.assembly.commands._common import SettingsOption, failing
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(gateway)


def gateway(settings: SettingsOption = None) -> None:
    """Serve C-ECHO, C-FIND, C-MOVE, C-GET, C-STORE and storage commitment until stopped."""
    from orthanc_plugin.assembly import gateway as process  # loaded for this command alone

    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with failing(), open_node(load(settings), process.ROLE) as node:
        read = node.settings
        typer.echo(f"gateway: {read.dimse_ae_title} at {read.dimse_host}:{read.dimse_port}")
        memory.begun()
        process.run(node, stopped)
