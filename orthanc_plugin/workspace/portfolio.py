"""The portfolio: outcomes that patients have agreed to show, without a word that tells who they are.

A page of the portfolio holds no name, birth date, identifier or calendar date, and no UID: photos have names of their
own for each session and purpose (:mod:`orthanc_plugin.workspace.sealed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dicom_bridge.publish.saved import Saved
from fhir_mapping.errors import Forbidden
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.question import Question
from orthanc_plugin.workspace.chart import picture
from orthanc_plugin.workspace.filters import GALLERY_FACETS, Asked, asked, dated, filters, period
from orthanc_plugin.workspace.pages import Pages, refused_picture
from orthanc_plugin.workspace.publishing import Shot, Visit, compared, shot, visit
from orthanc_plugin.workspace.record import Outcome, Photo, place_name, posed, view_name

ASKED = (*GALLERY_FACETS, Facet.TAKEN)
"""Facets of a portfolio's question."""


@dataclass(frozen=True, slots=True)
class Card:
    """One outcome: a pair where there are two photos of one view, else a photo alone."""

    title: str
    area: str
    view: str
    before: Shot
    after: Shot | None
    compare: str
    more: int
    """Further photos of the outcome."""


class Portfolio:
    """``/portfolio/PURPOSE``."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        return [
            Route("/portfolio/{purpose}", self._gallery, methods=["GET"]),
            Route("/portfolio/{purpose}/compare", self._compare, methods=["GET"]),
            Route("/portfolio/{purpose}/photo/{name}", self._photo, methods=["GET"]),
            Route("/portfolio/{purpose}/basis/{name}", self._basis, methods=["GET"]),
        ]

    def _gallery(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        here = visit(self._pages, http, visitor)
        if here is None:
            return self._pages.refuse(http, visitor)
        channels = sorted(self._pages.parts.site.channels) if here.page.code == "SOCIAL" else []
        if here.page.code == "SOCIAL" and not here.question.channel:
            if len(channels) == 1:
                return RedirectResponse(f"{here.base}?{urlencode({'channel': channels[0]})}", status_code=303)
            return self._pages.show(
                http, "channels.html", visitor, section=here.page.code, page=here.page, channels=channels
            )
        wanted = asked(http.query_params.multi_items(), ASKED, self._pages.parts.site.zone, self._pages.parts.names)
        query = http.query_params
        if ends := [(query.get(name) or "").strip() for name in ("from", "to") if name in query]:
            return RedirectResponse(dated(here.base, wanted, [*ends, ""][:2], here.query), status_code=303)
        after = here.seal.number(query.get("after", ""))
        record = self._pages.parts.record
        try:
            gallery = record.gallery(here.question, here.base, wanted.question, after)
        except Forbidden as error:
            wanted = Asked(Question(), str(error), wanted.names)
            gallery = record.gallery(here.question, here.base, wanted.question, after)
        return self._pages.show(
            http,
            "portfolio.html",
            visitor,
            section=here.page.code,
            page=here.page,
            channel=here.question.channel,
            channels=channels,
            cards=[_card(here, outcome) for outcome in gallery.outcomes],
            filters=filters(wanted, gallery.answer, GALLERY_FACETS, here.base, here.query),
            answer=gallery.answer,
            years=period(wanted, here.base, here.query),
            saved=self._saved(here),
            save=here.address("/saved"),
            fault=wanted.fault,
            asked=wanted.pairs(),
            unfiltered=here.address(""),
            newest=here.address("", *wanted.pairs()) if after is not None else "",
            later="" if gallery.following is None
                  else here.address("", *wanted.pairs(), ("after", here.seal.name(gallery.following))),
        )  # fmt: skip

    def _saved(self, here: Visit) -> list[tuple[Saved, str]] | None:
        """The questions that are kept, with their addresses; None: nothing is kept here."""
        book = self._pages.parts.portfolios
        if book is None or here.question.requester.confined_to is not None:
            return None
        return [(each, here.address(f"/saved/{each.id}")) for each in book.saved.listed(here.question)]

    def _compare(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        here = visit(self._pages, http, visitor)
        numbers = [here.seal.number(http.query_params.get(side, "")) if here else None for side in ("left", "right")]
        if here is None or numbers[0] is None or numbers[1] is None:
            return self._pages.refuse(http, visitor)
        photos = list(self._pages.parts.record.companions(here.question, f"{here.base}/compare", numbers[0]))
        known = {photo.number: photo for photo in photos}
        left, right = known.get(numbers[0]), known.get(numbers[1])
        if left is None or right is None:
            return self._pages.refuse(http, visitor)
        strips = {
            "left": [shot(here, photo, photos[0], (photo, right), left) for photo in photos
                     if photo.series == left.series],
            "right": [shot(here, photo, photos[0], (left, photo), right) for photo in photos
                      if photo.series == right.series],
        }  # fmt: skip
        return self._pages.show(
            http,
            "portfolio_compare.html",
            visitor,
            section=here.page.code,
            page=here.page,
            title=view_name(left),
            left=shot(here, left, photos[0]),
            right=shot(here, right, photos[0]),
            strips=strips,
            swapped=compared(here, right, left),
            back=here.address(""),
            basis=self._pages.parts.sessions is not None,
        )

    def _photo(self, http: HttpRequest) -> Response:
        here = visit(self._pages, http, self._pages.visitor(http))
        if here is None:
            return refused_picture()
        number = here.seal.number(http.path_params["name"])
        sop_uid = self._pages.parts.record.sop_uid(number=number) if number is not None else None
        return picture(self._pages, here.question, sop_uid, http, f"{here.base}/photo", publishing=True)

    def _basis(self, http: HttpRequest) -> Response:
        """From a photo of the portfolio to what it rests on, for whoever treats: the chart says who it is."""
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        here = visit(self._pages, http, visitor)
        number = here.seal.number(http.path_params["name"]) if here is not None else None
        if here is None or number is None or visitor.asks("TREAT") is None or self._pages.parts.sessions is None:
            return self._pages.refuse(http, visitor)
        photos = self._pages.parts.record.companions(here.question, f"{here.base}/basis", number)
        found = next((photo for photo in photos if photo.number == number), None)
        if found is None:
            return self._pages.refuse(http, visitor)
        return RedirectResponse(f"/chart/basis/DocumentReference/{found.key}", status_code=303)


def _card(visit: Visit, outcome: Outcome) -> Card:
    series: dict[tuple[str, str, str], list[Photo]] = {}
    for photo in outcome.photos:
        series.setdefault(photo.series, []).append(photo)
    photos = max(series.values(), key=len)
    first, latest = photos[0], photos[-1]
    paired = latest is not first
    return Card(
        title=outcome.title,
        area=place_name(first),
        view=posed(first),
        before=shot(visit, first, first),
        after=shot(visit, latest, first) if paired else None,
        compare=compared(visit, first, latest),
        more=len(outcome.photos) - (2 if paired else 1),
    )
