"""Writing Consents: what cannot be honoured is refused by its element, and no denial is lost."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.fhir.clinic import Clinic, consent_of


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
