"""Emergency access: a reason is typed, and one patient's photos are open for a short while; all of it is recorded.

It is offered on every patient's page alike, whether or not anything is hidden, so that the offer tells nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from consent.identity.emergency import LONGEST_REASON, Grant, GrantRefused
from consent.purposes import BTG, TREAT
from consent.types import Request
from orthanc_plugin.workspace import language
from orthanc_plugin.workspace.chart import Courses
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.visitor import Visitor, read_form, same_origin, same_token

Handle = Callable[[HttpRequest, Visitor, dict[str, str]], Response]
Sent = Callable[[HttpRequest], Awaitable[Response]]

_BASE = "/emergency"
_NO_REASON = noted("Please type the reason, in up to 500 characters.")
_TOO_LONG = noted("The reason has %(length)s characters, and at most %(most)s are kept. Please shorten it.")
_LARGEST = 512 * 1024  # bytes of a form: far more than a reason may have, so that it can be said and given back
_GIVEN_BACK = 20_000  # characters


class Emergencies(Protocol):
    """Opens emergency access and ends it; each a record, and a Task for compliance."""

    def minutes(self) -> int:
        """How long it lasts."""
        ...

    def open(self, request: Request, patient: str, reason: str) -> Grant:
        """Open it.

        Raises
        ------
        consent.identity.emergency.GrantRefused
            There is no reason, or the account holds no emergency access.
        """
        ...

    def active(self, account: str, patient: str) -> Grant | None:
        """What the account has open of a patient."""
        ...

    def end(self, request: Request, grant: Grant) -> None:
        """End it before its time."""
        ...


class Emergency(Courses):
    """``/emergency``: a patient's course while emergency access to her is open."""

    def __init__(self, pages: Pages, emergencies: Emergencies) -> None:
        super().__init__(pages, base=_BASE, purpose=BTG, section="chart")
        self._emergencies = emergencies

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        return [
            Route("/chart/patient/{patient}/emergency", self._ask, methods=["GET"]),
            Route("/chart/patient/{patient}/emergency", self._send(self._open), methods=["POST"]),
            Route(f"{_BASE}/patient/{{patient}}", self._patient, methods=["GET"]),
            Route(f"{_BASE}/patient/{{patient}}/end", self._send(self._end), methods=["POST"]),
            Route(f"{_BASE}/compare", self._compare, methods=["GET"]),
            Route(f"{_BASE}/compare/series", self._series, methods=["GET"]),
            Route(f"{_BASE}/compare/alignment", self._align, methods=["GET"]),
            Route(f"{_BASE}/photo/{{key}}", self._photo, methods=["GET"]),
        ]

    def _question(self, http: HttpRequest) -> tuple[Visitor | None, Request | None]:
        """The question of the grant that is open for the patient, or for one whom the photos of the address show."""
        visitor = self._pages.visitor(http)
        if visitor is None or BTG not in visitor.requester.purposes:
            return visitor, None
        grant = self._grant(http, visitor)
        return visitor, None if grant is None else grant.request(visitor.requester, visitor.session)

    def _grant(self, http: HttpRequest, visitor: Visitor) -> Grant | None:
        query = http.query_params
        key = http.path_params.get("key") or query.get("left") or query.get("photo") or query.get("of") or ""
        patient = http.path_params.get("patient")
        patients = [patient] if patient is not None else self._pages.parts.record.patients_of(key)
        found = (self._emergencies.active(visitor.requester.account, each) for each in patients)
        return next((each for each in found if each is not None), None)

    def _is_open(self, question: Request, patient: str) -> bool:
        return patient == question.emergency_patient

    def _patient(self, http: HttpRequest) -> Response:
        visitor, question = self._question(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        grant = self._grant(http, visitor) if question is not None else None
        if question is None or grant is None:
            return self._pages.refuse(http, visitor)
        return self._course_page(http, visitor, question, http.path_params["patient"], emergency=grant)

    # --- opening and ending -------------------------------------------------------------------------------------------

    def _ask(self, http: HttpRequest) -> Response:
        return self._form(http)

    def _form(self, http: HttpRequest, *, reason: str = "", error: str = "") -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        person = self._pages.parts.record.person(http.path_params["patient"])
        if person is None or not _may(visitor):
            return self._pages.refuse(http, visitor)
        return self._pages.show(
            http,
            "emergency.html",
            visitor,
            status=422 if error else 200,
            section="chart",
            person=person,
            minutes=self._emergencies.minutes(),
            reason=reason,
            error=error,
        )

    def _send(self, handle: Handle) -> Sent:
        async def answer(http: HttpRequest) -> Response:
            form = await read_form(http, most=_LARGEST)
            return await run_in_threadpool(self._proved, http, dict(form or {}), handle)

        return answer

    def _proved(self, http: HttpRequest, form: dict[str, str], handle: Handle) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        if not _may(visitor) or not same_origin(http) or not same_token(form.get("csrf"), visitor.csrf):
            return self._pages.refuse(http, visitor)
        return handle(http, visitor, form)

    def _open(self, http: HttpRequest, visitor: Visitor, form: dict[str, str]) -> Response:
        person, question = self._pages.parts.record.person(http.path_params["patient"]), visitor.asks(BTG)
        if person is None or question is None:
            return self._pages.refuse(http, visitor)
        reason = form.get("reason", "")
        try:
            self._emergencies.open(question, person.id, reason)
        except GrantRefused:
            length = len(reason.strip())
            told = {"length": language.number(length), "most": language.number(LONGEST_REASON)}
            error = _(_TOO_LONG) % told if length > LONGEST_REASON else _(_NO_REASON)
            return self._form(http, reason=reason[:_GIVEN_BACK], error=error)
        return RedirectResponse(f"{_BASE}/patient/{person.id}", status_code=303)

    def _end(self, http: HttpRequest, visitor: Visitor, _: dict[str, str]) -> Response:
        grant, question = self._grant(http, visitor), visitor.asks(BTG)
        if grant is None or question is None:
            return self._pages.refuse(http, visitor)
        self._emergencies.end(question, grant)
        return RedirectResponse(f"/chart/patient/{grant.patient}", status_code=303)


def _may(visitor: Visitor) -> bool:
    """Whoever treats here and holds emergency access."""
    return {TREAT, BTG} <= set(visitor.requester.purposes) and visitor.requester.confined_to is None
