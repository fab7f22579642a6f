"""Builds the container image with buildah, on a base of Debian trixie; no engine and no registry is needed.

What the machine needs to reach its package sources (certificates, pip's and npm's configuration) is mounted for the
time of the build, so that the Dockerfile knows nothing of it and the image keeps nothing of it.
"""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
BASE = "docker.io/library/debian:trixie-slim"
NAME = "localhost/photospine-test"
SUITE, MIRROR = "trixie", "http://deb.debian.org/debian"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_BUILD_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Image:
    """A built image."""

    name: str
    configuration: dict[str, Any]
    """Its OCI configuration: ``User``, ``Env``, ``Cmd``, ``WorkingDir``, ``ExposedPorts``, ``Volumes``."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it sets."""
        return dict(entry.split("=", 1) for entry in self.configuration["Env"])


def missing() -> str | None:
    """Why the image cannot be built and run on this machine; None where it can."""
    if shutil.which("buildah") is None:
        return "buildah is not installed: docker/install.sh full"
    lacking = [name for name in ("ip", "unshare", "nsenter", "setpriv") if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not installed: docker/install.sh full"
    if os.geteuid() != 0:
        return "needs root, for the namespaces that the container runs in"
    return None


def build(work: Path) -> Image:
    """Build it; layers of an earlier build are taken up. ``work`` is for what is mounted meanwhile."""
    _base(work)
    words = ["bud", "--isolation", "chroot", "--layers", "--format", "docker", "--pull-never", *_mounts(work)]
    words += ["--ignorefile", str(ROOT / "docker" / "Dockerfile.dockerignore")]
    _buildah(*words, "-f", str(ROOT / "docker" / "Dockerfile"), "-t", NAME, str(ROOT))
    found = json.loads(_buildah("inspect", "--type", "image", NAME))
    return Image(NAME, found["Docker"]["config"])


@contextmanager
def unpacked(image: Image) -> Iterator[Path]:
    """The image's root file system, as a container of its own."""
    name = _buildah("from", "--pull-never", image.name).strip()
    try:
        yield Path(_buildah("mount", name).strip())
    finally:
        _buildah("umount", name)
        _buildah("rm", name)


def _base(work: Path) -> None:
    """The base image: as it is here, as a registry has it, or made from Debian's packages."""
    if _tried("inspect", "--type", "image", BASE) or _tried("pull", "-q", BASE):
        return
    tree = work / "base"
    subprocess.run(["debootstrap", "--variant=minbase", SUITE, str(tree), MIRROR], check=True, capture_output=True)
    name = _buildah("from", "scratch").strip()
    _buildah("add", name, str(tree), "/")
    _buildah("config", "--cmd", "bash", name)
    _buildah("commit", "-q", "--rm", name, BASE)
    shutil.rmtree(tree)


def _mounts(work: Path) -> list[str]:
    """What the machine reaches its package sources with, for the build alone."""
    folder = work / "sources"
    folder.mkdir(parents=True)
    given = configparser.ConfigParser(interpolation=None)
    given["global"] = {}
    shown = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    places: set[str] = set()
    for line in shown.splitlines():
        key, _, value = line.partition("=")
        name, text = key.rpartition(".")[2], value.strip("'\"").replace("\\n", " ")
        if name in ("index-url", "extra-index-url", "find-links", "trusted-host"):
            given["global"][name] = text
            places |= {urlsplit(word).path for word in text.split() if urlsplit(word).scheme in ("", "file")}
    if _CERTIFICATES.is_file():
        shutil.copyfile(_CERTIFICATES, folder / "ca.crt")
        given["global"]["cert"] = "/run/sources/ca.crt"
    with (folder / "pip.conf").open("w", encoding="utf-8") as file:
        given.write(file)
    registry = subprocess.run(["npm", "config", "get", "registry"], capture_output=True, text=True, check=True).stdout
    (folder / "npmrc").write_text(f"cafile=/run/sources/ca.crt\nregistry={registry.strip()}\n", "utf-8")
    inside = {f"{folder}": "/run/sources", f"{folder}/pip.conf": "/etc/pip.conf", f"{folder}/npmrc": "/root/.npmrc"}
    inside |= {str(_above(place)): str(_above(place)) for place in places if Path(place).is_dir()}
    return [word for outer, inner in inside.items() for word in ("-v", f"{outer}:{inner}:ro")]


def _above(place: str) -> Path:
    """The folder that an index's links may point into: the index's own parent, where the index is a ``simple`` one."""
    path = Path(place)
    return path.parent if path.name == "simple" else path


def _tried(*words: str) -> bool:
    return subprocess.run(["buildah", *words], capture_output=True, check=False).returncode == 0


def _buildah(*words: str) -> str:
    done = subprocess.run(
        ["buildah", *words], capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False, cwd=ROOT
    )
    assert done.returncode == 0, f"buildah {words[0]}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
