"""The image is built once for all its tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image import building
from tests.image.building import Image


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image of this checkout."""
    return building.build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def root(image: Image) -> Iterator[Path]:
    """Its root file system."""
    with building.unpacked(image) as folder:
        yield folder
