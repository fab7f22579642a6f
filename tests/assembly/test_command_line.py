"""Whoever is asked for one command does not load them all."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from orthanc_plugin.assembly.cli import build

pytestmark = pytest.mark.fast


def _commands(name: str | None = None) -> list[str]:
    made = get_command(build(name))
    assert isinstance(made, TyperGroup)
    return sorted(made.commands)


_ALL = _commands()


@pytest.mark.parametrize("name", _ALL)
def test_a_command_that_is_named_is_built_alone(name: str) -> None:
    assert _commands(name) == [name]


@pytest.mark.parametrize("name", [None, "none-of-these", "", "_common", "import_"])
def test_all_are_built_where_none_is_named(name: str | None) -> None:
    assert _commands(name) == _ALL


@pytest.mark.parametrize(("words", "status", "told"), [
    (["nosuch"], 2, "No such command"),
    (["--help"], 0, "advisory"),
    (["account", "--help"], 0, "account [OPTIONS] COMMAND"),
    (["doctor", "import"], 2, "unexpected extra argument"),
])  # fmt: skip
def test_the_program_answers_as_it_would_with_all_of_them(words: list[str], status: int, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from orthanc_plugin.assembly.cli import main; main()", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert told in " ".join((done.stdout + done.stderr).split())
