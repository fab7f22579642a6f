"""Deletion: nothing that is named, nothing that would lift a refusal; versions stay for those who might read them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import ColumnElement, Engine, select, true

from consent.store.engine import reading, transaction
from consent.store.tables import membership, representation
from fhir_mapping.projections.project import rebuild
from fhir_mapping.projections.written import Setting
from fhir_mapping.store import history
from fhir_mapping.store.kinds import LASTING
from fhir_mapping.store.record import RecordStore
from tests.fhir.clinic import BASE, ROLE, SITE, Clinic, consent_of

_DEVICE = {"resourceType": "Device", "id": "d1", "identifier": [{"system": "urn:x", "value": "7"}]}


def _delete(clinic: Clinic, path: str, account: str = "integrator", **headers: str) -> Any:
    return clinic.ask(account, "DELETE", path, headers={key.replace("_", "-"): each for key, each in headers.items()})


def test_what_was_deleted_is_gone_and_its_versions_stay(clinic: Clinic) -> None:
    clinic.ask("integrator", "PUT", "/Device/d1", json=_DEVICE)
    clinic.ask("integrator", "PUT", "/Device/d1", json=_DEVICE | {"status": "active"})
    done = _delete(clinic, "/Device/d1")
    assert (done.status_code, done.content, done.headers["etag"]) == (204, b"", 'W/"3"')
    assert clinic.get("clinician", "/Device/d1").status_code == 410
    assert clinic.get("clinician", "/Device/d1").json()["issue"][0]["code"] == "deleted"
    assert clinic.get("clinician", "/Device?identifier=7").json()["total"] == 0
    assert clinic.get("clinician", "/Device/d1/_history/2").json()["status"] == "active"
    assert clinic.get("clinician", "/Device/d1/_history/3").status_code == 410
    entries = clinic.get("clinician", "/Device/d1/_history").json()["entry"]
    assert [each["request"]["method"] for each in entries] == ["DELETE", "PUT", "PUT"]
    assert "resource" not in entries[0]
    assert entries[0]["response"]["status"] == "204 No Content"
    listed = clinic.get("clinician", "/Device/_history?_count=1").json()["entry"]
    assert listed[0]["request"] == {"method": "DELETE", "url": "Device/d1"}


def test_a_second_deletion_changes_nothing_and_what_never_was_is_not_found(clinic: Clinic) -> None:
    clinic.ask("integrator", "PUT", "/Device/d1", json=_DEVICE)
    assert [_delete(clinic, "/Device/d1").status_code for _ in range(2)] == [204, 204]
    assert clinic.get("clinician", "/Device/d1/_history").json()["total"] == 2
    assert _delete(clinic, "/Device/none").status_code == 404
    assert _delete(clinic, "/Device/a_b").status_code == 404


def test_what_was_deleted_can_be_written_anew_and_goes_on_counting(clinic: Clinic) -> None:
    clinic.ask("integrator", "PUT", "/Device/d1", json=_DEVICE)
    _delete(clinic, "/Device/d1")
    back = clinic.ask("integrator", "PUT", "/Device/d1", json=_DEVICE)
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')
    assert clinic.get("clinician", "/Device/d1").status_code == 200
    assert clinic.get("clinician", "/Device/d1/_history/2").status_code == 410
    assert clinic.get("clinician", "/Device?identifier=7").json()["total"] == 1
    _delete(clinic, "/Device/d1")
    methods = [each["request"]["method"] for each in clinic.get("clinician", "/Device/d1/_history").json()["entry"]]
    assert methods == ["DELETE", "PUT", "DELETE", "PUT"]
    assert clinic.get("clinician", "/Device/d1").status_code == 410


def test_what_something_names_is_not_deleted(clinic: Clinic) -> None:
    refused = _delete(clinic, "/Medication/lot7")
    assert refused.status_code == 409
    assert "MedicationAdministration/ma1" in refused.json()["issue"][0]["diagnostics"]
    assert clinic.get("clinician", "/Medication/lot7").status_code == 200
    for path in ("/Patient/anna", "/Encounter/v1", "/Organization/group"):
        assert _delete(clinic, path).status_code == 409


def test_a_refusal_to_delete_names_no_photo(clinic: Clinic) -> None:
    team = {"resourceType": "EpisodeOfCare", "id": "e1", "status": "active", "patient": {"reference": "Patient/anna"}}
    clinic.put(team)
    clinic.photo("f5", "anna", "v1", context={"related": [{"reference": "EpisodeOfCare/e1"}]})
    refused = _delete(clinic, "/EpisodeOfCare/e1")
    assert refused.status_code == 409
    assert "f5" not in refused.text
    assert "Document" not in refused.text


@pytest.mark.parametrize("kind", sorted(LASTING & {"Consent", "Procedure", "Observation", "MedicationAdministration"}))
def test_what_was_decided_or_done_is_never_deleted(clinic: Clinic, kind: str) -> None:
    clinic.put(consent_of("c1", "deny", "WEB"))
    names = {"Consent": "c1", "Procedure": "p2", "MedicationAdministration": "ma1", "Observation": "none"}
    assert _delete(clinic, f"/{kind}/{names[kind]}").status_code == 405
    assert _delete(clinic, f"/{kind}?identifier=x").status_code == 405
    assert "delete" not in _interactions(clinic, kind)


@pytest.mark.parametrize("kind", ["DocumentReference", "ImagingStudy", "Task"])
def test_what_is_ours_is_not_deleted_here(clinic: Clinic, kind: str) -> None:
    assert _delete(clinic, f"/{kind}/f1").status_code == 405
    assert "delete" not in _interactions(clinic, kind)


def _interactions(clinic: Clinic, kind: str) -> set[str]:
    stated = clinic.raw("GET", "/metadata").json()["rest"][0]["resource"]
    (row,) = [each for each in stated if each["type"] == kind]
    return {each["code"] for each in row["interaction"]}


@pytest.mark.parametrize(
    ("account", "status"), [("integrator", 204), ("importer", 204), ("clinician", 403), ("anna", 403), ("admin", 403)]
)
def test_only_rights_delete(clinic: Clinic, account: str, status: int) -> None:
    clinic.put(_DEVICE)
    assert _delete(clinic, "/Device/d1", account).status_code == status


def test_if_match_of_a_deletion_is_honoured(clinic: Clinic) -> None:
    clinic.put(_DEVICE)
    clinic.put(_DEVICE | {"status": "active"})
    assert _delete(clinic, "/Device/d1", If_Match='W/"1"').status_code == 412
    assert clinic.get("clinician", "/Device/d1").status_code == 200
    assert _delete(clinic, "/Device/d1", If_Match='W/"2"').status_code == 204


def test_the_answer_is_what_is_preferred(clinic: Clinic) -> None:
    clinic.put(_DEVICE)
    told = _delete(clinic, "/Device/d1", Prefer="return=OperationOutcome")
    assert (told.status_code, told.json()["resourceType"]) == (200, "OperationOutcome")


def test_a_deletion_is_recorded_before_and_after(clinic: Clinic) -> None:
    clinic.put(_DEVICE)
    _delete(clinic, "/Device/d1")
    _delete(clinic, "/Medication/lot7")
    records = [each for each in clinic.records() if each["kind"] in ("intent", "done")]
    assert [(each["subject"], each.get("outcome")) for each in records] == [
        ("Device/d1", None),
        ("Device/d1", "done"),
        ("Medication/lot7", None),
        ("Medication/lot7", "failed"),
    ]


def test_a_patient_is_told_of_what_was_hers_and_of_nothing_else(clinic: Clinic) -> None:
    for name, patient in (("g1", "anna"), ("g2", "ben")):
        goal = {
            "resourceType": "Goal",
            "id": name,
            "lifecycleStatus": "active",
            "description": {"text": "x"},
            "subject": {"reference": f"Patient/{patient}"},
        }
        assert clinic.ask("integrator", "PUT", f"/Goal/{name}", json=goal).status_code == 201
        assert _delete(clinic, f"/Goal/{name}").status_code == 204
    assert clinic.get("anna", "/Goal/g1").status_code == 410
    assert clinic.get("anna", "/Goal/g1/_history/1").status_code == 200
    assert len(clinic.get("anna", "/Goal/_history").json()["entry"]) == 2
    for path in ("/Goal/g2", "/Goal/g2/_history/1", "/Goal/g2/_history"):
        absent = clinic.get("anna", path.replace("g2", "g9"))
        assert (clinic.get("anna", path).status_code, clinic.get("anna", path).content) == (404, absent.content)


def test_an_appointment_is_in_the_compartment_of_its_patient(clinic: Clinic) -> None:
    def appointment(name: str, *patients: str) -> dict[str, Any]:
        actors = [f"Patient/{each}" for each in patients] + ["Practitioner/d"]
        return {
            "resourceType": "Appointment",
            "id": name,
            "status": "booked",
            "start": "2026-07-01T10:00:00Z",
            "end": "2026-07-01T11:00:00Z",
            "participant": [{"actor": {"reference": each}, "status": "accepted"} for each in actors],
        }

    for body in (appointment("a1", "anna"), appointment("a2", "ben"), appointment("a3", "anna", "ben")):
        assert clinic.ask("integrator", "PUT", f"/Appointment/{body['id']}", json=body).status_code == 201
    assert clinic.get("anna", "/Appointment/a1").status_code == 200
    assert [clinic.get("anna", f"/Appointment/{each}").status_code for each in ("a2", "a3")] == [404, 404]
    assert clinic.get("clinician", "/Appointment/a3").status_code == 200


def test_who_represents_a_patient_no_longer_does_when_that_is_deleted(clinic: Clinic) -> None:
    guardian = {
        "resourceType": "RelatedPerson",
        "id": "guardian",
        "patient": {"reference": "Patient/anna"},
        "relationship": [{"coding": [{"system": ROLE, "code": "GUARD"}]}],
    }
    team = {
        "resourceType": "CareTeam",
        "id": "team",
        "subject": {"reference": "Patient/anna"},
        "participant": [{"member": {"reference": "Practitioner/d"}}],
    }
    for body in (guardian, team):
        clinic.put(body)
    assert _left(clinic) == (1, 1)
    assert _delete(clinic, "/RelatedPerson/guardian").status_code == 204
    assert _delete(clinic, "/CareTeam/team").status_code == 204
    assert _left(clinic) == (0, 0)
    with transaction(clinic.engine) as connection:
        rebuild(connection, Setting(SITE, BASE))
    assert _left(clinic) == (0, 0)
    assert clinic.get("clinician", "/CareTeam/team").status_code == 410


def _left(clinic: Clinic) -> tuple[int, int]:
    with reading(clinic.engine) as connection:
        return (
            len(connection.execute(select(representation)).all()),
            len(connection.execute(select(membership)).all()),
        )


def test_whom_a_refusal_names_is_not_deleted(clinic: Clinic) -> None:
    clinic.put({"resourceType": "Group", "id": "g", "type": "person", "actual": True})
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    actor = [{"role": role, "reference": {"reference": "Group/g"}}]
    clinic.put(consent_of("no", "deny", "TREAT", provision={"actor": actor}))
    assert _delete(clinic, "/Group/g").status_code == 409


def test_a_merge_that_is_stated_by_what_is_deleted_is_undone(clinic: Clinic) -> None:
    twin = {
        "resourceType": "Patient",
        "id": "twin",
        "link": [{"other": {"reference": "Patient/anna"}, "type": "replaced-by"}],
    }
    clinic.put(twin)
    assert _delete(clinic, "/Patient/twin").status_code == 204
    assert clinic.get("clinician", "/Patient/twin").status_code == 410
    assert clinic.get("clinician", "/DocumentReference/f1").status_code == 200


@pytest.mark.parametrize(("query", "status"), [("identifier=urn:x|7", 204), ("identifier=none", 404)])
def test_conditional_delete(clinic: Clinic, query: str, status: int) -> None:
    clinic.put(_DEVICE)
    assert _delete(clinic, f"/Device?{query}").status_code == status
    assert clinic.get("clinician", "/Device/d1").status_code == (410 if status == 204 else 200)


def test_conditional_delete_of_several_deletes_none(clinic: Clinic) -> None:
    for name in ("d1", "d2"):
        clinic.put(_DEVICE | {"id": name})
    assert _delete(clinic, "/Device?identifier=urn:x|7").status_code == 412
    assert _delete(clinic, "/Device").status_code == 405
    assert _delete(clinic, "/Device?status=active").status_code == 422
    assert clinic.get("clinician", "/Device?identifier=urn:x|7").json()["total"] == 2


def test_conditional_update_makes_one_and_then_changes_it(clinic: Clinic) -> None:
    body = {key: value for key, value in _DEVICE.items() if key != "id"}

    def put(more: dict[str, Any], **headers: str) -> Any:
        named = {key.replace("_", "-"): each for key, each in headers.items()}
        return clinic.ask("integrator", "PUT", "/Device?identifier=urn:x|7", json=body | more, headers=named)

    first = put({})
    second = put({"status": "active"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert put({"id": "another"}).status_code == 400
    assert put({}, If_Match='W/"1"').status_code == 412
    assert put({}, If_Match='W/"2"').status_code == 200
    clinic.put(_DEVICE)
    assert put({}).status_code == 412


def test_conditional_update_takes_the_id_that_is_stated(clinic: Clinic) -> None:
    made = clinic.ask("integrator", "PUT", "/Device?identifier=urn:x|7", json=_DEVICE)
    assert (made.status_code, made.json()["id"]) == (201, "d1")


def test_histories_and_deletions_on_either_database(engine: Engine, record: RecordStore) -> None:
    def everything(columns: Any) -> ColumnElement[bool]:
        return true()

    with transaction(engine) as connection:
        record.update(connection, "Device", "d1", _DEVICE, source="test")
        record.update(connection, "Device", "d2", _DEVICE | {"id": "d2"}, source="test")
        record.delete(connection, "Device", "d1", source="test")
    with transaction(engine) as connection:
        record.update(connection, "Device", "d1", _DEVICE, source="test")
        record.delete(connection, "Device", "d2", source="test")
    with reading(engine) as connection:
        found: list[history.Event] = []
        while more := history.page(connection, history.Asked("Device", before=_last(found)), 2, everything):
            found += more
        assert history.total(connection, history.Asked("Device"), everything) == len(found) == 6
        again = history.page(connection, history.Asked("Device"), 10, everything)
    assert found == again
    told = {(each.place.id, each.place.version): each.deleted for each in found}
    assert told == {
        ("d1", 1): False,
        ("d1", 2): True,
        ("d1", 3): False,
        ("d2", 1): False,
        ("d2", 2): True,
        ("laser", 1): False,
    }


def _last(events: list[history.Event]) -> history.Place | None:
    return events[-1].place if events else None
