"""Asking: the way of every door from a question to photos that may leave. One question is one audit record."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, not_, select

from consent.bits import NONE, Bits
from consent.purposes import BTG, TREAT
from consent.service import DecisionPoint, for_one_patient
from consent.sets import Permitted
from consent.store.engine import reading
from consent.store.tables import photo, photo_patient
from consent.store.versions import group
from consent.store.write import among
from consent.types import Obligation, Request
from fhir_mapping.errors import Behind, Forbidden, Issue
from fhir_mapping.projections.written import Setting
from fhir_mapping.question import projection, text
from fhir_mapping.question.answer import Found, Portion, answer, matching
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.nameless import is_nameless
from fhir_mapping.question.page import FEW
from fhir_mapping.question.question import Question

#: What tells who somebody is, or leads to her: not asked or counted where a purpose shows no identifiers. Who treats is
#: nobody's identifier; nor is the year of a photo (45 CFR 164.514(b)(2)(i)(C)), which any other span of time narrows.
IDENTIFYING = frozenset({Facet.PATIENT, Facet.LOT, Facet.PHOTOGRAPHER, Facet.PLAN, Facet.SETTING})

PATIENCE = 2.0
"""Seconds for which a question indexes what is due before it gives up, where a browser or a program waits."""

T = TypeVar("T")


def in_turn(engine: Engine, setting: Setting, work: Callable[[Connection], T], *, patience: float | None = None) -> T:
    """Ask in one snapshot; where too many photos are due to be indexed, index these first and ask again.

    Parameters
    ----------
    work
        Asks, once for each attempt, with a connection of :func:`consent.store.engine.reading`.
    patience
        Seconds; None: :data:`PATIENCE`.

    Raises
    ------
    Behind
        They are too many for the time. Nothing was answered or recorded.
    """
    until = time.monotonic() + (PATIENCE if patience is None else patience)
    while True:
        try:
            with reading(engine) as connection:
                return work(connection)
        except Behind as behind:
            if not projection.catch_up(engine, setting, behind.photos, until):
                raise


def ask(
    point: DecisionPoint,
    connection: Connection,
    setting: Setting,
    request: Request,
    question: Question,
    portion: Portion,
    *,
    route: str,
    fulfils: frozenset[Obligation],
    of: Collection[int] | None = None,
) -> Found:
    """Answer a question; the record is durable when this returns.

    Parameters
    ----------
    connection
        In one snapshot (:func:`in_turn`).
    fulfils
        The obligations that the door meets. A door that shows no identifiers gives out numbers of photos alone.
    of
        The photos that the door itself confines the question to, whoever may see them; None: all.

    Raises
    ------
    Forbidden
        A facet is named that the purpose does not show.
    Behind
        Too many photos are due to be indexed.
    consent.audit.shelf.AuditUnavailable
        Nothing may leave.
    """
    asked = _of_one_patient(connection, setting, request, question, of)
    may = point.permitted(connection, asked, fulfils=fulfils)
    nameless = Obligation.NO_IDENTIFIERS in may.obligations
    if nameless:
        for facet in (*question.asked(), *portion.counted):
            if facet in IDENTIFYING:
                reason = f"{facet.value}: this purpose shows no identifiers, so it is not asked by this facet."
                raise Forbidden(Issue("forbidden", reason))
        if TREAT not in asked.requester.purposes and not _of_whole_years(question, setting.site.zone):
            reason = "taken: this purpose shows no identifiers, so it is asked by whole years: 2025..2026."
            raise Forbidden(Issue("forbidden", reason))
    found = answer(
        connection,
        setting,
        may,
        question,
        portion,
        of=of,
        tells=is_nameless if nameless else _everything,
        closed=_of_others_too(connection, asked, may),
    )
    details: dict[str, object] = {"question": text.text(question), "counted": found.total}
    if len(question.patient) == 1:
        details["subject"] = f"Patient/{next(iter(question.patient))}"
    point.record_set(asked, route, found.numbers, found.refused, details=details)
    return found


def _of_whole_years(question: Question, zone: ZoneInfo) -> bool:
    """Whether the spans of time that a question names begin and end with years of the site's."""
    ends = (end.astimezone(zone) for each in question.taken for end in (each.start, each.end) if end is not None)
    return all((end.month, end.day, end.time()) == (1, 1, datetime.min.time()) for end in ends)


def _of_others_too(connection: Connection, request: Request, may: Permitted) -> Bits:
    """Photos that show others beside the patients to whom a requester is confined.

    What was given or said at their treatments may be the others' affair, so it is not read to her.
    """
    confined = request.requester.confined_to
    if confined is None:
        return NONE
    hers = group(connection, confined)
    others = select(photo_patient.c.photo).where(
        among(connection, photo_patient.c.photo, may.granted), not_(among(connection, photo_patient.c.patient, hers))
    )
    return Bits.of(connection.execute(others).scalars())


def _everything(_: object) -> bool:
    return True


def _of_one_patient(
    connection: Connection, setting: Setting, request: Request, question: Question, of: Collection[int] | None
) -> Request:
    """An emergency is about one patient: the one that the question names, or whom all its photos show."""
    if request.purpose != BTG or request.emergency_patient is not None:
        return request
    if len(question.patient) == 1:  # all records of one person, where they were merged
        return replace(request, emergency_patient=next(iter(question.patient)))
    bits = matching(connection, setting, question, of)
    if len(bits) > FEW:
        return request
    return for_one_patient(connection, request, among(connection, photo.c.photo, list(bits)))
