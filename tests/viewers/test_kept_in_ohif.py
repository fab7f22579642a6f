"""OHIF in a real Chromium opens a study in which a comparison is kept: its photos are shown, and it meets no error."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Response

from consent.types import Request, Requester
from dicom_bridge.compare.held import Held, Mode
from dicom_bridge.compare.keeping import Half, Keeper
from dicom_bridge.objects.kept import Area
from orthanc_plugin.assembly.intake import open_archive
from tests.archive import Archive
from tests.links.world import Links
from tests.ports import free_port
from tests.viewers.serving import serving
from tests.workspace.canvas import colourful
from tests.workspace.conftest import watched

pytestmark = [pytest.mark.orthanc, pytest.mark.browser]


def test_a_study_with_a_kept_comparison_opens(tmp_path: Path, browser: Browser) -> None:
    with Archive(tmp_path, free_port()) as archive:
        clinic = Links(archive)
        rows = []
        for _ in range(2):
            visit = clinic.visit()
            clinic.take(visit)
            rows.append(clinic.one(visit))
        with clinic.node() as node, open_archive(node) as orthanc:
            keeper = Keeper(
                node.engine, node.chain, node.point, clinic.store, node.keys.uid, door="serve", public_url="http://x"
            )
            halves = [Half(each.sop, Area(1, 1, 30, 40)) for each in rows]
            keeper.keep(orthanc, Request(Requester("clinician", ("TREAT",)), "TREAT"), halves, Held(Mode.SIDE), "/keep")
        with serving(archive) as address:
            assert _faults(address, rows[1].study, browser) == []


def _faults(address: str, study: str, browser: Browser) -> list[str]:
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(60_000)
    visit = watched(context, address)
    answers: list[Response] = []
    visit.page.on("response", lambda answer: answers.append(answer))
    visit.sign_in("clinician")
    visit.page.goto(f"{address}/ohif/viewer?StudyInstanceUIDs={study}")
    visit.page.wait_for_function(colourful(100), timeout=60_000)
    visit.page.wait_for_timeout(1500)
    wrong = [f"{answer.status} {answer.url}" for answer in answers if answer.status >= 400]
    errors = [each for each in visit.complaints if "policy" in each or "Uncaught" in each]
    context.close()
    return wrong + errors
