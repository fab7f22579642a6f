"""Writing over HTTP: kept as received, refused with the element named, recorded before and after."""

from __future__ import annotations

import base64
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


@pytest.mark.parametrize(
    ("method", "url", "condition"),
    [
        ("PUT", "Medication/m", {"ifNoneExist": "identifier=x"}),
        ("POST", "Medication", {"ifMatch": 'W/"1"'}),
        ("POST", "Medication", {"ifModifiedSince": "2026-01-01T00:00:00Z"}),
    ],
)
def test_a_condition_that_is_not_understood_is_not_passed_over(
    clinic: Clinic, method: str, url: str, condition: dict[str, str]
) -> None:
    medication = {"resourceType": "Medication", "id": "m", "code": {"text": "Filler"}}
    request = {"method": method, "url": url, **condition}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": medication, "request": request}]}
    answer = clinic.ask("integrator", "POST", "/", json=bundle)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == [f"Bundle.entry[0].request.{next(iter(condition))}"]


def test_the_body_must_be_what_the_address_says(clinic: Clinic) -> None:
    assert clinic.ask("integrator", "POST", "/Patient", json={"resourceType": "Device"}).status_code == 422
    assert clinic.ask("integrator", "PUT", "/Patient/a", json={"resourceType": "Patient"}).status_code == 400
    assert clinic.ask("integrator", "PUT", "/Patient/a", json={"resourceType": "Patient", "id": "b"}).status_code == 400
    bad = clinic.ask("integrator", "PUT", "/Patient/a_b", json={"resourceType": "Patient", "id": "a_b"})
    assert bad.status_code == 400


def test_conditional_create_finds_what_is_there(clinic: Clinic) -> None:
    body = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "7"}]}
    headers = {"If-None-Exist": "identifier=urn:x|7"}
    first = clinic.ask("integrator", "POST", "/Patient", json=body, headers=headers)
    again = clinic.ask("integrator", "POST", "/Patient", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]


@pytest.mark.parametrize(
    "condition",
    ["identifier=urn:x|7", "identifier=urn%3Ax%7C7", "?identifier=urn:x|7", "Patient?identifier=urn:x|7",
     f"{BASE}/Patient?identifier=urn%3Ax%7C7"],
)  # fmt: skip
def test_a_condition_is_a_search_as_clients_write_it(clinic: Clinic, condition: str) -> None:
    body = {"resourceType": "Patient", "id": "seven", "identifier": [{"system": "urn:x", "value": "7"}]}
    assert clinic.ask("integrator", "PUT", "/Patient/seven", json=body).status_code == 201
    headers = {"If-None-Exist": condition, "Prefer": "return=minimal"}
    again = clinic.ask("integrator", "POST", "/Patient", json=body, headers=headers)
    assert (again.status_code, again.content, again.headers["etag"]) == (200, b"", 'W/"1"')
    assert again.headers["location"] == f"{BASE}/Patient/seven/_history/1"
    entry = {"resource": body, "request": {"method": "POST", "url": "Patient", "ifNoneExist": condition}}
    done = clinic.ask(
        "integrator", "POST", "", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    )
    assert done.json()["entry"][0]["response"]["status"] == "200 OK"


@pytest.mark.parametrize(
    "condition",
    ["identifier=", "identifier=urn:x|", "identifier=7,8", "name=x", "identifier=7&name=x", "Device?identifier=7",
     "https://elsewhere.example/fhir/Patient?identifier=7", "identifier=%00"],
)  # fmt: skip
def test_a_condition_of_another_kind_is_refused(clinic: Clinic, condition: str) -> None:
    headers = {"If-None-Exist": condition}
    answer = clinic.ask("integrator", "POST", "/Patient", json={"resourceType": "Patient"}, headers=headers)
    assert answer.status_code == 422
    assert clinic.get("integrator", "/Patient").json()["total"] == 2


