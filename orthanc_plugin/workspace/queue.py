"""``/waiting``: photos whose place nobody knows, what each says of itself, and where it may belong.

Two presses link one: a suggestion, which shows what would be said of the photo, and *Link it*. It is the same code as
``photospine link`` (:mod:`dicom_bridge.waiting`, :mod:`dicom_bridge.proposing`), by the right ``link``. A photo that
waits is nobody's to see but for those who say whose it is: its picture needs the right ``reconcile``, is decoded and
encoded anew, and is a record each time.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from sqlalchemy import Connection, Engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from consent.audit.chain import Chain
from consent.audit.record import AuditRecord, Kind
from consent.regions import regions
from consent.store import photos
from consent.store.engine import reading
from consent.store.photos import PhotoState, StoredPhoto
from consent.types import Laterality, Requester, Right
from consent.wording import worded
from dicom_bridge.archive import Archive
from dicom_bridge.compare.renditions import render, shown_picture
from dicom_bridge.corrections import Corrections
from dicom_bridge.errors import BridgeError, UnknownCode
from dicom_bridge.legacy.visits import KNOWN_BY_PHOTOS, Visits
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view, terms
from dicom_bridge.placing import days_of
from dicom_bridge.proposing import By, Proposal
from dicom_bridge.said import Said, attributes_of, said_of
from dicom_bridge.waiting import Waiting, how_many, waiting
from fhir_mapping.errors import MappingError
from fhir_mapping.resources.people import visit_facts
from fhir_mapping.store.record import RecordStore
from fhir_mapping.treatment.people import person_name
from orthanc_plugin.workspace import language
from orthanc_plugin.workspace.chart import WIDTHS
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.pages import Pages, may_link, refused_picture
from orthanc_plugin.workspace.record import within_sentence
from orthanc_plugin.workspace.shown_names import tree_name
from orthanc_plugin.workspace.visitor import Visitor, read_form, same_origin, same_token
from orthanc_plugin.workspace.vocabularies import title
from orthanc_plugin.workspace.vocabularies import words as in_words
from orthanc_plugin.workspace.words import fault as told
from orthanc_plugin.workspace.words import partial_date

BASE = "/waiting"
_SHOWN = 50
"""Photos on the page, the oldest first."""

_FOUND = 8
_VISITS = 40
_WORDS = ("patient", "visit", "region", "laterality", "view", "expression")
_DOOR = "serve"
_FACTS = {
    "region": noted("Region"),
    "laterality": noted("Side"),
    "view": noted("View"),
    "expression": noted("Expression"),
    "also": noted("Also shown"),
    "session": noted("Session"),
    "procedure": noted("Treatment"),
    "taken": noted("Taken"),
}
_SIDES = {
    Laterality.RIGHT: noted("right"),
    Laterality.LEFT: noted("left"),
    Laterality.BOTH: noted("both sides"),
}


@dataclass(frozen=True, slots=True)
class Queue:
    """What the page is made of."""

    engine: Engine
    chain: Chain
    store: RecordStore
    visits: Visits
    archive: Callable[[], AbstractContextManager[Archive]]
    """A client of Orthanc for one request."""

    corrections: Callable[[Archive], Corrections]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Where a photo may belong, in words, and the address that says so."""

    patient: str
    visit: str
    rest: str
    query: str


@dataclass(frozen=True, slots=True)
class VisitShown:
    """A visit among which a person chooses."""

    id: str
    text: str
    fits: bool
    """It is of the day that the photo says it is of."""


