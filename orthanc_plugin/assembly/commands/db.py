"""``photospine db``: the schema, the keys file, the settings in the database, and what is read of the record."""

from __future__ import annotations

from dataclasses import asdict

import typer

from orthanc_plugin.assembly.commands._common import JsonOption, SettingsOption, failing, os_user, show
from orthanc_plugin.assembly.settings import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(no_args_is_help=True, help="The database: schema, keys and settings.")
    group.command("upgrade")(upgrade)
    group.command("status")(status)
    group.command("rebuild")(rebuild)
    app.add_typer(group, name="db")


def upgrade(settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Bring the schema to this version, make the keys file where there is none, write the site's settings."""
    from orthanc_plugin.assembly import upgrade as steps  # Alembic is loaded for this command alone

    with failing():
        done = steps.upgrade(load(settings), os_user=os_user())
    text = f"schema {done.before or 'none'} -> {done.after}"
    text += ", keys made" if done.keys_made else ""
    text += ", settings written" if done.site_changed else ""
    text += ", issuers and lock-out written" if done.policy_changed else ""
    text += f", {done.rebuilt} resources read anew" if done.rebuilt else ""
    show(asdict(done), as_json, text)


def rebuild(settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Make anew what decisions, lists and searches read of the clinical record."""
    from orthanc_plugin.assembly import upgrade as steps

    with failing():
        count = steps.rebuild(load(settings), os_user=os_user())
    show({"resources": count}, as_json, f"{count} resources read anew")


def status(settings: SettingsOption = None, as_json: JsonOption = False) -> None:
    """Tell whether the database has the schema that this version needs; exit status 1 if not."""
    from orthanc_plugin.assembly import upgrade as steps

    with failing():
        found = steps.status(load(settings))
    text = f"schema {found.found or 'none'}, needed {found.needed}"
    show(
        {"found": found.found, "needed": found.needed, "fits": found.fits},
        as_json,
        text if found.fits else f"{text}: run 'photospine db upgrade'",
    )
    if not found.fits:
        raise typer.Exit(1)
