"""One session with all that was done in it, its photos, and how it was judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from consent.service import DecisionPoint, for_one_patient
from consent.store.tables import photo
from consent.store.versions import group
from consent.store.write import among
from consent.types import Request
from fhir_mapping.course.appraised import appraised
from fhir_mapping.course.seeing import ends_of, judged_within, maps_of, within
from fhir_mapping.course.shots import seen
from fhir_mapping.course.views import Shot
from fhir_mapping.outcome.outcome import Outcome, is_outcome, read
from fhir_mapping.resources.appraisal import Appraisal
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.treatment.elements import VOID, text
from fhir_mapping.treatment.read import Treated, treatments
from fhir_mapping.treatment.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Done:
    """The answer."""

    treated: Treated
    """It names no photo that may not be seen."""

    shots: tuple[Shot, ...]
    """Its photos, and those on which points are marked, in order of time."""

    outcomes: tuple[Outcome, ...]
    more: bool
    """Whether there is more around it than was followed."""

    appraisals: Mapping[str, Appraisal] = field(default_factory=dict)
    """How its photos were taken, by ``DocumentReference/…``."""


def done(
    point: DecisionPoint, connection: Connection, reader: RecordReader, request: Request, procedure: str, *, route: str
) -> Done | None:
    """Answer it; what it shows is recorded before this returns.

    Parameters
    ----------
    connection
        In one snapshot.
    procedure
        Id. That the request may read it was asked before.

    Returns
    -------
    None where there is no such Procedure.

    Raises
    ------
    consent.audit.shelf.AuditUnavailable
        Nothing may leave.
    """
    reference = f"Procedure/{procedure}"
    around = Surroundings(connection, reader.base, [reference])
    treated = next((each for each in treatments(around, others=is_outcome) if each.reference == reference), None)
    if treated is None:
        return None
    noted = [
        made
        for each, resource in sorted(around.resources.items())
        if each.startswith("Observation/") and text(resource, "status") not in VOID
        if (made := read(resource, reader.base)) is not None and reference in made.sessions
    ]
    everyone = group(connection, [treated.session.patient])
    question = for_one_patient(connection, request, among(connection, photo.c.patient, everyone))
    own = {*treated.photos, *(each.photo for each in maps_of(treated))}
    found = seen(
        connection,
        reader,
        point,
        question,
        everyone,
        documents=own | ends_of(noted),
        linked={reference},
    )
    shown = {found.now(each) for each in own}
    point.record_set(
        question, route, [each.number for each in found.shots], found.refused, details={"subject": reference}
    )
    shots = tuple(each for each in found.shots if each.reference in shown or each.procedure == procedure)
    return Done(
        within(treated, found),
        shots,
        tuple(judged_within(each, found) for each in sorted(noted, key=lambda each: each.end, reverse=True)),
        around.more,
        appraised(connection, reader, point, question, [each.reference for each in shots]),
    )
