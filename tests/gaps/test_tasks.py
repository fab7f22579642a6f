"""Tasks about photos that are due: opened once, changed by what arrives, closed by the last of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from consent.site import CareTeamScope
from consent.store.engine import reading
from dicom_bridge.gaps.tasks import GapTasks, Written, task_id
from fhir_mapping.resources.task import PHOTOS_DUE
from fhir_mapping.store.record import RecordStore
from tests.fhir.clinic import BASE, SITE, Clinic, consent_of
from tests.gaps.clinic import ZONE, here, photographed, treated
from tests.gaps.sentences import protocols

pytestmark = pytest.mark.fast
TIME = "follow-up-2-weeks"


def _day(days: int) -> str:
    return (datetime.now(ZONE) + timedelta(days=days)).date().isoformat()


def _keep(clinic: Clinic) -> Written:
    return GapTasks(clinic.engine, clinic.node.decisions, clinic.record).keep(protocols())


def _tasks(clinic: Clinic) -> dict[str, dict[str, Any]]:
    with reading(clinic.engine) as connection:
        found = clinic.record.search(connection, "Task", {"code": PHOTOS_DUE})
    return {each.id: each.json() | {"_version": each.version} for each in found}


def _baseline(clinic: Clinic, days: int) -> None:
    treated(clinic, "s1", _day(days))
    for each in ("rest", "frown"):
        photographed(clinic, f"g{each}", _day(days), each)


def test_a_task_is_opened_on_the_due_day_and_once(clinic: Clinic) -> None:
    _baseline(clinic, -13)
    assert _keep(clinic) == Written()
    treated(clinic, "s1", _day(-14))
    for each in ("rest", "frown"):
        photographed(clinic, f"h{each}", _day(-14), each)
    assert _keep(clinic) == Written(opened=1)
    ((name, task),) = _tasks(clinic).items()
    assert name == task_id("Procedure/s1", TIME)
    assert (task["status"], task["priority"], task["for"]) == ("requested", "routine", {"reference": "Patient/anna"})
    assert task["focus"] == {"reference": "Procedure/s1"}
    assert task["restriction"]["period"] == {"start": _day(0), "end": _day(7)}
    assert [each["valueString"] for each in task["input"]] == [
        "Glabella, frontal, face at rest",
        "Glabella, frontal, frown",
    ]
    assert _keep(clinic) == Written()
    assert _tasks(clinic)[name]["_version"] == 1


def test_it_is_opened_when_the_patient_comes_earlier(clinic: Clinic) -> None:
    _baseline(clinic, -11)
    assert _keep(clinic) == Written()
    here(clinic, "e1", datetime.now(ZONE))
    assert _keep(clinic) == Written(opened=1)
    (task,) = _tasks(clinic).values()
    assert task["encounter"] == {"reference": "Encounter/e1"}
    here(clinic, "e1", datetime.now(ZONE), status="finished")  # she leaves, and nobody photographed
    assert _keep(clinic) == Written(opened=1)
    (task,) = _tasks(clinic).values()
    assert (task["status"], "encounter" in task) == ("requested", False)


def test_photos_that_arrive_change_and_close_it(clinic: Clinic) -> None:
    _baseline(clinic, -14)
    _keep(clinic)
    photographed(clinic, "krest", _day(0), "rest")
    assert _keep(clinic) == Written(opened=1)
    (task,) = _tasks(clinic).values()
    assert [each["valueString"] for each in task["input"]] == ["Glabella, frontal, frown"]
    photographed(clinic, "kfrown", _day(0), "frown")
    assert _keep(clinic) == Written(closed=1)
    (task,) = _tasks(clinic).values()
    assert task["status"] == "completed"
    assert _keep(clinic) == Written()


def test_of_who_is_not_here_nothing_is_closed_where_today_alone_is_looked_at(clinic: Clinic) -> None:
    _baseline(clinic, -14)
    keeper = GapTasks(clinic.engine, clinic.node.decisions, clinic.record)
    assert keeper.keep(protocols(), today_alone=True) == Written()
    assert keeper.keep(protocols()) == Written(opened=1)
    for each in ("rest", "frown"):
        photographed(clinic, f"k{each}", _day(0), each)
    assert keeper.keep(protocols(), today_alone=True) == Written()
    here(clinic, "e1", datetime.now(ZONE))
    assert keeper.keep(protocols(), today_alone=True) == Written(closed=1)


def test_what_is_too_late_has_failed(clinic: Clinic) -> None:
    _baseline(clinic, -30)
    assert _keep(clinic) == Written(opened=1)
    (task,) = _tasks(clinic).values()
    assert task["priority"] == "urgent"
    treated(clinic, "s1", _day(-34))
    for each in ("rest", "frown"):
        photographed(clinic, f"m{each}", _day(-34), each)
    assert _keep(clinic) == Written(closed=1)
    (task,) = _tasks(clinic).values()
    assert task["status"] == "failed"


def test_what_a_person_has_begun_stays_begun(clinic: Clinic) -> None:
    _baseline(clinic, -14)
    _keep(clinic)
    ((name, task),) = _tasks(clinic).items()
    begun = {key: value for key, value in task.items() if not key.startswith("_") and key != "meta"}
    clinic.put(begun | {"status": "in-progress", "owner": {"reference": "Practitioner/d"}})
    assert _keep(clinic) == Written()
    assert _tasks(clinic)[name]["status"] == "in-progress"


def test_a_photo_that_the_patient_refuses_is_as_if_it_were_not_there(clinic: Clinic) -> None:
    _baseline(clinic, -14)
    for each in ("rest", "frown"):
        photographed(clinic, f"k{each}", _day(0), each)
    assert _keep(clinic) == Written()
    clinic.put(consent_of("c1", "deny", "TREAT", provision={"data": [{"meaning": "instance", "reference": {
        "reference": "DocumentReference/kfrown"}}]}))  # fmt: skip
    assert _keep(clinic) == Written(opened=1)


def test_where_the_record_names_who_sees_photos_no_task_is_written(clinic: Clinic) -> None:
    _baseline(clinic, -14)
    site = replace(SITE, care_team=CareTeamScope.RECORD)
    made = GapTasks(clinic.engine, clinic.node.decisions, RecordStore(site, base=BASE))
    assert made.keep(protocols()) == Written()
    assert _tasks(clinic) == {}


def test_a_visit_that_is_closed_with_a_reason_cancels_it(clinic: Clinic) -> None:
    _baseline(clinic, -14)
    here(clinic, "e1", datetime.now(ZONE))
    assert _keep(clinic) == Written(opened=1)
    clinic.put(_closed("e1", "preliminary"))
    assert _keep(clinic) == Written()
    clinic.put(_closed("e1", "final"))
    assert _keep(clinic) == Written(closed=1)
    (task,) = _tasks(clinic).values()
    assert task["status"] == "cancelled"
    assert task["statusReason"]["coding"] == [{"system": "urn:photospine:missing-reason", "code": "patient-declined"}]
    assert _keep(clinic) == Written()


def _closed(visit: str, status: str) -> dict[str, Any]:
    """A visit's photographs, closed without any."""
    declined = {"coding": [{"system": "urn:photospine:missing-reason", "code": "patient-declined"}]}
    return {
        "resourceType": "Observation",
        "id": "closed",
        "status": status,
        "code": {"coding": [{"system": "urn:photospine:photographs", "code": "closed"}]},
        "subject": {"reference": "Patient/anna"},
        "encounter": {"reference": f"Encounter/{visit}"},
        "component": [
            {
                "code": {"coding": [{"system": "urn:photospine:shot", "code": f"toxin-glabella/{shot}"}]},
                "dataAbsentReason": declined,
            }
            for shot in ("rest", "frown")
        ],
    }
