"""``/chart/basis/TYPE/ID``: what a photo, session, plan or outcome was decided on, and what rests on it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_mapping.course.basis import Basis, How, Link
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.session_book import SessionBook

ROUTE = "/chart/basis"
_KINDS = ("DocumentReference", "Procedure", "CarePlan", "Observation")
_LONGEST_ID = 64

#: What the upper end says of the lower one, and the lower of the upper.
_DOWN = {
    How.SHOWN: "was decided while this was on the screen",
    How.PLANNED_ON: "was planned on",
    How.PLAN: "belongs to the plan",
    How.JUDGED_ON: "was judged on",
    How.MADE_FROM: "was made from",
    How.TAKEN_FOR: "was taken for",
    How.SESSION: "judges",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One link as the page tells it."""

    upper: str
    upper_name: str
    words: str
    lower: str
    lower_name: str
    photo: str
    """Id of the photo that stands beside it; empty: none."""

    told: str


class BasisPage:
    """The page."""

    def __init__(self, pages: Pages, book: SessionBook) -> None:
        self._pages, self._book = pages, book

    def routes(self) -> list[BaseRoute]:
        """Its route."""
        return [Route("/chart/basis/{kind}/{identity}", self._look, methods=["GET"])]

    def _look(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        question = visitor.asks("TREAT")
        kind, identity = http.path_params["kind"], http.path_params["identity"]
        found = None
        if question is not None and kind in _KINDS and len(identity) <= _LONGEST_ID and "\x00" not in identity:
            found = self._book.basis(question, f"{kind}/{identity}", ROUTE)
        if found is None:
            return self._pages.refuse(http, visitor)
        return self._pages.show(
            http,
            "basis.html",
            visitor,
            section="chart",
            title=found.names.get(found.about, found.about),
            about=found.about,
            photo=identity if kind == "DocumentReference" else "",
            rests_on=[_line(found, each) for each in found.rests_on],
            carries=[_line(found, each) for each in found.carries],
        )


def _line(found: Basis, link: Link) -> Line:
    ends = (link.lower, link.upper)
    photo = next((each for each in ends if each.startswith("DocumentReference/") and each != found.about), "")
    by = link.by if link.how is How.SHOWN else ""
    version = f"version {link.version}" if link.version is not None else ""
    return Line(
        link.upper,
        found.names.get(link.upper, link.upper),
        _DOWN[link.how],
        link.lower,
        found.names.get(link.lower, link.lower),
        photo.partition("/")[2],
        " · ".join(filter(None, (link.when[:10] if link.how is How.SHOWN else "", by, version))),
    )