def test_who_may_write_and_not_read_is_not_shown_what_is_there(clinic: Clinic) -> None:
    body = {"resourceType": "Patient"}
    headers = {"If-None-Exist": "identifier=demo-anna"}
    assert clinic.get("importer", "/Patient/anna").status_code == 403
    found = clinic.ask("importer", "POST", "/Patient", json=body, headers=headers)
    assert (found.status_code, found.content) == (200, b"")
    assert found.headers["location"] == f"{BASE}/Patient/anna/_history/1"
    assert "nderson" in clinic.ask("integrator", "POST", "/Patient", json=body, headers=headers).text


def test_if_none_match_of_a_write_is_honoured(clinic: Clinic) -> None:
    body = {"resourceType": "Patient", "id": "new", "gender": "female"}
    star = {"If-None-Match": "*"}
    assert clinic.ask("integrator", "PUT", "/Patient/new", json=body, headers=star).status_code == 201
    again = clinic.ask("integrator", "PUT", "/Patient/new", json=body | {"gender": "male"}, headers=star)
    assert again.status_code == 412
    assert clinic.get("integrator", "/Patient/new").json()["gender"] == "female"
    other = clinic.ask("integrator", "PUT", "/Patient/new", json=body, headers={"If-None-Match": 'W/"7"'})
    assert other.status_code == 400
    assert clinic.ask("integrator", "PUT", "/Patient/x", json=body, headers={"If-Match": 'W/"0"'}).status_code == 400


def test_a_relative_reference_in_a_transaction_is_read_by_its_entry_s_address(clinic: Clinic) -> None:
    """Else another server's Patient/anna, who comes in here under a new id, would be taken for ours."""
    there = "https://ehr.example/fhir"
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": f"{there}/Encounter/77",
                "resource": {
                    "resourceType": "Encounter",
                    "status": "finished",
                    "class": {"code": "AMB"},
                    "subject": {"reference": "Patient/anna"},
                    "serviceProvider": {"reference": "Organization/clinic"},
                },
                "request": {"method": "POST", "url": "Encounter"},
            },
            {
                "fullUrl": f"{there}/Patient/anna",
                "resource": {"resourceType": "Patient", "name": [{"family": "Another"}]},
                "request": {"method": "POST", "url": "Patient"},
            },
        ],
    }
    done = clinic.ask("integrator", "POST", "", json=bundle).json()
    visit, patient = (each["fullUrl"].removeprefix(f"{BASE}/") for each in done["entry"])
    assert patient != "Patient/anna"
    made = clinic.get("integrator", f"/{visit}").json()
    assert made["subject"] == {"reference": patient}
    assert made["serviceProvider"] == {"reference": "Organization/clinic"}
    assert clinic.get("integrator", "/Encounter?patient=anna").json()["total"] == 1


@pytest.mark.parametrize(
    ("request_", "status", "element"),
    [
        ({"method": "POST", "url": "Patient", "ifNoneExist": 7}, 422, "Bundle.entry[0].request.ifNoneExist"),
        ({"method": "POST", "url": "Patient", "ifMatch": 'W/"1"'}, 422, "Bundle.entry[0].request.ifMatch"),
        ({"method": "PUT", "url": "Patient/anna", "ifMatch": 1}, 422, "Bundle.entry[0].request.ifMatch"),
        ({"method": "PUT", "url": "Patient/anna", "ifMatch": "one"}, 400, "Bundle.entry[0].request"),
        ({"method": "PUT", "url": "Patient/anna", "ifMatch": 'W/"7"'}, 412, "Bundle.entry[0].resource"),
        ({"method": "PUT", "url": "Patient/anna", "ifNoneMatch": "*"}, 412, "Bundle.entry[0].resource"),
        ({"method": "PUT", "url": "Patient/anna", "ifNoneExist": "identifier=7"}, 422,
         "Bundle.entry[0].request.ifNoneExist"),
    ],
)  # fmt: skip
def test_no_condition_of_an_entry_is_passed_over(
    clinic: Clinic, request_: dict[str, Any], status: int, element: str
) -> None:
    entry = {"resource": {"resourceType": "Patient", "id": "anna"}, "request": request_}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answer = clinic.ask("integrator", "POST", "", json=bundle)
    assert answer.status_code == status
    assert answer.json()["issue"][0]["expression"] == [element]


