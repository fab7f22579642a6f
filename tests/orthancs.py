"""Which Orthancs a test runs against: the one chosen, by default the machine's; at full counts all three."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.orthancs import SUITES, NotToBeHad, unpack
from tests.archive import ORTHANC
from tests.counts import FULL

HERE = "of this machine"


def each_orthanc() -> list[str]:
    """Names for parametrizing: a chosen Orthanc alone, else the machine's, at full counts with the other suites."""
    chosen = os.environ.get(ORTHANC)
    if chosen is not None:
        return [Path(chosen).name]
    return [HERE, *(SUITES if FULL else ())]


def use(orthanc: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the archives of this test run on it; one that cannot be had is reported as not run."""
    if orthanc == HERE or os.environ.get(ORTHANC) is not None:
        return
    try:
        found = unpack(orthanc)
    except NotToBeHad as error:
        pytest.skip(f"Orthanc of {orthanc}: {error}")
    monkeypatch.setenv(ORTHANC, str(found.folder))
