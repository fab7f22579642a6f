from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import counts
from tests.withdrawal.nodes import Two, two


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Two nodes for all these tests: what takes long is the photos."""
    number = counts.count("withdrawal on two nodes: photos", small=60, full=200)
    with two(tmp_path_factory.mktemp("withdrawal"), number) as made:
        yield made
