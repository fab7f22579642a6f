"""Who may read what, over HTTP; and that what is refused is the same as what does not exist."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.applications import Starlette

from consent.identity.accounts import create
from consent.identity.callers import Callers
from consent.store.engine import transaction
from fhir_mapping.api.photos import permitted_study
from fhir_mapping.api.routes import routes
from fhir_mapping.resources.imaging_study import StudyInstance, with_instances
from tests.fhir.clinic import ACCOUNTS, HAND, Clinic, consent_of, context, region, study_of, uid_of

pytestmark = pytest.mark.fast

_CLINICAL = ("Patient/anna", "Procedure/p1", "Encounter/v1", "Medication/lot7", "Device/laser", "Practitioner/d")
_ALL, _OWN, _NOT = "all", "own", "not"


@pytest.mark.parametrize(
    ("account", "purpose", "reach"),
    [
        ("clinician", None, _ALL),
        ("clinician", "BTG", _NOT),
        ("doctor", None, _ALL),
        ("doctor", "PORTFOLIO", _NOT),
        ("marketing", None, _NOT),
        ("marketing", "WEB", _NOT),
        ("marketing", "SOCIAL; channel=instagram", _NOT),
        ("anna", None, _OWN),
        ("compliance", "HCOMPL", _ALL),
        ("compliance", "PATSFTY", _ALL),
        ("integrator", None, _ALL),
        ("admin", None, _NOT),
    ],
)
def test_a_purpose_reads_the_record_as_far_as_it_reaches(
    clinic: Clinic, account: str, purpose: str | None, reach: str
) -> None:
    for path in _CLINICAL:
        answer = clinic.get(account, f"/{path}", purpose)
        if reach == _NOT:
            assert answer.status_code == 403, path
        elif reach == _ALL or path != "Device/laser":
            assert answer.status_code == 200, path
        else:
            assert answer.status_code == 404, path  # no resource of hers names the laser
    other = clinic.get(account, "/Patient/ben", purpose).status_code
    assert other == {_ALL: 200, _OWN: 404, _NOT: 403}[reach]
    total = clinic.get(account, "/Patient", purpose).json().get("total")
    assert total == {_ALL: 2, _OWN: 1, _NOT: None}[reach]


def test_the_patient_does_not_read_a_group_that_names_others(clinic: Clinic) -> None:
    clinic.put(
        {
            "resourceType": "Group",
            "id": "g",
            "type": "person",
            "actual": True,
            "member": [{"entity": {"reference": "Patient/ben"}}],
        }
    )
    clinic.put(
        consent_of(
            "c",
            "deny",
            "TEACH",
            provision={
                "actor": [
                    {
                        "role": {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                                    "code": "IRCP",
                                }
                            ]
                        },
                        "reference": {"reference": "Group/g"},
                    }
                ]
            },
        )
    )
    assert clinic.get("anna", "/Consent/c").status_code == 200
    assert clinic.get("anna", "/Group/g").status_code == 404
    assert clinic.get("anna", "/Group").json()["total"] == 0


@pytest.mark.parametrize(("account"), [name for name, *_ in ACCOUNTS])
def test_nobody_reads_without_the_right_password(clinic: Clinic, account: str) -> None:
    for auth in (None, (account, "wrong"), ("nobody", "x")):
        answer = clinic.raw("GET", "/Patient/anna", auth=auth)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_read_brings_the_part_that_is_asked_for_and_refuses_the_rest(clinic: Clinic) -> None:
    whole = clinic.get("clinician", "/Patient/anna").json()
    part = clinic.get("clinician", "/Patient/anna?_elements=birthDate&_format=json").json()
    assert part.keys() == {"resourceType", "id", "meta", "birthDate"} & (whole.keys() | {"meta"})
    assert "SUBSETTED" in str(part["meta"])
    assert "SUBSETTED" in str(clinic.get("clinician", "/DocumentReference/f1?_summary=true").json()["meta"])
    version = clinic.get("clinician", "/Patient/anna/_history/1?_elements=birthDate").json()
    assert "name" not in version
    for query in ("nonsense=1", "_summary=count", "_summary=x", "_elements=", "_summary=true&_elements=name"):
        assert clinic.get("clinician", f"/Patient/anna?{query}").status_code == 400, query
    lenient = clinic.ask("clinician", "GET", "/Patient/anna?nonsense=1", headers={"Prefer": "handling=lenient"})
    assert lenient.json() == whole


def test_a_real_account_signs_in(clinic: Clinic) -> None:
    with transaction(clinic.engine) as connection:
        create(connection, "real", password="real-pw", purposes=["TREAT"])
    node = replace(clinic.node, identify=Callers.of(clinic.engine, record=lambda _: None, door="serve").identify)
    clinic.app = Starlette(routes=routes(node))
    assert clinic.get("real", "/Patient/anna").status_code == 200
    assert clinic.raw("GET", "/Patient/anna", auth=("real", "wrong")).status_code == 401


@pytest.mark.parametrize("purpose", ["PORTFOLIO", "TREAT, WEB", "", "treat", "SOCIAL; channel=instagram", "X" * 5000])
def test_a_purpose_that_is_not_held_or_not_read_is_refused(clinic: Clinic, purpose: str) -> None:
    assert clinic.get("clinician", "/Patient/anna", purpose).status_code == 403
    assert clinic.get("clinician", "/DocumentReference/f1", purpose).status_code == 403


def test_refused_photos_are_answered_as_if_they_did_not_exist(clinic: Clinic) -> None:
    clinic.put(
        consent_of(
            "no",
            "deny",
            "TREAT",
            provision={"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/f1"}}]},
        )
    )
    refused = clinic.get("clinician", "/DocumentReference/f1")
    absent = clinic.get("clinician", "/DocumentReference/f9")
    assert (refused.status_code, refused.content) == (404, absent.content)
    assert set(refused.headers) == set(absent.headers)

    listed = clinic.get("clinician", "/DocumentReference?patient=anna").json()
    assert listed["total"] == 1
    assert [each["resource"]["id"] for each in listed["entry"]] == ["f2"]
    assert clinic.get("clinician", "/DocumentReference?_id=f1").json()["total"] == 0

    study = clinic.get("clinician", "/ImagingStudy/v1").json()
    assert study["numberOfInstances"] == study["numberOfSeries"] == len(study["series"]) == 1
    assert "26161" not in str(study)  # the UID of f1


def test_a_study_tells_nothing_of_what_is_refused_in_it(clinic: Clinic) -> None:
    """The answer is the same, byte for byte, as if the refused photo had never been taken."""
    before = clinic.get("clinician", "/ImagingStudy/v1").content
    listed = clinic.get("clinician", "/ImagingStudy?patient=anna").content
    clinic.put(consent_of("no", "deny", "TREAT", provision={"extension": [region(HAND)]}))
    clinic.photo("f3", "anna", "v1", extension=[region(HAND)])
    assert clinic.get("compliance", "/ImagingStudy/v1").json()["numberOfInstances"] == 3
    assert clinic.get("clinician", "/ImagingStudy/v1").content == before
    assert clinic.get("clinician", "/ImagingStudy?patient=anna").content == listed


def test_a_study_names_no_treatment_of_a_refused_photo(clinic: Clinic) -> None:
    clinic.put(
        {"resourceType": "Procedure", "id": "p3", "status": "completed", "subject": {"reference": "Patient/anna"}}
    )
    clinic.photo("f4", "anna", "v1", context=context("v1", "2026-05-03T10:10:00+03:00", "Procedure/p3"))
    study = study_of("v1", "anna", [uid_of(each) for each in ("f1", "f2", "f4")])
    clinic.put(study | {"procedureReference": {"reference": "Procedure/p1"}})
    assert clinic.get("clinician", "/ImagingStudy/v1").json()["procedureReference"] == {"reference": "Procedure/p1"}
    data = [{"meaning": "instance", "reference": {"reference": f"DocumentReference/{each}"}} for each in ("f1", "f2")]
    clinic.put(consent_of("no", "deny", "TREAT", provision={"data": data}))
    shown = clinic.get("clinician", "/ImagingStudy/v1").json()
    assert (shown["numberOfInstances"], shown["procedureReference"]) == (1, {"reference": "Procedure/p3"})


def test_the_series_of_a_study_do_not_count_those_that_are_refused() -> None:
    def added(name: str) -> StudyInstance:
        return StudyInstance(
            study_id="v1",
            study_uid="2.25.7",
            series_uid=f"2.25.7.{name}",
            sop_uid=name,
            sop_class="1.2",
            number=1,
            patient="Patient/anna",
            encounter="Encounter/v1",
            procedure=None,
            started=None,
            description="",
            region=None,
            laterality=None,
            title="",
        )

    moment = datetime(2026, 5, 3, tzinfo=UTC)
    alone, both = with_instances(None, [added("2")]), with_instances(None, [added("1"), added("2")])
    assert permitted_study(both, {"2"}, moment) == permitted_study(alone, {"2"}, moment)
    for number, each in enumerate(both["series"], start=1):
        each["number"] = number  # as studies were kept once
    assert permitted_study(both, {"2"}, moment) == permitted_study(alone, {"2"}, moment)


def test_a_study_whose_every_photo_is_refused_does_not_exist(clinic: Clinic) -> None:
    clinic.put(consent_of("no", "deny", "TREAT"))
    assert clinic.get("clinician", "/ImagingStudy/v1").content == clinic.get("clinician", "/ImagingStudy/v9").content
    assert clinic.get("clinician", "/ImagingStudy/v1").status_code == 404
    found = clinic.get("clinician", "/ImagingStudy").json()
    assert (found["total"], [each["resource"]["id"] for each in found["entry"]]) == (1, ["v2"])


def test_an_emergency_opens_what_is_asked_for_one_patient(clinic: Clinic) -> None:
    for patient in ("anna", "ben"):
        clinic.ask(
            "clinician", "PUT", f"/Consent/no-{patient}", json=consent_of(f"no-{patient}", "deny", "TREAT", patient)
        )
    emergency = {"X-Purpose-Of-Use": "BTG", "X-Emergency-Reason": "bleeding"}

    def asked(path: str, headers: dict[str, str]) -> Any:
        return clinic.ask("clinician", "GET", path, headers=headers)

    for path in ("/DocumentReference/f1", "/ImagingStudy/v1"):
        assert [asked(path, each).status_code for each in ({}, emergency, {"X-Purpose-Of-Use": "BTG"})] == [
            404,
            200,
            404,
        ]
    for path, total in (
        ("/DocumentReference?patient=anna", 2),
        ("/ImagingStudy?encounter=v2", 1),
        ("/DocumentReference", 0),
        ("/ImagingStudy?patient=anna,ben", 0),
        ("/DocumentReference?patient=nobody", 0),
    ):
        assert asked(path, emergency).json()["total"] == total
        assert asked(path, {}).json()["total"] == 0
    overrides = [each for each in clinic.records() if each.get("override")]
    assert {each.get("patient") for each in overrides if each["kind"] == "set"} == {"anna", "ben"}


def test_a_copy_does_not_name_the_source_that_is_refused(clinic: Clinic) -> None:
    clinic.photo(
        "f4",
        "anna",
        "v1",
        relatesTo=[{"code": "appends", "target": {"reference": "DocumentReference/f1"}}],
    )
    assert "relatesTo" in clinic.get("clinician", "/DocumentReference/f4").json()
    clinic.put(
        consent_of(
            "no",
            "deny",
            "TREAT",
            provision={"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/f1"}}]},
        )
    )
    assert "DocumentReference/f1" not in clinic.get("clinician", "/DocumentReference/f4").text
    assert "DocumentReference/f1" not in clinic.get("clinician", "/DocumentReference?_id=f4").text


def test_publishing_never_yields_a_resource_even_with_a_permit(clinic: Clinic) -> None:
    clinic.put(consent_of("yes", "permit", "PORTFOLIO", signed="2027-01-01"))
    for purpose in ("PORTFOLIO", "WEB"):
        assert clinic.get("marketing", "/DocumentReference/f1", purpose).status_code == 404
        assert clinic.get("marketing", "/DocumentReference", purpose).json()["total"] == 0
        assert clinic.get("marketing", "/ImagingStudy/v1", purpose).status_code == 404


def test_the_patient_sees_her_photos_once_she_permits_it_and_no_others(clinic: Clinic) -> None:
    assert clinic.get("anna", "/DocumentReference").json()["total"] == 0
    clinic.put(consent_of("portal", "permit", "PATRQT"))
    assert clinic.get("anna", "/DocumentReference").json()["total"] == 2
    assert clinic.get("anna", "/DocumentReference/f1").status_code == 200
    assert clinic.get("anna", "/DocumentReference/b1").status_code == 404


def test_every_reading_is_recorded_and_no_name_stands_in_a_record(clinic: Clinic) -> None:
    clinic.get("clinician", "/Patient?name=Anderson")
    clinic.get("clinician", "/DocumentReference/f1")
    clinic.get("clinician", "/DocumentReference?patient=anna")
    clinic.get("clinician", "/Patient/nobody")
    records = clinic.records()
    assert [each["kind"] for each in records] == ["read", "decision", "set", "read"]
    assert records[2]["released"] == 2
    assert "nderson" not in str(records).lower()
    assert all(each["account"] == "clinician" for each in records)


def test_no_app_is_told_of_an_issuer_where_there_is_none(clinic: Clinic) -> None:
    assert clinic.get("clinician", "/.well-known/smart-configuration").status_code == 404
