"""Advisories that are kept: opened once, worked through, looked at again, reported in the same bytes, closed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from consent.purposes import PATSFTY
from consent.store.engine import transaction
from consent.types import Request, Requester, Right
from fhir_mapping.advisory.asked import Question, question
from fhir_mapping.advisory.keeping import Advisories
from fhir_mapping.advisory.letters import fonts, markup
from fhir_mapping.advisory.opened import Opened
from fhir_mapping.advisory.report import Form, report
from fhir_mapping.api import access
from fhir_mapping.errors import Forbidden, Invalid, NotFound, VersionMismatch
from fhir_mapping.resources.advisory import WORK, Step
from fhir_mapping.tables import fhir_resource
from tests.fhir.clinic import Clinic, requesters

pytestmark = pytest.mark.fast

_LOT = question([("LOT-0071", None)])
_ZONE = ZoneInfo("Europe/Athens")
_AGAIN = """
import hashlib, pathlib, sys
from zoneinfo import ZoneInfo
from consent.types import Request
from fhir_mapping.advisory.keeping import Advisories
from fhir_mapping.advisory.report import Form, report
from tests.fhir.clinic import open_clinic, requesters
clinic = open_clinic(pathlib.Path(sys.argv[1]))
opened = Advisories(clinic.node).show(Request(requesters()["compliance"], "PATSFTY"), sys.argv[2])
for form in Form:
    print(hashlib.sha256(report(opened, form, ZoneInfo("Europe/Athens"))).hexdigest())