class QueuePage:
    """The pages of ``/waiting``."""

    def __init__(self, pages: Pages, queue: Queue) -> None:
        self._pages, self._queue = pages, queue

    def routes(self) -> list[BaseRoute]:
        """Its routes."""
        return [
            Route(BASE, self._listed, methods=["GET"]),
            Route(f"{BASE}/{{sop}}", self._one, methods=["GET"]),
            Route(f"{BASE}/{{sop}}", self._posted(self._link), methods=["POST"]),
            Route(f"{BASE}/{{sop}}/visit", self._posted(self._make_visit), methods=["POST"]),
            Route(f"{BASE}/{{sop}}/picture", self._picture, methods=["GET"]),
        ]

    # --- the list ---------------------------------------------------------------------------------------------------

    def _listed(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        if not may_link(visitor.requester):
            return self._pages.refuse(http, visitor)
        queue = self._queue
        with reading(queue.engine) as connection:
            found = waiting(connection, queue.store, most=_SHOWN)
            many = how_many(connection)
            told = [(each, _says(each), self._suggestions(connection, each)) for each in found]
        self._record(visitor, "waiting", [each.sop_uid for each in found])
        return self._pages.show(
            http,
            "waiting.html",
            visitor,
            section="waiting",
            waiting=told,
            many=many,
            pictures=Right.RECONCILE in visitor.requester.rights,
            done=http.query_params.get("done") == "1",
        )

    def _suggestions(self, connection: Connection, one: Waiting) -> list[Suggestion]:
        return [self._suggestion(connection, each) for each in one.suggestions]

    def _suggestion(self, connection: Connection, words: Mapping[str, str]) -> Suggestion:
        area = within_sentence(_(title(words.get("region", ""))))
        rest = filter(None, (area, _(in_words(words.get("view", "")))))
        return Suggestion(
            self._patient_name(connection, words.get("patient", "")),
            self._visit_name(connection, words["visit"]) if "visit" in words else "",
            ", ".join(rest),
            urlencode(words),
        )

    # --- one photo --------------------------------------------------------------------------------------------------

    def _one(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        found = self._found(http, visitor)
        if found is None:
            return self._pages.refuse(http, visitor)
        return self._show(http, visitor, found, http.query_params)

    def _show(
        self, http: HttpRequest, visitor: Visitor, photo: StoredPhoto, said: Mapping[str, str], fault: str = ""
    ) -> Response:
        queue = self._queue
        words = {name: said.get(name, "").strip() for name in _WORDS}
        with reading(queue.engine) as connection:
            (one,) = waiting(connection, queue.store, only=photo.sop_uid) or (None,)
            if one is None:
                return self._pages.refuse(http, visitor)
            days = days_of(attributes_of(connection, photo), queue.store.site.zone)
            known = said_of(connection, queue.store, photo)
            patient, visits = words["patient"], []
            if patient and not queue.store.exists(connection, f"Patient/{patient}"):
                patient, fault = "", fault or _("The record has no such patient.")
            if patient:
                visits = self._visits(connection, patient, days)
            name = self._patient_name(connection, patient) if patient else ""
        proposal: Proposal | None = None
        if patient and words["visit"] and not fault:
            try:
                proposal = self._propose(visitor.requester, photo, words)
            except (BridgeError, MappingError) as error:
                fault = _plain(error)
        text = said.get("q", "").strip()
        self._record(visitor, "waiting photo", [photo.sop_uid])
        return self._pages.show(
            http,
            "waiting_photo.html",
            visitor,
            status=400 if fault else 200,
            section="waiting",
            one=one,
            says=_says(one),
            words=words,
            known=_names(known),
            patient=patient,
            name=name,
            visits=visits[:_VISITS],
            day=max(days, default=None),
            may_make=Right.RECORD in visitor.requester.rights and not any(each.fits for each in visits),
            found=self._pages.parts.record.search(text, _FOUND) if text and not patient else None,
            text=text,
            proposal=proposal,
            changes=_changes(proposal),
            fault=fault,
            regions=[(each.name, _(title(each.name))) for each in regions()],
            views=_options("view"),
            expressions=_options("expression"),
            pictures=Right.RECONCILE in visitor.requester.rights,
        )

    def _propose(self, who: Requester, photo: StoredPhoto, words: Mapping[str, str]) -> Proposal:
        queue = self._queue
        with queue.archive() as archive, reading(queue.engine) as connection:
            return queue.corrections(archive).propose(connection, photo, _wanted(words), _by(who))

    def _link(self, http: HttpRequest, visitor: Visitor, photo: StoredPhoto, said: Mapping[str, str]) -> Response:
        queue = self._queue
        try:
            with queue.archive() as archive:
                work = queue.corrections(archive)
                with reading(queue.engine) as connection:
                    proposal = work.propose(connection, photo, _wanted(said), _by(visitor.requester))
                work.carry_out(proposal)
        except (BridgeError, MappingError) as error:
            return self._show(http, visitor, photo, said, _plain(error))
        return RedirectResponse(f"{BASE}?done=1", status_code=303)

    def _make_visit(self, http: HttpRequest, visitor: Visitor, photo: StoredPhoto, said: Mapping[str, str]) -> Response:
        """A historical visit for the photo's day, where the record has none."""
        queue = self._queue
        with reading(queue.engine) as connection:
            days = days_of(attributes_of(connection, photo), queue.store.site.zone)
            there = queue.store.exists(connection, f"Patient/{said.get('patient', '')}")
        if Right.RECORD not in visitor.requester.rights or not there:
            return self._pages.refuse(http, visitor)
        patient, day = said["patient"], max(days, default=None)
        visit = queue.visits.historical(patient, day)
        intent = AuditRecord(
            Kind.INTENT,
            _DOOR,
            "waiting visit",
            account=visitor.requester.account,
            patient=patient,
            subject=f"Encounter/{visit}",
            details={"session": visitor.session},
        )
        with queue.chain.written(intent):
            queue.visits.make(queue.engine, [(patient, day)])
        words = {name: said[name] for name in _WORDS if said.get(name)}
        query = urlencode(words | {"visit": visit})
        return RedirectResponse(f"{BASE}/{photo.sop_uid}?{query}", status_code=303)

    # --- its picture ------------------------------------------------------------------------------------------------

    def _picture(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None or Right.RECONCILE not in visitor.requester.rights:
            return refused_picture()
        photo = self._found(http, visitor)
        if photo is None:
            return refused_picture()
        self._record(visitor, "waiting picture", [photo.sop_uid])
        wanted = http.query_params.get("width", "")
        width = next((step for step in WIDTHS if wanted.isdigit() and int(wanted) <= step), WIDTHS[-1])
        try:
            with self._queue.archive() as archive:
                file = archive.file(f"waiting-{uuid.uuid4()}", photo.orthanc_id)
            picture = None if file is None else shown_picture(file)
            if picture is None:
                return refused_picture()
            return Response(render(picture, width=width).jpeg, media_type="image/jpeg")
        except BridgeError:  # Orthanc cannot be asked, or it is no picture that a page shows
            return refused_picture()

    # --- asking -----------------------------------------------------------------------------------------------------

    def _found(self, http: HttpRequest, visitor: Visitor) -> StoredPhoto | None:
        """The photo that is meant, where it waits and the visitor may say whose it is."""
        if not may_link(visitor.requester):
            return None
        with reading(self._queue.engine) as connection:
            found = photos.by_sop(connection, http.path_params["sop"])
        return found if found is not None and found.state is PhotoState.EXAMINED else None

    def _posted(
        self, work: Callable[[HttpRequest, Visitor, StoredPhoto, Mapping[str, str]], Response]
    ) -> Callable[[HttpRequest], object]:
        """A form's address: the visitor's own form, with her token; else refused."""

        def received(http: HttpRequest, fields: Mapping[str, str] | None) -> Response:
            visitor = self._pages.visitor(http)
            if visitor is None:
                return self._pages.sign_in_first(http)
            proved = fields is not None and same_origin(http) and same_token(fields.get("csrf"), visitor.csrf)
            photo = self._found(http, visitor) if proved else None
            if photo is None or fields is None:
                return self._pages.refuse(http, visitor)
            return work(http, visitor, photo, fields)

        async def endpoint(http: HttpRequest) -> Response:
            fields = await read_form(http)
            return await run_in_threadpool(received, http, fields)

        return endpoint

    def _record(self, visitor: Visitor, route: str, sop_uids: list[str]) -> None:
        """What was shown of photos that wait, before it leaves."""
        self._queue.chain.append(
            [
                AuditRecord(
                    Kind.READ,
                    _DOOR,
                    route,
                    account=visitor.requester.account,
                    subject="photos that wait",
                    details={"photos": sop_uids, "session": visitor.session},
                )
            ]
        )

    # --- words ------------------------------------------------------------------------------------------------------

    def _patient_name(self, connection: Connection, patient: str) -> str:
        if not self._queue.store.exists(connection, f"Patient/{patient}"):
            return _("Nobody on record")
        return person_name(self._queue.store.read(connection, "Patient", patient).json()) or _("No name on record")

    def _visit_name(self, connection: Connection, visit: str) -> str:
        if not self._queue.store.exists(connection, f"Encounter/{visit}"):
            return ""
        return _visit_text(self._queue.store.read(connection, "Encounter", visit).json())

    def _visits(self, connection: Connection, patient: str, days: set[date]) -> list[VisitShown]:
        """The patient's visits: those of the photo's day first, then the latest."""
        zone, found = self._queue.store.site.zone, []
        for each in self._queue.store.search(connection, "Encounter", {"patient": f"Patient/{patient}"}):
            resource = each.json()
            started = visit_facts(resource, zone).started_text or ""
            fits = any(started.startswith(day.isoformat()) for day in days)
            found.append((fits, started, VisitShown(each.id, _visit_text(resource), fits)))
        found.sort(key=lambda one: (one[0], one[1]), reverse=True)
        return [one[2] for one in found]


def _visit_text(encounter: Mapping[str, object]) -> str:
    """``3 May 2026, Consultation``."""
    period, kinds = encounter.get("period"), encounter.get("type")
    start = period.get("start") if isinstance(period, Mapping) else None
    day = partial_date(str(start)[: len("2026-05-03")]) if start else _("Day not known")
    kind = kinds[0].get("text") if isinstance(kinds, list) and kinds and isinstance(kinds[0], Mapping) else None
    kind = language.said(KNOWN_BY_PHOTOS) if kind == KNOWN_BY_PHOTOS else kind
    return f"{day}, {kind}" if kind else day


def _says(one: Waiting) -> list[tuple[str, str]]:
    """What a photo's sender wrote, as people write it."""
    found = []
    for name, value in one.says.items():
        if name.endswith("Date") and len(value) == len("20260503") and value.isdigit():
            value = partial_date(f"{value[:4]}-{value[4:6]}-{value[6:]}")
        elif name.endswith("Name"):
            family, _, given = value.partition("^")
            value = " ".join(f"{given} {family}".replace("^", " ").split())
        found.append((name, value))
    return found


def _wanted(words: Mapping[str, str]) -> Said:
    """What a form says of a photo. Raises UnknownCode."""

    def said(name: str) -> str | None:
        return words.get(name, "").strip() or None

    region, side, view, expression = (said(name) for name in ("region", "laterality", "view", "expression"))
    if side is not None and side not in set(Laterality):
        raise UnknownCode(worded("Side: %(side)s is none of R, L, B", side=repr(side[:20])))
    return Said(
        patient=said("patient"),
        visit=said("visit"),
        region=None if region is None else find_region(region).code,
        laterality=side,
        view=None if view is None else find_view(view).code,
        expression=None if expression is None else find_expression(expression).code,
    )


def _options(kind: str) -> list[tuple[str, str]]:
    """Names of the vocabulary with what they are called, for a list to choose from."""
    called = [(each.name, _(in_words(each.name))) for each in terms(kind)]
    return [(name, text[:1].upper() + text[1:]) for name, text in called]


def _by(who: Requester) -> By:
    return By(who.account, "", who.reference, None)


def _called() -> dict[str, str]:
    """What the codes of the form's lists are called."""
    return {each.code: each.name for each in (*regions(), *terms("view"), *terms("expression"))}


def _names(said: Said) -> dict[str, str]:
    """What a photo says of itself, by the names that the form's lists have."""
    known = _called()
    return {
        "region": known.get(said.region or "", ""),
        "laterality": said.laterality or "",
        "view": known.get(said.view or "", ""),
        "expression": known.get(said.expression or "", ""),
    }


def _changes(proposal: Proposal | None) -> list[tuple[str, str]]:
    """What would be said of a photo, in words; patient and visit stand beside it."""
    if proposal is None:
        return []
    return [
        (_(_FACTS.get(each.what, each.what)), _after(each.what, each.after or ""))
        for each in proposal.changes
        if each.what not in ("patient", "visit")
    ]


def _after(what: str, value: str) -> str:
    if not value:
        return _("not known")
    if what in ("region", "also"):
        named = (each.partition("#") for each in value.split(", "))
        return ", ".join(
            within_sentence(tree_name(code, Laterality(side) if side else None) or code) for code, _mark, side in named
        )
    if what == "laterality":
        return _(_SIDES[Laterality(value)])
    if what == "taken":
        return partial_date(value)
    return _(in_words(_called()[value])) if value in _called() else value


def _plain(error: Exception) -> str:
    """An error in the words of the page: what commands call an option is a field here."""
    text = told(error).replace("--visit: ", "Visit: ").replace("--patient: ", "Patient: ")
    return text.replace("--region: ", "Region: ").replace("; say --patient too if so it is", "")
