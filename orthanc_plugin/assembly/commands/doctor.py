"""``photospine doctor``: proves on the running system that the wall stands."""

from __future__ import annotations

import json
from http.client import HTTPException
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from consent.errors import ConsentError
from consent.store.engine import open_engine, reading
from consent.store.schema import require_schema
from orthanc_plugin.assembly.archive_process import WallDown, prove
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.settings import Settings, load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    settings_file: Annotated[Path | None, typer.Option("--settings", help="The settings file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Prove that the wall stands: canary, refusals, order of plugins; and that the database is of this version."""
    try:
        settings = load(settings_file)
    except AssemblyError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    findings = examine(settings)
    if as_json:
        typer.echo(json.dumps({"healthy": all(each["ok"] for each in findings), "findings": findings}))
    else:
        for each in findings:
            typer.echo(f"{'ok  ' if each['ok'] else 'FAIL'}  {each['what']}: {each['says']}")
    if not all(each["ok"] for each in findings):
        raise typer.Exit(1)


def examine(settings: Settings) -> list[dict[str, str | bool]]:
    """What was found, one entry for each thing examined."""
    return [_wall(settings), _database(settings)]


def _wall(settings: Settings) -> dict[str, str | bool]:
    try:
        standing = prove(settings.orthanc, settings)
    except (WallDown, ConsentError) as error:
        return {"what": "wall", "ok": False, "says": str(error)}
    except (OSError, HTTPException) as error:
        return {"what": "wall", "ok": False, "says": f"nobody answers at {settings.orthanc}: {type(error).__name__}"}
    return {"what": "wall", "ok": True, "says": f"stands at {settings.orthanc}, {len(standing.rows)} rows"}


def _database(settings: Settings) -> dict[str, str | bool]:
    engine = open_engine(settings.database)
    try:
        with reading(engine) as connection:
            require_schema(connection)
    except (ConsentError, SQLAlchemyError) as error:
        says = str(error) if isinstance(error, ConsentError) else f"cannot be used: {type(error).__name__}"
        return {"what": "database", "ok": False, "says": says}
    finally:
        engine.dispose()
    return {"what": "database", "ok": True, "says": "of this version"}
