"""The small parts: opaque names, dates as people read them, birth dates as people type them, the prepared viewer."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from starlette.applications import Starlette

from orthanc_plugin.assembly import ohif
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.finding import birth_date
from orthanc_plugin.workspace.sealed import Seal
from orthanc_plugin.workspace.viewer import WORKERS, Viewer, policy
from tests.workspace.client import Client

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("number", [0, 1, 77, 2**40, 2**63 - 1])
def test_an_opaque_name_opens_again_under_its_own_seal_alone(number: int) -> None:
    seal = Seal(b"k" * 32, "PORTFOLIO", "")
    name = seal.name(number)
    assert seal.number(name) == number
    for other in (Seal(b"x" * 32, "PORTFOLIO", ""), Seal(b"k" * 32, "WEB", ""), Seal(b"k" * 32, "PORTFOLIO", "a")):
        assert other.number(name) is None
        assert other.name(number) != name


def test_a_changed_name_opens_nothing() -> None:
    seal = Seal(b"k" * 32, "PORTFOLIO", "")
    name = seal.name(5)
    for place in range(len(name)):
        changed = name[:place] + ("a" if name[place] != "a" else "b") + name[place + 1 :]
        assert seal.number(changed) is None
    for text in ("", "a", "é", name + "aaaaaaaa", "1.2.3"):
        assert seal.number(text) is None


@pytest.mark.parametrize(
    ("days", "text"),
    [(0, "same day"), (1, "1 day"), (13, "13 days"), (14, "2 weeks"), (84, "12 weeks"), (200, "7 months"),
     (900, "2.5 years")],
)  # fmt: skip
def test_intervals_read_as_clinicians_say_them(days: int, text: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert words.interval(start, start + timedelta(days=days)) == text


@pytest.mark.parametrize(
    ("birth", "text", "age"),
    [("1984-03-12", "12 Mar 1984", "42 years"), ("1984-03", "Mar 1984", ""), ("1984", "1984", ""), ("?", "?", ""),
     ("2025-06-15", "15 Jun 2025", "1 year"), ("2025-06-16", "16 Jun 2025", "0 years"),
     ("9999-12-31", "31 Dec 9999", "")],
)  # fmt: skip
def test_birth_dates_and_ages(birth: str, text: str, age: str) -> None:
    assert words.partial_date(birth) == text
    assert words.age(birth, date(2026, 6, 15)) == age


@pytest.mark.parametrize(
    ("typed", "date_"),
    [("1984", "1984"), ("1984-03", "1984-03"), ("12.3.1984", "1984-03-12"), ("12/03/1984", "1984-03-12"),
     ("1984-02-31", None), ("84", None), ("x", None), ("1-2-3-4", None), ("²01-1984", None)],
)  # fmt: skip
def test_birth_dates_are_understood_as_people_type_them(typed: str, date_: str | None) -> None:
    assert birth_date(typed) == date_


def test_the_viewer_is_moved_to_its_path_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    dist = tmp_path / "package" / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text(
        "<script>window.PUBLIC_URL = '/';</script><link href=\"/app.css\">"
        '<script rel="preload" as="script" type="module" src="/init-service-worker.js"></script>'
    )
    (dist / "app.js").write_text('x; __webpack_require__.p = "/";')
    (dist / "app.css").write_text("a{src:url(/f.woff2)} b{src:url(//cdn/x)}")
    (dist / "google.js").write_text("x")
    (dist / "app.js.map").write_text("x")
    ohif.prepare(tmp_path / "package", tmp_path / "ohif")
    made = tmp_path / "ohif"
    page = (made / "index.html").read_text()
    assert "window.PUBLIC_URL = '/ohif/'" in page
    assert 'href="/ohif/app.css"' in page
    assert "service-worker" not in page
    assert '__webpack_require__.p = "/ohif/"' in (made / "app.js").read_text()
    assert "url(/ohif/f.woff2)" in (made / "app.css").read_text()
    assert "wadoRoot: '/dicom-web'" in (made / "app-config.js").read_text()
    assert not (made / "google.js").exists()
    assert not (made / "app.js.map").exists()
    assert policy(page).count("'sha256-") == 1
    assert "script-src 'self' 'wasm-unsafe-eval' 'sha256-" in policy(page)
    assert "'unsafe-eval'" not in policy(page)


def test_the_viewer_has_texts_run_by_its_workers_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<script>start()</script>")
    (tmp_path / "decoder.js").write_text("new Function('return 1')")
    (tmp_path / "app.css").write_text("a{}")
    client = Client(Starlette(routes=Viewer(tmp_path).routes()))
    files = ("", "decoder.js", "app.css")
    policies = {each: client.get(f"/ohif/{each}").headers["content-security-policy"] for each in files}
    assert policies == {"": policy("<script>start()</script>"), "decoder.js": WORKERS, "app.css": policies[""]}
    assert "'unsafe-eval'" in WORKERS
    assert "script-src 'self' 'wasm-unsafe-eval' 'sha256-" in policies[""]


def test_another_package_is_not_prepared(tmp_path: Path) -> None:
    with pytest.raises(AssemblyError, match="unpack @ohif/app"):
        ohif.prepare(tmp_path, tmp_path / "ohif")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_text("x")
    with pytest.raises(AssemblyError, match="public path"):
        ohif.prepare(tmp_path, tmp_path / "ohif")
    assert not (tmp_path / "ohif").exists()
