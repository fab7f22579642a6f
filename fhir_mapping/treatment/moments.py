"""When something was done: as its resource writes it, and as a moment that puts sessions in order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from fhir_mapping import dates
from fhir_mapping.treatment.elements import Json, text
from fhir_mapping.treatment.session import Session

_UTC = ZoneInfo("UTC")
_UNDATED = datetime.min.replace(tzinfo=UTC)
_MOMENTS = ("performedDateTime", "effectiveDateTime", "whenHandedOver", "recordedOn", "timingDateTime", "dateAsserted")
_PERIODS = ("performedPeriod", "effectivePeriod", "timingPeriod")
_ROUGH = re.compile(r"\d{4}(-\d\d)?")


def stated(resource: Json) -> tuple[str, str]:
    """Start and end as written."""
    for member in _MOMENTS[:-1]:
        if text(resource, member):
            return text(resource, member), ""
    for member in _PERIODS:
        if isinstance(resource.get(member), Mapping):
            return text(resource[member], "start"), text(resource[member], "end")
    return text(resource, "performedString") or text(resource, _MOMENTS[-1]), ""


def begun(session: Session, zone: ZoneInfo) -> datetime | None:
    """When a session began; None where that is not stated, or not as a date.

    Parameters
    ----------
    zone
        What a date without a time of day means.
    """
    for said in (session.start, session.end):
        if said:
            try:
                return dates.span(said, zone).start
            except (ValueError, OverflowError):
                return None
    return None


def roughly(session: Session) -> str:
    """What is stated of its time, where that is less than a day: ``2026``, ``2026-03``; else nothing."""
    said = session.start or session.end
    return said if _ROUGH.fullmatch(said) else ""


def order(session: Session) -> datetime:
    """To put sessions in order; one without a time comes first."""
    return begun(session, _UTC) or _UNDATED
