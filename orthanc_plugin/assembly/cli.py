"""The command ``photospine``. Each command is a module of :mod:`orthanc_plugin.assembly.commands`."""

from __future__ import annotations

import importlib
import pkgutil
from importlib import metadata
from typing import Annotated

import typer

from orthanc_plugin.assembly import commands


def build() -> typer.Typer:
    """The command line with every command that is built."""
    app = typer.Typer(
        name="photospine",
        no_args_is_help=True,
        invoke_without_command=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Clinical before/after photographs as records of the hospital's own systems.",
    )
    app.callback()(_root)
    for module in pkgutil.iter_modules(commands.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{commands.__name__}.{module.name}").register(app)
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
    build()()