def test_what_is_not_there_is_not_created_twice_in_one_transaction(clinic: Clinic) -> None:
    def entry(value: str) -> dict[str, Any]:
        body = {"resourceType": "Device", "identifier": [{"system": "urn:x", "value": value}]}
        return {
            "resource": body,
            "request": {"method": "POST", "url": "Device", "ifNoneExist": f"identifier=urn:x|{value}"},
        }

    def sent(*values: str) -> Any:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry(each) for each in values]}
        return clinic.ask("integrator", "POST", "", json=bundle)

    answer = sent("7", "8", "7")
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (
        422,
        ["Bundle.entry[2].request.ifNoneExist"],
    )
    assert sent("7", "8").status_code == 200
    assert sent("7", "7").status_code == 200
    assert clinic.get("integrator", "/Device?identifier=urn:x|7").json()["total"] == 1


def test_an_element_of_an_entry_is_named_from_the_bundle(clinic: Clinic) -> None:
    for resource, element in (
        ({"resourceType": "Patient", "gender": "robot"}, "Bundle.entry[0].resource.gender"),
        ({"resourceType": "Patient", "name": [{}]}, "Bundle.entry[0].resource.name[0]"),
        ({"resourceType": "Device"}, "Bundle.entry[0].resource"),
    ):
        entry = {"resource": resource, "request": {"method": "POST", "url": "Patient"}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        answer = clinic.ask("integrator", "POST", "", json=bundle)
        assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, [element])


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


def test_a_transaction_is_carried_out_whole(clinic: Clinic) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:1",
                "resource": {
                    "resourceType": "Medication",
                    "code": {"text": "Filler"},
                    "batch": {"lotNumber": "F-1"},
                },
                "request": {"method": "POST", "url": "Medication"},
            },
            {
                "fullUrl": "urn:uuid:2",
                "resource": {
                    "resourceType": "MedicationAdministration",
                    "status": "completed",
                    "subject": {"reference": "Patient?identifier=demo-anna"},
                    "medicationReference": {"reference": "urn:uuid:1"},
                    "effectiveDateTime": "2026-06-01",
                },
                "request": {"method": "POST", "url": "MedicationAdministration"},
            },
        ],
    }
    done = clinic.ask("integrator", "POST", "", json=bundle)
    assert done.status_code == 200
    kinds = [each["response"]["location"].removeprefix(BASE).split("/")[1] for each in done.json()["entry"]]
    assert kinds == ["Medication", "MedicationAdministration"]
    found = clinic.get("integrator", "/MedicationAdministration?medication.lot-number=F-1").json()
    assert found["total"] == 1
    assert found["entry"][0]["resource"]["subject"] == {"reference": "Patient/anna"}


def test_a_transaction_with_one_fault_leaves_nothing(clinic: Clinic) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}},
            {
                "resource": {
                    "resourceType": "Encounter",
                    "status": "finished",
                    "class": {"code": "AMB"},
                    "subject": {"reference": "urn:uuid:none"},
                },
                "request": {"method": "POST", "url": "Encounter"},
            },
        ],
    }
    answer = clinic.ask("integrator", "POST", "/", json=bundle)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.subject"]
    assert clinic.get("integrator", "/Patient").json()["total"] == 2


def test_no_denial_is_lost_with_the_transaction_that_it_came_in(clinic: Clinic) -> None:
    denials = [consent_of(f"no{number}", "deny", "WEB") for number in range(2)]
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"Consent/{each['id']}"}}
        for each in (*denials, consent_of("yes", "permit", "WEB"))
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    wrong: dict[str, Any] = {"resource": {"resourceType": "Patient", "gender": "x"}}
    wrong["request"] = {"method": "POST", "url": "Patient"}
    denials[0]["patient"] = {"reference": "Patient?identifier=demo-anna"}
    assert clinic.ask("integrator", "POST", "/", json=bundle | {"entry": [*entries, wrong]}).status_code == 422
    assert clinic.get("integrator", "/Task").json()["total"] == 2
    denials[0]["implicitRules"] = "urn:x"
    assert clinic.ask("integrator", "POST", "/", json=bundle).status_code == 422
    tasks = clinic.get("integrator", "/Task").json()
    assert tasks["total"] == 4
    assert sorted(str(each["resource"].get("for")) for each in tasks["entry"])[-1] == "{'reference': 'Patient/anna'}"
    del denials[0]["implicitRules"]
    assert clinic.ask("integrator", "POST", "/", json=bundle).status_code == 200
    assert clinic.get("integrator", "/Task").json()["total"] == 4


