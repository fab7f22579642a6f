"""Writing over HTTP: kept as received, refused with the element named, recorded before and after."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consent.store.engine import reading
from fhir_mapping.text import MAX_RESOURCE_BYTES
from tests.fhir.clinic import BASE, SITE, Clinic, consent_of

_BODY = (
    b'{ "resourceType" : "Observation",\n "status":"final", "code":{"text":"Fluence \\u00e9 \xc3\xa9"}, '
    b'"subject":{"reference":"Patient/anna"},"valueQuantity":{"value":0.10,"unit":"J\\/cm2"} }'
)


def test_a_resource_comes_back_as_it_was_sent(clinic: Clinic) -> None:
    made = clinic.ask("integrator", "POST", "/Observation", content=_BODY)
    assert made.status_code == 201
    assert made.headers["etag"] == 'W/"1"'
    identity = made.json()["id"]
    assert made.headers["location"] == f"{BASE}/Observation/{identity}/_history/1"
    read = clinic.get("integrator", f"/Observation/{identity}")
    assert read.content == made.content
    head, tail = _BODY.split(b"{", 1)
    assert read.content.endswith(tail)
    assert read.content[: -len(tail)].startswith(head + b'{"id":')
    found = clinic.get("integrator", f"/Observation?_id={identity}")
    assert read.content in found.content


def test_versions_are_kept_and_if_match_is_honoured(clinic: Clinic) -> None:
    body = {"resourceType": "Patient", "id": "new", "gender": "female"}
    assert clinic.ask("integrator", "PUT", "/Patient/new", json=body).status_code == 201
    second = clinic.ask(
        "integrator", "PUT", "/Patient/new", json=body | {"gender": "other"}, headers={"If-Match": 'W/"1"'}
    )
    assert (second.status_code, second.headers["etag"]) == (200, 'W/"2"')
    stale = clinic.ask("integrator", "PUT", "/Patient/new", json=body, headers={"If-Match": 'W/"1"'})
    assert stale.status_code == 412
    assert clinic.get("integrator", "/Patient/new/_history/1").json()["gender"] == "female"
    assert clinic.get("integrator", "/Patient/new/_history/2").json()["gender"] == "other"
    assert clinic.get("integrator", "/Patient/new/_history/3").status_code == 404
    assert clinic.get("integrator", "/Patient/new/_history/x").status_code == 404


@pytest.mark.parametrize(
    ("account", "kind", "status"),
    [
        ("integrator", "Patient", 201),
        ("clinician", "Patient", 403),
        ("doctor", "Patient", 403),
        ("marketing", "Patient", 403),
        ("anna", "Patient", 403),
        ("compliance", "Patient", 403),
        ("admin", "Patient", 403),
        ("integrator", "Consent", 201),
        ("clinician", "Consent", 201),
        ("doctor", "Consent", 403),
        ("anna", "Consent", 403),
    ],
)
def test_only_rights_write(clinic: Clinic, account: str, kind: str, status: int) -> None:
    body: dict[str, Any] = {"resourceType": "Patient"} if kind == "Patient" else consent_of("x", "deny", "WEB")
    body.pop("id", None)
    assert clinic.ask(account, "POST", f"/{kind}", json=body).status_code == status


@pytest.mark.parametrize("kind", ["DocumentReference", "ImagingStudy", "Task", "Provenance", "Binary", "Nonsense"])
def test_what_the_product_alone_writes_is_not_written_here(clinic: Clinic, kind: str) -> None:
    answer = clinic.ask("integrator", "POST", f"/{kind}", json={"resourceType": kind})
    assert answer.status_code in (404, 405)
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": {"resourceType": kind}, "request": {"method": "POST", "url": kind}}],
    }
    answer = clinic.ask("integrator", "POST", "", json=bundle)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[0].request.url"]


@pytest.mark.parametrize(
    ("resource", "element"),
    [
        ({"resourceType": "Patient", "gender": "robot"}, "Patient.gender"),
        ({"resourceType": "Patient", "gender": 5}, "Patient.gender"),
        ({"resourceType": "Patient", "active": "true"}, "Patient.active"),
        ({"resourceType": "Patient", "birthDate": "2026-02-30"}, "Patient.birthDate"),
        ({"resourceType": "Patient", "name": [{}]}, "Patient.name[0]"),
        ({"resourceType": "Patient", "name": {"family": "x"}}, "Patient.name"),
        ({"resourceType": "Patient", "colour": "x"}, "Patient.colour"),
        (
            {"resourceType": "Patient", "managingOrganization": {"reference": "Patient/anna"}},
            "Patient.managingOrganization",
        ),
        (
            {"resourceType": "Patient", "managingOrganization": {"reference": "Organization/none"}},
            "Patient.managingOrganization",
        ),
        ({"resourceType": "Patient", "managingOrganization": {"reference": "#x"}}, "Patient.managingOrganization"),
        (
            {"resourceType": "Patient", "managingOrganization": {"reference": "gibberish"}},
            "Patient.managingOrganization",
        ),
        ({"resourceType": "Patient", "contained": [{"resourceType": "Nope"}]}, "Patient.contained[0]"),
        ({"resourceType": "Patient", "contained": True}, "Patient.contained"),
        ({"resourceType": "Patient", "contained": 5}, "Patient.contained"),
        ({"resourceType": "Patient", "deceasedBoolean": True, "deceasedDateTime": "2026"}, "Patient.deceased"),
        (
            {"resourceType": "Patient", "extension": [{"url": "urn:x", "valueCode": "a", "valueString": "a"}]},
            "Patient.extension[0].value",
        ),
        ({"resourceType": "Patient", "contained": {"resourceType": "Patient"}}, "Patient.contained"),
        (
            {"resourceType": "Patient", "contact": [{"period": {"start": "2026-02", "end": "2026-01-31"}}]},
            "Patient.contact[0].period",
        ),
    ],
)
def test_what_is_not_fhir_is_refused_with_its_element(clinic: Clinic, resource: dict[str, Any], element: str) -> None:
    answer = clinic.ask("integrator", "POST", "/Patient", json=resource)
    assert answer.status_code == 422
    assert element in [each for issue in answer.json()["issue"] for each in issue["expression"]]
    assert clinic.get("integrator", "/Patient").json()["total"] == 2


def test_the_body_must_be_what_the_address_says(clinic: Clinic) -> None:
    assert clinic.ask("integrator", "POST", "/Patient", json={"resourceType": "Device"}).status_code == 422
    assert clinic.ask("integrator", "PUT", "/Patient/a", json={"resourceType": "Patient"}).status_code == 400
    assert clinic.ask("integrator", "PUT", "/Patient/a", json={"resourceType": "Patient", "id": "b"}).status_code == 400
    bad = clinic.ask("integrator", "PUT", "/Patient/a_b", json={"resourceType": "Patient", "id": "a_b"})
    assert bad.status_code == 400


def test_a_time_without_end_is_kept_as_people_write_it(clinic: Clinic) -> None:
    visit = {
        "resourceType": "Encounter",
        "id": "v9",
        "status": "planned",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/anna"},
        "period": {"start": "2026-05-03", "end": "9999-12-31"},
    }
    assert clinic.ask("integrator", "PUT", "/Encounter/v9", json=visit).status_code == 201
    provision = {"period": {"start": "2026-05-10", "end": "9999-12-31"}}
    body = consent_of("c1", "deny", "TREAT", provision=provision)
    assert clinic.get("clinician", "/DocumentReference/f1").status_code == 200
    assert clinic.ask("clinician", "PUT", "/Consent/c1", json=body).status_code == 201
    assert clinic.get("clinician", "/DocumentReference/f1").status_code == 404
    born = {"resourceType": "Patient", "id": "ben", "birthDate": "9985-01-01"}
    assert clinic.ask("integrator", "PUT", "/Patient/ben", json=born).status_code == 200
    assert clinic.get("clinician", "/DocumentReference?patient=ben").json()["total"] == 1


def test_what_was_taken_in_at_the_limit_is_read_and_written_again(clinic: Clinic) -> None:
    empty = len(json.dumps({"resourceType": "Patient", "id": "large", "text": _narrative(0)}))
    body = {"resourceType": "Patient", "id": "large", "text": _narrative(MAX_RESOURCE_BYTES - empty)}
    assert len(json.dumps(body)) == MAX_RESOURCE_BYTES
    assert [clinic.ask("integrator", "PUT", "/Patient/large", json=body).status_code for _ in range(2)] == [201, 200]
    with reading(clinic.engine) as connection:
        assert clinic.record.read(connection, "Patient", "large").json()["text"] == body["text"]
    body["text"] = _narrative(MAX_RESOURCE_BYTES - empty + 1)
    assert clinic.ask("integrator", "PUT", "/Patient/large", json=body).status_code == 413


def _narrative(length: int) -> dict[str, str]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{"x" * length}</div>'}


def test_every_write_is_recorded_before_and_after(clinic: Clinic) -> None:
    clinic.ask("integrator", "POST", "/Patient", json={"resourceType": "Patient"})
    clinic.ask("integrator", "POST", "/Patient", json={"resourceType": "Patient", "gender": "x"})
    records = clinic.records()
    assert [each["kind"] for each in records] == ["intent", "done", "intent", "done"]
    assert [each.get("outcome") for each in records] == [None, "done", None, "failed"]
    assert records[0]["subject"].startswith("Patient/")
    assert len(records[0]["digest"]) == 64


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/fhir+xml", "", "application/fhir+json; charset=latin1"],
)
def test_other_media_types_are_refused(clinic: Clinic, content_type: str) -> None:
    answer = clinic.raw(
        "POST", "/Patient", auth=("integrator", "integrator-pw"), content=b"{}", headers={"Content-Type": content_type}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/fhir+json", 200),
        ("*/*", 200),
        ("text/html, */*;q=0.1", 200),
        ("application/fhir+xml", 406),
        ("text/html", 406),
        ("application/fhir+json;q=0, application/fhir+xml", 406),
        ("application/fhir+xml;q=1.0, application/fhir+json;q=1.0, application/json+fhir;q=0.9", 200),
        ("application/fhir+json; fhirVersion=4.0; q=0.1", 200),
    ],
)
def test_json_alone_is_spoken(clinic: Clinic, accept: str, status: int) -> None:
    assert clinic.raw("GET", "/metadata", headers={"Accept": accept}).status_code == status
    assert clinic.raw("GET", "/metadata?_format=xml").status_code == 406
    assert clinic.raw("GET", "/metadata?_format=json").status_code == 200


def test_several_headers_of_one_name_are_one_list(clinic: Clinic) -> None:
    headers = [("Accept", "text/html"), ("Accept", "application/fhir+json")]
    assert clinic.raw("GET", "/metadata", headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["PATCH", "POST", "OPTIONS"])
def test_methods_that_are_not_offered_are_named(clinic: Clinic, method: str) -> None:
    answer = clinic.ask("integrator", method, "/Patient/anna", content=b"{}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, PUT"
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 900_000,
        b'{"resourceType":' * 60_000,
        b'{"resourceType":"Patient","name":[' + b"{}," * 200_000 + b"{}]}",
        b"\x00" * 1000,
        b"{" * 3_000_000,
    ],
)
def test_hostile_bodies_are_refused(clinic: Clinic, body: bytes) -> None:
    for path in ("/Patient", ""):
        answer = clinic.ask("integrator", "POST", path, content=body)
        assert 400 <= answer.status_code < 500


def test_the_statement_says_what_the_routes_do(clinic: Clinic) -> None:
    statement = clinic.raw("GET", "/metadata").json()
    assert statement["fhirVersion"] == "4.0.1"
    for resource in statement["rest"][0]["resource"]:
        codes = {each["code"] for each in resource["interaction"]}
        kind = resource["type"]
        for parameter in resource["searchParam"]:
            value = {"composite": "x$2026", "token": "x", "reference": "x"}.get(parameter["type"], "2026")
            assert clinic.get("compliance", f"/{kind}?{parameter['name']}={value}").status_code == 200
        wrote = clinic.ask("integrator", "POST", f"/{kind}", json={"resourceType": kind}).status_code
        assert (wrote != 405) == ("create" in codes), kind
        wrote = clinic.ask("integrator", "PUT", f"/{kind}/x", json={"resourceType": kind}).status_code
        assert (wrote != 405) == ("update" in codes), kind


def test_what_is_made_here_holds_before_a_foreign_validator(clinic: Clinic) -> None:
    import fhirkit

    assert SITE is not None
    clinic.ask("clinician", "PUT", "/Consent/c1", json=consent_of("c1", "deny", "WEB", implicitRules="urn:x"))
    made = [
        clinic.raw("GET", "/metadata").json(),
        clinic.get("clinician", "/ImagingStudy/v1").json(),
        clinic.get("clinician", "/DocumentReference/f1").json(),
        clinic.get("clinician", "/Patient/none").json(),
        clinic.get("clinician", "/Patient").json(),
        clinic.get("clinician", "/Patient?name=nobody").json(),
        clinic.get("clinician", "/Task").json(),
    ]
    for resource in made:
        assert _issues(fhirkit, resource) == [], resource["resourceType"]


def _issues(fhirkit: Any, resource: dict[str, Any]) -> list[Any]:
    return list(fhirkit.validate(json.dumps(resource)))
