"""``/advisory``: when a batch is recalled. Asked for patient safety (PATSFTY), which stands in the route.

A question, or a notice whose lots somebody confirms; the three sets with patients, photos and contacts; an advisory
that is kept, worked through patient by patient, and its close-out report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from consent.regions import regions
from consent.store.engine import reading
from consent.types import Request
from fhir_mapping.advisory.asked import Question, question
from fhir_mapping.advisory.batch import Advisory, Fit, When
from fhir_mapping.advisory.keeping import MORE_FOUND, Advisories
from fhir_mapping.advisory.notice import LONGEST, Mark, Recognised, recognise
from fhir_mapping.advisory.opened import Opened
from fhir_mapping.advisory.report import MEDIA_TYPES, Form, report
from fhir_mapping.advisory.said import ASTRAY, SETS, UNPLACED, astray_lines, in_set, taken_when
from fhir_mapping.errors import Invalid, NotFound, Refused, VersionMismatch
from fhir_mapping.references import ID
from fhir_mapping.resources.advisory import WORK, Step
from fhir_mapping.treatment import elements
from fhir_mapping.treatment.session import Place
from orthanc_plugin.workspace import language
from orthanc_plugin.workspace.chart import picture
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.pages import Pages, refused_picture
from orthanc_plugin.workspace.purpose_names import purpose_name
from orthanc_plugin.workspace.shown_names import region_name
from orthanc_plugin.workspace.visitor import Visitor, read_fields, same_origin, same_token
from orthanc_plugin.workspace.words import fault as told

BASE = "/advisory"
PURPOSE = "PATSFTY"
_LARGEST = 4 * LONGEST + 16 * 1024  # bytes of a form: a notice, percent-encoded
_FIELDS = 600
_AMOUNT = re.compile(r"\d+(\.\d+)?", re.ASCII)
_WORDS = ("udi", "product", "since", "until")

_STEPS: Mapping[Step, str] = MappingProxyType(
    {
        Step.CONTACTED: noted("Contacted"),
        Step.REVIEWED: noted("Reviewed"),
        Step.ATTESTED: noted("Attested"),
    }
)
_VOID: Mapping[str, str] = MappingProxyType(
    {
        "entered-in-error": noted("entered in error"),
        "not-done": noted("not done"),
        "cancelled": noted("cancelled"),
        "declined": noted("declined"),
        "not-taken": noted("not taken"),
    }
)
_UNSAID: Mapping[str, str] = MappingProxyType({"patient": "", "note": ""})

Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Batches:
    """What these pages are made of."""

    advisories: Advisories
    engine: Engine


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a notice's text, recognised or not."""

    text: str
    mark: str = ""


