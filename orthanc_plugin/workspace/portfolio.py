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

from consent.types import Request
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.chart import picture
from orthanc_plugin.workspace.filters import GALLERY_FACETS, asked, filters
from orthanc_plugin.workspace.pages import Pages, PublishingPage, place_name, refused_picture, view_name
from orthanc_plugin.workspace.record import Outcome, Photo
from orthanc_plugin.workspace.sealed import Seal
from orthanc_plugin.workspace.visitor import Visitor


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo as the portfolio shows it."""

    name: str
    """Opaque name."""

    address: str
    when: str
    """``Before``, ``After 12 weeks``."""

    session: int | None
    width: int
    height: int
    compare: str = ""
    """Film strip: the comparison with this photo in the strip's place."""

    shown: bool = False
    basis: str = ""
    """Where it is told what it rests on."""


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


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request to the portfolio that has passed the door."""

    visitor: Visitor
    page: PublishingPage
    question: Request
    seal: Seal
    base: str
    query: tuple[tuple[str, str], ...]
    """What every address of the page carries on: the channel."""

    def address(self, path: str, *more: tuple[str, str]) -> str:
        """An address below the page."""
        query = urlencode([*more, *self.query])
        return f"{self.base}{path}?{query}" if query else f"{self.base}{path}"


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

    def _visit(self, http: HttpRequest, visitor: Visitor | None) -> _Visit | None:
        code = http.path_params["purpose"]
        page = next((entry for entry in self._pages.parts.publishing if entry.code == code), None)
        if visitor is None or page is None:
            return None
        channel = http.query_params.get("channel") if code == "SOCIAL" else None
        if channel is not None and channel not in self._pages.parts.site.channels:
            return None
        question = visitor.asks(code, channel)
        if question is None:
            return None
        query = (("channel", channel),) if channel else ()
        return _Visit(visitor, page, question, Seal(visitor.secret, code, channel or ""), f"/portfolio/{code}", query)

    def _gallery(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        visit = self._visit(http, visitor)
        if visit is None:
            return self._pages.refuse(http, visitor)
        channels = sorted(self._pages.parts.site.channels) if visit.page.code == "SOCIAL" else []
        if visit.page.code == "SOCIAL" and not visit.question.channel:
            if len(channels) == 1:
                return RedirectResponse(f"{visit.base}?{urlencode({'channel': channels[0]})}", status_code=303)
            return self._pages.show(
                http, "channels.html", visitor, section=visit.page.code, page=visit.page, channels=channels
            )
        wanted = asked(
            http.query_params.multi_items(), GALLERY_FACETS, self._pages.parts.site.zone, self._pages.parts.names
        )
        after = visit.seal.number(http.query_params.get("after", ""))
        gallery = self._pages.parts.record.gallery(visit.question, visit.base, wanted.question, after)
        return self._pages.show(
            http,
            "portfolio.html",
            visitor,
            section=visit.page.code,
            page=visit.page,
            channel=visit.question.channel,
            channels=channels,
            cards=[_card(visit, outcome) for outcome in gallery.outcomes],
            filters=filters(wanted, gallery.answer, GALLERY_FACETS, visit.base, visit.query),
            answer=gallery.answer,
            fault=wanted.fault,
            asked=wanted.pairs(),
            unfiltered=visit.address(""),
            newest=visit.address("", *wanted.pairs()) if after is not None else "",
            later="" if gallery.following is None
                  else visit.address("", *wanted.pairs(), ("after", visit.seal.name(gallery.following))),
        )  # fmt: skip

    def _compare(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        visit = self._visit(http, visitor)
        numbers = [visit.seal.number(http.query_params.get(side, "")) if visit else None for side in ("left", "right")]
        if visit is None or numbers[0] is None or numbers[1] is None:
            return self._pages.refuse(http, visitor)
        photos = list(self._pages.parts.record.companions(visit.question, f"{visit.base}/compare", numbers[0]))
        known = {photo.number: photo for photo in photos}
        left, right = known.get(numbers[0]), known.get(numbers[1])
        if left is None or right is None:
            return self._pages.refuse(http, visitor)
        strips = {
            "left": [_shot(visit, photo, photos[0], (photo, right), left) for photo in photos
                     if photo.series == left.series],
            "right": [_shot(visit, photo, photos[0], (left, photo), right) for photo in photos
                      if photo.series == right.series],
        }  # fmt: skip
        return self._pages.show(
            http,
            "portfolio_compare.html",
            visitor,
            section=visit.page.code,
            page=visit.page,
            title=view_name(left),
            left=_shot(visit, left, photos[0]),
            right=_shot(visit, right, photos[0]),
            strips=strips,
            swapped=_pair(visit, right, left),
            back=visit.address(""),
            basis=self._pages.parts.sessions is not None,
        )

    def _photo(self, http: HttpRequest) -> Response:
        visit = self._visit(http, self._pages.visitor(http))
        if visit is None:
            return refused_picture()
        number = visit.seal.number(http.path_params["name"])
        sop_uid = self._pages.parts.record.sop_uid(number=number) if number is not None else None
        return picture(self._pages, visit.question, sop_uid, http, f"{visit.base}/photo", publishing=True)

    def _basis(self, http: HttpRequest) -> Response:
        """From a photo of the portfolio to what it rests on, for whoever treats: the chart says who it is."""
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        visit = self._visit(http, visitor)
        number = visit.seal.number(http.path_params["name"]) if visit is not None else None
        if visit is None or number is None or visitor.asks("TREAT") is None or self._pages.parts.sessions is None:
            return self._pages.refuse(http, visitor)
        photos = self._pages.parts.record.companions(visit.question, f"{visit.base}/basis", number)
        found = next((photo for photo in photos if photo.number == number), None)
        if found is None:
            return self._pages.refuse(http, visitor)
        return RedirectResponse(f"/chart/basis/DocumentReference/{found.key}", status_code=303)


def _card(visit: _Visit, outcome: Outcome) -> Card:
    series: dict[tuple[str, str, str], list[Photo]] = {}
    for photo in outcome.photos:
        series.setdefault(photo.series, []).append(photo)
    photos = max(series.values(), key=len)
    first, latest = photos[0], photos[-1]
    paired = latest is not first
    return Card(
        title=outcome.title,
        area=place_name(first),
        view=first.view,
        before=_shot(visit, first, first),
        after=_shot(visit, latest, first) if paired else None,
        compare=_pair(visit, first, latest),
        more=len(outcome.photos) - (2 if paired else 1),
    )


def _shot(
    visit: _Visit, photo: Photo, first: Photo, pair: tuple[Photo, Photo] | None = None, shown: Photo | None = None
) -> Shot:
    if photo is first or photo.at is None or first.at is None:
        when = "Before" if photo is first else ""
    else:
        when = "After " + words.interval(first.at, photo.at) if photo.at.date() != first.at.date() else "Same day"
    name = visit.seal.name(photo.number)
    return Shot(
        name=name,
        address=visit.address(f"/photo/{name}"),
        when=when,
        session=photo.session,
        width=photo.width,
        height=photo.height,
        compare=_pair(visit, *pair) if pair else "",
        shown=shown is not None and photo.number == shown.number,
        basis=visit.address(f"/basis/{name}"),
    )


def _pair(visit: _Visit, left: Photo, right: Photo) -> str:
    ends = (("left", visit.seal.name(left.number)), ("right", visit.seal.name(right.number)))
    return visit.address("/compare", *ends)
