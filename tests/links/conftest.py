from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.archive import Archive
from tests.links.doors import Doors, doors
from tests.links.world import Links
from tests.ports import free_port


@pytest.fixture(scope="package")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Links]:
    """One clinic for all of these tests: each takes visits of its own."""
    with Archive(tmp_path_factory.mktemp("clinic"), free_port()) as archive:
        yield Links(archive)


@pytest.fixture(scope="package")
def door(clinic: Links) -> Iterator[Doors]:
    """All doors of the clinic."""
    with doors(clinic) as made:
        yield made
