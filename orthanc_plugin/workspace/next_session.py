"""``/chart/patient/ID/next``: what to see before the next session on one screen, and its form.

Views stand side by side: what the plan was decided on, the last session, today. Saving writes the session, its place in
the plan, the outcomes that were noted, and what this page showed, in one transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from consent.types import Request
from fhir_mapping.course.upcoming import Upcoming
from fhir_mapping.course.views import Shot
from fhir_mapping.errors import Invalid, Refused, TreatedMeanwhile, VersionMismatch
from fhir_mapping.udi.parse import parse
from orthanc_plugin.workspace import done, language, photographs, words
from orthanc_plugin.workspace.due import Wanted, wanted
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.record import Person
from orthanc_plugin.workspace.sealed_state import LARGEST, seal, unseal
from orthanc_plugin.workspace.session_book import SessionBook
from orthanc_plugin.workspace.shown_names import region_name, view_name
from orthanc_plugin.workspace.today import beginning, form, reading, stepping
from orthanc_plugin.workspace.today.state import State, pack, unpack
from orthanc_plugin.workspace.treatments import shown
from orthanc_plugin.workspace.visitor import Visitor, read_form, same_origin, same_token

ROUTE = "/chart/patient/next"
_STATE = "today's session"
_FIELDS = 3_000
_EXPIRED = noted("This page was open for a long time, or came from elsewhere. Look at it once more and send it again.")
_CHANGED = noted("The plan was changed while this page was open. Look at it once more and send it again.")

_TREATED = noted(
    "Another treatment of hers was put on record while this page was open: nothing is saved yet. "
    "If today's is one more, send it again."
)


@dataclass(frozen=True, slots=True)
class ViewRow:
    """One view: what was decided on, the last session, today."""

    name: str
    baseline: Shot | None
    latest: Shot | None
    today: Shot | None


@dataclass(frozen=True, slots=True)
class _Typed:
    """A form that came back and is shown once more."""

    state: State
    fields: Mapping[str, str]
    errors: Mapping[str, str]


class NextSession:
    """The page."""

    def __init__(
        self, pages: Pages, book: SessionBook, token: Callable[[], str] = lambda: secrets.token_urlsafe(18)
    ) -> None:
        self._pages, self._book, self._token = pages, book, token

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        return [
            Route("/chart/patient/{patient}/next", self._look, methods=["GET"]),
            Route("/chart/patient/{patient}/next", self._send, methods=["POST"]),
            Route("/chart/scan", self._scan, methods=["POST"]),
        ]

    def _look(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        question = visitor.asks("TREAT")
        person = self._person(http) if question is not None else None
        if question is None or person is None:
            return self._pages.refuse(http, visitor)
        return self._show(http, visitor, question, person)

    def _person(self, http: HttpRequest) -> Person | None:
        return self._pages.parts.record.person(http.path_params["patient"])

    async def _scan(self, http: HttpRequest) -> Response:
        """What a scanned pack is, for the script of the form: ``{"lot": …}``, or ``{"wrong": …}``."""
        fields = await read_form(http)
        return await run_in_threadpool(self._read_scan, http, fields)

    def _read_scan(self, http: HttpRequest, fields: Mapping[str, str] | None) -> Response:
        visitor = self._pages.visitor(http)
        question = visitor.asks("TREAT") if visitor is not None else None
        trusted = fields is not None and visitor is not None and same_token(fields.get("csrf"), visitor.csrf)
        if question is None or fields is None or not trusted or not same_origin(http):
            return JSONResponse({}, status_code=404)
        try:
            udi = parse(fields.get("scan", ""))
        except Invalid as refusal:
            return JSONResponse({"wrong": language.said(refusal.issues[0].text)})
        name = self._book.product(udi)
        told = {
            "name": name.text if name is not None else None,
            "device": udi.device,
            "lot": udi.lot,
            "expires": udi.expiry,
            "serial": udi.serial or udi.donation,
        }
        return JSONResponse({key: value for key, value in told.items() if value})

    async def _send(self, http: HttpRequest) -> Response:
        fields = await read_form(http, most=3 * LARGEST, fields=_FIELDS)
        return await run_in_threadpool(self._save, http, fields)

    def _save(self, http: HttpRequest, fields: Mapping[str, str] | None) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        question = visitor.asks("TREAT")
        person = self._person(http) if question is not None else None
        if question is None or person is None or not self._book.may_save(question):
            return self._pages.refuse(http, visitor)
        sealed = unseal(visitor.secret, _STATE, (fields or {}).get("state", ""))
        trusted = fields is not None and same_origin(http) and same_token(fields.get("csrf"), visitor.csrf)
        if fields is None or sealed is None or not trusted or sealed["patient"] != person.id:
            return self._show(http, visitor, question, person, told=_(_EXPIRED), status=400)
        state = unpack(sealed)
        step = fields.get("step", stepping.SAVE)
        if step != stepping.SAVE:
            more, errors = stepping.stepped(state, fields, step, self._book.product)
            return self._show(http, visitor, question, person, typed=_Typed(state, more, errors), stepped=True)
        reference = question.requester.reference or ""
        performer = reference if reference.startswith("Practitioner/") else None
        sent = reading.read(state, fields, now=self._pages.today(), performer=performer)
        typed = _Typed(state, fields, sent.errors)
        if sent.errors:
            return self._show(http, visitor, question, person, typed=typed, status=422)
        try:
            procedure = self._book.save(question, sent, ROUTE)
        except TreatedMeanwhile:
            return self._show(http, visitor, question, person, typed=typed, told=_(_TREATED), status=409)
        except VersionMismatch:
            return self._show(http, visitor, question, person, typed=typed, told=_(_CHANGED), status=409)
        except Refused as refusal:
            told = "; ".join(language.said(issue.text) for issue in refusal.issues) or _("The record does not take it.")
            return self._show(http, visitor, question, person, typed=typed, told=told, status=422)
        saved = urlencode({"saved": procedure.partition("/")[2]})
        path = _action(person.id, state.plan)
        return RedirectResponse(f"{path}{'&' if '?' in path else '?'}{saved}", status_code=303)

    def _wanted(self, question: Request, person: Person) -> tuple[Wanted, ...]:
        """What the protocols still ask for."""
        gaps = self._pages.parts.gaps
        report = gaps.of_patient(question, person.id, f"{ROUTE}/due") if gaps is not None else None
        return wanted(each for hers in report.people for each in hers.open) if report is not None else ()

    def _show(
        self,
        http: HttpRequest,
        visitor: Visitor,
        question: Request,
        person: Person,
        *,
        typed: _Typed | None = None,
        stepped: bool = False,
        told: str = "",
        status: int = 200,
    ) -> Response:
        found = self._book.upcoming(question, person.id, http.query_params.get("plan") or None, ROUTE)
        now, zone = self._pages.today(), self._pages.parts.site.zone
        state = beginning.state_of(found, self._token(), lambda moment: words.day(moment, zone))
        if typed is not None:  # what came meanwhile is known once it was told
            state = replace(
                typed.state.shown_anew(state), known=state.known if status == HTTPStatus.CONFLICT else typed.state.known
            )
        fields = typed.fields if typed is not None else beginning.fields_of(found)
        errors = typed.errors if typed is not None else {}
        last = found.last
        return self._pages.show(
            http,
            "next.html",
            visitor,
            status=status,
            section="chart",
            person=person,
            found=found,
            plan_places=", ".join(region_name(each) for each in found.plan.places) if found.plan else "",
            last=shown(last, zone) if last is not None else None,
            maps=done.maps(last.session, found.mapped) if last is not None else [],
            saved=last is not None and last.reference == f"Procedure/{http.query_params.get('saved', '')}",
            views=view_rows(found),
            wanted=self._wanted(question, person),
            still=photographs.still(self._book.protocols(), found),
            outcomes=[done.line(each) for each in found.outcomes],
            form=form.draw(state, fields, errors, done.choices(), now.date()),
            stepped=stepped,
            action=_action(person.id, found.plan.reference if found.plan is not None else None),
            may_save=self._book.may_save(question),
            state=seal(visitor.secret, _STATE, pack(state)),
            told=told,
            now=now,
        )


def _action(patient: str, plan: str | None) -> str:
    """Where the form goes, and what is shown when it is saved: the same patient, the same plan."""
    path = f"/chart/patient/{quote(patient, safe='')}/next"
    return path if plan is None else f"{path}?{urlencode({'plan': plan.partition('/')[2]})}"


def view_rows(found: Upcoming) -> list[ViewRow]:
    """The views in the order of the baseline, each with its photos."""
    keyed: list[dict[tuple[str, str, str, str], Shot]] = [
        {each.view.key: each for each in some} for some in (found.baseline, found.latest, found.today)
    ]
    names = {key: view_name(shot.view) for some in keyed for key, shot in some.items()}
    if found.last is not None and found.latest == found.today:  # today's session is written: it is the last
        keyed[2] = keyed[1]
    return [ViewRow(name, *(some.get(key) for some in keyed)) for key, name in names.items()]
