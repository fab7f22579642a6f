from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.archive import Archive
from tests.links.world import Links
from tests.ports import free_port


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Links]:
    """One clinic for a module of tests."""
    with Archive(tmp_path_factory.mktemp("clinic"), free_port()) as archive:
        yield Links(archive)