clinic.close()
"""


@pytest.fixture
def safety(clinic: Clinic) -> Advisories:
    return Advisories(clinic.node)


def _asks(account: str = "compliance") -> Request:
    return Request(requesters()[account], PATSFTY)


def _give(clinic: Clinic, name: str, patient: str, product: str = "lot7") -> None:
    clinic.put(
        {"resourceType": "MedicationAdministration", "id": name, "status": "completed",
         "subject": {"reference": f"Patient/{patient}"}, "medicationReference": {"reference": f"Medication/{product}"},
         "effectiveDateTime": "2026-05-04"}
    )  # fmt: skip


def _versions(clinic: Clinic, kind: str = "Task") -> dict[str, int]:
    with transaction(clinic.engine) as connection:
        return {each.id: each.version for each in clinic.record.search(connection, kind, {})}


def _attest(safety: Advisories, opened: Opened, *patients: str) -> None:
    for patient in patients:
        for step in WORK:
            safety.note(_asks(), opened.kept.id, patient, step, f"{step.value} with care", "phone")


def test_an_advisory_is_opened_once(clinic: Clinic, safety: Advisories) -> None:
    first = safety.open(_asks(), _LOT, "The notice")
    before = _versions(clinic)
    again = safety.open(_asks(), question([(" LOT-0071", None)]))
    assert (again.kept.id, again.kept.notice, _versions(clinic)) == (first.kept.id, "The notice", before)
    assert set(before.values()) == {1}
    assert len(before) == 2
    assert [each.id for each in safety.listed(_asks())] == [first.kept.id]
    assert first.left() == ["anna"]


def test_what_the_record_says_since_is_told_and_taken_in(clinic: Clinic, safety: Advisories) -> None:
    opened = safety.open(_asks(), _LOT)
    _give(clinic, "late", "ben")
    clinic.put({"resourceType": "MedicationAdministration", "id": "ma1", "status": "completed",
                "subject": {"reference": "Patient/anna"}, "medicationCodeableConcept": {"text": "Salt"},
                "effectiveDateTime": "2026-05-03", "partOf": [{"reference": "Procedure/p1"}]})  # fmt: skip
    shown = safety.show(_asks(), opened.kept.id)
    assert [(each.patient, each.fit) for each in shown.changes.added] == [("anna", "unreadable"), ("ben", "exact")]
    assert [(each.patient, each.fit) for each in shown.changes.gone] == [("anna", "exact")]
    again = safety.open(_asks(), _LOT)
    assert (again.changes.added, again.changes.gone, set(again.steps)) == ((), (), {"anna", "ben"})


def test_each_step_tells_who_and_when_and_a_contact_is_a_communication(clinic: Clinic, safety: Advisories) -> None:
    opened = safety.open(_asks(), _LOT)
    with pytest.raises(Invalid, match="reviewed before"):
        safety.note(_asks(), opened.kept.id, "anna", Step.ATTESTED, "")
    _attest(safety, opened, "anna")
    shown = safety.show(_asks(), opened.kept.id)
    (anna,) = shown.answer.patients
    assert [(each.step, each.by, each.text) for each in shown.taken(anna)] == [
        (step, "compliance", f"{step.value} with care") for step in WORK
    ]
    (told,) = [each.json() for each in shown.stored if each.type == "Communication"]
    assert (told["subject"]["reference"], told["medium"][0]["text"]) == ("Patient/anna", "phone")
    assert told["payload"] == [{"contentString": "contacted with care"}]
    (task,) = [each.json() for each in shown.stored if each.type == "Task" and "for" in each.json()]
    assert (task["status"], task["businessStatus"]["text"]) == ("completed", "attested")
    # What was written is valid by itself.
    for each in shown.stored:
        clinic.record.prepare(each.type, each.json())


def test_it_is_closed_once_nobody_is_left(clinic: Clinic, safety: Advisories) -> None:
    _give(clinic, "other", "ben")
    opened = safety.open(_asks(), _LOT)
    _attest(safety, opened, "anna")
    with pytest.raises(Invalid, match="1 of 2"):
        safety.close(_asks(), opened.kept.id)
    _attest(safety, opened, "ben")
    assert safety.close(_asks(), opened.kept.id).kept.closed
    # Asked for once more, it is open again.
    assert not safety.open(_asks(), _LOT).kept.closed


def test_what_was_done_under_a_record_that_was_merged_counts(clinic: Clinic, safety: Advisories) -> None:
    _give(clinic, "other", "ben")
    opened = safety.open(_asks(), _LOT)
    _attest(safety, opened, "ben")
    link = [{"other": {"reference": "Patient/anna"}, "type": "replaced-by"}]
    clinic.put({"resourceType": "Patient", "id": "ben", "active": False, "link": link})
    shown = safety.show(_asks(), opened.kept.id)
    assert [(each.id, shown.state(each)) for each in shown.answer.patients] == [("anna", Step.ATTESTED)]


def test_the_same_state_is_reported_in_the_same_bytes_in_another_process(clinic: Clinic, safety: Advisories) -> None:
    _give(clinic, "other", "ben")
    opened = safety.open(_asks(), _LOT, "Σημείωση")
    _attest(safety, opened, "anna")
    safety.note(_asks(), opened.kept.id, "ben", Step.CONTACTED, "=HYPERLINK(1)")
    shown = safety.show(_asks(), opened.kept.id)
    mine = [hashlib.sha256(report(shown, form, _ZONE)).hexdigest() for form in Form]
    folder = str(clinic.audit.parent)
    command = [sys.executable, "-c", _AGAIN, folder, opened.kept.id]
    for around in ({}, {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}):
        other = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | around)
        assert other.stdout.split() == mine
    rows = list(csv.DictReader(io.StringIO(report(shown, Form.CSV, _ZONE).decode("utf-8-sig"))))
    assert [(row["patient"], row["treatment"], row["lot"]) for row in rows] == [
        ("anna", "Procedure/p1", "LOT-0071"),
        ("ben", "MedicationAdministration/other", "LOT-0071"),
    ]
    assert rows[1]["notes"] == "contacted: =HYPERLINK(1)"
    bundle = json.loads(report(shown, Form.BUNDLE, _ZONE))
    kinds = ["Parameters"] + ["Communication"] * 2 + ["Task"] * 3
    assert [each["resource"]["resourceType"] for each in bundle["entry"]] == kinds
    safety.note(_asks(), opened.kept.id, "ben", Step.REVIEWED, "")
    assert report(safety.show(_asks(), opened.kept.id), Form.PDF, _ZONE) != report(shown, Form.PDF, _ZONE)


def test_two_at_once_lose_nothing_and_the_second_is_told(clinic: Clinic, safety: Advisories) -> None:
    opened = safety.open(_asks(), _LOT)
    (anna,) = opened.answer.patients
    seen = opened.seen(anna)
    safety.note(_asks(), opened.kept.id, "anna", Step.CONTACTED, "first", seen=seen)
    with pytest.raises(VersionMismatch, match="contacted, by compliance"):
        safety.note(_asks(), opened.kept.id, "anna", Step.CONTACTED, "second", seen=seen)
    shown = safety.show(_asks(), opened.kept.id)
    assert [each.text for each in shown.taken(anna)] == ["first"]
    safety.note(_asks(), opened.kept.id, "anna", Step.CONTACTED, "second", seen=shown.seen(anna))
    shown = safety.show(_asks(), opened.kept.id)
    assert [each.text for each in shown.taken(anna)] == ["first", "second"]
    assert len([each for each in shown.stored if each.type == "Communication"]) == 2


def test_whoever_is_attested_is_to_be_looked_at_anew_once_more_was_found(clinic: Clinic, safety: Advisories) -> None:
    opened = safety.open(_asks(), _LOT)
    _attest(safety, opened, "anna")
    _give(clinic, "second", "anna")
    with pytest.raises(Invalid, match="1 treatments were found"):
        safety.close(_asks(), opened.kept.id)
    again = safety.open(_asks(), _LOT)
    assert (again.left(), [each.step for each in again.taken(again.answer.patients[0])]) == (
        ["anna"],
        [*WORK, Step.FOUND],
    )
    with pytest.raises(Invalid, match="reviewed before"):
        safety.note(_asks(), opened.kept.id, "anna", Step.ATTESTED, "")
    _attest(safety, again, "anna")
    assert safety.close(_asks(), opened.kept.id).kept.closed
    with pytest.raises(Invalid, match="is closed"):
        safety.note(_asks(), opened.kept.id, "anna", Step.REVIEWED, "late")
    # Taken in without anything new, nobody is asked anew.
    assert safety.open(_asks(), _LOT).left() == []


def test_whoever_was_merged_since_is_worked_on_under_the_record_that_is_left(
    clinic: Clinic, safety: Advisories
) -> None:
    clinic.put({"resourceType": "Medication", "id": "other", "batch": {"lotNumber": "MERGED-1"}})
    _give(clinic, "other", "ben", "other")
    opened = safety.open(_asks(), question([("MERGED-1", None)]))
    clinic.put({"resourceType": "Patient", "id": "ben", "active": False,
                "link": [{"other": {"reference": "Patient/anna"}, "type": "replaced-by"}]})  # fmt: skip
    _attest(safety, opened, "anna")
    shown = safety.show(_asks(), opened.kept.id)
    assert [(each.id, shown.state(each)) for each in shown.answer.patients] == [("anna", Step.ATTESTED)]
    again = safety.open(_asks(), opened.kept.question)
    assert again.left() == []


def test_a_notice_that_comes_later_is_kept_and_so_is_one_of_several_pages(clinic: Clinic, safety: Advisories) -> None:
    safety.open(_asks(), _LOT)
    later = safety.open(_asks(), _LOT, "Page one\fPage two\x00")
    assert later.kept.notice == "Page one\nPage two"
    assert safety.open(_asks(), _LOT).kept.notice == later.kept.notice


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "\t=1", "a;=1", 'a"; "=1', "a\n=1", "\uff1d1", "a,@x", "a | =1", " =1"]
)
def test_no_cell_of_a_report_is_a_formula_in_any_spreadsheet(clinic: Clinic, safety: Advisories, text: str) -> None:
    clinic.put({"resourceType": "Patient", "id": "anna", "name": [{"text": text}]})
    body = report(safety.open(_asks(), _LOT), Form.CSV, _ZONE).decode("utf-8-sig")
    for mark in (",", ";", "\t"):
        for row in csv.reader(io.StringIO(body, newline=""), delimiter=mark):
            assert not any(re.match(r'[\s"]*[=+\-@\uff1d]', cell) for cell in row), row


def test_names_in_every_script_stand_in_the_pdf(clinic: Clinic, safety: Advisories) -> None:
    opened = safety.open(_asks(), _LOT)
    plain = report(opened, Form.PDF, _ZONE)
    for name, lost in (
        ("\u05d3\u05d5\u05d3 \u05db\u05d4\u05df", False),
        ("\u738b\u5c0f\u660e", False),
        ("\u0e2a\u0e21", True),
    ):
        clinic.put({"resourceType": "Patient", "id": "anna", "name": [{"text": name}]})
        shown = safety.show(_asks(), opened.kept.id)
        assert report(shown, Form.PDF, _ZONE) != plain
        assert markup(name, fonts()[0]).lost is lost
    arabic = "\u0645\u062d\u0645\u062f (\u0639\u0644\u064a) 12"
    assert markup(arabic, fonts()[0]).text == "(\ufef2\ufee0\ufecb)\u00a0\ufeaa\ufee4\ufea4\ufee3 12"


def test_all_of_it_is_recorded_and_for_patient_safety_alone(clinic: Clinic, safety: Advisories) -> None:
    opened = safety.open(_asks(), _LOT)
    _attest(safety, opened, "anna")
    safety.recorded(_asks(), opened.kept.id, "pdf", b"%PDF")
    kinds = [(each["kind"], each["route"]) for each in clinic.records()]
    for expected in (("intent", "advisory open"), ("intent", "advisory done"), ("read", "advisory report")):
        assert expected in kinds
    assert not any("with care" in json.dumps(each) for each in clinic.records())
    before = clinic.records()
    for account in ("clinician", "anna", "admin"):
        for call in (
            lambda asked: safety.open(asked, _LOT),
            safety.listed,
            lambda asked: safety.show(asked, opened.kept.id),
            lambda asked: safety.note(asked, opened.kept.id, "anna", Step.REVIEWED, ""),
            lambda asked: safety.close(asked, opened.kept.id),
        ):
            with pytest.raises(Forbidden):
                call(_asks(account))
    assert clinic.records() == before


@pytest.mark.parametrize(
    ("purpose", "right", "seen"),
    [
        ("HCOMPL", None, 3), ("PATSFTY", None, 2), ("PATSFTY", Right.RECONCILE, 3), ("TREAT", Right.RECONCILE, 1),
        ("TREAT", Right.CONSENT, 0), ("PATSFTY", Right.CONSENT, 2),
    ],
)  # fmt: skip
def test_the_tasks_of_an_advisory_are_for_safety_and_compliance(
    clinic: Clinic, safety: Advisories, purpose: str, right: Right | None, seen: int
) -> None:
    safety.open(_asks(), _LOT)
    clinic.put({"resourceType": "Task", "id": "other", "status": "requested", "intent": "order",
                "code": {"coding": [{"system": "urn:photospine:task", "code": "link"}]}})  # fmt: skip
    who = Requester("somebody", (purpose,), rights=frozenset({right} if right else ()))
    with transaction(clinic.engine) as connection:
        may = access.condition(Request(who, purpose), "Task")
        found = connection.execute(select(fhir_resource.c.id).where(fhir_resource.c.type == "Task", may)).all()
    assert len(found) == seen


def test_a_long_story_goes_over_pages(clinic: Clinic, safety: Advisories) -> None:
    opened = safety.open(_asks(), _LOT, "A line of the notice.\n" * 200)
    for _ in range(3):
        safety.note(_asks(), opened.kept.id, "anna", Step.CONTACTED, "word " * 799)
    body = report(safety.show(_asks(), opened.kept.id), Form.PDF, _ZONE)
    assert body.count(b"/Type /Page\n") > 4


def test_what_is_no_advisory_is_not_found(clinic: Clinic, safety: Advisories) -> None:
    opened = safety.open(_asks(), _LOT)
    patient_task = next(each for each in _versions(clinic) if each != opened.kept.id)
    for identity in ("none", patient_task, "lot7"):
        with pytest.raises(NotFound):
            safety.show(_asks(), identity)
        with pytest.raises(NotFound):
            safety.note(_asks(), identity, "anna", Step.REVIEWED, "")
    with pytest.raises(NotFound):
        safety.note(_asks(), opened.kept.id, "ben", Step.REVIEWED, "")
    with pytest.raises(Invalid):
        safety.note(_asks(), opened.kept.id, "anna", Step.REVIEWED, "x" * 4001)
    with pytest.raises(Invalid):
        safety.open(_asks(), Question(_LOT.lots), "x" * 100_001)


# --- $batch-advisory -------------------------------------------------------------------------------------------------


def test_the_operation_answers_as_parameters(clinic: Clinic, safety: Advisories) -> None:
    opened = safety.open(_asks(), _LOT)
    _attest(safety, opened, "anna")
    answers = [
        clinic.get("compliance", "/$batch-advisory?lot=LOT-0071&expiry=2027-01", PATSFTY),
        clinic.ask("compliance", "POST", "/$batch-advisory", headers={"X-Purpose-Of-Use": PATSFTY}, json={
            "resourceType": "Parameters", "parameter": [{"name": "lot", "valueString": "LOT-0071"}]}),
        clinic.get("compliance", f"/$batch-advisory?advisory={opened.kept.id}", PATSFTY),
    ]  # fmt: skip
    for answer in answers:
        assert answer.status_code == 200, answer.text
        parts = answer.json()["parameter"]
        (anna,) = [each["part"] for each in parts if each["name"] == "patient"]
        assert {each["name"] for each in anna} >= {"patient", "fit", "treatment", "photo"}
    done = [each for each in anna if each["name"] == "done"]
    assert [each["part"][0]["valueCode"] for each in done] == [step.value for step in WORK]
    statement = clinic.get("compliance", "/metadata").json()
    assert [each["name"] for each in statement["rest"][0]["operation"]] == ["batch-advisory"]
    tasks = clinic.get("compliance", "/Task", PATSFTY).json()
    assert tasks["total"] == 2


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422), ("lot=", 400), ("lott=A", 400), ("lot=--", 422), ("expiry=2027", 422), ("udi=1", 422),
        ("lot=A&expiry=2027&expiry=2028", 400), ("advisory=x&lot=A", 400), ("advisory=x", 404),
    ],
)  # fmt: skip
def test_what_the_operation_cannot_answer_is_refused(clinic: Clinic, query: str, status: int) -> None:
    answer = clinic.get("compliance", f"/$batch-advisory?{query}", PATSFTY)
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome"), answer.text


def test_the_operation_is_refused_to_everybody_else(clinic: Clinic) -> None:
    for account in ("clinician", "marketing", "anna", "importer", "admin"):
        assert clinic.get(account, "/$batch-advisory?lot=LOT-0071").status_code == 403
    assert clinic.raw("GET", "/$batch-advisory?lot=LOT-0071").status_code == 401
