"""The command ``photospine``. Each command is a module of :mod:`orthanc_plugin.assembly.commands`, of its
name; ``import``, which is a word of Python, is :mod:`.import_`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from importlib import metadata
from typing import Annotated

import typer

from orthanc_plugin.assembly import commands


def build(command: str | None = None) -> typer.Typer:
    """The command line: with every command, or with the one that is named, where there is one of this name.

    What each command needs takes a second to load, so whoever is asked for one does not load them all.
    """
    app = typer.Typer(
        name="photospine",
        no_args_is_help=True,
        invoke_without_command=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Clinical before/after photographs as records of the hospital's own systems.",
    )
    app.callback()(_root)
    known = {
        each.name.rstrip("_"): each.name for each in pkgutil.iter_modules(commands.__path__) if each.name[0] != "_"
    }
    for module in known.values() if command not in known else [known[command]]:
        importlib.import_module(f"{commands.__name__}.{module}").register(app)
    return app


def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Clinical before/after photographs as records of the hospital's own systems."""
    if version:
        typer.echo(f"photospine {metadata.version('photospine')}")
        raise typer.Exit


def main() -> None:
    """Entry point of the console script. Exit status: 0 done, 1 refused or failed, 2 wrong usage."""
    build(next((word for word in sys.argv[1:] if not word.startswith("-")), None))()
