"""An Orthanc without the wall over the same storage: what a superuser finds, and what requests have changed."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.archive import chosen
from tests.matrix.wire import Wire
from tests.ports import free_port

_PLUGIN_PLACES = ("/usr/lib/orthanc", "/usr/share/orthanc/plugins")


def program() -> str:
    """The Orthanc that is tested."""
    return chosen().get("program", "Orthanc")


@contextmanager
def bare(folder: Path, storage: Path) -> Iterator[Wire]:
    """Orthanc over a storage, with DICOMweb and everything open, on loopback."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    plugins = [chosen()["plugins"]] if "plugins" in chosen() else [Path(place) for place in _PLUGIN_PLACES]
    files = [file for place in plugins for file in sorted(place.glob("lib*.so*"))]
    loaded = {kind: str(file) for kind in ("DicomWeb", "WebViewer") for file in files if kind in file.name}
    configuration = {
        "StorageDirectory": str(storage),
        "IndexDirectory": str(storage),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "DicomModalities": {"other": ["OTHER", "127.0.0.1", 2000]},
        "OrthancPeers": {"other": ["http://127.0.0.1:1/"]},
        "Plugins": list(loaded.values()),
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Servers": {"other": ["http://127.0.0.1:1/"]}},
        "WebViewer": {"CachePath": str(folder / "cache")},
    }
    (folder / "bare.json").write_text(json.dumps(configuration), "utf-8")
    with (folder / "bare.log").open("wb") as log:
        process = subprocess.Popen([program(), str(folder / "bare.json")], stdout=log, stderr=log, cwd=folder)
        wire = Wire(port)
        try:
            _wait(wire, process, folder)
            yield wire
        finally:
            wire.close()
            process.terminate()
            process.wait(30)


def _wait(wire: Wire, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if wire.ask("GET", "/system", {}).status == 200:
                return
        except OSError:
            time.sleep(0.1)
        assert process.poll() is None, (folder / "bare.log").read_text("utf-8", errors="replace")[-2000:]
    raise AssertionError("Orthanc did not come up")


def holdings(wire: Wire) -> dict[str, Any]:
    """All that requests could have changed: objects, attachments, metadata, labels, protection, modalities, peers."""

    def get(path: str) -> Any:
        got = wire.ask("GET", path, {})
        return json.loads(got.body) if got.status == 200 else got.status

    found: dict[str, Any] = {path: get(path) for path in ("/modalities", "/peers", "/exports", "/queries")}
    for plural in ("patients", "studies", "series", "instances"):
        for identity in sorted(get(f"/{plural}")):
            base = f"/{plural}/{identity}"
            names = get(f"{base}/attachments")
            found[base] = {
                "attachments": {name: wire.ask("GET", f"{base}/attachments/{name}/md5", {}).body for name in names},
                "metadata": sorted(name for name in get(f"{base}/metadata") if name not in ("LastUpdate", "1024")),
                "labels": get(f"{base}/labels"),
            }
            if plural == "patients":
                got = wire.ask("GET", f"{base}/protected", {})
                found[base]["protected"] = got.body
    return found
