from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.archive import Archive
from tests.pipeline.world import World
from tests.ports import free_port


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One clinic for a module of tests."""
    with Archive(tmp_path_factory.mktemp("clinic"), free_port()) as archive:
        yield World(archive)
