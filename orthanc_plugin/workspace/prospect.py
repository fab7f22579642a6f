"""The screen turned to somebody who wonders whether to be treated: results by treatment and area, before and after.

The purpose is PORTFOLIO, decided at each view. Nothing is shown of who the patients are: no name, birth date, id or
date. Nothing else opens meanwhile (:mod:`orthanc_plugin.workspace.lock`).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from consent.identity.shown import Mode, Shown
from consent.purposes import PORTFOLIO
from consent.types import Request
from fhir_mapping.question.facets import Facet
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.chart import picture
from orthanc_plugin.workspace.filters import Asked, asked, filters
from orthanc_plugin.workspace.forms import Fields, posted
from orthanc_plugin.workspace.found import Coupled
from orthanc_plugin.workspace.lock import Lock
from orthanc_plugin.workspace.pages import Pages, refused_picture
from orthanc_plugin.workspace.portfolio_book import PortfolioBook
from orthanc_plugin.workspace.record import Photo, place_name, posed
from orthanc_plugin.workspace.rooms import ROOMS
from orthanc_plugin.workspace.sealed import Seal
from orthanc_plugin.workspace.visitor import Visitor

_HOME = ROOMS[Mode.PROSPECT].home
_FACETS = (Facet.TREATMENT, Facet.AREA)
_PAIRS = 12  # on a page
_LARGEST, _FIELDS = 4096, 10


@dataclass(frozen=True, slots=True)
class Turned:
    """A request while the screen is turned."""

    visitor: Visitor
    question: Request
    seal: Seal


@dataclass(frozen=True, slots=True)
class Look:
    """One photo as it is shown."""

    address: str
    when: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Result:
    """A pair as it is shown."""

    before: Look
    after: Look
    title: str
    place: str
    view: str
    address: str


class ProspectScreen:
    """``/prospect``."""

    def __init__(self, pages: Pages, lock: Lock, book: PortfolioBook) -> None:
        self._pages, self._lock, self._book = pages, lock, book

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        turn = posted(self._pages, self._turn, most=_LARGEST, fields=_FIELDS)
        return [
            Route(f"/portfolio/{PORTFOLIO}/show", turn, methods=["POST"]),
            Route(_HOME, self._home, methods=["GET"]),
            Route(f"{_HOME}/pair", self._pair, methods=["GET"]),
            Route(f"{_HOME}/photo/{{name}}", self._photo, methods=["GET"]),
        ]

    def _turn(self, http: HttpRequest, visitor: Visitor, _: Fields) -> Response:
        question = visitor.asks(PORTFOLIO)
        if question is None or question.requester.confined_to is not None:
            return self._pages.refuse(http, visitor)
        return self._lock.turn(http, visitor, Shown(Mode.PROSPECT))

    def _turned(self, http: HttpRequest) -> Turned | None:
        """The request, where the visitor's screen is turned so."""
        visitor = self._pages.visitor(http)
        if visitor is None or visitor.shown is None or visitor.shown.mode is not Mode.PROSPECT:
            return None
        question = visitor.asks(PORTFOLIO)
        return None if question is None else Turned(visitor, question, Seal(visitor.secret, "prospect"))

    def _home(self, http: HttpRequest) -> Response:
        turned = self._turned(http)
        if turned is None:
            return self._away(http)
        wanted = self._asked(http)
        after = turned.seal.number(http.query_params.get("after", ""))
        page = self._book.page(turned.question, wanted.question, _PAIRS, after, _FACETS, _HOME)
        later = (
            f"{_HOME}?{urlencode([*wanted.pairs(), ('after', turned.seal.name(page.following))])}"
            if page.following is not None
            else ""
        )
        return self._pages.show(
            http,
            "prospect.html",
            turned.visitor,
            section="",
            base=_HOME,
            filters=filters(wanted, page.answer, _FACETS, _HOME, ()),
            results=[self._result(turned, wanted, pair) for pair in page.pairs],
            later=later,
            first=f"{_HOME}?{urlencode(wanted.pairs())}" if after is not None else "",
            narrowed=bool(wanted.pairs()),
        )

    def _pair(self, http: HttpRequest) -> Response:
        turned = self._turned(http)
        number = turned.seal.number(http.query_params.get("of", "")) if turned is not None else None
        if turned is None or number is None:
            return self._away(http)
        wanted = self._asked(http)
        found = self._book.of(turned.question, wanted.question, number, f"{_HOME}/pair")
        if found is None:
            return self._away(http)
        return self._pages.show(
            http,
            "prospect_pair.html",
            turned.visitor,
            section="",
            base=_HOME,
            result=self._result(turned, wanted, found),
            back=f"{_HOME}?{urlencode(wanted.pairs())}" if wanted.pairs() else _HOME,
        )

    def _asked(self, http: HttpRequest) -> Asked:
        parts = self._pages.parts
        return asked(http.query_params.multi_items(), _FACETS, parts.site.zone, parts.names)

    def _photo(self, http: HttpRequest) -> Response:
        turned = self._turned(http)
        number = turned.seal.number(http.path_params["name"]) if turned is not None else None
        if turned is None or number is None:
            return refused_picture()
        sop_uid = self._pages.parts.record.sop_uid(number=number)
        return picture(self._pages, turned.question, sop_uid, http, f"{_HOME}/photo", publishing=True)

    def _result(self, turned: Turned, wanted: Asked, pair: Coupled) -> Result:
        def look(photo: Photo, when: str) -> Look:
            return Look(f"{_HOME}/photo/{turned.seal.name(photo.number)}", when, photo.width, photo.height)

        before, after = pair.before, pair.after
        when = words.after(before.at, after.at) if before.at is not None and after.at is not None else "After"
        address = f"{_HOME}/pair?{urlencode([*wanted.pairs(), ('of', turned.seal.name(after.number))])}"
        return Result(look(before, "Before"), look(after, when), pair.title, place_name(after), posed(after), address)

    def _away(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        return self._pages.sign_in_first(http) if visitor is None else self._pages.refuse(http, visitor)
