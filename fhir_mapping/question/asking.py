"""Asking: the way of every door from a question to photos that may leave. One question is one audit record."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from consent.purposes import BTG
from consent.service import DecisionPoint, for_one_patient
from consent.store.tables import photo, photo_link
from consent.store.write import among
from consent.types import Obligation, Request
from fhir_mapping.errors import Forbidden, Issue
from fhir_mapping.projections.written import Setting
from fhir_mapping.question import text
from fhir_mapping.question.answer import Found, answer, matching
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.page import FEW, Place
from fhir_mapping.question.question import Question
from fhir_mapping.question.surroundings import USES
from fhir_mapping.tables import fhir_reference

#: What tells who somebody is, or leads to her: not asked or counted where a purpose shows no identifiers.
IDENTIFYING = frozenset(
    {Facet.PATIENT, Facet.LOT, Facet.CLINICIAN, Facet.PHOTOGRAPHER, Facet.PLAN, Facet.TAKEN, Facet.SETTING}
)


def ask(
    point: DecisionPoint,
    connection: Connection,
    setting: Setting,
    request: Request,
    question: Question,
    *,
    route: str,
    fulfils: frozenset[Obligation],
    most: int,
    after: Place | None = None,
    counted: Sequence[Facet] = (),
) -> Found:
    """Answer a question; the record is durable when this returns.

    Parameters
    ----------
    connection
        In one snapshot (:func:`consent.store.engine.reading`).
    fulfils
        The obligations that the door meets. A door that shows no identifiers gives out numbers of photos alone.

    Raises
    ------
    Forbidden
        A facet is named that the purpose does not show.
    consent.audit.shelf.AuditUnavailable
        Nothing may leave.
    """
    asked = _of_one_patient(connection, setting, request, question)
    may = point.permitted(connection, asked, fulfils=fulfils)
    if Obligation.NO_IDENTIFIERS in may.obligations:
        for facet in (*question.asked(), *counted):
            if facet in IDENTIFYING:
                reason = f"{facet.value}: this purpose shows no identifiers, so it is not asked by this facet."
                raise Forbidden(Issue("forbidden", reason))
    found = answer(connection, setting, may, question, most=most, after=after, counted=counted)
    details = {"question": text.text(question), "counted": found.total}
    point.record_set(asked, route, found.numbers, found.refused, details=details)
    return found


def photos_of_treatments(connection: Connection, references: Collection[str]) -> set[int]:
    """Numbers of the photos that treatments name, or that name them: Procedures, administrations, visits.

    Whoever may see them: what follows must be decided.
    """
    direct = select(fhir_reference.c.id).where(
        among(connection, fhir_reference.c.target, {each for each in references if each.partition("/")[0] in USES}),
        fhir_reference.c.type == "DocumentReference",
    )
    documents = select(photo.c.photo).where(photo.c.document.in_(direct))
    linked = select(photo_link.c.photo).where(among(connection, photo_link.c.reference, references))
    return set(connection.execute(documents.union(linked)).scalars())


def _of_one_patient(connection: Connection, setting: Setting, request: Request, question: Question) -> Request:
    """An emergency is about one patient: the one that the question names, or whom all its photos show."""
    if request.purpose != BTG or request.emergency_patient is not None:
        return request
    bits = matching(connection, setting, question)
    if len(bits) > FEW:
        return request
    return for_one_patient(connection, request, among(connection, photo.c.photo, list(bits)))
