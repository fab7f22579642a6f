"""The list of pages holds every page that the workspace answers with, and each has its pictures."""

from __future__ import annotations

import pytest
from PIL import Image
from starlette.routing import Route

from orthanc_plugin.assembly.serve import build
from tests.pages.conftest import Standing
from tests.pages.places import NOT_PAGES, PLACES, WIDTHS
from tests.pages.screenshots import FOLDER, INDEX, MOST, index

ROUTES = {place.route for place in PLACES if place.route}


@pytest.mark.orthanc
@pytest.mark.browser
def test_every_page_of_the_routes_table_is_listed_and_nothing_else(standing: Standing) -> None:
    served = build(standing.settings)
    try:
        got = {
            route.path
            for route in served.app.routes
            if isinstance(route, Route) and "GET" in (route.methods or ()) and not route.path.startswith("/fhir")
        }
    finally:
        served.close()
    assert got - ROUTES - NOT_PAGES.keys() == set(), "pages without an entry in tests/pages/places.py"
    assert (ROUTES | NOT_PAGES.keys()) - got == set(), "entries without a page"
    assert ROUTES & NOT_PAGES.keys() == set()


@pytest.mark.fast
def test_every_page_has_its_pictures_at_every_width_and_no_other_lies_there() -> None:
    wanted = {f"{place.name}-{kind}.webp" for place in PLACES for kind in WIDTHS}
    files = {file.name: file for file in FOLDER.iterdir() if file != INDEX}
    assert files.keys() == wanted, "make screenshots"
    assert sum(file.stat().st_size for file in files.values()) < MOST
    for place in PLACES:
        for kind, (width, height) in WIDTHS.items():
            with Image.open(files[f"{place.name}-{kind}.webp"]) as picture:
                assert picture.size == (width, height)


@pytest.mark.fast
def test_the_page_that_lists_them_is_the_one_that_is_made() -> None:
    assert INDEX.read_text("utf-8") == index()


@pytest.mark.fast
def test_a_name_is_given_once() -> None:
    assert len({place.name for place in PLACES}) == len(PLACES)
