"""Transactions and conditional writes: carried out whole, or refused by the element at fault."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fhir.clinic import BASE, Clinic


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


def test_a_created_resource_is_named_wherever_an_address_may_stand(clinic: Clinic) -> None:
    here = "urn:uuid:7f1c6f0e-6d33-4b62-9a51-0a2f6ad1c001"
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{here}">She</a> "{here}" <img src=\'{here}\'/></div>'
    observed = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "ü"},
        "text": {"status": "generated", "div": div},
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": here}],
        "subject": {"reference": here},
        "extension": [{"url": "urn:a", "valueUri": here}, {"url": "urn:b", "valueUuid": here}],
        "valueString": here,
    }
    patient = {"resourceType": "Patient", "name": [{"family": "New"}]}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": observed, "request": {"method": "POST", "url": "Observation"}},
            {"fullUrl": here, "resource": patient, "request": {"method": "POST", "url": "Patient"}},
        ],
    }
    done = clinic.ask("integrator", "POST", "", json=bundle, headers={"Prefer": "return=representation"})
    kept, made = (each["resource"] for each in done.json()["entry"])
    named = f"Patient/{made['id']}"
    assert kept["subject"]["reference"] == named
    assert [each.get("valueUri", each.get("valueUuid")) for each in kept["extension"]] == [named, named]
    assert (kept["identifier"][0]["value"], kept["valueString"]) == (here, here)
    assert kept["text"]["div"] == div.replace(f'href="{here}', f'href="{named}').replace(
        f"src='{here}", f"src='{named}"
    )


@pytest.mark.parametrize("bundled", [False, True])
def test_a_conditional_update_takes_nobody_else_s_id(clinic: Clinic, bundled: bool) -> None:
    body = {"resourceType": "Patient", "id": "anna", "identifier": [{"value": "new"}], "name": [{"family": "Other"}]}
    if bundled:
        entry = {"resource": body, "request": {"method": "PUT", "url": "Patient?identifier=new"}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        answer = clinic.ask("integrator", "POST", "", json=bundle)
    else:
        answer = clinic.ask("integrator", "PUT", "/Patient?identifier=new", json=body)
    assert answer.status_code == 409
    assert clinic.get("integrator", "/Patient/anna").json()["name"][0]["family"] == "Ānderson"
