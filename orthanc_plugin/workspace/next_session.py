"""``/chart/patient/ID/next``: what to see before the next session on one screen, and its form.

Views stand side by side: what the plan was decided on, the last session, today. Saving writes the session, its place in
the plan, and what this page showed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from consent.types import Request
from fhir_mapping import dates
from fhir_mapping.course.upcoming import Upcoming
from fhir_mapping.course.views import Shot
from fhir_mapping.errors import Refused, VersionMismatch
from fhir_mapping.outcome.outcome import Outcome
from fhir_mapping.outcome.vocabulary import vocabulary
from fhir_mapping.treatment.elements import region_name
from fhir_mapping.treatment.read import Treated
from orthanc_plugin.workspace import session_form
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.record import Person, Product, Setting, Treatment
from orthanc_plugin.workspace.sealed_state import LARGEST, seal, unseal
from orthanc_plugin.workspace.session_book import SessionBook
from orthanc_plugin.workspace.session_form import Form
from orthanc_plugin.workspace.visitor import Visitor, read_form, same_origin, same_token

ROUTE = "/chart/patient/next"
_STATE = "next session"
_FIELDS = 400
_EXPIRED = "This page was open for a long time, or came from elsewhere. Look at it once more and send it again."
_CHANGED = "The plan was changed while this page was open. Look at it once more and send it again."


@dataclass(frozen=True, slots=True)
class ViewRow:
    """One view: what was decided on, the last session, today."""

    name: str
    baseline: Shot | None
    latest: Shot | None
    today: Shot | None


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """One outcome in words."""

    what: str
    where: str
    change: str
    better: int
    by: str
    scale: str
    compare: str
    """Query of the comparison of its two photos; empty where one may not be seen."""

    end: str


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

    async def _send(self, http: HttpRequest) -> Response:
        fields = await read_form(http, most=2 * LARGEST, fields=_FIELDS)
        return await run_in_threadpool(self._save, http, fields)

    def _save(self, http: HttpRequest, fields: Mapping[str, str] | None) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        question = visitor.asks("TREAT")
        person = self._person(http) if question is not None else None
        if question is None or person is None or not self._book.may_save(question):
            return self._pages.refuse(http, visitor)
        state = unseal(visitor.secret, _STATE, (fields or {}).get("state", ""))
        trusted = fields is not None and same_origin(http) and same_token(fields.get("csrf"), visitor.csrf)
        if fields is None or state is None or not trusted or state["patient"] != person.id:
            return self._show(http, visitor, question, person, told=_EXPIRED, status=400)
        reference = question.requester.reference
        sent = session_form.read(
            state,
            fields,
            start=dates.date_time(self._pages.today()),
            performer=reference if (reference or "").startswith("Practitioner/") else None,
        )
        if sent.errors:
            return self._show(http, visitor, question, person, fields=fields, errors=sent.errors, status=422)
        try:
            procedure = self._book.save(question, sent, ROUTE)
        except VersionMismatch:
            return self._show(http, visitor, question, person, fields=fields, told=_CHANGED, status=409)
        except Refused as refusal:
            told = "; ".join(issue.text for issue in refusal.issues) or "The record does not take it."
            return self._show(http, visitor, question, person, fields=fields, told=told, status=422)
        return RedirectResponse(f"/chart/patient/{person.id}/next?saved={procedure.partition('/')[2]}", status_code=303)

    def _show(
        self,
        http: HttpRequest,
        visitor: Visitor,
        question: Request,
        person: Person,
        *,
        fields: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
        told: str = "",
        status: int = 200,
    ) -> Response:
        found = self._book.upcoming(question, person.id, http.query_params.get("plan") or None, ROUTE)
        form = session_form.prefilled(found)
        if fields is not None:
            form = session_form.returned(form, fields, errors or {})
        saved = http.query_params.get("saved", "")
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
            last=_treatment(last, self._pages) if last is not None else None,
            saved=last is not None and last.reference == f"Procedure/{saved}",
            views=view_rows(found),
            outcomes=[_line(each) for each in found.outcomes],
            form=form,
            settings=_by_machine(form),
            may_save=self._book.may_save(question),
            state=seal(visitor.secret, _STATE, session_form.state_of(found, self._token())),
            told=told,
            now=self._pages.today(),
        )


def view_rows(found: Upcoming) -> list[ViewRow]:
    """The views in the order of the baseline, each with its photos."""
    keyed: list[dict[tuple[str, str, str, str], Shot]] = [
        {each.view.key: each for each in some} for some in (found.baseline, found.latest, found.today)
    ]
    names = {key: shot.view.name for some in keyed for key, shot in some.items()}
    if found.last is not None and found.latest == found.today:  # today's session is written: it is the last
        keyed[2] = keyed[1]
    return [ViewRow(name, *(some.get(key) for some in keyed)) for key, name in names.items()]


def _treatment(treated: Treated, pages: Pages) -> Treatment:
    """A session as the timeline's parts draw it."""
    session = treated.session
    zone = pages.parts.site.zone
    begun = None
    if session.start or session.end:
        try:
            begun = dates.span(session.start or session.end, zone).start
        except ValueError:
            begun = None
    return Treatment(
        id=treated.reference.partition("/")[2],
        title=session.title.text or "Treatment",
        at=begun,
        session=session.number,
        clinician=", ".join(each.name for each in session.performers if each.name),
        device=", ".join(each.name for each in session.machines if each.name),
        products=(
            *(
                Product(
                    each.product.name.text or "Product",
                    " ".join(
                        filter(
                            None,
                            (
                                each.dose.shown if each.dose else "",
                                region_name(each.place).lower() if each.place else "",
                            ),
                        )
                    ),
                    each.product.lot,
                    each.product.expires,
                )
                for each in session.given
            ),
            *(
                Product(each.name.text or "Device", each.amount.shown if each.amount else "", each.lot, each.expires)
                for each in session.implants
            ),
        ),
        settings=tuple(
            Setting(setting.name.text or "Setting", setting.shown)
            for each in session.machines
            for setting in each.settings
        ),
    )


def _line(outcome: Outcome) -> OutcomeLine:
    words = vocabulary()
    grade = "" if outcome.change is None else words.of_change(outcome.change).name
    graded = outcome.graded
    scale = ""
    if graded is not None:
        steps = " → ".join(filter(None, (graded.before, graded.after)))
        scale = f"{words.scales[graded.scale].name}: {steps}"
    ends = [each.partition("/")[2] for each in (outcome.before, outcome.after) if each is not None]
    return OutcomeLine(
        what=words.characteristics[outcome.characteristic],
        where=region_name(outcome.place) if outcome.place is not None else "",
        change=grade,
        better=(outcome.change or 0),
        by="" if outcome.rater is None else words.raters[outcome.rater.value].lower(),
        scale=scale,
        compare=f"left={ends[0]}&right={ends[1]}" if len(ends) > 1 else "",
        end=outcome.end[:10],
    )


def _by_machine(form: Form) -> dict[str, list[session_form.SettingRow]]:
    made: dict[str, list[session_form.SettingRow]] = {}
    for each in form.settings:
        made.setdefault(each.machine, []).append(each)
    return made
