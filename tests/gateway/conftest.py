from __future__ import annotations

from collections.abc import Iterator

import pytest

from consent.types import Right
from tests.archive import Archive
from tests.databases import engine, postgres_cluster, url
from tests.gateway.world import Gate, gate
from tests.ports import free_port

__all__ = ["engine", "postgres_cluster", "url"]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A gateway and its Orthanc for a module of tests, with two patients; the peer VIEWER is the clinician's."""
    with Archive(tmp_path_factory.mktemp("gateway"), free_port()) as archive:
        archive.account("clinician", "TREAT")
        archive.account("portal", "PATRQT", confined_to="anna")
        archive.account("marketing", "PORTFOLIO", "WEB", "SOCIAL")
        archive.account("camera", "TREAT", rights=(Right.STORE,))
        archive.account("compliance", "HCOMPL")
        archive.patient("anna")
        archive.patient("ben")
        with gate(archive) as made:
            made.peer("VIEWER", "clinician")
            yield made
