"""Writes the next revision from the tables: what they have that the newest revision does not make.

``python -m orthanc_plugin.assembly.migrations.revise NAME``; read what it wrote, and add what moves data.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from orthanc_plugin.assembly.migrations import FOLDER, head, metadata, upgrade

VERSIONS = FOLDER / "versions"

_TEXT = '''"""{title}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    """Make what the tables have since."""
    {body}
'''


def source(title: str) -> str:
    """The text of the revision; empty where the newest one makes all that the tables have."""
    with create_engine("sqlite://").connect() as connection:
        upgrade(connection)
        script = produce_migrations(MigrationContext.configure(connection), metadata())
    if script.upgrade_ops is None or script.upgrade_ops.is_empty():
        return ""
    lines = render_python_code(script.upgrade_ops).splitlines()
    body = "\n".join(line for line in lines if not line.strip().startswith("#")).strip()
    before = head()
    return _TEXT.format(title=title, revision=f"{int(before) + 1:04d}", before=before, body=body)


def write(name: str, folder: Path = VERSIONS) -> Path | None:
    """Write the revision, in the house's format where ruff is at hand; None where there is nothing to write.

    Parameters
    ----------
    name
        A few words in lower case with underscores, for the file's name and title: ``dimse_peers``.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"a revision's name is of lower-case letters, digits and underscores, not {name!r}")
    text = source(name.replace("_", " ").capitalize() + ".")
    if not text:
        return None
    file = folder / f"v{int(head()) + 1:04d}_{name}.py"
    file.write_text(text, "utf-8")
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is not None:
        subprocess.run([ruff, "format", "--quiet", str(file)], check=True)
    return file


if __name__ == "__main__":
    print(write(sys.argv[1]) or "the newest revision makes all that the tables have")  # noqa: T201
