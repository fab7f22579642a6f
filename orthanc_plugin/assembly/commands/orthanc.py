"""``photospine orthanc``: an existing Orthanc, taken behind the wall."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from orthanc_plugin.assembly.commands._common import JsonOption, SettingsOption, failing, show
from orthanc_plugin.assembly.settings import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("orthanc")(orthanc)


def orthanc(
    configuration: Annotated[Path, typer.Argument(help="Orthanc's configuration: a file, or a folder of them.")],
    output: Annotated[Path, typer.Option("--output", help="The file to write.")],
    plugins: Annotated[Path, typer.Option("--plugins", help="The folder of Orthanc's plugins.")] = Path(
        "/usr/lib/orthanc"
    ),
    settings_file: SettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an existing Orthanc's configuration as it must be behind the wall, and say what was changed."""
    from orthanc_plugin.assembly import orthanc_configuration as existing
    from orthanc_plugin.assembly import wall_folder

    with failing():
        settings = load(settings_file)
        former = existing.read(configuration)
        script = output.absolute().with_suffix(".py")
        existing.spare(configuration, former, output, script)
        wall = settings.wall or wall_folder.DEFAULT
        wall_folder.build(wall)
        packages = wall_folder.link_ours(output.absolute().parent / "packages")
        script.write_text(existing.loader(wall, packages), "utf-8")
        needed = existing.needs(settings, plugins, script)
        walled = existing.behind_the_wall(former, needed, settings)
        output.touch(mode=0o600)
        output.write_text(json.dumps(walled.configuration, indent=1) + "\n", "utf-8")
    text = [*(f"changed  {each}" for each in walled.changed), f"written  {output}: start Orthanc with it"]
    show({"changed": walled.changed, "configuration": str(output)}, as_json, "\n".join(text))
