"""The workspace in a real Chromium: a pair, sixty thumbnails and a facet, each by a cold server and a cold browser.

``python -m benchmarks.workspace [--photos N] [--rounds N]`` imports drawn photos of many patients into a real Orthanc
behind the wall, has the worker make what it makes, and then, for each round, starts ``photospine serve`` and Chromium
anew: it opens the gallery until all its thumbnails are drawn, follows a facet that was chosen by chance, and goes from
the page of a patient chosen by chance to two photos of one view of hers chosen by chance, clicking as a person does,
until both are drawn, and until they lie on each other. What a browser takes for the same thumbnails as plain files,
without a decision, is measured beside it in each round.

Before anything is measured it is proved that the wall stands.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from sqlalchemy import Engine, delete, func, select
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from benchmarks.timing import Times
from consent.store import jobs
from consent.store.engine import glancing, transaction
from consent.store.tables import job, photo
from dicom_bridge.compare.prepared import THUMBNAIL, WIDTHS
from dicom_bridge.legacy.patterns import pattern
from dicom_bridge.legacy.survey import Wishes
from dicom_bridge.pipeline import Outcome
from dicom_bridge.plan import Plan
from dicom_bridge.tables import rendition
from orthanc_plugin.assembly import legacy
from orthanc_plugin.assembly.archive_process import prove
from orthanc_plugin.assembly.demo.__main__ import RUN
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.open import Node
from orthanc_plugin.assembly.worker import worker_of
from tests.archive import Archive
from tests.compare.drawn import body, pair, scalp
from tests.pages.places import sign_in
from tests.pipeline.world import World
from tests.ports import free_port

PATIENTS = 800
THUMBNAILS = 60
FIRST_PIXELS, SIXTY, FACET = 400, 400, 200
"""Milliseconds at the 95th percentile that are to be reached."""

_VIEWS = ("frontal", "left-lateral", "right-lateral")
_WIDTH, _HEIGHT = 1440, 1800
_LANES = 4
_SEED = 20261126
_ALL = "allowed"
_DRAWN = """([selector, many]) => new Promise((done, failed) => {
  setTimeout(() => failed(new Error('the pictures do not come')), 20_000);
  const look = () => {
    const all = [...document.querySelectorAll(selector)].slice(0, many);
    const here = all.length >= many && all.every(each => each.complete && each.naturalWidth > 0);
    requestAnimationFrame(here ? () => done(performance.now()) : look);
  };
  look();
})"""
"""Milliseconds from the beginning of the navigation until so many pictures are there and one more frame was drawn."""

_READY = "() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40, help="0: the clinic is made alone")
    parser.add_argument("--folder", type=Path, help="keep the clinic here, and take the one that is here")
    options = parser.parse_args(arguments)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="photospine-bench-"))
    try:
        return _measure(folder, options.photos, options.rounds)
    finally:
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, photos: int, rounds: int) -> int:
    told = folder / "made.json"
    with _archive(folder / "walled", anew=not told.exists()) as archive:
        if not told.exists():
            told.write_text(json.dumps(asdict(_clinic(archive, photos))), encoding="utf-8")
        made = Made(**json.loads(told.read_text("utf-8")))
        if not rounds:
            return 0
        port = free_port()
        settings = _settings(archive, port)
        standing = prove(archive.process.url, archive.settings)
        assert standing.rows, "nothing may be reached: the wall does not stand"
        times: dict[str, list[float]] = defaultdict(list)
        clicks: list[int] = []
        with sync_playwright() as playwright, _plain(archive.engine) as plain:
            for number in range(rounds):
                draws = random.Random(_SEED + number)
                with _serve(settings, port) as address, _browser(playwright) as browser:
                    if number % 2:
                        _plain_page(browser, plain, times)
                    _gallery(browser, address, draws, times)
                    if not number % 2:
                        _plain_page(browser, plain, times)
                    clicks.append(_comparison(browser, address, made.patients, draws, times))
    _report(made, rounds, len(standing.rows), times, clicks)
    return 0


# --- the clinic -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Made:
    """The clinic that is measured."""

    photos: int
    patients: list[str]
    imported: float
    """Photos a second."""

    worked: float
    """Photos a second whose renditions were made and whose facets were indexed."""


@contextmanager
def _archive(folder: Path, *, anew: bool) -> Iterator[Archive]:
    """An Orthanc behind the wall: a new one, or the one that was left here."""
    if anew:
        shutil.rmtree(folder, ignore_errors=True)
    with Archive(folder, free_port(), anew=anew) as archive:
        yield archive


def _clinic(archive: Archive, photos: int) -> Made:
    world = World(archive)
    patients = _patients(world, max(1, min(PATIENTS, photos // 12)))
    files = _filled(archive.folder / "files", patients, photos)
    started = time.perf_counter()
    with world.node("import") as node:
        _import(node, files)
    taken = time.perf_counter() - started
    started = time.perf_counter()
    _work(world)
    return Made(photos, patients, photos / taken, photos / (time.perf_counter() - started))


def _settings(archive: Archive, port: int) -> Path:
    """A settings file for ``serve``."""
    file = archive.folder / "serve.toml"
    file.write_text(
        f'database = "{archive.settings.database}"\northanc = "{archive.settings.orthanc}"\nport = {port}\n'
        f'public_url = "http://127.0.0.1:{port}"\nassets = "{RUN / "assets"}"\n',
        encoding="utf-8",
    )
    return file


def _patients(world: World, many: int) -> list[str]:
    names = [f"p{number:04}" for number in range(many)]
    for name in names:
        world.person(name)
    return names


def _pictures() -> list[tuple[bytes, bytes]]:
    """Subjects at two sessions, as a camera brings them: the second is turned, scaled and shifted, of other light."""
    found = []
    for subject in range(8):
        drawn = pair(scalp if subject % 2 else body, subject)
        found.append((_large(drawn.fixed), _large(drawn.moving)))
    return found


def _large(picture: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as opened:
        opened.convert("RGB").resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
    return out.getvalue()


def _filled(place: Path, patients: list[str], photos: int) -> Path:
    """A folder of files, no two alike: a comment (T.81 B.2.4.5) in front of the picture tells them apart."""
    pictures = _pictures()
    for number in range(photos):
        of, turn = number % len(patients), number // len(patients)
        visit, view = turn // len(_VIEWS), turn % len(_VIEWS)
        day = f"{2022 + visit // 3}-{visit % 3 * 4 + 1 + of % 4:02}-{of % 28 + 1:02}"
        path = place / f"PID-{patients[of]}" / day / "face" / f"{_VIEWS[view]} {number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = pictures[(of + view) % len(pictures)][visit % 2]
        comment = f"{number}".encode()
        path.write_bytes(data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:])
    return place


def _import(node: Node, place: Path) -> None:
    wishes = Wishes((pattern("{patient}/{date:%Y-%m-%d}/{region}/{view} {}.jpg"),))
    told = legacy.Told()
    found = legacy.survey(node, legacy.files_below(node, [place]), wishes, _LANES, told)
    done = legacy.carry_out(node, found, Plan("clinician", "bench", "", "", "", "", ""), _LANES, told)
    assert all(each.outcome is Outcome.ADDED for each in done), [each.candidate.why for each in done][:3]
    shutil.rmtree(place)


def _work(world: World) -> None:
    """What the worker makes, but for judging: all renditions, and the index of facets."""
    with world.node("worker") as node, open_archive(node) as archive:
        worker = worker_of(node, archive, lambda _: None, Event())
        with transaction(node.engine) as connection:
            connection.execute(delete(job).where(job.c.kind == jobs.JUDGE))
        while worker.one_job() or worker.index_due():
            pass
        with glancing(node.engine) as connection:
            made = connection.execute(select(func.count()).select_from(rendition)).scalar_one()
            photos = connection.execute(select(func.count()).select_from(photo)).scalar_one()
    assert made == len(WIDTHS) * photos, f"{made} renditions of {photos} photos"


# --- servers and browsers ---------------------------------------------------------------------------------------------


@contextmanager
def _serve(settings: Path, port: int) -> Iterator[str]:
    """``photospine serve``, anew."""
    program = Path(sys.executable).with_name("photospine")
    process = subprocess.Popen(
        [program, "serve", "--settings", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 30
        while True:
            with socket.socket() as knocking:
                if knocking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("serve does not start")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _browser(playwright: Playwright) -> Iterator[Browser]:
    """Chromium, anew: nothing is in its cache."""
    browser = playwright.chromium.launch(
        executable_path=os.environ.get("PHOTOSPINE_TEST_CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
    )
    try:
        yield browser
    finally:
        browser.close()


@contextmanager
def _plain(engine: Engine) -> Iterator[str]:
    """The same thumbnails as files, on a page of nothing else, by the same web server in this process."""
    with tempfile.TemporaryDirectory() as folder:
        with glancing(engine) as connection:
            query = select(rendition.c.photo, rendition.c.jpeg).where(rendition.c.width == THUMBNAIL)
            rows = connection.execute(query.order_by(rendition.c.photo.desc()).limit(THUMBNAILS)).all()
        for row in rows:
            Path(folder, f"{row.photo}.jpg").write_bytes(bytes(row.jpeg))
        images = "".join(f'<li><img src="/files/{row.photo}.jpg" width="220"></li>' for row in rows)
        page = f"<!doctype html><title>Files</title><ul class=tiles>{images}</ul>"
        app = Starlette(
            routes=[
                Route("/", lambda _: HTMLResponse(page, headers={"Cache-Control": "no-store"})),
                Mount("/files", StaticFiles(directory=folder)),
            ]
        )
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.should_exit = True
            thread.join(10)


def _signed_in(browser: Browser, address: str, height: int = 900) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": height}).new_page()
    sign_in(page, address, "clinician")
    return page


# --- what is measured -------------------------------------------------------------------------------------------------


def _drawn(page: Page, selector: str, many: int) -> float:
    return float(page.evaluate(_DRAWN, [selector, many]))


def _plain_page(browser: Browser, address: str, times: dict[str, list[float]]) -> None:
    page = browser.new_context(viewport={"width": 1280, "height": 6000}).new_page()
    page.goto(address, wait_until="commit")
    times["files"].append(_drawn(page, ".tiles img", THUMBNAILS))
    page.context.close()


def _gallery(browser: Browser, address: str, draws: random.Random, times: dict[str, list[float]]) -> None:
    """The gallery with all its thumbnails in the window, and a facet of it."""
    page = _signed_in(browser, address, height=6000)
    page.goto(f"{address}/chart/photos", wait_until="commit")
    times["thumbnails"].append(_drawn(page, ".tiles img", THUMBNAILS))
    facets = page.locator(".filters .chips a[href*='='], .facets .panel a[href*='=']")
    chosen = facets.nth(draws.randrange(facets.count()))
    if not chosen.is_visible():
        page.locator(".facets summary").click()
    chosen.click()
    page.wait_for_url("**/chart/photos?*", wait_until="domcontentloaded")
    times["facet"].append(page.evaluate(_READY))
    page.context.close()


def _comparison(
    browser: Browser,
    address: str,
    patients: Sequence[str],
    draws: random.Random,
    times: dict[str, list[float]],
) -> int:
    """From a patient's page to two of her photos, laid on each other; tells the clicks."""
    page = _signed_in(browser, address)
    page.evaluate("sessionStorage.setItem('photospine-aligns', 'yes')")  # as the pair before in this window was left
    page.goto(f"{address}/chart/patient/{draws.choice(patients)}")
    page.wait_for_load_state("networkidle")
    views = defaultdict(list)
    for key, view in page.evaluate("[...document.querySelectorAll('.tile input')].map(e => [e.value, e.dataset.name])"):
        views[view].append(key)
    first, second = draws.sample(views[draws.choice(sorted(views))], 2)
    page.locator(f".tile:has(input[value='{first}']) label").click()
    page.locator(f".tile:has(input[value='{second}']) .open").click(no_wait_after=True)
    page.wait_for_url("**/chart/compare?*", wait_until="commit")
    times["pair"].append(_drawn(page, ".pane .still", 2))
    word = page.locator("#aligned")
    word.filter(has_text="align").wait_for(timeout=30_000)
    page.locator("#align:not([aria-busy=true])").wait_for(timeout=30_000)
    times["aligned" if "Aligned" in word.inner_text() else "not aligned"].append(page.evaluate("performance.now()"))
    shown = page.url
    assert first in shown, "the comparison shows another pair"
    assert second in shown, "the comparison shows another pair"
    page.context.close()
    return 2


