"""Portfolios: a question kept under a name, what it finds now, what came and went since, and its export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from consent.wording import worded
from dicom_bridge.publish.fallen import Changes, Fate
from dicom_bridge.publish.saved import NotSaved
from fhir_mapping.errors import MappingError, NotFound
from fhir_mapping.question import text
from fhir_mapping.question.facets import Facet
from fhir_mapping.search.values import parts, token
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.filters import NAMES, asked
from orthanc_plugin.workspace.forms import Fields, posted
from orthanc_plugin.workspace.found import Coupled
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import ngettext
from orthanc_plugin.workspace.naming import ranged, value_name
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.portfolio import ASKED, Card
from orthanc_plugin.workspace.portfolio_book import Opened, PortfolioBook
from orthanc_plugin.workspace.publishing import Visit, compared, shot, visit
from orthanc_plugin.workspace.record import place_name, posed, within_sentence
from orthanc_plugin.workspace.visitor import Visitor

_LARGEST = 64 * 1024  # bytes of a form
_FIELDS = 100
_BASE = "/portfolio/{purpose}/saved"


@dataclass(frozen=True, slots=True)
class Shown:
    """A pair of a portfolio's page."""

    card: Card
    fresh: bool
    """Whether it came since the pairs were taken in."""

    alike: int
    """Percent of comparability."""


