"""Bundles: a transaction is done whole or not at all, whatever ends it; a batch is as many requests as entries."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from consent.identity.bearer import Caller
from consent.identity.scopes import read as scopes_of
from fhir_mapping.api.routes import routes
from tests.counts import count, report
from tests.fhir.clinic import BASE, Clinic, consent_of, requesters

_DEVICE = {"resourceType": "Device", "id": "d1", "identifier": [{"system": "urn:x", "value": "7"}]}


def _entry(method: str, url: str, resource: dict[str, Any] | None = None, **request: str) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    return made | ({} if resource is None else {"resource": resource})


def _send(clinic: Clinic, kind: str, *entries: dict[str, Any], account: str = "integrator", **headers: str) -> Any:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return clinic.ask(account, "POST", "", json=bundle, headers=named)


def _statuses(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["response"]["status"].split(" ")[0] for each in answer.json()["entry"]]


# --- transactions -----------------------------------------------------------------------------------------------------


def test_a_transaction_deletes_creates_and_changes(clinic: Clinic) -> None:
    clinic.put(_DEVICE)
    clinic.put({"resourceType": "Organization", "id": "old", "name": "Old"})
    answer = _send(
        clinic,
        "transaction",
        _entry("PUT", "Device/d1", _DEVICE | {"owner": {"reference": "urn:uuid:o"}}),
        _entry("POST", "Organization", {"resourceType": "Organization", "name": "New"}) | {"fullUrl": "urn:uuid:o"},
        _entry("DELETE", "Organization/old"),
    )
    assert _statuses(answer) == ["200", "201", "204"]
    owner = clinic.get("clinician", "/Device/d1").json()["owner"]["reference"]
    assert answer.json()["entry"][1]["fullUrl"] == f"{BASE}/{owner}"
    assert clinic.get("clinician", "/Organization/old").status_code == 410


def test_what_is_deleted_may_be_named_by_what_is_changed_or_deleted_with_it(clinic: Clinic) -> None:
    clinic.put({"resourceType": "Organization", "id": "o1", "name": "x"})
    clinic.put({"resourceType": "Organization", "id": "o2", "name": "x", "partOf": {"reference": "Organization/o1"}})
    clinic.put(_DEVICE | {"owner": {"reference": "Organization/o2"}})
    assert _send(clinic, "transaction", _entry("DELETE", "Organization/o1")).status_code == 409
    both = [_entry("DELETE", "Organization/o1"), _entry("DELETE", "Organization/o2")]
    refused = _send(clinic, "transaction", *both)
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (409, ["Bundle.entry[1].request.url"])
    assert clinic.get("clinician", "/Organization/o1").status_code == 200
    assert _statuses(_send(clinic, "transaction", *both, _entry("PUT", "Device/d1", _DEVICE))) == ["204", "204", "200"]


def test_what_a_transaction_deletes_is_named_by_nothing_that_it_writes(clinic: Clinic) -> None:
    clinic.put({"resourceType": "Organization", "id": "o1", "name": "x"})
    named = _DEVICE | {"owner": {"reference": "Organization/o1"}}
    answer = _send(clinic, "transaction", _entry("PUT", "Device/d1", named), _entry("DELETE", "Organization/o1"))
    assert answer.status_code == 422
    assert clinic.get("clinician", "/Organization/o1").status_code == 200
    assert clinic.get("clinician", "/Device/d1").status_code == 404


@pytest.mark.parametrize(
    ("entry", "status", "element"),
    [
        (_entry("DELETE", "Device/none"), 404, "Bundle.entry[0].request.url"),
        (_entry("DELETE", "Device?identifier=none"), 404, "Bundle.entry[0].request.url"),
        (_entry("DELETE", "Device"), 422, "Bundle.entry[0].request.url"),
        (_entry("DELETE", "Device/d1", ifMatch='W/"9"'), 412, "Bundle.entry[0].request.url"),
        (_entry("DELETE", "Device/d1", ifNoneMatch="*"), 422, "Bundle.entry[0].request.ifNoneMatch"),
        (_entry("DELETE", "Device/d1", _DEVICE), 422, "Bundle.entry[0].resource"),
        (_entry("DELETE", "Procedure/p2"), 422, "Bundle.entry[0].request.url"),
        (_entry("DELETE", "Consent/c1"), 422, "Bundle.entry[0].request.url"),
        (_entry("DELETE", "DocumentReference/f1"), 422, "Bundle.entry[0].request.url"),
        (_entry("GET", "Device/d1"), 422, "Bundle.entry[0].request.method"),
        (_entry("PATCH", "Device/d1", _DEVICE), 422, "Bundle.entry[0].request.method"),
        (_entry("PUT", "Device", _DEVICE), 422, "Bundle.entry[0].request.url"),
        (_entry("PUT", "Device/d1?identifier=7", _DEVICE), 422, "Bundle.entry[0].request.url"),
        (_entry("PUT", "Device?status=active", _DEVICE), 422, "Bundle.entry[0].request.url"),
        (_entry("POST", "Device?identifier=7", _DEVICE), 422, "Bundle.entry[0].request.url"),
        ({"request": {"method": ["POST"], "url": "Device"}}, 422, "Bundle.entry[0].request.method"),
        ({"request": {"method": "POST", "url": {}}, "resource": _DEVICE}, 422, "Bundle.entry[0].request.url"),
        ({"request": 5}, 422, "Bundle.entry[0]"),
        ({}, 422, "Bundle.entry[0]"),
    ],
)
def test_a_fault_of_an_entry_is_named(clinic: Clinic, entry: dict[str, Any], status: int, element: str) -> None:
    clinic.put(_DEVICE)
    answer = _send(clinic, "transaction", entry)
    assert (answer.status_code, answer.json()["issue"][0].get("expression")) == (status, [element])
    assert clinic.get("clinician", "/Device/d1").headers["etag"] == 'W/"1"'


def test_one_resource_is_written_once_in_a_transaction(clinic: Clinic) -> None:
    clinic.put(_DEVICE)
    for entries in (
        [_entry("DELETE", "Device/d1"), _entry("DELETE", "Device/d1")],
        [_entry("DELETE", "Device/d1"), _entry("PUT", "Device/d1", _DEVICE)],
        [_entry("PUT", "Device?identifier=7", _DEVICE), _entry("PUT", "Device/d1", _DEVICE)],
        [_entry("PUT", "Device?identifier=8", {"resourceType": "Device"})] * 2,
    ):
        answer = _send(clinic, "transaction", *entries)
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "duplicate")
    assert clinic.get("clinician", "/Device/d1").headers["etag"] == 'W/"1"'


def test_a_conditional_put_in_a_transaction(clinic: Clinic) -> None:
    body = {key: value for key, value in _DEVICE.items() if key != "id"}
    first = _send(clinic, "transaction", _entry("PUT", "Device?identifier=urn:x|7", body))
    second = _send(clinic, "transaction", _entry("PUT", f"{BASE}/Device?identifier=urn:x|7", body))
    assert (_statuses(first), _statuses(second)) == (["201"], ["200"])
    assert first.json()["entry"][0]["fullUrl"] == second.json()["entry"][0]["fullUrl"]
    wrong = _send(clinic, "transaction", _entry("PUT", "Device?identifier=urn:x|7", _DEVICE))
    assert wrong.status_code == 400


def test_a_transaction_returns_what_is_preferred(clinic: Clinic) -> None:
    entry = _entry("PUT", "Device/d1", _DEVICE)
    whole = _send(clinic, "transaction", entry, Prefer="return=representation").json()["entry"][0]
    assert whole["resource"] == clinic.get("clinician", "/Device/d1").json()
    told = _send(clinic, "transaction", entry, Prefer="return=OperationOutcome").json()["entry"][0]
    assert told["response"]["outcome"]["resourceType"] == "OperationOutcome"
    for headers in ({}, {"Prefer": "return=minimal"}):
        bare = _send(clinic, "transaction", entry, **headers).json()["entry"][0]
        assert set(bare) == {"fullUrl", "response"}
        assert "outcome" not in bare["response"]


def test_who_may_not_read_is_not_shown_what_was_there(clinic: Clinic) -> None:
    clinic.put(_DEVICE | {"note": [{"text": "hidden"}]})
    entry = _entry("POST", "Device", _DEVICE, ifNoneExist="identifier=7")
    answer = _send(clinic, "transaction", entry, account="importer", Prefer="return=representation")
    assert _statuses(answer) == ["200"]
    assert "hidden" not in answer.text


_VICTIM = """
import sys
from pathlib import Path
from tests.fhir.clinic import open_clinic
clinic = open_clinic(Path(sys.argv[1]))
print("ready", flush=True)
body = sys.stdin.read()
answer = clinic.ask("integrator", "POST", "", content=body)
print(answer.status_code, flush=True)
"""


def test_nothing_remains_of_a_transaction_that_was_killed(clinic: Clinic, tmp_path: Path) -> None:
    clinic.put({"resourceType": "Organization", "id": "o1", "name": "x"})
    devices = 150
    entries = [_entry("POST", "Device", {"resourceType": "Device", "note": [{"text": "k"}]}) for _ in range(devices)]
    entries += [_entry("DELETE", "Organization/o1"), _entry("PUT", "Practitioner/e", _changed())]
    body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    name, started = "transactions killed at any moment", time.monotonic()
    wanted = count(name, small=4, full=200)
    seed = 4
    moments = random.Random(seed)
    done = 0
    for _ in range(wanted):
        before = _state(clinic)
        killed = _run(tmp_path / "clinic", body, moments.uniform(0.0, 0.5))
        after = _state(clinic)
        whole = (before[0] + devices, 410, before[2] + 1)
        assert after in (before, whole), (before, after)
        assert killed or after == whole
        done += after == whole
        clinic.put({"resourceType": "Organization", "id": "o1", "name": "x"})
    report(name, asked=wanted, run=wanted, failures=0, seed=seed, started=started, measured=f"{done} were carried out")


def _changed() -> dict[str, Any]:
    return {"resourceType": "Practitioner", "id": "e", "active": True}


def _run(folder: Path, body: str, after: float) -> bool:
    """Send the body from a process that is killed after so many seconds; whether it was killed before it answered."""
    victim = subprocess.Popen(
        [sys.executable, "-c", _VICTIM, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert victim.stdin is not None
    assert victim.stdout is not None
    assert victim.stdout.readline() == "ready\n"
    victim.stdin.write(body)
    victim.stdin.close()
    time.sleep(after)
    victim.send_signal(signal.SIGKILL)
    answered = victim.stdout.read()
    victim.wait()
    victim.stdout.close()
    assert answered in ("", "200\n")
    return not answered


def _state(clinic: Clinic) -> tuple[int, int, int]:
    return (
        clinic.get("clinician", "/Device?_count=0").json()["total"],
        clinic.get("clinician", "/Organization/o1").status_code,
        int(clinic.get("clinician", "/Practitioner/e").json()["meta"]["versionId"]),
    )


# --- batches ----------------------------------------------------------------------------------------------------------


def test_each_entry_of_a_batch_has_an_outcome_of_its_own(clinic: Clinic) -> None:
    clinic.put(_DEVICE)
    answer = _send(
        clinic,
        "batch",
        _entry("GET", "Patient/anna"),
        _entry("GET", "Patient?name=Berg"),
        _entry("GET", "/Patient/none"),
        _entry("GET", f"{BASE}/Device/d1/_history"),
        _entry("GET", "Device/d1/_history/1"),
        _entry("GET", "metadata"),
        _entry("POST", "Device", {"resourceType": "Device"}),
        _entry("POST", "Device", {"resourceType": "Device", "status": "dreaming"}),
        _entry("PUT", "Device/d1", _DEVICE, ifMatch='W/"7"'),
        _entry("PUT", "Device/d1", _DEVICE, ifMatch='W/"1"'),
        _entry("POST", "Device", _DEVICE, ifNoneExist="identifier=7"),
        _entry("DELETE", "Device/d1"),
        _entry("DELETE", "Consent/c1"),
        _entry("GET", "Nothing/1"),
        _entry("GET", "DocumentReference/f1/$explain?purpose=TREAT"),
    )
    assert _statuses(answer) == [
        "200", "200", "404", "200", "200", "200", "201", "422", "412", "200", "200", "204", "405", "404", "404",
    ]  # fmt: skip
    bundle = answer.json()
    assert bundle["type"] == "batch-response"
    assert bundle["entry"][0]["resource"] == clinic.get("clinician", "/Patient/anna").json()
    assert bundle["entry"][1]["resource"]["total"] == 1
    assert bundle["entry"][7]["response"]["outcome"]["issue"][0]["expression"] == ["Device.status"]
    assert bundle["entry"][6]["response"]["location"].startswith(f"{BASE}/Device/")
    assert "resource" not in bundle["entry"][6]
    assert clinic.get("clinician", "/Device?_count=0").json()["total"] == 2


def test_a_fault_of_a_batch_s_entry_stays_with_it(clinic: Clinic) -> None:
    answer = _send(
        clinic,
        "batch",
        {},
        {"request": {"method": "GET"}},
        {"request": {"method": ["GET"], "url": "Patient/anna"}},
        _entry("GET", "Patient/anna", ifModifiedSince="2026-01-01T00:00:00Z"),
        _entry("GET", "Patient/anna", _DEVICE),
        _entry("POST", "Device"),
        _entry("POST", "", {"resourceType": "Bundle", "type": "batch"}),
        _entry("POST", "Patient/_search", {"resourceType": "Parameters"}),
        _entry("GET", "../etc/passwd"),
        _entry("GET", "Patient/anna%00"),
        _entry("GET", "Patient?name=%ff"),
        _entry("GET", "Patient/anna"),
    )
    assert _statuses(answer) == ["422"] * 6 + ["405", "405", "404", "404", "400", "200"]


def test_photos_in_a_batch_are_decided_and_recorded_one_by_one(clinic: Clinic) -> None:
    clinic.put(
        consent_of(
            "no",
            "deny",
            "TREAT",
            provision={"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/f1"}}]},
        )
    )
    entries = [_entry("GET", f"DocumentReference/{each}") for each in ("f1", "f9", "f2")]
    answer = _send(clinic, "batch", *entries, _entry("GET", "DocumentReference"), account="clinician")
    bundle = answer.json()
    assert _statuses(answer) == ["404", "404", "200", "200"]
    assert bundle["entry"][0] == bundle["entry"][1]
    assert bundle["entry"][3]["resource"]["total"] == 2
    assert [each["kind"] for each in clinic.records()] == ["decision", "decision", "decision", "set"]


def test_a_batch_asks_for_no_more_than_the_account_may(clinic: Clinic) -> None:
    entries = [_entry("GET", "Patient/anna"), _entry("PUT", "Device/d1", _DEVICE), _entry("DELETE", "Device/laser")]
    assert _statuses(_send(clinic, "batch", *entries, account="marketing")) == ["403", "403", "403"]
    assert _statuses(_send(clinic, "batch", *entries, account="clinician")) == ["200", "403", "403"]
    assert clinic.raw("POST", "", content=b"{}", headers={"Content-Type": "application/fhir+json"}).status_code == 401


def test_a_token_s_scopes_hold_for_each_entry(clinic: Clinic) -> None:
    scopes = scopes_of(["user/Device.cruds", "user/Patient.rs"])
    caller = Caller(requesters()["integrator"], scopes)
    clinic.app = Starlette(routes=routes(replace(clinic.node, identify=lambda _header, _address: caller)))
    entries = [
        _entry("GET", "Patient/anna"),
        _entry("GET", "Encounter/v1"),
        _entry("GET", "Patient?organization.name=x"),
        _entry("PUT", "Device/d1", _DEVICE),
        _entry("PUT", "Patient/new", {"resourceType": "Patient", "id": "new"}),
        _entry("GET", "metadata"),
    ]
    assert _statuses(_send(clinic, "batch", *entries)) == ["200", "403", "403", "201", "403", "200"]
    assert _statuses(_send(clinic, "transaction", entries[3])) == ["200"]
    assert _send(clinic, "transaction", entries[3], entries[4]).status_code == 422


def test_a_bundle_is_a_transaction_or_a_batch(clinic: Clinic) -> None:
    for kind in ("searchset", "document", ["batch"], None):
        body = {"resourceType": "Bundle", "type": kind}
        assert clinic.ask("integrator", "POST", "", json=body).status_code == 422
    assert clinic.ask("integrator", "POST", "", json={"resourceType": "Patient"}).status_code == 422
    for kind in ("transaction", "batch"):
        empty = clinic.ask("integrator", "POST", "", json={"resourceType": "Bundle", "type": kind})
        assert (empty.status_code, empty.json()["type"]) == (200, f"{kind}-response")
        many = {"resourceType": "Bundle", "type": kind, "entry": [_entry("GET", "metadata")] * 1001}
        assert clinic.ask("integrator", "POST", "", json=many).status_code == 422
