"""The one browser of a test process, where a second one cannot be driven; and who runs which file, in which order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_PAGES = "tests/pages/"
_LONGEST = ("tests/readme/", _PAGES, "tests/assembly/test_doctor.py", "tests/workspace/test_browser.py",
            "tests/workspace/test_consent", "tests/workspace/test_t", "tests/fhir/test_cut.py")  # fmt: skip
"""Files that take a minute or more: begun last, they would be waited for alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


class _Files(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """A file is run by one process, and so are all that share the clinic of the pages, which takes a minute to make."""

    def _split_scope(self, nodeid: str) -> str:
        return _PAGES if nodeid.startswith(_PAGES) else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Who runs what, where files stay whole."""
    return _Files(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, of the distribution, without the window around its pages, which takes as long to draw as they do."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path="/usr/bin/chromium-headless-shell", args=_ARGUMENTS)
        yield opened
        opened.close()
