"""Consent at hand: the staff's page of what stands, and the room in which the patient signs or takes back.

While she has the screen, it is turned to her (:mod:`orthanc_plugin.workspace.lock`): nothing opens but her own consent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from consent.identity.shown import Mode, Shown
from consent.types import Request, Right
from fhir_mapping.errors import Refused
from fhir_mapping.question.question import Question
from fhir_mapping.signing import words
from fhir_mapping.signing.paper import Paper, strokes_of
from fhir_mapping.signing.preview import Change
from fhir_mapping.signing.wishes import Answer, Use, Wishes
from orthanc_plugin.workspace import consent_form
from orthanc_plugin.workspace.chart import picture
from orthanc_plugin.workspace.consent_book import ConsentBook, Signer, Standing
from orthanc_plugin.workspace.consent_form import Choosable, Unclear
from orthanc_plugin.workspace.consent_language import region_name, speaking
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.lock import Lock
from orthanc_plugin.workspace.pages import Pages, refused_picture
from orthanc_plugin.workspace.record import Person
from orthanc_plugin.workspace.rooms import ROOMS
from orthanc_plugin.workspace.sealed_state import seal, unseal
from orthanc_plugin.workspace.visitor import Visitor, read_fields, same_origin, same_token
from orthanc_plugin.workspace.words import partial_date

_ROOM = ROOMS[Mode.SIGNING].home
_PURPOSE = "TREAT"
_SEAL = "consent"
_ANSWERS = "answers"
EVERYTHING = "everything"
"""Withdrawn at once: every use but her treatment and her own view."""

_MOST = 768 * 1024  # bytes of a form
_FIELDS = 4000
_NAME = 120  # characters
_CHANGED = noted("Something has changed in the meantime. Please read it once more.")
_UNSIGNED = noted("Please sign in the field, or have somebody type your name and witness it.")


@dataclass(frozen=True, slots=True)
class Row:
    """One use, as the table shows it."""

    use: Use
    title: str
    meaning: str
    count: int
    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """What one use was, and what it will be."""

    title: str
    before: int
    after: int
    lost: int
    """Photos that can be seen for it no longer."""


@dataclass(frozen=True, slots=True)
class Hers:
    """One patient's consent, and who asks."""

    visitor: Visitor
    question: Request
    person: Person
    offered: Choosable
    standing: Standing

    @property
    def total(self) -> int:
        """Photos in all."""
        return len(self.offered.photos)

    def rows(self) -> list[Row]:
        """The table of who may see what."""
        return table(self.standing)


def table(standing: Standing) -> list[Row]:
    """A row for each use, in the language of the page."""
    said = speaking()
    return [
        Row(use, words.title(use, said), words.meaning(use, said), len(standing.seen[use]), standing.holders[use].names)
        for use in standing.uses
    ]


