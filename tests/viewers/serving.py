"""``serve`` with OHIF before an Orthanc, for a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from orthanc_plugin.assembly.serve import build
from tests.archive import Archive
from tests.ports import free_port
from tests.workspace.conftest import Running, assets


@contextmanager
def serving(archive: Archive) -> Iterator[str]:
    """Its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    settings = replace(
        archive.settings,
        assets=assets(),
        ohif=assets() / "ohif",
        orthanc=f"http://127.0.0.1:{archive.port}",
        public_url=address,
    )
    served = build(settings)
    try:
        with Running(served.app, port):
            yield address
    finally:
        served.close()
