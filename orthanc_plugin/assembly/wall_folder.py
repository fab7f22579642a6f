"""The folder of packages that the wall needs inside Orthanc: pure Python, so that one serves every Orthanc's Python."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from orthanc_plugin.assembly.errors import AssemblyError

LOCK = "requirements-wall.txt"
DEFAULT = Path(__file__).parents[2] / ".run" / "wall"
"""Where a checkout has them; an installed package is told by the setting ``wall``."""

SYSTEM_PYTHONS = ("/usr/bin/python3",)
_STAMP = "requirements.sha256"
_OURS = ("consent", "dicom_bridge", "orthanc_plugin")


class WallFolderError(AssemblyError):
    """The packages cannot be installed. The text holds pip's own words."""


def requirements_file() -> Path:
    """The locked requirements: in the project's folder in a checkout, else where the package's data was installed.

    Raises
    ------
    WallFolderError
        They are in neither place.
    """
    places = (Path(__file__).parents[2] / LOCK, Path(sys.prefix) / "share" / "photospine" / LOCK)
    for place in places:
        if place.is_file():
            return place
    raise WallFolderError(f"{LOCK} is missing: install Photospine anew, or run from a whole checkout")


def build(folder: Path = DEFAULT, requirements: Path | None = None, python: str = sys.executable) -> bool:
    """Install the locked packages, unless they are there already; tells whether anything was done.

    Parameters
    ----------
    requirements
        The locked requirements; None: those of this version.

    Raises
    ------
    WallFolderError
        pip refused: a hash differs, a package has no pure wheel, or the index cannot be reached.
    """
    requirements = requirements_file() if requirements is None else requirements
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = folder / _STAMP
    if stamp.exists() and stamp.read_text("ascii") == wanted:
        return False
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
            *("--target", str(fresh), "--platform", "any", "--implementation", "py", "--abi", "none"),
            *("--only-binary", ":all:", "--no-deps", "--require-hashes", "-r", str(requirements)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise WallFolderError(f"the wall's packages cannot be installed: {done.stderr.strip()[-2000:]}")
    compile_for(fresh)
    (fresh / _STAMP).write_text(wanted, "ascii")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return True


def compile_for(folder: Path, interpreters: Sequence[str] = SYSTEM_PYTHONS) -> None:
    """Compile what lies in a folder, with the interpreter whose library Orthanc loads: it halves the time to start.

    Compiled files of several Pythons lie side by side. Where an interpreter is missing, Orthanc compiles at its start.
    """
    for interpreter in interpreters:
        if Path(interpreter).exists():
            subprocess.run([interpreter, "-m", "compileall", "-q", "-j", "0", str(folder)], check=False)


def link_ours(folder: Path) -> Path:
    """A folder with our own packages alone, so that nothing else of an environment is importable inside Orthanc."""
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).parents[2]
    for name in _OURS:
        link = folder / name
        if link.is_symlink() and link.resolve() == (root / name).resolve():
            continue
        link.unlink(missing_ok=True)
        link.symlink_to(root / name, target_is_directory=True)
    return folder


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
