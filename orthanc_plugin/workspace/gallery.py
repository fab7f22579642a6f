"""The gallery: photos of all patients, for whoever treats, narrowed by any facet; and questions that are kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from consent.purposes import TREAT
from consent.types import Request
from dicom_bridge.publish.saved import NotSaved
from fhir_mapping.errors import NotFound
from fhir_mapping.question import text
from fhir_mapping.question.facets import Facet
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.filters import CHART_FACETS, Asked, asked, dated, filters, period
from orthanc_plugin.workspace.forms import Fields, posted
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.portfolio_book import PortfolioBook
from orthanc_plugin.workspace.record import Person, Photo
from orthanc_plugin.workspace.visitor import Visitor

BASE = "/chart/photos"
_PHOTOS = 60  # on a page
_FACETS = (*CHART_FACETS, Facet.TAKEN)
_LARGEST, _FIELDS = 64 * 1024, 100


@dataclass(frozen=True, slots=True)
class Tile:
    """A photo, and whose it is."""

    photo: Photo
    person: Person | None


class GalleryPage:
    """``/chart/photos``."""

    def __init__(self, pages: Pages, book: PortfolioBook) -> None:
        self._pages, self._book = pages, book

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        save, remove = (posted(self._pages, work, most=_LARGEST, fields=_FIELDS) for work in (self._save, self._remove))
        return [
            Route(BASE, self._shown, methods=["GET"]),
            Route(f"{BASE}/saved", save, methods=["POST"]),
            Route(f"{BASE}/saved/{{id}}/remove", remove, methods=["POST"]),
        ]

    def _shown(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        request = _question(visitor)
        if request is None:
            return self._pages.refuse(http, visitor)
        query = http.query_params
        wanted = self._asked(query.multi_items())
        if ends := [(query.get(name) or "").strip() for name in ("from", "to") if name in query]:
            return RedirectResponse(dated(BASE, wanted, [*ends, ""][:2], ()), status_code=303)
        return self._page(http, visitor, request, wanted, query.get("after", ""))

    def _page(
        self, http: HttpRequest, visitor: Visitor, request: Request, wanted: Asked, after: str = "", fault: str = ""
    ) -> Response:
        page = self._book.photos(request, wanted.question, after, _PHOTOS, BASE)
        kept = self._book.saved.listed(request)
        asked_for = text.text(wanted.question)
        return self._pages.show(
            http,
            "gallery.html",
            visitor,
            status=400 if fault else 200,
            section="gallery",
            tiles=[Tile(each, page.people.get(each.patient)) for each in page.photos],
            filters=filters(wanted, page.answer, CHART_FACETS, BASE, ()),
            answer=page.answer,
            period=period(wanted, BASE, ()),
            fault=wanted.fault,
            not_saved=fault,
            asked=wanted.pairs(),
            unfiltered=BASE,
            saved=[(each, _address(each.question), each.question == asked_for) for each in kept],
            save=f"{BASE}/saved",
            later=f"{BASE}?{urlencode([*wanted.pairs(), ('after', page.following)])}" if page.following else "",
            newest=f"{BASE}?{urlencode(wanted.pairs())}" if after else "",
        )

    def _asked(self, pairs: Sequence[tuple[str, str]]) -> Asked:
        parts = self._pages.parts
        return asked([pair for pair in pairs if pair[0] in _FACETS], _FACETS, parts.site.zone, parts.names)

    def _save(self, http: HttpRequest, visitor: Visitor, fields: Fields) -> Response:
        request = _question(visitor)
        if request is None:
            return self._pages.refuse(http, visitor)
        wanted = self._asked(fields)
        name = next((value for field, value in fields if field == "name"), "")
        try:
            if wanted.fault:
                raise NotSaved(wanted.fault)
            saved = self._book.saved.save(request, name, text.text(wanted.question))
        except NotSaved as fault:
            return self._page(http, visitor, request, wanted, fault=words.fault(fault))
        return RedirectResponse(_address(saved.question), status_code=303)

    def _remove(self, http: HttpRequest, visitor: Visitor, _: Fields) -> Response:
        request = _question(visitor)
        if request is None:
            return self._pages.refuse(http, visitor)
        try:
            self._book.saved.remove(request, self._book.saved.read(request, http.path_params["id"]))
        except NotFound:
            return self._pages.refuse(http, visitor)
        return RedirectResponse(BASE, status_code=303)


def _question(visitor: Visitor) -> Request | None:
    """The question of the care team; None for whoever is confined to a patient."""
    request = visitor.asks(TREAT)
    return None if request is None or request.requester.confined_to is not None else request


def _address(question: str) -> str:
    return f"{BASE}?{question}" if question else BASE
