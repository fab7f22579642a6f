"""The one patient of the made-up clinic who is expected today: treated two weeks ago, and photographed by nobody since.

What is here depends on the day on which the clinic is loaded first, so that there is something left to photograph.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from fhir_mapping.resources.session import session_extension
from orthanc_plugin.assembly.demo.clinic import COURSES, ZONE, procedure_id, visit_id
from orthanc_plugin.assembly.demo.resources import finished_visit, transaction, treatment

_AGO = timedelta(days=14)
_HOUR = time(16)


def today(day: date) -> dict[str, Any]:
    """A session two weeks before a day, and an appointment on it, as a transaction."""
    (course,) = [each for each in COURSES if each.patient == "eleni"]
    session = len(course.severities)
    visit = visit_id(course, session + 1)  # the last visit so far was a follow-up
    treated = datetime.combine(day - _AGO, _HOUR, ZONE)
    booked = datetime.combine(day, _HOUR, ZONE)
    patient = f"demo-{course.patient}"
    procedure = treatment(course, procedure_id(course, session), visit, treated) | {
        "extension": [session_extension(session)],
        "basedOn": [{"reference": f"CarePlan/{patient}-plan"}],
    }
    appointment = {
        "resourceType": "Appointment",
        "id": f"{patient}-booked",
        "status": "booked",
        "start": booked.isoformat(),
        "end": (booked + timedelta(minutes=30)).isoformat(),
        "participant": [
            {"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"},
            {"actor": {"reference": "Practitioner/demo-clinician"}, "status": "accepted"},
        ],
    }
    return transaction([finished_visit(course, visit, treated), procedure, appointment])
