"""``photospine serve``: the workspace, FHIR and DICOMweb for browsers, on one address."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.settings import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    settings: Annotated[Path | None, typer.Option("--settings", help="The settings file.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on.")] = None,
) -> None:
    """Serve the workspace, FHIR and DICOMweb to browsers until stopped."""
    from dataclasses import replace

    from orthanc_plugin.assembly import serve as served  # the web server is loaded for this command alone

    try:
        read = load(settings)
        read = replace(read, host=host or read.host, port=port or read.port)
        typer.echo(f"serve: http://{read.host}:{read.port}/")
        served.run(read)
    except AssemblyError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
