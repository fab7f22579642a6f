"""What commands share: options, errors as exit statuses, and who it is that asks."""

from __future__ import annotations

import getpass
import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from sqlalchemy.exc import SQLAlchemyError

from consent.errors import ConsentError
from consent.identity.accounts import requester
from consent.store.engine import glancing
from consent.types import Requester, Right
from dicom_bridge.errors import BridgeError
from fhir_mapping.errors import MappingError
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.open import Node

SettingsOption = Annotated[Path | None, typer.Option("--settings", help="The settings file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
AsOption = Annotated[
    str | None,
    typer.Option("--as", envvar="PHOTOSPINE_ACCOUNT", help="The account on whose behalf this is done."),
]


def taking(options: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the parameters of ``options`` in place of its first one, which gets what is made of them.

    So commands that ask for the same things name them once.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        shared, own = (inspect.signature(each, eval_str=True) for each in (options, command))
        first, *others = own.parameters.values()

        @wraps(command)
        def run(**given: Any) -> None:
            made = options(**{name: given.pop(name) for name in shared.parameters})
            command(**{first.name: made}, **given)

        parameters = [*shared.parameters.values(), *others]
        vars(run)["__signature__"] = own.replace(parameters=parameters)
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


@contextmanager
def failing() -> Iterator[None]:
    """Turn what can go wrong into one line on standard error and exit status 1."""
    try:
        yield
    except (AssemblyError, ConsentError, BridgeError, MappingError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except SQLAlchemyError as error:
        typer.echo(f"the database refuses: {type(error).__name__}", err=True)
        raise typer.Exit(1) from None


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A new file to fill; nothing of it stays where that fails.

    Raises
    ------
    AssemblyError
        It is there already, or cannot be written.
    """
    whole = opened = False
    try:
        with path.open("xb") as file:
            opened = True
            yield file
        whole = True
    except OSError as error:
        raise AssemblyError(f"{path} cannot be written: {error.strerror or type(error).__name__}") from None
    finally:
        if opened and not whole:
            path.unlink(missing_ok=True)


def show(value: Any, as_json: bool, text: str) -> None:
    """Print a result for machines or for people."""
    typer.echo(json.dumps(value, ensure_ascii=False) if as_json else text)


def account_of(node: Node, name: str | None) -> Requester:
    """The account given with ``--as``.

    Raises
    ------
    AssemblyError
        None was given, or there is no such active account.
    """
    if name is None:
        raise AssemblyError("say on whose behalf: --as ACCOUNT, or PHOTOSPINE_ACCOUNT in the environment")
    with glancing(node.engine) as connection:
        found = requester(connection, name)
    if found is None:
        raise AssemblyError(f"there is no active account {name}")
    return found


def require(requester: Requester, *, right: Right | None = None, purpose: str | None = None) -> None:
    """Let an account go on that has the right and holds the purpose.

    Raises
    ------
    AssemblyError
        The text names what it lacks.
    """
    if right is not None and right not in requester.rights:
        raise AssemblyError(f"account {requester.account} lacks the right {right.value!r}")
    if purpose is not None and purpose not in requester.purposes:
        raise AssemblyError(f"account {requester.account} does not hold the purpose {purpose}")


_YEARS = range(1900, 3000)


def local(typed: datetime) -> datetime:
    """A time that was typed, of this machine's clock.

    Raises
    ------
    AssemblyError
        No clock shows it: not every time zone has it.
    """
    if typed.year not in _YEARS:
        raise AssemblyError(f"a time lies from {_YEARS[0]} to {_YEARS[-1]}, and not in {typed.year}")
    return typed.astimezone()


def os_user() -> str:
    """The name of the operating system's user, for audit records."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
