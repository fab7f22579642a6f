"""``/protocols``: the protocols of photography, one a page, each with its card to print."""

from __future__ import annotations

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dicom_bridge.protocols.card import card
from dicom_bridge.protocols.protocol import Protocol
from dicom_bridge.protocols.words import BACKGROUND, LIGHTING, TARGET, due_words, for_words, name_words
from orthanc_plugin.workspace import language, photographs
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.session_book import SessionBook
from orthanc_plugin.workspace.shown_names import area_name


class ProtocolPage:
    """The pages. Who treats may look at them: they say nothing of any patient."""

    def __init__(self, pages: Pages, book: SessionBook) -> None:
        self._pages, self._book = pages, book

    def routes(self) -> list[BaseRoute]:
        """Their routes."""
        return [
            Route("/protocols", self._list, methods=["GET"]),
            Route("/protocols/{name}", self._look, methods=["GET"]),
            Route("/protocols/{name}/card.pdf", self._card, methods=["GET"]),
        ]

    def _list(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        if visitor.asks("TREAT") is None:
            return self._pages.refuse(http, visitor)
        listed = [
            (each.name, each.title, for_words(each, area_name), len(each.required), each.own) for each in self._known()
        ]
        return self._pages.show(http, "protocols.html", visitor, section="chart", listed=listed)

    def _look(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        protocol = self._named(http)
        if visitor.asks("TREAT") is None or protocol is None:
            return self._pages.refuse(http, visitor)
        optional = [each for each in protocol.shots if not each.required]
        first = protocol.shots[0]
        return self._pages.show(
            http,
            "protocol.html",
            visitor,
            section="chart",
            protocol=protocol,
            about=for_words(protocol, area_name),
            required=photographs.lines_of(protocol, protocol.required),
            optional=photographs.lines_of(protocol, optional),
            light=LIGHTING[first.lighting],
            background=BACKGROUND[first.background],
            target=TARGET[first.target] if first.target is not None else "",
            times=[(name_words(each.name), due_words(each), len(each.shots)) for each in protocol.times],
        )

    def _card(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        protocol = self._named(http)
        if visitor.asks("TREAT") is None or protocol is None:
            return self._pages.refuse(http, visitor)
        named = f'inline; filename="{protocol.name}.pdf"'
        made = card(protocol, language.said, area_name)
        return Response(made, media_type="application/pdf", headers={"Content-Disposition": named})

    def _known(self) -> tuple[Protocol, ...]:
        return self._book.protocols()

    def _named(self, http: HttpRequest) -> Protocol | None:
        name = http.path_params["name"]
        return next((each for each in self._known() if each.name == name), None)