def test_a_refused_consent_names_its_element_and_a_denial_in_it_becomes_a_task(clinic: Clinic) -> None:
    body = consent_of("c1", "deny", "WEB", modifierExtension=[{"url": "urn:unknown", "valueBoolean": True}])
    answer = clinic.ask("clinician", "PUT", "/Consent/c1", json=body)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Consent.modifierExtension"]
    assert clinic.get("clinician", "/Consent/c1").status_code == 404
    tasks = clinic.get("clinician", "/Task?patient=anna&status=requested").json()
    assert tasks["total"] == 1
    kept = tasks["entry"][0]["resource"]["input"][0]["valueAttachment"]["data"]
    assert json.loads(base64.b64decode(kept)) == body
    permit = consent_of("c2", "permit", "WEB", modifierExtension=[{"url": "urn:unknown", "valueBoolean": True}])
    assert clinic.ask("clinician", "PUT", "/Consent/c2", json=permit).status_code == 422
    assert clinic.get("clinician", "/Task").json()["total"] == 1


def test_no_denial_is_lost_for_its_size(clinic: Clinic) -> None:
    scan = {"contentType": "application/pdf", "data": base64.b64encode(b"x" * 700_000).decode()}
    unknown = [{"url": "urn:unknown", "valueBoolean": True}]
    body = consent_of("c1", "deny", "WEB", sourceAttachment=scan, modifierExtension=unknown)
    assert clinic.ask("clinician", "PUT", "/Consent/c1", json=body).status_code == 422
    tasks = clinic.get("clinician", "/Task?patient=anna").json()
    kept = tasks["entry"][0]["resource"]["input"][0]["valueAttachment"]["data"]
    assert json.loads(base64.b64decode(kept)) == body


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


def test_the_patient_of_a_consent_never_changes(clinic: Clinic) -> None:
    assert clinic.ask("clinician", "PUT", "/Consent/c", json=consent_of("c", "permit", "WEB")).status_code == 201
    moved = consent_of("c", "permit", "WEB", "ben")
    answer = clinic.ask("clinician", "PUT", "/Consent/c", json=moved)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Consent.patient"]
    assert clinic.get("clinician", "/Consent/c").json()["patient"] == {"reference": "Patient/anna"}


def test_a_denial_of_a_scope_without_rules_is_not_lost_where_it_is_refused(clinic: Clinic) -> None:
    scopes = "http://terminology.hl7.org/CodeSystem/consentscope"
    to_be_treated = {"scope": {"coding": [{"system": scopes, "code": "treatment"}]}}
    body = consent_of("c", "deny", None) | to_be_treated
    assert clinic.ask("clinician", "PUT", "/Consent/c", json=body).status_code == 201
    moved = consent_of("c", "deny", None, "ben") | to_be_treated
    assert clinic.ask("clinician", "PUT", "/Consent/c", json=moved).status_code == 422
    assert clinic.get("clinician", "/Task?patient=ben").json()["total"] == 1


def test_notes_on_a_consent_come_with_the_answer(clinic: Clinic) -> None:
    body = consent_of("c", "deny", "HLEGAL")
    answer = clinic.ask("clinician", "PUT", "/Consent/c", json=body)
    assert answer.status_code == 201
    assert "not followed" in answer.headers["warning"]
    outcome = clinic.ask("clinician", "PUT", "/Consent/c", json=body, headers={"Prefer": "return=OperationOutcome"})
    assert "not followed" in outcome.text
    minimal = clinic.ask("clinician", "PUT", "/Consent/c", json=body, headers={"Prefer": "return=minimal"})
    assert minimal.content == b""


