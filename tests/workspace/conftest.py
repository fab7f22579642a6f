"""The pages in a real Chromium: a server on loopback, a browser, and a watch for whatever a browser complains of."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
from starlette.applications import Starlette

from tests.databases import engine, postgres_cluster, url
from tests.ports import free_port
from tests.workspace.clinic import Clinic, Sessions
from tests.workspace.page import application

__all__ = ["engine", "postgres_cluster", "url"]


def assets() -> Path:
    """Where the browser packages are installed; ``make test`` does it."""
    folder = Path(os.environ.get("PHOTOSPINE_TEST_ASSETS", Path(__file__).parents[2] / ".run" / "assets"))
    if not (folder / "node_modules" / "axe-core").is_dir():
        pytest.fail(f"{folder} holds no browser packages: python -m orthanc_plugin.assembly.assets {folder} --tests")
    return folder


class Running:
    """An application on loopback."""

    def __init__(self, app: Starlette, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off", ws="none")
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Running:
        self._thread.start()
        end = time.monotonic() + 10
        while not self._server.started:
            if time.monotonic() > end:
                raise RuntimeError("the application does not start")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@dataclass(slots=True)
class Visit:
    """One browser with one visitor."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)
    """What the console said of errors, and every violation of the content policy."""

    def sign_in(self, name: str) -> None:
        """Through the form, as a person would."""
        self.page.goto(f"{self.address}/login")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(f"{name}-demo")
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda at: "/login" not in at)

    def go(self, path: str) -> None:
        """Open a page of the workspace and let it settle."""
        self.page.goto(self.address + path)
        self.page.wait_for_load_state("networkidle")


@pytest.fixture(scope="session")
def workspace() -> Iterator[tuple[Running, Clinic]]:
    clinic = Clinic()
    with Running(application(clinic, Sessions(), packages=assets()), free_port()) as running:
        yield running, clinic


@pytest.fixture
def visit(browser: Browser, workspace: tuple[Running, Clinic]) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(40_000)
    yield watched(context, workspace[0].address)
    context.close()


def watched(context: BrowserContext, address: str) -> Visit:
    """A visit whose complaints are written down."""
    visit = Visit(context.new_page(), address)

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error":
            visit.complaints.append(message.text)

    visit.page.on("console", listen)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"
    )
    return visit