def _report(made: Made, rounds: int, rows: int, times: Mapping[str, list[float]], clicks: list[int]) -> None:
    told = {name: Times.of(found) for name, found in times.items()}
    print("## The workspace in a browser\n")
    print(
        f"{made.photos:,} photos of {len(made.patients)} patients, {_WIDTH} x {_HEIGHT} pixels, in an Orthanc behind "
        f"the wall ({rows} routes); {rounds} rounds, each with `photospine serve` and Chromium anew. Imported at "
        f"{made.imported:.1f} a second; {len(WIDTHS)} renditions of each made, and all facets indexed, at "
        f"{made.worked:.1f} photos a second.\n"
    )
    print("| milliseconds until | median | 95th percentile | asked |\n|---|---:|---:|---:|")
    for name, words, most in (
        ("pair", "both photos of a pair are drawn, from the click on", FIRST_PIXELS),
        ("thumbnails", f"{THUMBNAILS} thumbnails are drawn, from the click on", SIXTY),
        ("files", f"{THUMBNAILS} thumbnails are drawn: plain files, no decision", None),
        ("facet", "a facet is answered, with the counts of all others", FACET),
        ("aligned", "the pair lies on each other", None),
        ("not aligned", "it is said that the pair cannot be aligned", None),
    ):
        if name in told:
            one = told[name]
            print(f"| {words} | {one.median:.0f} | {one.p95:.0f} | {'' if most is None else f'{most}'} |")
    aligned = len(times.get("aligned", ()))
    print(
        f"\nThe pair, chosen by chance, was open after {max(clicks)} clicks at most, and aligned in {aligned} of "
        f"{len(clicks)}; sixty thumbnails take {told['thumbnails'].median / told['files'].median:.1f} times what they "
        "take as files."
    )


if __name__ == "__main__":
    raise SystemExit(main())
