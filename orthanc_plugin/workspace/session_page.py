"""``/chart/session/ID``: one session with all that was done in it, its photos, and how it was judged."""

from __future__ import annotations

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from orthanc_plugin.workspace import done
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.session_book import SessionBook
from orthanc_plugin.workspace.treatments import shown

ROUTE = "/chart/session"
_LONGEST_ID = 64


class SessionPage:
    """The page."""

    def __init__(self, pages: Pages, book: SessionBook) -> None:
        self._pages, self._book = pages, book

    def routes(self) -> list[BaseRoute]:
        """Its route."""
        return [Route("/chart/session/{procedure}", self._look, methods=["GET"])]

    def _look(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        question = visitor.asks("TREAT")
        procedure = http.path_params["procedure"]
        found = None
        if question is not None and len(procedure) <= _LONGEST_ID and "\x00" not in procedure:
            found = self._book.done(question, procedure, ROUTE)
        person = self._pages.parts.record.person(found.treated.session.patient) if found is not None else None
        if found is None or person is None:
            return self._pages.refuse(http, visitor)
        maps = done.maps(found.treated.session, found.shots)
        return self._pages.show(
            http,
            "session.html",
            visitor,
            section="chart",
            person=person,
            treatment=shown(found.treated, self._pages.parts.site.zone),
            void=found.treated.void,
            plan=next(iter(found.treated.session.plans), ""),
            maps=maps,
            shots=found.shots,
            taken={each.document: done.taken(found.appraisals.get(each.reference)) for each in found.shots},
            outcomes=[done.line(each) for each in found.outcomes],
            more=found.more,
        )
