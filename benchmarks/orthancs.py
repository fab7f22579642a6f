"""``make test-orthanc``: the enforcement suite against this machine's Orthanc, trixie's and sid's.

Another Debian's Orthanc is unpacked, with every library it needs, into a folder of its own under ``.run/orthancs``:
nothing is installed, nothing runs as root, and its loader finds its own libraries alone. A suite whose packages cannot
be had is named in the result, and the exit status tells it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import ROOT
from tests.archive import ORTHANC

FOLDER = ROOT / ".run" / "orthancs"
SUITES = ("trixie", "sid")
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = ("orthanc", "orthanc-python", "orthanc-dicomweb", "libc6", "libpq5", "python3-cryptography")
TESTS = (
    *("tests/wall", "tests/doors", "tests/matrix", "tests/census", "tests/fuzz"),
    *("tests/pipeline", "tests/workspace/test_served.py", "tests/workspace/test_deposits.py"),
    "tests/assembly/test_doctor.py",
)
_SHOWN = ("orthanc", "orthanc-python", "orthanc-dicomweb")
_SECONDS = 900
"""For one suite's download."""

_WRAPPER = """#!/bin/sh
# Orthanc of Debian {suite}, with its own loader, libraries, Python and dictionary.
root={root}
export PYTHONHOME="$root/usr" DCMDICTPATH="$root/{dictionary}"
exec "$root/{loader}" --library-path "$root/usr/lib/{triplet}:$root/usr/lib" "$root/usr/sbin/Orthanc" "$@"
"""


@dataclass(frozen=True, slots=True)
class Version:
    """One Orthanc that can be started."""

    suite: str
    versions: str
    folder: Path | None
    """Where it was unpacked; None: the machine's own."""


class NotToBeHad(Exception):
    """The packages of a suite could not be downloaded. The text holds apt's own words."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite against each; 0 when all passed and none was missing."""
    chosen = tuple(sys.argv[1:] if arguments is None else arguments) or ("here", *SUITES)
    lines: list[tuple[str, str, str]] = []
    whole = True
    for suite in chosen:
        try:
            version = here() if suite == "here" else unpack(suite)
        except NotToBeHad as error:
            lines.append((suite, "-", f"NOT RUN: {error}"))
            whole = False
            continue
        print(f"== {version.suite}: {version.versions}", flush=True)
        started = time.monotonic()
        passed, summary = run(version)
        whole = whole and passed
        words = f"{'passed' if passed else 'FAILED'}: {summary} ({time.monotonic() - started:.0f} s)"
        lines.append((version.suite, version.versions, words))
    width = max(len(suite) for suite, _, _ in lines)
    print()
    for suite, versions, words in lines:
        print(f"{suite:{width}}  {versions}\n{'':{width}}  {words}")
    return 0 if whole else 1


def run(version: Version) -> tuple[bool, str]:
    """The enforcement suite against one of them."""
    environment = {name: value for name, value in os.environ.items() if name != ORTHANC}
    if version.folder is not None:
        environment[ORTHANC] = str(version.folder)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "-n", "0", "-m", "not browser and not full", *TESTS],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode:
        print(done.stdout[-8000:], done.stderr[-2000:], flush=True)
    return done.returncode == 0, lines[-1].strip("= ") if lines else done.stderr[-200:]


def here() -> Version:
    """The machine's own."""
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${Version}\n", *_SHOWN], capture_output=True, text=True, check=False
    ).stdout
    return Version("here", ", ".join(shown.splitlines()), None)


def unpack(suite: str) -> Version:
    """Another Debian's, downloaded and unpacked once.

    Raises
    ------
    NotToBeHad
        apt could not get it.
    """
    folder = FOLDER / suite
    versions = folder / "versions"
    if not versions.exists():
        shutil.rmtree(folder, ignore_errors=True)
        debs = _download(suite, folder)
        root = folder / "root"
        for deb in debs:
            subprocess.run(["dpkg-deb", "-x", str(deb), str(root)], check=True)
        _wrap(suite, folder, root)
        found = {name: _field(deb, "Version") for deb in debs if (name := _field(deb, "Package")) in _SHOWN}
        shutil.rmtree(folder / "apt")
        versions.write_text(", ".join(f"{name} {found[name]}" for name in _SHOWN), "utf-8")
    return Version(suite, versions.read_text("utf-8"), folder)


def _download(suite: str, folder: Path) -> list[Path]:
    """All packages, with what they depend on, as for an empty machine."""
    apt = folder / "apt"
    for name in ("state/lists/partial", "cache/archives/partial", "etc"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "etc" / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {suite} main\n", "ascii")
    options = {
        "Dir::State": apt / "state",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": apt / "etc" / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
        "Acquire::Check-Valid-Until": "false",  # a mirror that stands still is good enough for a test
        "Debug::NoLocking": "true",
    }
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    for command in (["update"], ["install", "-y", "--download-only", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", "-q", *words, *command], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        if done.returncode:
            raise NotToBeHad((done.stderr or done.stdout).strip()[-400:].replace("\n", " "))
    return sorted((apt / "cache" / "archives").glob("*.deb"))


def _wrap(suite: str, folder: Path, root: Path) -> None:
    """The program ``Orthanc`` of the folder, which starts the unpacked one."""
    loader = next(path for path in (root / "usr" / "lib64", root / "lib64", root / "usr" / "lib") if path.is_dir())
    program = next(loader.glob("ld-linux*.so*"))
    triplet = next((root / "usr" / "lib").glob("*-linux-gnu")).name
    dictionary = next((root / "usr" / "share").glob("**/dicom.dic"))
    wrapper = folder / "Orthanc"
    text = _WRAPPER.format(
        suite=suite,
        root=root,
        loader=program.relative_to(root),
        triplet=triplet,
        dictionary=dictionary.relative_to(root),
    )
    wrapper.write_text(text, "utf-8")
    wrapper.chmod(0o755)
    plugins = folder / "plugins"
    plugins.symlink_to(next((root / "usr").glob("**/libOrthancPython.so*")).parent, target_is_directory=True)


def _field(deb: Path, name: str) -> str:
    return subprocess.run(["dpkg-deb", "-f", str(deb), name], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