class BatchPages:
    """The pages of ``/advisory``."""

    def __init__(self, pages: Pages, batches: Batches) -> None:
        self._pages = pages
        self._batches = batches

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        return [
            Route(BASE, self._got(self._start), methods=["GET"]),
            Route(f"{BASE}/found", self._got(self._found), methods=["GET"]),
            Route(f"{BASE}/notice", self._posted(self._notice), methods=["POST"]),
            Route(f"{BASE}/open", self._posted(self._open), methods=["POST"]),
            Route(f"{BASE}/photo/{{key}}", self._photo, methods=["GET"]),
            Route(f"{BASE}/{{advisory}}", self._got(self._show), methods=["GET"]),
            Route(f"{BASE}/{{advisory}}/done", self._posted(self._done), methods=["POST"]),
            Route(f"{BASE}/{{advisory}}/again", self._posted(self._again), methods=["POST"]),
            Route(f"{BASE}/{{advisory}}/close", self._posted(self._close), methods=["POST"]),
            Route(f"{BASE}/{{advisory}}/report.{{form}}", self._got(self._report), methods=["GET"]),
        ]

    # --- asking -------------------------------------------------------------------------------------------------------

    def _question(self, http: HttpRequest) -> tuple[Visitor | None, Request | None]:
        visitor = self._pages.visitor(http)
        asked = visitor.asks(PURPOSE) if visitor else None
        if asked is not None and asked.requester.confined_to is not None:
            asked = None
        return visitor, asked

    def _got(self, work: Callable[[HttpRequest, Visitor, Request], Response]) -> Callable[[HttpRequest], Response]:
        """A page's address: for whoever is signed in and may ask; to all others nothing is there."""

        def endpoint(http: HttpRequest) -> Response:
            visitor, asked = self._question(http)
            if visitor is None:
                return self._pages.sign_in_first(http)
            identity = http.path_params.get("advisory")
            if asked is None or (identity is not None and not ID.fullmatch(identity)):
                return self._pages.refuse(http, visitor)
            try:
                return work(http, visitor, asked)
            except NotFound:
                return self._pages.refuse(http, visitor)

        return endpoint

    def _start(self, http: HttpRequest, visitor: Visitor, asked: Request) -> Response:
        return self._begin(http, visitor, asked)

    def _begin(
        self,
        http: HttpRequest,
        visitor: Visitor,
        asked: Request,
        *,
        fault: str = "",
        fields: Fields = (),
        status: int = 200,
    ) -> Response:
        return self._pages.show(
            http,
            "advisory.html",
            visitor,
            status=status,
            section="advisory",
            kept=self._batches.advisories.listed(asked),
            fault=fault,
            said=dict.fromkeys(("lot", "expiry", "notice", *_WORDS), "") | dict(fields),
        )

    def _found(self, http: HttpRequest, visitor: Visitor, asked: Request) -> Response:
        fields = http.query_params.multi_items()
        try:
            wanted = question_of(fields)
        except Invalid as fault:
            return self._begin(http, visitor, asked, fault=told(fault), fields=fields, status=400)
        answer = self._batches.advisories.ask(asked, wanted)
        return self._answer(http, visitor, answer, None, fields)

    def _answer(
        self,
        http: HttpRequest,
        visitor: Visitor,
        answer: Advisory,
        opened: Opened | None,
        fields: Fields = (),
        *,
        fault: Refused | None = None,
        said: Mapping[str, str] = _UNSAID,
    ) -> Response:
        return self._pages.show(
            http,
            "advisory_found.html",
            visitor,
            status=_status(fault),
            section="advisory",
            answer=answer,
            opened=opened,
            sets=[(fit, *SETS[fit], in_set(answer.patients, fit)) for fit in Fit],
            products={each.reference: each for each in answer.products},
            bearing={fit: [each for each in answer.products if each.fit is fit] for fit in Fit},
            taken_when=taken_when,
            When=When,
            changed=_changed(opened),
            steps=WORK,
            more_found=MORE_FOUND,
            step_names=_STEPS,
            found=Step.FOUND,
            void_names=_VOID,
            purpose_name=purpose_name,
            places=lambda treatment: map(_site_name, treatment.places),
            doses=lambda treatment: map(_dose, treatment.doses),
            others=((UNPLACED, answer.unplaced), (ASTRAY, astray_lines(answer.astray))),
            fields=[(name, value) for name, value in fields if value],
            photos=sum(len(each.photos) for each in answer.patients),
            fault=told(fault) if fault is not None else "",
            said={**_UNSAID, **said},
            nameless=not any(each.fit is not Fit.UNREADABLE for each in answer.products),
        )

    # --- a notice -----------------------------------------------------------------------------------------------------

    def _notice(self, http: HttpRequest, visitor: Visitor, asked: Request, fields: Fields) -> Response:
        return self._confirm(http, visitor, asked, fields)

    def _confirm(
        self, http: HttpRequest, visitor: Visitor, asked: Request, fields: Fields, fault: Refused | None = None
    ) -> Response:
        """What the notice names, to be confirmed; once more, where the question could not be asked."""
        text = _notice_of(fields)
        if not text.strip():
            return self._begin(http, visitor, asked, fault=_("The notice is empty."), status=400)
        try:
            with reading(self._batches.engine) as connection:
                found = recognise(connection, text)
        except Invalid as refused:
            return self._begin(http, visitor, asked, fault=told(refused), fields=fields, status=400)
        lots = {(each.value, each.expiry): each for each in reversed(found) if each.mark is Mark.LOT}
        ranges = {each.value: each for each in found if each.mark is Mark.RANGE}
        picked = {value for name, value in fields if name in ("pick", "range")}
        said = dict(fields)
        return self._pages.show(
            http,
            "advisory_notice.html",
            visitor,
            status=_status(fault),
            section="advisory",
            fault=told(fault) if fault is not None else "",
            text=text,
            pieces=pieces(text, found),
            lots=[lots[key] for key in sorted(lots, key=lambda key: lots[key].start)],
            ranges=list(ranges.values()),
            every=any(each.mark is Mark.EVERY for each in found),
            products=sorted({each.value for each in found if each.mark is Mark.PRODUCT}, key=str.casefold),
            picked=picked if fault is not None else None,
            said=dict.fromkeys(("lot", *_WORDS), "") | said,
        )

    # --- what is kept -------------------------------------------------------------------------------------------------

    def _open(self, http: HttpRequest, visitor: Visitor, asked: Request, fields: Fields) -> Response:
        notice = _notice_of(fields)
        try:
            wanted = question_of(fields)
            opened = self._batches.advisories.open(asked, wanted, notice)
        except Invalid as fault:
            if notice.strip():
                return self._confirm(http, visitor, asked, fields, fault)
            return self._begin(http, visitor, asked, fault=told(fault), fields=fields, status=400)
        return RedirectResponse(f"{BASE}/{opened.kept.id}", status_code=303)

    def _show(self, http: HttpRequest, visitor: Visitor, asked: Request) -> Response:
        opened = self._batches.advisories.show(asked, http.path_params["advisory"])
        return self._answer(http, visitor, opened.answer, opened)

    def _again_with(
        self, http: HttpRequest, visitor: Visitor, asked: Request, fault: Refused, said: Mapping[str, str]
    ) -> Response:
        """An advisory's page, with what went wrong, and what was typed put back."""
        opened = self._batches.advisories.show(asked, http.path_params["advisory"])
        return self._answer(http, visitor, opened.answer, opened, fault=fault, said=said)

    def _done(self, http: HttpRequest, visitor: Visitor, asked: Request, fields: Fields) -> Response:
        said = dict(fields)
        patient, seen = said.get("patient", ""), said.get("seen", "")
        identity = http.path_params["advisory"]
        try:
            step = Step(said.get("step", ""))
        except ValueError:
            raise NotFound from None
        try:
            self._batches.advisories.note(
                asked, identity, patient, step, said.get("note", ""), said.get("medium", ""),
                seen=int(seen) if re.fullmatch(r"[0-9]{1,9}", seen) else None,
            )  # fmt: skip
        except (Invalid, VersionMismatch) as fault:
            return self._again_with(http, visitor, asked, fault, said)
        return RedirectResponse(f"{BASE}/{identity}#{quote(patient, safe='')}", status_code=303)

    def _again(self, http: HttpRequest, _: Visitor, asked: Request, __: Fields) -> Response:
        identity = http.path_params["advisory"]
        opened = self._batches.advisories.show(asked, identity)
        self._batches.advisories.open(asked, opened.kept.question)
        return RedirectResponse(f"{BASE}/{identity}", status_code=303)

    def _close(self, http: HttpRequest, visitor: Visitor, asked: Request, __: Fields) -> Response:
        identity = http.path_params["advisory"]
        try:
            self._batches.advisories.close(asked, identity)
        except (Invalid, VersionMismatch) as fault:
            return self._again_with(http, visitor, asked, fault, {})
        return RedirectResponse(f"{BASE}/{identity}", status_code=303)

    def _report(self, http: HttpRequest, _: Visitor, asked: Request) -> Response:
        identity = http.path_params["advisory"]
        try:
            form = Form(http.path_params["form"])
        except ValueError:
            raise NotFound from None
        body = report(self._batches.advisories.show(asked, identity), form, self._pages.parts.site.zone)
        self._batches.advisories.recorded(asked, identity, form.value, body)
        name = f"{identity}.{form.value}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(body, media_type=MEDIA_TYPES[form], headers=headers)

    def _photo(self, http: HttpRequest) -> Response:
        _, asked = self._question(http)
        if asked is None:
            return refused_picture()
        sop_uid = self._pages.parts.record.sop_uid(key=http.path_params["key"])
        return picture(self._pages, asked, sop_uid, http, f"{BASE}/photo")

    # --- forms --------------------------------------------------------------------------------------------------------

    def _posted(
        self, work: Callable[[HttpRequest, Visitor, Request, Fields], Response]
    ) -> Callable[[HttpRequest], object]:
        """A form's address: the visitor's own form, with her token, for the purpose; else refused."""

        async def endpoint(http: HttpRequest) -> Response:
            fields = await read_fields(http, most=_LARGEST, fields=_FIELDS)
            return await run_in_threadpool(self._received, http, fields, work)

        return endpoint

    def _received(
        self,
        http: HttpRequest,
        fields: Fields | None,
        work: Callable[[HttpRequest, Visitor, Request, Fields], Response],
    ) -> Response:
        visitor, asked = self._question(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        token = next((value for name, value in fields or () if name == "csrf"), None)
        if asked is None or fields is None or not same_origin(http) or not same_token(token, visitor.csrf):
            return self._pages.refuse(http, visitor)
        identity = http.path_params.get("advisory")
        if identity is not None and not ID.fullmatch(identity):
            return self._pages.refuse(http, visitor)
        try:
            return work(http, visitor, asked, fields)
        except NotFound:
            return self._pages.refuse(http, visitor)
        except Invalid as fault:
            return self._begin(http, visitor, asked, fault=told(fault), status=400)


def question_of(fields: Fields) -> Question:
    """A question as a form says it: ``lot`` and ``expiry``, or ``pick`` with both in one, several times.

    ``range`` holds an expiry, which may be empty, and lots, each behind a tab.

    Raises
    ------
    Invalid
    """
    said: Mapping[str, str] = {name: value.strip() for name, value in fields if value.strip()}
    picked = [value.partition("\t") for name, value in fields if name == "pick"]
    lots: list[tuple[str, str | None]] = [(lot, expiry or None) for lot, _, expiry in picked]
    for first, *rest in (value.split("\t") for name, value in fields if name == "range"):
        lots += [(lot, first or None) for lot in rest]
    typed = [value.strip() for name, value in fields if name == "lot" and value.strip()]
    lots += [(each, said.get("expiry")) for one in typed for each in one.splitlines() if each.strip()]
    words = {name: said[name] for name in _WORDS if name in said}
    return question(lots, **words)


def pieces(text: str, found: Sequence[Recognised]) -> list[Piece]:
    """A notice's text cut where something was recognised; what lies within something else is not cut once more."""
    made: list[Piece] = []
    at = 0
    for each in sorted(found, key=lambda one: (one.start, -(one.end - one.start))):
        if each.start < at:
            continue
        made += [Piece(text[at : each.start]), Piece(text[each.start : each.end], each.mark.name.lower())]
        at = each.end
    return [each for each in [*made, Piece(text[at:])] if each.text]


def _status(fault: Refused | None) -> int:
    """A form that was filled in wrongly is the sender's fault, whatever its words say in FHIR."""
    if fault is None:
        return 200
    return 400 if isinstance(fault, Invalid) else fault.status


def _site_name(where: Place) -> str:
    """An area by its name, and as it was written where that tells more."""
    name, text = region_name(where), where.region.text
    known = regions().by_code(where.region.code or "")
    if known is None or not text:
        return name
    same = {known.display.lower(), known.name.replace("-", " "), elements.region_name(where).lower()}
    return name if text.lower() in same else f"{name} ({text})"


def _dose(text: str) -> str:
    """``0.5 mL``, ``0,5 mL``."""
    amount, _space, unit = text.partition(" ")
    return f"{language.digits(amount)} {unit}".strip() if _AMOUNT.fullmatch(amount) else text


def _notice_of(fields: Fields) -> str:
    """The notice's text in a form."""
    return next((value for name, value in fields if name == "notice"), "").replace("\r\n", "\n")


def _changed(opened: Opened | None) -> frozenset[str]:
    """Patients of whom something was found since the advisory was opened last."""
    return frozenset() if opened is None else frozenset(each.patient for each in opened.changes.added)