def test_the_paper_and_the_witnesses_of_a_consent_may_be_kept_elsewhere(clinic: Clinic) -> None:
    elsewhere: dict[str, Any] = {
        "sourceReference": {"reference": "QuestionnaireResponse/signed"},
        "performer": [{"reference": "Practitioner/visiting"}, {"reference": "Patient/anna"}],
        "organization": [{"reference": "Organization/other"}, {"reference": "Organization/clinic"}],
        "verification": [{"verified": True, "verifiedWith": {"reference": "RelatedPerson/sister"}}],
    }
    observation = {"data": [{"meaning": "instance", "reference": {"reference": "Observation/none"}}]}
    permit = consent_of("c", "permit", "PATRQT", **elsewhere)
    answer = clinic.ask("clinician", "PUT", "/Consent/c", json=permit)
    assert answer.status_code == 201
    assert "Consent.performer[0]" in answer.headers["warning"]
    assert clinic.get("anna", "/DocumentReference/f1").status_code == 200
    nothing = consent_of("d", "deny", "PATRQT", provision=observation, **elsewhere)
    assert clinic.ask("clinician", "PUT", "/Consent/d", json=nothing).status_code == 201
    assert clinic.get("anna", "/DocumentReference/f1").status_code == 200
    faults: tuple[tuple[str, dict[str, Any]], ...] = (
        ("Consent.patient", {"patient": {"reference": "Patient/none"}}),
        (
            "Consent.provision.data[0].reference",
            {"provision": {"type": "deny", "data": [{"meaning": "instance", "reference": {"reference": "Media/x"}}]}},
        ),
        (
            "Consent.extension('urn:photospine:replaces')[0]",
            {"extension": [{"url": "urn:photospine:replaces", "valueReference": {"reference": "Consent/none"}}]},
        ),
    )
    for element, broken in faults:
        answer = clinic.ask("clinician", "PUT", "/Consent/e", json=consent_of("e", "deny", "WEB") | broken)
        assert answer.status_code == 422
        assert element in answer.json()["issue"][0]["expression"]


def test_the_answer_says_why_a_permit_will_not_count(clinic: Clinic) -> None:
    unsigned = consent_of("c", "permit", "WEB")
    del unsigned["dateTime"], unsigned["organization"]
    unsigned["performer"] = [{"reference": "Practitioner/d"}]
    said = clinic.ask("clinician", "PUT", "/Consent/c", json=unsigned).headers["warning"]
    assert all(element in said for element in ("Consent.dateTime", "Consent.performer", "Consent.organization"))
    signed = clinic.ask("clinician", "PUT", "/Consent/c", json=consent_of("c", "permit", "WEB"))
    assert "warning" not in signed.headers


def test_many_notes_do_not_make_a_header_that_nobody_lets_through(clinic: Clinic) -> None:
    purposes = [{"system": "urn:ehr:purpose", "code": f"P{number}"} for number in range(500)]
    body = consent_of("c", "permit", None, provision={"purpose": purposes})
    said = clinic.ask("clinician", "PUT", "/Consent/c", json=body).headers["warning"]
    assert len(said) < 4096
    assert "return=OperationOutcome" in said
    outcome = clinic.ask("clinician", "PUT", "/Consent/c", json=body, headers={"Prefer": "return=OperationOutcome"})
    assert sum("matches nothing" in issue["diagnostics"] for issue in outcome.json()["issue"]) == 500


def test_a_consent_opens_and_its_withdrawal_closes_at_once(clinic: Clinic) -> None:
    assert clinic.get("anna", "/DocumentReference/f1").status_code == 404
    clinic.ask("clinician", "PUT", "/Consent/c", json=consent_of("c", "permit", "PATRQT"))
    assert clinic.get("anna", "/DocumentReference/f1").status_code == 200
    clinic.ask("clinician", "PUT", "/Consent/c", json=consent_of("c", "permit", "PATRQT", status="inactive"))
    assert clinic.get("anna", "/DocumentReference/f1").status_code == 404


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


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "POST", "OPTIONS"])
def test_methods_that_are_not_offered_are_named(clinic: Clinic, method: str) -> None:
    answer = clinic.ask("integrator", method, "/Patient/anna", content=b"{}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, PUT"
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
            value = "2026" if parameter["type"] == "date" else "x"
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
