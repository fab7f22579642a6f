"""The one browser of a test process: a second one in the same process cannot be driven; and the order of the files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_LONGEST = ("tests/readme/", "tests/pages/", "tests/assembly/test_doctor.py", "tests/workspace/test_browser.py",
            "tests/workspace/test_consent", "tests/workspace/test_t", "tests/fhir/test_cut.py")  # fmt: skip
"""Files that take a minute or more: begun last, they would be waited for alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, of the distribution, without the window around its pages, which takes as long to draw as they do."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path="/usr/bin/chromium-headless-shell", args=_ARGUMENTS)
        yield opened
        opened.close()
