"""OHIF in a real Chromium opens partly permitted studies: it shows the rest, asks for nothing else, meets no error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Response, expect

from orthanc_plugin.workspace.viewer import COMPARE
from tests import counts
from tests.archive import Archive
from tests.ports import free_port
from tests.viewers.patterns import PATTERNS, Study, populate
from tests.viewers.serving import serving
from tests.workspace.canvas import colourful
from tests.workspace.conftest import watched

pytestmark = [pytest.mark.orthanc, pytest.mark.browser]

_NAME = "partly permitted studies opened in OHIF"
_SHOWN = [each for each in PATTERNS if "p" in each]


@dataclass(frozen=True, slots=True)
class _Viewer:
    address: str
    studies: tuple[Study, ...]


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Viewer]:
    with Archive(tmp_path_factory.mktemp("ohif"), free_port()) as archive:
        studies = populate(archive)
        with serving(archive) as address:
            yield _Viewer(address, studies)


def test_a_viewer_shows_what_is_permitted_and_meets_no_error(viewer: _Viewer, browser: Browser) -> None:
    asked = counts.count(_NAME, small=2, full=len(_SHOWN))
    started = time.monotonic()
    chosen = [each for each in viewer.studies if each.pattern in _SHOWN][:: len(_SHOWN) // asked][:asked]
    faults = {study.pattern: wrong for study in chosen if (wrong := _opened(viewer, browser, study))}
    counts.report(_NAME, asked=asked, run=len(chosen), failures=len(faults), started=started)
    assert faults == {}


def _opened(viewer: _Viewer, browser: Browser, study: Study) -> list[str]:
    """What was wrong when a clinician opened the study."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(60_000)
    visit = watched(context, viewer.address)
    answers: list[Response] = []
    visit.page.on("response", lambda answer: answers.append(answer))
    visit.sign_in("clinician")
    visit.page.goto(f"{viewer.address}/ohif/viewer?StudyInstanceUIDs={study.uid}")
    visit.page.wait_for_function(colourful(100), timeout=60_000)
    shown = visit.page.locator('[data-cy="study-browser-thumbnail"]')
    expect(shown).to_have_count(len({photo.series for photo in study.permitted}), timeout=20_000)
    urls = [answer.url for answer in answers if "/dicom-web/" in answer.url]
    wrong = [f"{answer.status} {answer.url}" for answer in answers if answer.status >= 400]
    wrong += [url for url in urls if any(photo.sop in url for photo in study.refused)]
    wrong += visit.complaints
    if not any(study.permitted[0].sop in url for url in urls):
        wrong.append("the first photo was not asked for")
    context.close()
    return wrong


def test_the_list_of_studies_holds_what_is_permitted(viewer: _Viewer, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    context.set_default_timeout(60_000)
    visit = watched(context, viewer.address)
    visit.sign_in("clinician")
    visit.page.goto(f"{viewer.address}/ohif/")
    expect(visit.page.locator('[data-cy="num-studies"]')).to_have_text(str(len(_SHOWN)), timeout=60_000)
    assert visit.complaints == []
    context.close()


def test_two_visits_lie_beside_each_other_the_first_of_the_address_on_the_left(
    viewer: _Viewer, browser: Browser
) -> None:
    """By our own hanging protocol; of each visit the series that the address names."""
    first, second = [each for each in viewer.studies if len({photo.series for photo in each.permitted}) > 1][:2]
    chosen = [study.permitted[-1].series for study in (first, second)]
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(60_000)
    visit = watched(context, viewer.address)
    visit.sign_in("clinician")
    visit.page.goto(
        f"{viewer.address}/ohif/viewer?StudyInstanceUIDs={first.uid},{second.uid}"
        f"&initialSeriesInstanceUID={','.join(chosen)}&hangingProtocolId={COMPARE}"
    )
    visit.page.wait_for_function(colourful(100), timeout=60_000)
    expect(visit.page.locator('[data-cy="viewport-pane"]')).to_have_count(2)
    shown = visit.page.wait_for_function(_SHOWN_SERIES, timeout=30_000).json_value()
    assert shown == chosen
    context.close()


_SHOWN_SERIES = """() => {
  const { displaySetService, viewportGridService } = window.services ?? {};
  if (!viewportGridService) return null;
  const panes = [...viewportGridService.getState().viewports.values()];
  const uids = panes.map(pane => pane.displaySetInstanceUIDs[0]);
  if (panes.length !== 2 || !uids.every(Boolean)) return null;
  return uids.map(uid => displaySetService.getDisplaySetByUID(uid).SeriesInstanceUID);
}"""