class Portfolios:
    """``/portfolio/PURPOSE/saved``."""

    def __init__(self, pages: Pages, book: PortfolioBook) -> None:
        self._pages, self._book = pages, book

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        return [
            Route(_BASE, self._posted(self._save), methods=["POST"]),
            Route(f"{_BASE}/{{id}}", self._shown, methods=["GET"]),
            Route(f"{_BASE}/{{id}}/seen", self._posted(self._take_in), methods=["POST"]),
            Route(f"{_BASE}/{{id}}/remove", self._posted(self._remove), methods=["POST"]),
            Route(f"{_BASE}/{{id}}/export", self._posted(self._export), methods=["POST"]),
        ]

    def _posted(self, work: Callable[[HttpRequest, Visit, Fields], Response]) -> Callable[[HttpRequest], object]:
        def received(http: HttpRequest, visitor: Visitor, fields: Fields) -> Response:
            here = visit(self._pages, http, visitor)
            if here is None or here.question.requester.confined_to is not None:
                return self._pages.refuse(http, visitor)
            try:
                return work(http, here, fields)
            except NotFound:
                return self._pages.refuse(http, visitor)

        return posted(self._pages, received, most=_LARGEST, fields=_FIELDS)

    def _shown(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        here = visit(self._pages, http, visitor)
        if here is None or here.question.requester.confined_to is not None:
            return self._pages.refuse(http, visitor)
        try:
            opened = self._book.open(here.question, http.path_params["id"], f"{here.base}/saved")
        except NotFound:
            return self._pages.refuse(http, visitor)
        return self._page(http, here, opened)

    def _page(self, http: HttpRequest, here: Visit, opened: Opened) -> Response:
        saved, page = opened.saved, opened.page
        came = set(page.changes.came)
        results = [each.after.at for each in page.pairs if each.after.at is not None]
        now = self._pages.parts.now()
        return self._pages.show(
            http,
            "portfolio_saved.html",
            here.visitor,
            section=here.page.code,
            page=here.page,
            title=here.title,
            saved=saved,
            pairs=[
                Shown(_card(here, each), (each.before.number, each.after.number) in came, each.alike)
                for each in page.pairs
            ],
            newest=words.about_old(max(results), now) if results else "",
            said=said(page.changes),
            first_time=saved.seen is None,
            asked=[_spoken(name, value) for name, value in self._named(opened)],
            narrow=here.address("", *self._named(opened)),
            back=here.address(""),
            form=lambda what: here.address(f"/saved/{saved.id}/{what}"),
        )

    def _named(self, opened: Opened) -> list[tuple[str, str]]:
        return text.pairs(opened.question, self._pages.parts.names)

    def _save(self, http: HttpRequest, here: Visit, fields: Fields) -> Response:
        pages = self._pages
        wanted = asked([pair for pair in fields if pair[0] in ASKED], ASKED, pages.parts.site.zone, pages.parts.names)
        name = next((value for field, value in fields if field == "name"), "")
        if here.page.code == "SOCIAL" and not here.question.channel:
            raise NotFound
        try:
            if wanted.fault:
                raise NotSaved(wanted.fault)
            least = next((value for field, value in fields if field == "alike"), "0")
            if not (least.isascii() and least.isdigit() and len(least) <= 3):
                raise NotSaved(worded("comparability: a whole number of percent"))
            saved = self._book.save(here.question, name, wanted.question, least=int(least), route=f"{here.base}/saved")
        except (NotSaved, MappingError) as fault:
            return pages.show(
                http, "portfolio_fault.html", here.visitor, status=400, section=here.page.code, page=here.page,
                fault=words.fault(fault), back=here.address("", *wanted.pairs()),
            )  # fmt: skip
        return RedirectResponse(here.address(f"/saved/{saved.id}"), status_code=303)

    def _take_in(self, http: HttpRequest, here: Visit, _: Fields) -> Response:
        saved = self._book.take_in(here.question, http.path_params["id"], f"{here.base}/saved").saved
        return RedirectResponse(here.address(f"/saved/{saved.id}"), status_code=303)

    def _remove(self, http: HttpRequest, here: Visit, _: Fields) -> Response:
        self._book.saved.remove(here.question, self._book.saved.read(here.question, http.path_params["id"]))
        return RedirectResponse(here.address(""), status_code=303)

    def _export(self, http: HttpRequest, here: Visit, _: Fields) -> Response:
        made = self._book.export(here.question, http.path_params["id"], here.title, f"{here.base}/saved")
        headers = {
            "Content-Disposition": f'attachment; filename="{here.page.code.lower()}-{made.sha256[:12]}.zip"',
            "Cache-Control": "no-store",
        }
        return Response(made.body, media_type="application/zip", headers=headers)


def _spoken(facet: str, value: str) -> str:
    """A value of a question in words; references name nobody here."""
    if facet == Facet.TAKEN:
        first, dots, last = value.partition("..")
        return ranged(words.partial_date(first), words.partial_date(last) if dots else None)
    named = "/" in token(parts(value, "$")[0])[1]
    return within_sentence(_(NAMES[Facet(facet)])) if named else value_name(Facet(facet), value)


def said(changes: Changes) -> list[str]:
    """What came and went, in sentences that tell of nobody."""
    lines = []
    if changes.came:
        came = len(changes.came)
        lines.append(ngettext("%d pair became eligible", "%d pairs became eligible", came) % came)
    for fate in Fate:
        if number := changes.counted(fate):
            lines.append(_gone(fate, number) % number)
    return lines


def _gone(fate: Fate, number: int) -> str:
    match fate:
        case Fate.INELIGIBLE:
            return ngettext("%d is no longer eligible", "%d are no longer eligible", number)
        case Fate.REPLACED:
            return ngettext(
                "%d is replaced by a newer photo of the same view",
                "%d are replaced by newer photos of the same view",
                number,
            )
        case Fate.BEHIND:
            return ngettext("%d is behind newer results", "%d are behind newer results", number)
        case Fate.UNASKED:
            return ngettext("%d is no longer what is asked for", "%d are no longer what is asked for", number)


def _card(here: Visit, pair: Coupled) -> Card:
    return Card(
        title=pair.title,
        area=place_name(pair.after),
        view=posed(pair.after),
        before=shot(here, pair.before, pair.before),
        after=shot(here, pair.after, pair.before),
        compare=compared(here, pair.before, pair.after),
        more=0,
    )
