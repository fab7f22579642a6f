"""A chart of 24 patches, opened in OHIF in a real Chromium: the colours on its canvas are those of the file."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from PIL import Image
from playwright.sync_api import Browser

from consent.store.engine import glancing
from dicom_bridge import ledger
from tests import counts
from tests.archive import Archive
from tests.chart import ENCODINGS, patches, target
from tests.colours import apart, lab
from tests.pipeline.commands import ingest
from tests.pipeline.world import World
from tests.ports import free_port
from tests.viewers.serving import serving
from tests.workspace.canvas import colourful
from tests.workspace.conftest import Visit, watched

pytestmark = [pytest.mark.orthanc, pytest.mark.browser]

_NAME = "colours of a chart, OHIF"
_LARGEST = """() => {
  const [canvas] = [...document.querySelectorAll('canvas')].sort((a, b) => b.width * b.height - a.width * a.height);
  const copy = document.createElement('canvas');
  copy.width = canvas.width;
  copy.height = canvas.height;
  copy.getContext('2d').drawImage(canvas, 0, 0);
  return copy.toDataURL('image/png').split(',')[1];
}"""


@dataclass(frozen=True, slots=True)
class _Viewer:
    address: str
    studies: dict[str, str]
    """Study Instance UID by encoding."""


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Viewer]:
    with Archive(tmp_path_factory.mktemp("chart"), free_port()) as archive:
        world = World(archive)
        names = list(ENCODINGS)[:: len(ENCODINGS) // counts.count(_NAME, small=2, full=len(ENCODINGS))]
        studies = {name: _study(world, name) for name in names}
        with serving(archive) as address:
            yield _Viewer(address, studies)


def _study(world: World, name: str) -> str:
    make, ending = ENCODINGS[name]
    (said,) = json.loads(ingest(world, world.visit(sent={f"chart{ending}": make()}), "--json").stdout)
    with glancing(world.engine) as connection:
        entry = ledger.entry(connection, said["sop_uid"])
    assert entry is not None
    return entry.study_uid


def test_a_viewer_shows_the_colours_of_the_file(viewer: _Viewer, browser: Browser) -> None:
    started = time.monotonic()
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(60_000)
    visit = watched(context, viewer.address)
    visit.sign_in("clinician")
    found = {name: _apart(visit, study, name) for name, study in viewer.studies.items()}
    context.close()
    everything = [value for values in found.values() for value in values]
    wrong = {name: values for name, values in found.items() if max(values) > 2 or sum(values) / 24 > 0.5}
    counts.report(
        _NAME,
        asked=24 * len(viewer.studies),
        run=len(everything),
        failures=len(wrong),
        started=started,
        measured=f"CIEDE2000 mean {sum(everything) / len(everything):.2f}, at most {max(everything):.2f}",
    )
    assert wrong == {}


def _apart(visit: Visit, study: str, name: str) -> list[float]:
    """CIEDE2000 of each patch."""
    visit.page.goto(f"{visit.address}/ohif/viewer?StudyInstanceUIDs={study}")
    visit.page.wait_for_function(colourful(20 if name != "grey" else 12), timeout=60_000)
    before, shown = "", visit.page.evaluate(_LARGEST)
    while shown != before:  # what is drawn first may be scaled anew
        time.sleep(0.3)
        before, shown = shown, visit.page.evaluate(_LARGEST)
    drawn = Image.open(io.BytesIO(base64.b64decode(shown))).convert("RGB")
    picture = drawn.crop(drawn.getbbox())
    assert abs(picture.width / picture.height - 1.5) < 0.02, (name, drawn.size, picture.size)
    return [apart(lab(seen), wanted) for seen, wanted in zip(patches(picture), target(name), strict=True)]
