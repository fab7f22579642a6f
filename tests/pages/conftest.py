"""One demo clinic for all tests of the pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser

from orthanc_plugin.assembly.settings import FILE_NAME, Settings, load
from tests.pages.standing import clinic, furnish


@dataclass(frozen=True, slots=True)
class Standing:
    """A demo clinic that runs."""

    address: str
    settings: Settings


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Standing]:
    """Everything that a page is about is there."""
    folder = tmp_path_factory.mktemp("pages") / "demo"
    with clinic(folder) as address:
        furnish(browser, address)
        yield Standing(address, load(folder / FILE_NAME, {}))
