from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.archive import Archive
from tests.census.scene import Scene
from tests.ports import free_port


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """A walled Orthanc for a module of fuzzing."""
    with Archive(tmp_path_factory.mktemp("fuzzed"), free_port()) as made:
        yield made


@pytest.fixture(scope="module")
def scene(archive: Archive) -> Scene:
    """Its photos and callers."""
    return Scene(archive)
