"""``/me``, beside the photos: what the patient's photos may be used for, who was shown them, and taking back.

For the patient herself alone: a proxy sees the photos that a permit opens to her, and learns of no use and no reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from consent.purposes import (
    BTG,
    CONF,
    HCOMPL,
    HLEGAL,
    HOPERAT,
    HPAYMT,
    HRESCH,
    PATRQT,
    PATSFTY,
    PORTFOLIO,
    SOCIAL,
    TEACH,
    TREAT,
    WEB,
)
from consent.types import Request
from fhir_mapping.signing.wishes import Use
from orthanc_plugin.workspace.consent_book import ConsentBook
from orthanc_plugin.workspace.consent_page import EVERYTHING, paper_of, table
from orthanc_plugin.workspace.history_book import DAYS, HistoryBook, Look
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.record import Person
from orthanc_plugin.workspace.visitor import Visitor, read_form, same_origin, same_token

_FOR = {
    TREAT: noted("for your treatment"),
    BTG: noted("in an emergency"),
    PATRQT: noted("as your own view"),
    PORTFOLIO: noted("for the album in the clinic"),
    WEB: noted("for the website"),
    SOCIAL: noted("for social media"),
    CONF: noted("for conferences and journals"),
    TEACH: noted("for teaching in the clinic"),
    HRESCH: noted("for research"),
    HPAYMT: noted("for billing"),
    HOPERAT: noted("for the running of the clinic"),
    HLEGAL: noted("for a legal claim"),
    HCOMPL: noted("for a review of compliance"),
    PATSFTY: noted("to follow up a batch of a product"),
}


def _for(purpose: str) -> str:
    """What a look was for, in a patient's words."""
    return _(_FOR[purpose]) if purpose in _FOR else _("for %(purpose)s") % {"purpose": purpose}


@dataclass(frozen=True, slots=True)
class Mine:
    """A patient at her own pages."""

    visitor: Visitor
    question: Request
    person: Person


@dataclass(frozen=True, slots=True)
class Told:
    """One day's lines of who was shown her photos."""

    day: date
    lines: tuple[tuple[Look, str], ...]
    """Each with what it was for, in words."""


class OwnPages:
    """Her consent, and who saw her photos."""

    def __init__(self, pages: Pages, consents: ConsentBook, history: HistoryBook) -> None:
        self._pages, self._consents, self._history = pages, consents, history

    def routes(self) -> list[BaseRoute]:
        """Their routes."""
        return [
            Route("/me/patient/{patient}/consent", self._consent, methods=["GET"]),
            Route("/me/patient/{patient}/consent/withdraw", self._withdraw, methods=["POST"]),
            Route("/me/patient/{patient}/consent/{consent}/paper", self._paper, methods=["GET"]),
            Route("/me/patient/{patient}/seen", self._seen, methods=["GET"]),
        ]

    def _mine(self, http: HttpRequest) -> Mine | None:
        visitor = self._pages.visitor(http)
        question = visitor.asks(PATRQT) if visitor is not None else None
        patient = http.path_params["patient"]
        if visitor is None or question is None or not is_herself(visitor, patient):
            return None
        person = self._pages.parts.record.person(patient)
        return None if person is None else Mine(visitor, question, person)

    def _away(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        return self._pages.sign_in_first(http) if visitor is None else self._pages.refuse(http, visitor)

    def _consent(self, http: HttpRequest) -> Response:
        mine = self._mine(http)
        if mine is None:
            return self._away(http)
        numbers = self._consents.hers(mine.person.id)
        standing = self._consents.standing(mine.question, mine.person.id, numbers, "/me/consent")
        return self._pages.show(
            http,
            "own_consent.html",
            mine.visitor,
            section="me",
            person=mine.person,
            base=f"/me/patient/{mine.person.id}/consent",
            rows=table(standing),
            total=len(numbers),
            statements=standing.statements,
            whys=self._consents.whys(mine.question, numbers),
            she_sees=len(standing.seen.get(Use(PATRQT), ())),
            withdrawn="withdrawn" in http.query_params,
        )

    async def _withdraw(self, http: HttpRequest) -> Response:
        form = await read_form(http)
        return await run_in_threadpool(self._take_back, http, dict(form or {}))

    def _take_back(self, http: HttpRequest, form: dict[str, str]) -> Response:
        mine = self._mine(http)
        if mine is None:
            return self._away(http)
        if not same_origin(http) or not same_token(form.get("csrf"), mine.visitor.csrf):
            return self._pages.refuse(http, mine.visitor)
        named = form.get("use", "")
        use = next((each for each in self._consents.uses() if each.key == named), None)
        if use is None and named != EVERYTHING:
            return self._pages.refuse(http, mine.visitor)
        self._consents.withdraw(mine.question, mine.person.id, use, "/me/consent/withdraw")
        return RedirectResponse(f"/me/patient/{mine.person.id}/consent?withdrawn", status_code=303)

    def _paper(self, http: HttpRequest) -> Response:
        mine = self._mine(http)
        if mine is None:
            return self._away(http)
        return paper_of(self._pages, self._consents, http, mine.question, "/me/consent/paper")

    def _seen(self, http: HttpRequest) -> Response:
        mine = self._mine(http)
        if mine is None:
            return self._away(http)
        now = self._pages.today()
        until = min(_moment(http.query_params.get("until"), now), now) + timedelta(microseconds=1)
        looks = self._history.of_patient(mine.question, mine.person.id, until, "/me/seen")
        earlier = until - timedelta(days=DAYS)
        return self._pages.show(
            http,
            "own_seen.html",
            mine.visitor,
            section="me",
            person=mine.person,
            days=[
                Told(day, tuple((look, _for(look.purpose)) for look in each))
                for day, each in groupby(looks, key=lambda look: look.day)
            ],
            since=earlier,
            earlier=f"/me/patient/{mine.person.id}/seen?until={earlier:%Y-%m-%dT%H:%M:%S}",
            newest="until" not in http.query_params,
        )


def is_herself(visitor: Visitor, patient: str) -> bool:
    """Whether an account is the patient's own, and not that of somebody who represents her."""
    requester = visitor.requester
    if requester.confined_to is not None and patient not in requester.confined_to:
        return False
    return requester.reference == f"Patient/{patient}" or requester.own_patient == patient


def _moment(text: str | None, now: datetime) -> datetime:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return now
    return found.replace(tzinfo=now.tzinfo) if 2000 <= found.year <= now.year else now
