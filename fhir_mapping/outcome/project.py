"""From an Observation to its row."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, insert

from consent.store.clock import micros
from fhir_mapping import dates, references
from fhir_mapping.outcome.outcome import read
from fhir_mapping.outcome.tables import outcome
from fhir_mapping.projections.written import Setting, Written
from fhir_mapping.search.values import indexed
from fhir_mapping.treatment.elements import VOID, text


def project(connection: Connection, setting: Setting, written: Written) -> None:
    """Put the row of an outcome in place of the one that it had. What is void, or no outcome, has none."""
    connection.execute(delete(outcome).where(outcome.c.observation == written.id))
    found = read(written.resource, setting.base)
    if found is None or not found.patient or text(written.resource, "status") in VOID:
        return
    graded = found.graded
    where = found.place
    connection.execute(
        insert(outcome).values(
            observation=written.id,
            patient=found.patient,
            characteristic=found.characteristic,
            change=found.change,
            rater=None if found.rater is None else found.rater.value,
            scale=None if graded is None else graded.scale,
            step_before=None if graded is None else graded.before[:32] or None,
            step_after=None if graded is None else graded.after[:32] or None,
            area=None if where is None or where.region.code is None else indexed(where.region.code)[:128],
            side=None if where is None or where.side is None else where.side.value,
            before=None if found.before is None else references.id_of(found.before),
            after=None if found.after is None else references.id_of(found.after),
            start=_moment(found.start, setting.site.zone),
            end=_moment(found.end, setting.site.zone),
        )
    )


def _moment(stated: str, zone: ZoneInfo) -> int | None:
    if not stated:
        return None
    begun = dates.span(stated, zone).start
    return None if begun is None else micros(begun)