class ConsentPages:
    """``/chart/patient/ID/consent`` and ``/sign``."""

    def __init__(self, pages: Pages, book: ConsentBook, lock: Lock | None) -> None:
        self._pages, self._book, self._lock = pages, book, lock

    def routes(self) -> list[BaseRoute]:
        """Their routes."""
        mine = "/chart/patient/{patient}/consent"
        made: list[BaseRoute] = [
            Route(mine, self._overview, methods=["GET"]),
            Route(f"{mine}/withdraw", self._form(self._withdraw), methods=["POST"]),
            Route(f"{mine}/{{consent}}/paper", self._paper, methods=["GET"]),
        ]
        if self._lock is not None:
            made += [
                Route(f"{mine}/sign", self._form(self._hand_over), methods=["POST"]),
                Route(_ROOM, self._sign, methods=["GET"]),
                Route(f"{_ROOM}/check", self._form(self._check), methods=["POST"]),
                Route(f"{_ROOM}/done", self._form(self._done), methods=["POST"]),
                Route(f"{_ROOM}/withdraw", self._form(self._withdraw), methods=["POST"]),
                Route(f"{_ROOM}/thanks", self._thanks, methods=["GET"]),
                Route(f"{_ROOM}/photo/{{key}}", self._photo, methods=["GET"]),
            ]
        return made

    def _form(self, handle: Any) -> Any:
        """A handler of a form that proves its page: the token, and the origin."""

        async def answer(http: HttpRequest) -> Response:
            sent = await read_fields(http, most=_MOST, fields=_FIELDS)
            return await run_in_threadpool(self._proved, http, sent or (), handle)

        return answer

    def _proved(self, http: HttpRequest, sent: Sequence[tuple[str, str]], handle: Any) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        if not same_origin(http) or not same_token(dict(sent).get("csrf"), visitor.csrf):
            return self._pages.refuse(http, visitor)
        answer: Response = handle(http, sent)
        return answer

    # --- who, and about whom ------------------------------------------------------------------------------------------

    def _hers(self, http: HttpRequest, route: str) -> Hers | None:
        """Her consent, for the care team; in the room, of whom the screen is turned to."""
        visitor = self._pages.visitor(http)
        question = visitor.asks(_PURPOSE) if visitor is not None else None
        if visitor is None or question is None:
            return None
        if visitor.shown is not None:
            patient = visitor.shown.patient if visitor.shown.mode is Mode.SIGNING else None
        else:
            patient = http.path_params.get("patient")
        confined = visitor.requester.confined_to
        if patient is None or (confined is not None and patient not in confined):
            return None
        record, zone = self._pages.parts.record, self._pages.parts.site.zone
        person = record.person(patient)
        if person is None:
            return None
        photos = record.course(question, patient, Question(), route).photos
        alone = record.alone(patient, [photo.key for photo in photos])
        offered = consent_form.choosable((photo for photo in photos if photo.key in alone), zone)
        return Hers(visitor, question, person, offered, self._book.standing(question, patient, offered.numbers, route))

    def _away(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        return self._pages.sign_in_first(http) if visitor is None else self._pages.refuse(http, visitor)

    def _show(self, http: HttpRequest, template: str, hers: Hers, *, status: int = 200, **values: Any) -> Response:
        return self._pages.show(
            http,
            template,
            hers.visitor,
            status=status,
            section="chart",
            person=hers.person,
            rows=hers.rows(),
            total=hers.total,
            statements=hers.standing.statements,
            may_sign=_may_write(hers.visitor),
            **values,
        )

    # --- the staff's page ---------------------------------------------------------------------------------------------

    def _overview(self, http: HttpRequest) -> Response:
        hers = self._hers(http, "/chart/consent")
        if hers is None:
            return self._away(http)
        return self._show(
            http,
            "consent.html",
            hers,
            base=f"/chart/patient/{hers.person.id}/consent",
            withdrawn="withdrawn" in http.query_params,
        )

    def _hand_over(self, http: HttpRequest, _: Sequence[tuple[str, str]]) -> Response:
        hers = self._hers(http, "/chart/consent/sign")
        if hers is None or self._lock is None or not _may_write(hers.visitor):
            return self._away(http)
        return self._lock.turn(http, hers.visitor, Shown(Mode.SIGNING, hers.person.id))

    def _paper(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        question = visitor.asks(_PURPOSE) if visitor is not None else None
        if visitor is None or question is None or visitor.requester.confined_to is not None:
            return self._away(http)
        return paper_of(self._pages, self._book, http, question, "/chart/consent/paper")

    def _withdraw(self, http: HttpRequest, sent: Sequence[tuple[str, str]]) -> Response:
        hers = self._hers(http, "consent/withdraw")
        if hers is None or not _may_write(hers.visitor):
            return self._away(http)
        named = dict(sent).get("use", "")
        use = next((each for each in hers.standing.uses if each.key == named), None)
        if use is None and named != EVERYTHING:
            return self._pages.refuse(http, hers.visitor)
        self._book.withdraw(hers.question, hers.person.id, use, "consent/withdraw")
        if hers.visitor.shown is not None:
            return RedirectResponse(f"{_ROOM}/thanks?withdrawn", status_code=303)
        return RedirectResponse(f"/chart/patient/{hers.person.id}/consent?withdrawn", status_code=303)

    # --- the patient's room -------------------------------------------------------------------------------------------

    def _sign(self, http: HttpRequest) -> Response:
        hers = self._in_room(http)
        return self._away(http) if hers is None else self._ask(http, hers, ())

    def _in_room(self, http: HttpRequest) -> Hers | None:
        visitor = self._pages.visitor(http)
        if visitor is None or visitor.shown is None or not _may_write(visitor):
            return None
        return self._hers(http, _ROOM)

    def _ask(
        self, http: HttpRequest, hers: Hers, sent: Sequence[tuple[str, str]], *, error: str = "", status: int = 200
    ) -> Response:
        return self._show(
            http,
            "sign.html",
            hers,
            status=status,
            base=_ROOM,
            areas=[(key, region_name(region), count) for key, region, count in hers.offered.areas],
            visits=hers.offered.visits,
            photos=hers.offered.photos,
            signers=hers.standing.signers,
            sent=dict(sent),
            chosen=frozenset(value for name, value in sent if name in ("area", "visit", "photo")),
            today=self._pages.today().date(),
            error=error,
        )

    def _check(self, http: HttpRequest, sent: Sequence[tuple[str, str]]) -> Response:
        hers = self._in_room(http)
        if hers is None:
            return self._away(http)
        if "change" in dict(sent):
            return self._ask(http, hers, _answers(hers, dict(sent).get("answers", "")))
        signer = _signer(hers, dict(sent).get("by", ""))
        try:
            today = self._pages.today().date()
            wishes = consent_form.read(sent, hers.person.id, hers.standing.uses, hers.offered, today)
            change = self._book.rehearse(wishes, signer.reference, hers.offered.numbers)
        except Unclear as error:
            return self._ask(http, hers, sent, error=str(error), status=422)
        except Refused as error:
            return self._ask(
                http, hers, sent, error=_("This cannot be signed so: %(why)s") % {"why": error}, status=422
            )
        return self._review(http, hers, wishes, signer, change, sent)

    def _review(
        self,
        http: HttpRequest,
        hers: Hers,
        wishes: Wishes,
        signer: Signer,
        change: Change,
        sent: Sequence[tuple[str, str]],
        *,
        error: str = "",
    ) -> Response:
        lines, said = self._lines(hers, wishes, signer), speaking()
        kept = consent_form.state(wishes, signer.reference, lines, change)
        return self._show(
            http,
            "sign_check.html",
            hers,
            status=422 if error else 200,
            base=_ROOM,
            lines=lines,
            beginnings={each.value: words.verdict(each, said) for each in Answer},
            changes=_lines_of(hers, change),
            signer=signer,
            state=seal(hers.visitor.secret, _SEAL, kept),
            answers=seal(hers.visitor.secret, _ANSWERS, {"sent": [[*each] for each in sent if each[0] != "csrf"]}),
            error=error,
        )

    def _lines(self, hers: Hers, wishes: Wishes, signer: Signer) -> tuple[str, ...]:
        site = self._pages.parts.site
        called = hers.offered.called(hers.person.name, site.zone)
        return words.lines(
            wishes, site, called, herself=signer.reference == f"Patient/{hers.person.id}", spoken=speaking()
        )

    def _done(self, http: HttpRequest, sent: Sequence[tuple[str, str]]) -> Response:
        hers, form = self._in_room(http), dict(sent)
        if hers is None:
            return self._away(http)
        kept = unseal(hers.visitor.secret, _SEAL, form.get("state", ""))
        if kept is None or kept["patient"] != hers.person.id:
            return self._pages.refuse(http, hers.visitor)
        wishes, signer = consent_form.wishes_of(kept, hers.standing.uses), _signer(hers, kept["by"])
        answered = _answers(hers, form.get("answers", ""))
        lines = self._lines(hers, wishes, signer)
        try:
            change = self._book.rehearse(wishes, signer.reference, hers.offered.numbers)
        except Refused as error:  # what it names is there no longer
            return self._ask(
                http, hers, answered, error=_("This cannot be signed so: %(why)s") % {"why": error}, status=422
            )
        if signer.reference != kept["by"] or consent_form.digest(lines, change) != kept["said"]:
            return self._review(http, hers, wishes, signer, change, answered, error=_(_CHANGED))
        strokes = strokes_of(form.get("drawn", ""))
        typed, witness = form.get("typed", "").strip()[:_NAME], form.get("witness", "").strip()[:_NAME]
        if not strokes and not (typed and witness):
            return self._review(http, hers, wishes, signer, change, answered, error=_(_UNSIGNED))
        moment = self._book.moment()
        local = moment.astimezone(self._pages.parts.site.zone)
        about = [_("Of %s, born %s") % (hers.person.name, partial_date(hers.person.birth)) if hers.person.birth
                 else _("Of %s") % hers.person.name]  # fmt: skip
        if hers.standing.clinic:
            about.append(_("At %s") % hers.standing.clinic)
        paper = Paper(
            title=_("Consent to the use of photographs"),
            about=tuple(about),
            lines=lines,
            signed=_("Signed by %s") % (signer.name if strokes else typed),
            when=f"{local:%Y-%m-%d %H:%M %Z}",
            strokes=strokes,
            witnessed="" if strokes else _("The name was typed, in the presence of %s.") % witness,
            language=speaking().code,
        )
        self._book.sign(hers.question, wishes, signer.reference, paper, moment, f"{_ROOM}/done")
        return RedirectResponse(f"{_ROOM}/thanks", status_code=303)

    def _photo(self, http: HttpRequest) -> Response:
        visitor, key = self._pages.visitor(http), http.path_params["key"]
        if visitor is None or visitor.shown is None or visitor.shown.mode is not Mode.SIGNING:
            return refused_picture()
        question, patient, record = visitor.asks(_PURPOSE), visitor.shown.patient, self._pages.parts.record
        if question is None or patient is None or key not in record.alone(patient, [key]):
            return refused_picture()
        return picture(self._pages, question, record.sop_uid(key=key), http, f"{_ROOM}/photo")

    def _thanks(self, http: HttpRequest) -> Response:
        hers = self._in_room(http)
        if hers is None:
            return self._away(http)
        return self._show(http, "sign_thanks.html", hers, base=_ROOM, withdrawn="withdrawn" in http.query_params)


def paper_of(pages: Pages, book: ConsentBook, http: HttpRequest, question: Request, route: str) -> Response:
    """The PDF of a Consent of the patient in the address, or the one refusal."""
    patient, consent = http.path_params["patient"], http.path_params["consent"]
    found = book.paper(question, patient, consent, route)
    if found is None:
        return pages.refuse(http, pages.visitor(http))
    headers = {"Content-Disposition": 'attachment; filename="consent.pdf"'}
    return Response(found, media_type="application/pdf", headers=headers)


def _may_write(visitor: Visitor) -> bool:
    return Right.CONSENT in visitor.requester.rights


def _answers(hers: Hers, sealed: str) -> list[tuple[str, str]]:
    """The answers as they were given before they were reviewed; none where this session sealed none."""
    kept = unseal(hers.visitor.secret, _ANSWERS, sealed) or {}
    return [(str(name), str(value)) for name, value in kept.get("sent", ())]


def _signer(hers: Hers, reference: str) -> Signer:
    """Who signs: whom the form names, of those who may; else the patient."""
    signers = hers.standing.signers
    return next((each for each in signers if each.reference == reference), signers[0])


def _lines_of(hers: Hers, change: Change) -> list[Line]:
    said = speaking()
    return [
        Line(
            words.title(use, said),
            len(change.before[use]),
            len(change.after[use]),
            len(change.before[use] - change.after[use]),
        )
        for use in hers.standing.uses
        if change.before[use] != change.after[use]
    ]
