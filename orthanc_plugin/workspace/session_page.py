"""``/chart/session/ID``: one session with all that was done in it, its photos, and how it was judged."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from consent.types import Request
from dicom_bridge.protocols.closing import Why
from fhir_mapping import references
from fhir_mapping.course.session import Done
from fhir_mapping.errors import Refused, VersionMismatch
from orthanc_plugin.workspace import done, language, photographs
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.session_book import SessionBook
from orthanc_plugin.workspace.treatments import shown
from orthanc_plugin.workspace.visitor import read_form, same_origin, same_token

ROUTE = "/chart/session"
_LONGEST_ID = 64
_LARGEST = 256 * 1024
_FIELDS = 500
_EXPIRED = noted("This page was open for a long time, or came from elsewhere. Look at it once more and send it again.")
_CHANGED = noted("The photographs were closed by somebody else while this page was open. Look at it once more.")


class SessionPage:
    """The page."""

    def __init__(self, pages: Pages, book: SessionBook) -> None:
        self._pages, self._book = pages, book

    def routes(self) -> list[BaseRoute]:
        """Its route."""
        return [
            Route("/chart/session/{procedure}", self._look, methods=["GET"]),
            Route("/chart/session/{procedure}/close", self._send, methods=["POST"]),
        ]

    async def _send(self, http: HttpRequest) -> Response:
        fields = await read_form(http, most=_LARGEST, fields=_FIELDS)
        return await run_in_threadpool(self._close, http, fields)

    def _close(self, http: HttpRequest, fields: Mapping[str, str] | None) -> Response:
        """Close the photographs of the session's visit."""
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        question, procedure = visitor.asks("TREAT"), http.path_params["procedure"]
        if question is None or not self._book.may_close(question):
            return self._pages.refuse(http, visitor)
        trusted = fields is not None and same_origin(http) and same_token(fields.get("csrf"), visitor.csrf)
        if fields is None or not trusted or not fields.get("version", "").isdecimal():
            return self._look(http, fault=_(_EXPIRED), status=400)
        found = self._found(question, procedure)
        visit = references.id_of(found.treated.session.encounter or "") if found is not None else ""
        if not visit:
            return self._pages.refuse(http, visitor)
        why = photographs.read(fields)
        try:
            self._book.close(question, visit, why, visitor.display, int(fields["version"]), ROUTE)
        except VersionMismatch:
            return self._look(http, fault=_(_CHANGED), status=409, typed=why)
        except Refused as refusal:
            told = " ".join(language.said(issue.text) for issue in refusal.issues) or _("The record does not take it.")
            return self._look(http, fault=told, status=422, typed=why)
        return RedirectResponse(f"/chart/session/{quote(procedure, safe='')}#photographs", status_code=303)

    def _found(self, question: Request, procedure: str) -> Done | None:
        if len(procedure) > _LONGEST_ID or "\x00" in procedure:
            return None
        return self._book.done(question, procedure, ROUTE)

    def _look(
        self, http: HttpRequest, fault: str = "", status: int = 200, typed: Mapping[str, Why] | None = None
    ) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        question = visitor.asks("TREAT")
        procedure = http.path_params["procedure"]
        found = self._found(question, procedure) if question is not None else None
        person = self._pages.parts.record.person(found.treated.session.patient) if found is not None else None
        if question is None or found is None or person is None:
            return self._pages.refuse(http, visitor)
        maps = done.maps(found.treated.session, found.shots)
        visit = references.id_of(found.treated.session.encounter or "")
        looked = self._book.photographs(question, visit, ROUTE) if visit and not found.treated.void else None
        return self._pages.show(
            http,
            "session.html",
            visitor,
            status=status,
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
            asked=photographs.drawn(looked, self._pages.parts.site.zone, typed) if looked is not None else None,
            reasons=photographs.choices(),
            may_close=self._book.may_close(question),
            fault=fault,
        )
