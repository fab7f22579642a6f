"""A demo clinic of its own, with one thing of each kind that a page is about: a photo that waits, an open advisory, a
comparison that was kept."""

from __future__ import annotations

import base64
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, Page, expect

from orthanc_plugin.assembly.demo import __main__ as demo
from orthanc_plugin.assembly.demo import pictures
from tests.pages.drawn import portrait
from tests.pages.places import sign_in
from tests.ports import free_port

_PATIENCE = 60.0
"""Seconds until what was stored has been seen by the worker."""


@contextmanager
def clinic(folder: Path) -> Iterator[str]:
    """Start one in an empty folder; gives its address, and ends it."""
    ports = free_port(), free_port(), free_port()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield demo.up(folder, *ports, portrait=portrait(folder / "drawn.png")).public_url
    finally:
        demo.stop(folder)


def furnish(browser: Browser, address: str) -> None:
    """Have a photo wait, an advisory stand open and a comparison kept, where that is not so yet."""
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, address, "compliance")
    page.goto(f"{address}/advisory/found?lot=PS-2407A")
    page.get_by_role("button", name="Open an advisory").click()
    page.wait_for_url("**/advisory/*")
    context.close()
    _save_portfolio(browser, address)
    store(address, waiting())
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, address, "clinician")
    end = time.monotonic() + _PATIENCE
    page.goto(f"{address}/waiting")
    while not page.locator(".wait").count():
        if time.monotonic() > end:
            raise TimeoutError("the photo that was stored does not appear among those that wait")
        page.wait_for_timeout(400)
        page.reload()
    _keep_comparison(page, address)
    context.close()


def _keep_comparison(page: Page, address: str) -> None:
    page.goto(f"{address}/chart/patient/demo-anna")
    if not page.locator(".kept-pairs").count():
        page.locator("a.pair").nth(1).click()
        expect(page.locator(".pane.live")).to_have_count(2)
        page.get_by_role("button", name="Keep this comparison").click()
        expect(page.locator("#told")).to_contain_text("Kept.", timeout=30_000)


def _save_portfolio(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, address, "marketing")
    page.goto(f"{address}/portfolio/PORTFOLIO?area=face")
    if not page.locator(".kept a[href*=saved]").count():
        page.click(".keep > summary")
        page.fill("#keep-name", "Faces of this year")
        page.click(".keep button[type=submit]")
        page.wait_for_url("**/saved/*")
    context.close()


def waiting() -> bytes:
    """A DICOM object of another system, which says whose it is and not of which visit."""
    made = pictures.skin(tone=(214, 170, 144), marks="spots", severity=0.4, seed=7)
    with tempfile.TemporaryDirectory() as folder:
        photo, sent = Path(folder, "photo.jpg"), Path(folder, "sent.dcm")
        made.convert("RGB").save(photo, quality=88)
        subprocess.run(
            ["img2dcm", "-vlp", str(photo), str(sent), "-k", "PatientID=demo-anna", "-k", "Modality=XC"],
            check=True,
            capture_output=True,
        )
        return sent.read_bytes()


def store(address: str, dicom: bytes) -> None:
    """As another system does it: STOW-RS."""
    if urlsplit(address).hostname not in ("127.0.0.1", "localhost"):
        raise ValueError(f"{address} is not on this machine")
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + dicom + b"\r\n--b--\r\n"
    request = Request(f"{address}/dicom-web/studies", body, method="POST")  # on this machine, see above
    request.add_header("Content-Type", 'multipart/related; type="application/dicom"; boundary=b')
    request.add_header("Authorization", "Basic " + base64.b64encode(b"integrator:integrator-demo").decode())
    with urlopen(request, timeout=30) as answer:
        answer.read()
