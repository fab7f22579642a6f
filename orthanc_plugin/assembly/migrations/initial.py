"""Writes the initial revision from the tables of all packages; run it whenever a table changes before a release."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from orthanc_plugin.assembly.migrations import FOLDER, metadata

FILE = FOLDER / "versions" / "v0001_initial.py"

_HEAD = '''"""The first schema. Generated from the tables; see orthanc_plugin/assembly/migrations/initial.py."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    '''


def source() -> str:
    """The text of the revision."""
    with create_engine("sqlite://").connect() as connection:
        script = produce_migrations(MigrationContext.configure(connection), metadata())
    assert script.upgrade_ops is not None
    lines = render_python_code(script.upgrade_ops).splitlines()
    return _HEAD + "\n".join(line for line in lines if not line.strip().startswith("#")).strip() + "\n"


def write(file: Path = FILE) -> None:
    """Write the revision, in the house's format where ruff is at hand."""
    file.write_text(source(), "utf-8")
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if ruff is not None:
        subprocess.run([ruff, "format", "--quiet", str(file)], check=True)


if __name__ == "__main__":
    write()
