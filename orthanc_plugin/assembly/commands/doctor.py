"""``photospine doctor``: proves on the running system that the wall stands, and names what is wrong with its remedy."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orthanc_plugin.assembly.commands._common import failing, os_user
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.settings import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    settings_file: Annotated[Path | None, typer.Option("--settings", help="The settings file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    accept_clock: Annotated[
        bool, typer.Option("--accept-clock", help="Record that the clock is right, where records are ahead of it.")
    ] = False,
) -> None:
    """Prove that the wall stands, and that keys, database and folders can be used; exit status 1 where one cannot."""
    from orthanc_plugin.assembly.clock import accept
    from orthanc_plugin.assembly.diagnosis import examine  # the archive's client is loaded for this command alone

    try:
        settings = load(settings_file)
    except AssemblyError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if accept_clock:
        with failing():
            accept(settings, os_user=os_user())
    findings = examine(settings)
    healthy = all(each.ok for each in findings)
    if as_json:
        typer.echo(json.dumps({"healthy": healthy, "findings": [asdict(each) for each in findings]}))
    else:
        for each in findings:
            typer.echo(f"{'ok  ' if each.ok else 'FAIL'}  {each.what}: {each.says}")
            if each.remedy:
                typer.echo(f"      -> {each.remedy}")
    if not healthy:
        raise typer.Exit(1)
