"""How a photo was taken, as an Observation: valid, searchable, and seen by who sees each photo that it names."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from consent.store.engine import reading
from fhir_mapping import text
from fhir_mapping.advisory.stated import stated
from fhir_mapping.outcome.outcome import is_outcome
from fhir_mapping.question.surroundings import JUDGED_PATHS
from fhir_mapping.resources.appraisal import (
    MEANINGS,
    SYSTEM,
    Appraisal,
    Aspect,
    Finding,
    Verdict,
    appraisal_id,
    observation,
    read,
)
from tests.fhir.clinic import BASE, Clinic
from tests.fhir.refused_pair import Pair, answer_of
from tests.fhir.validators import Medplum, Pyrofile, needs_definitions

NOW = datetime(2026, 5, 9, 8, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
"""When both clinics were told, so that answers are alike to the byte."""

VERDICTS = (
    Verdict(Aspect.YAW, Finding.DIFFERS, "turned 5 degrees to her left", 5.0, 2.5),
    Verdict(Aspect.EXPOSURE, Finding.GOOD, "as bright as the reference", -0.05, 0.25),
    Verdict(Aspect.WHITE_BALANCE, Finding.UNKNOWN, "unknown without target"),
)


def made(photo: str, reference: str | None, patient: str = "anna", visit: str = "v1") -> dict[str, Any]:
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": f"Patient/{patient}"},
        "context": {"encounter": [{"reference": f"Encounter/{visit}"}], "period": {"start": "2026-05-03T10:00:00Z"}},
    }
    against = None if reference is None else f"DocumentReference/{reference}"
    said = Appraisal(f"DocumentReference/{photo}", VERDICTS, "Photospine judge", "1", against, "MediaPipe face mesh")
    return observation(said, document, NOW)


@needs_definitions
def test_it_holds_before_both_validators(medplum: Medplum, pyrofile: Pyrofile) -> None:
    every = tuple(Verdict(each, Finding.GOOD, "as it should be", 1.0, 2.0) for each in Aspect)
    unknown = tuple(Verdict(each, Finding.UNKNOWN, "unknown: no face was found") for each in Aspect)
    document = {"status": "entered-in-error", "subject": {"reference": "Patient/anna"}}
    for resource in (
        made("f1", "f2"),
        made("f1", None),
        observation(Appraisal("DocumentReference/f1", every, "judge", "1"), document, NOW),
        observation(Appraisal("DocumentReference/f1", unknown, "judge", "1"), document, NOW),
    ):
        assert medplum.faults(resource) == []
        assert pyrofile.faults(resource) == []


def test_what_is_written_is_read_again() -> None:
    found = read(json.loads(text.dump(made("f1", "f2"))), BASE)
    assert found is not None
    assert (found.photo, found.reference) == ("DocumentReference/f1", "DocumentReference/f2")
    assert found.verdicts == VERDICTS
    assert (found.judge, found.version, found.model) == ("Photospine judge", "1", "MediaPipe face mesh")
    assert found.finding is Finding.DIFFERS
    assert read({"resourceType": "Observation", "code": {"text": "volume"}}, BASE) is None
    assert set(MEANINGS) == set(Aspect)


def test_it_is_no_outcome_no_lot_and_no_setting(clinic: Clinic) -> None:
    resource = made("f1", "f2")
    assert not is_outcome(resource)
    assert stated(resource) == []
    before = clinic.get("clinician", "/DocumentReference/$photos?_summary=count").text
    clinic.judged(resource)
    assert clinic.get("clinician", "/DocumentReference/$photos?_summary=count").text == before
    basis = clinic.get("clinician", "/DocumentReference/f1/$basis").text
    assert appraisal_id("DocumentReference/f1") not in basis
    assert "focus" in JUDGED_PATHS


def test_it_is_found_by_its_photo_and_by_what_differs(clinic: Clinic) -> None:
    clinic.judged(made("f1", "f2"))
    identity = appraisal_id("DocumentReference/f1")
    for query in (
        "focus=DocumentReference/f1",
        "derived-from=DocumentReference/f2",
        f"code={SYSTEM}|photograph&patient=anna",
        f"component-code={SYSTEM}|yaw",
        f"component-code-value-quantity={SYSTEM}|yaw$gt4",
    ):
        bundle = clinic.get("clinician", f"/Observation?{query}").json()
        assert identity in [each["resource"]["id"] for each in bundle.get("entry", ())], query


@pytest.mark.parametrize("account", ["clinician", "doctor", "integrator", "anna"])
def test_a_refused_photo_is_told_of_by_none(pair: Pair, account: str) -> None:
    """Refused and absent are alike, and neither is judged, be it the photo itself or the reference."""
    resources = {each: made(*each) for each in (("f3", "f1"), ("f1", "f3"), ("f2", "f1"))}
    for clinic in (pair.refusing, pair.without):
        clinic.record.clock = lambda _: LATER
        for resource in resources.values():
            clinic.judged(resource)
            clinic.judged(resource)  # a history of two versions
    hidden = [resources["f3", "f1"]["id"], resources["f1", "f3"]["id"]]
    shown = resources["f2", "f1"]["id"]
    paths = [f"/Observation/{each}{more}" for each in (*hidden, shown) for more in ("", "/_history", "/_history/1")]
    paths += [f"/Observation/{each}/$basis" for each in (*hidden, shown)]
    paths += ["/Observation", "/Observation/_history", "/Observation?_summary=count", f"/Observation?code={SYSTEM}|"]
    paths += ["/Observation?_sort=-_lastUpdated&_count=2", "/Observation?component-code=yaw&_total=accurate"]
    paths += ["/Observation/_history?_count=2", "/DocumentReference?_revinclude=Observation:focus"]
    paths += [
        "/DocumentReference?_revinclude=Observation:derived-from",
        "/Patient?_has:Observation:subject:code=photograph",
    ]
    paths += ["/DocumentReference?_has:Observation:focus:component-code=yaw", "/DocumentReference/f1/$basis"]
    paths += ["/Encounter/v1/$treatment", "/Procedure/p1/$treatment", "/DocumentReference/f1/$treatment"]
    for path in paths:
        refused, absent = (answer_of(each, account, "GET", path) for each in (pair.refusing, pair.without))
        assert refused == absent, path
        for identity in hidden:
            assert path.count(identity) or identity not in refused[1], path
            assert refused[0] in (403, 404) or f"/{identity}" not in path, path
    read_it = answer_of(pair.refusing, account, "GET", f"/Observation/{shown}")
    assert read_it[0] == 200
    assert "turned 5 degrees" in read_it[1]


def test_who_may_see_the_photo_is_told_how_it_was_taken(pair: Pair) -> None:
    pair.refusing.judged(made("f3", "f1"))
    identity = appraisal_id("DocumentReference/f3")
    answer = pair.refusing.get("compliance", f"/Observation/{identity}", "HCOMPL")
    assert answer.status_code == 200, answer.text
    with reading(pair.refusing.engine) as connection:
        assert pair.refusing.record.exists(connection, f"Observation/{identity}")


@pytest.mark.parametrize("account", ["integrator", "importer"])
def test_nobody_but_the_judge_says_how_a_photo_was_taken(clinic: Clinic, account: str) -> None:
    """Whoever may write Observations may write any other, and may not change what the judge has said either."""
    forged = made("f1", "f2")
    identity = forged["id"]
    nameless = {name: value for name, value in forged.items() if name != "id"}
    beside = forged | {"code": {"coding": [{"system": "urn:other", "code": "x"}, *forged["code"]["coding"]]}}
    entry = {"resource": nameless, "request": {"method": "POST", "url": "Observation"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    plain = nameless | {"code": {"text": "volume"}}
    for method, path, body, element in (
        ("POST", "/Observation", nameless, "Observation.code"),
        ("PUT", f"/Observation/{identity}", forged, "Observation.code"),
        ("PUT", f"/Observation/{identity}", beside, "Observation.code"),
        ("POST", "", bundle, "Bundle.entry[0].resource.code"),
    ):
        answer = clinic.ask(account, method, path, json=json.loads(text.dump(body)))
        assert answer.status_code == 422, (method, path, answer.text)
        (issue,) = answer.json()["issue"]
        assert (issue["code"], issue["expression"]) == ("business-rule", [element])
        assert "the judge alone" in issue["diagnostics"]
    with reading(clinic.engine) as connection:
        assert not clinic.record.exists(connection, f"Observation/{identity}")
    assert clinic.ask(account, "POST", "/Observation", json=json.loads(text.dump(plain))).status_code == 201

    clinic.judged(forged)
    taken_back = forged | {"status": "entered-in-error"}
    for body in (plain | {"id": identity}, forged, taken_back):
        answer = clinic.ask(account, "PUT", f"/Observation/{identity}", json=json.loads(text.dump(body)))
        assert answer.status_code == 422, answer.text
        assert "the judge alone" in answer.text
    with reading(clinic.engine) as connection:
        assert clinic.record.read(connection, "Observation", identity).version == 1
