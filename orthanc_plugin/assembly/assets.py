"""Installs what browsers load: the locked npm packages of the workspace, and the OHIF viewer.

``python -m orthanc_plugin.assembly.assets FOLDER [--viewer] [--tests]``. The packages come from the registry that npm
is set up for; the lock file holds their hashes and no address.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from orthanc_plugin.assembly import ohif
from orthanc_plugin.assembly.errors import AssemblyError

_FILES = ("package.json", "package-lock.json", ".npmrc")
_TIMEOUT = 600  # seconds for one run of npm


def install(folder: Path, *, viewer: bool, tests: bool, project: Path) -> None:
    """Fill the folder: ``node_modules``, and ``ohif`` where the viewer is wanted.

    Parameters
    ----------
    tests
        Also what the tests alone need.
    project
        The folder of ``package.json`` and its lock file.

    Raises
    ------
    AssemblyError
        npm failed, or a package is not the one that was locked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        shutil.copyfile(project / name, folder / name)
    _npm(["ci", "--ignore-scripts", *([] if tests else ["--omit=dev"])], folder)
    mark = folder / "ohif.installed"
    if not viewer or (mark.is_file() and mark.read_text("ascii") == ohif.recipe()):
        return
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        shutil.copyfile(project / ".npmrc", work / ".npmrc")
        _npm(["pack", "--silent", f"{ohif.PACKAGE}@{ohif.VERSION}"], work)
        archive = next(work.glob("*.tgz"))
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != ohif.INTEGRITY:
            raise AssemblyError(f"{ohif.PACKAGE}@{ohif.VERSION}: the package that came is not the one that is expected")
        with tarfile.open(archive) as packed:
            packed.extractall(work, filter="data")
        ohif.prepare(work / "package", folder / "ohif")
    mark.write_text(ohif.recipe(), "ascii")


def _npm(words: Sequence[str], folder: Path) -> None:
    program = shutil.which("npm")
    if program is None:
        raise AssemblyError("npm is not installed; docker/install.sh installs it")
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
        raise AssemblyError(f"npm {words[0]} failed: " + " ".join(lines[:3]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the module."""
    parser = argparse.ArgumentParser(prog="orthanc_plugin.assembly.assets", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--viewer", action="store_true", help="the OHIF viewer as well (90 MB)")
    parser.add_argument("--tests", action="store_true", help="also what the tests alone need")
    chosen = parser.parse_args(arguments)
    project = Path(__file__).parents[2]
    if not (project / "package.json").is_file():
        project = Path.cwd()
    try:
        install(chosen.folder.resolve(), viewer=chosen.viewer, tests=chosen.tests, project=project)
    except AssemblyError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
