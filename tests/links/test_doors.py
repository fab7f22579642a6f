"""A correction takes effect at every door at once, and what patients said of the photo keeps its meaning."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from consent.replay import replay
from consent.store.engine import glancing, reading, transaction
from consent.store.tables import photo, photo_facts
from consent.types import Right
from dicom_bridge.objects.uids import fhir_id
from fhir_mapping.outcome.outcome import Outcome, observation
from fhir_mapping.outcome.vocabulary import Rater
from fhir_mapping.projections.project import rebuild
from fhir_mapping.projections.written import Setting
from fhir_mapping.resources.document_reference import ORIGINAL_HASH
from orthanc_plugin.assembly.cli import build
from tests.fhir.clinic import consent_of
from tests.links.doors import Doors
from tests.links.world import Links, Row

pytestmark = [pytest.mark.orthanc]


def test_before_and_after_every_door_says_the_same(clinic: Links, door: Doors) -> None:
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)
    before = door.shown(former)
    assert set(before.values()) == {True}, before
    made = clinic.row(clinic.corrected(former.sop, patient="ben", visit=right.encounter))
    after, gone = door.shown(made), door.shown(former)
    assert set(after.values()) == {True}, after
    assert set(gone.values()) == {False}, gone
    again = clinic.row(clinic.corrected(made.sop, region="cheek", laterality="L"))
    after, gone = door.shown(again), door.shown(made)
    assert set(after.values()) == {True}, after
    assert set(gone.values()) == {False}, gone


def test_the_document_that_rejects_is_at_no_door_and_leaves_no_trace(clinic: Links, door: Doors) -> None:
    visit = clinic.visit("anna")
    clinic.take(visit)
    former = clinic.one(visit)
    objects = clinic.instances()
    clinic.archive.account("archivist", "TREAT", "HLEGAL", "HCOMPL", "PATSFTY", "BTG", rights=(Right.ARCHIVE,))
    made = clinic.row(clinic.corrected(former.sop, region="cheek", laterality="L"))
    (about,) = [clinic.at(each) for each in clinic.instances() - objects if each != made.orthanc_id]
    for account, purpose in (("clinician", "TREAT"), ("archivist", "TREAT"), ("archivist", "HLEGAL")):
        for row in (about, former):
            assert not clinic.seen(row.sop, account, purpose)
    shown = door.shown(about)
    assert set(shown.values()) == {False}, shown
    # Counts, modalities and classes of its study are those of the photo alone.
    (study,) = json.loads(clinic.archive.ask(f"/dicom-web/studies?StudyInstanceUID={made.study}", "archivist").body)
    assert (study["00201208"]["Value"], study["00080061"]["Value"]) == ([1], ["XC"])
    assert clinic.archived(made, "archivist") == [made.sop]


def test_no_consent_and_no_emergency_opens_what_is_rejected(clinic: Links) -> None:
    clinic.archive.account("rescuer", "TREAT", "BTG")
    clinic.archive.account("teacher", "TEACH")
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)
    made = clinic.row(clinic.corrected(former.sop, patient="ben", visit=right.encounter))
    reason = {"X-Emergency-Reason": "He bleeds"}
    for patient in ("anna", "ben"):
        _about(clinic, f"opens-{patient}-{former.number}", "permit", "TEACH", former.sop, patient)
        _about(clinic, f"cares-{patient}-{former.number}", "permit", "TREAT", former.sop, patient)
    path = f"/instances/{former.orthanc_id}/preview"
    for account, purpose, more in (("teacher", "TEACH", {}), ("rescuer", "BTG", reason), ("rescuer", "TREAT", {})):
        assert clinic.archive.ask(path, account, purpose, headers=more).status == 403
    emergency = clinic.archive.ask(f"/instances/{made.orthanc_id}/preview", "rescuer", "BTG", headers=reason)
    assert emergency.status == 200
    for patient in ("anna", "ben"):
        for name in ("opens", "cares"):
            clinic.put(clinic.bare("Consent", f"{name}-{patient}-{former.number}") | {"status": "inactive"})


def test_a_page_that_showed_the_former_photo_shows_it_no_more(clinic: Links, door: Doors) -> None:
    visit = clinic.visit("anna")
    clinic.take(visit)
    former = clinic.one(visit)
    picture = f"/chart/photo/{fhir_id(former.sop)}?width=320"
    assert door.answer(picture, "clinician") == 200  # and its rendition lies in memory now
    clinic.corrected(former.sop, region="cheek", laterality="L")
    assert door.answer(picture, "clinician") != 200


def test_hashes_and_originals_can_be_proved_of_both_instances(clinic: Links) -> None:
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)
    digest, intents = hashlib.sha256(visit.files[0]).hexdigest(), clinic.open_intents()
    made = clinic.row(clinic.corrected(former.sop, patient="ben", visit=right.encounter))
    for row in (former, made):
        original = clinic.original_of(row)
        assert original == visit.files[0]
        stated = {each["system"]: each["value"] for each in clinic.document(row.sop)["identifier"]}
        assert stated[ORIGINAL_HASH] == digest
    told = [each for each in clinic.everything() if digest in (each.get("details") or {}).get("originals", ())]
    assert {each["route"] for each in told if each["kind"] == "intent"} == {"ingest", "link"}
    assert clinic.open_intents() == intents
    words = ["audit", "verify", "--json", "--settings", str(clinic.file)]
    result = CliRunner().invoke(build(), words, env={"PHOTOSPINE_ACCOUNT": None})
    assert result.exit_code == 0, result.output


def test_a_comparison_of_the_whole_archive_finds_nothing_new_of_corrections(clinic: Links) -> None:
    visit = clinic.visit("anna")
    clinic.take(visit)
    former = clinic.one(visit)
    made = clinic.corrected(former.sop, region="cheek", laterality="L")
    arrived = clinic.sent(930, PatientID="NOBODY")
    again = clinic.told(clinic.link(arrived.sop, "--json", patient="anna", visit=visit.encounter))
    tasks, objects = clinic.count("Task"), clinic.instances()
    for _ in range(2):
        clinic.work(everything=True)
    assert (clinic.count("Task"), clinic.instances()) == (tasks, objects)
    states = [clinic.row(each).state for each in (former.sop, made, arrived.sop, again)]
    assert states == ["rejected", "linked", "rejected", "linked"]
    # What its sender sends once more is the object that was rejected.
    assert clinic.archive.store(arrived.dicom).status == 200
    clinic.work(everything=True)
    assert clinic.row(arrived.sop).state == "rejected"
    assert not clinic.seen(arrived.sop)
    assert clinic.seen(again)


def test_the_record_of_the_corrected_photo_does_not_name_the_former_one_to_a_reader(clinic: Links, door: Doors) -> None:
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)
    made = clinic.row(clinic.corrected(former.sop, patient="ben", visit=right.encounter))
    for path in (
        f"/{clinic.reference_of(made)}",
        f"/{clinic.reference_of(made)}/_history",
        f"/DocumentReference?_id={fhir_id(made.sop)}",
        f"/ImagingStudy/{fhir_id(made.study)}",
    ):
        text = door.fhir(path, "clinician").text
        assert fhir_id(made.sop) in text or made.sop in text
        assert fhir_id(former.sop) not in text, path
        assert former.sop not in text, path


def test_evidence_is_given_of_the_corrected_photo_and_of_no_rejected_one(clinic: Links, door: Doors) -> None:
    visit = clinic.visit("anna")
    clinic.take(visit)
    former = clinic.one(visit)
    clinic.archive.account("legal", "HLEGAL", "HCOMPL")
    ask = clinic.archive.ask
    original = f"/instances/{former.orthanc_id}/attachments/original/data"
    assert ask(original, "legal", "HLEGAL").body == visit.files[0]
    made = clinic.row(clinic.corrected(former.sop, region="cheek", laterality="L"))
    for purpose in ("HLEGAL", "HCOMPL"):
        assert ask(original, "legal", purpose).status == 403
        assert not clinic.seen(former.sop, "legal", purpose)
        fresh = ask(f"/instances/{made.orthanc_id}/attachments/original/data", "legal", purpose)
        assert (fresh.status, fresh.body) == (200, visit.files[0])
        assert door.fhir(f"/DocumentReference/{fhir_id(former.sop)}", "legal", purpose).status_code == 404


def test_what_was_shown_under_another_name_was_shown_of_him(clinic: Links) -> None:
    clinic.archive.account("reviewer", "HCOMPL")
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)
    assert clinic.seen(former.sop)
    clinic.corrected(former.sop, patient="ben", visit=right.encounter)
    for patient in ("ben", "anna"):
        words = ["audit", "disclosures", patient, "--json", "--as", "reviewer", "--settings", str(clinic.file)]
        result = CliRunner().invoke(build(), words, env={"PHOTOSPINE_ACCOUNT": None})
        assert result.exit_code == 0, result.output
        assert former.sop in result.stdout


def test_what_was_answered_before_is_answered_so_again(clinic: Links) -> None:
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)
    assert clinic.seen(former.sop)
    made = clinic.corrected(former.sop, patient="ben", visit=right.encounter)
    assert clinic.seen(made)
    assert not clinic.seen(former.sop)
    told = [each for each in clinic.everything() if each.get("photo") in (former.sop, made)]
    answers = [each for each in told if each["kind"] == "decision"]
    assert {each["effect"] for each in answers if each["photo"] == former.sop} == {"permit", "deny"}
    with reading(clinic.engine) as connection:
        for each in answers:
            assert replay(connection, each).same, each


def test_what_is_made_anew_of_the_record_says_the_same(clinic: Links) -> None:
    def facts() -> list[tuple[object, ...]]:
        with glancing(clinic.engine) as connection:
            query = select(photo.c.sop_uid, photo.c.state, photo_facts.c.body).join(
                photo_facts, photo_facts.c.photo == photo.c.photo
            )
            return sorted(map(tuple, connection.execute(query)))

    before = facts()
    assert any(row[1] == "rejected" for row in before)
    with transaction(clinic.engine) as connection:
        rebuild(connection, Setting(clinic.store.site, clinic.store.base))
    assert facts() == before


# --- what patients said ---------------------------------------------------------------------------------------------


def _about(clinic: Links, name: str, effect: str, purpose: str, sop: str, patient: str = "anna", **more: Any) -> None:
    data = [{"meaning": "instance", "reference": {"reference": f"DocumentReference/{fhir_id(sop)}"}}]
    said = consent_of(name, effect, purpose, patient, provision={"data": data}, **more)
    said["organization"] = [{"reference": f"Organization/{clinic.store.site.organization}"}]
    clinic.put(said)


def test_a_denial_that_names_the_former_photo_reaches_the_corrected_one(clinic: Links) -> None:
    visit = clinic.visit("anna")
    clinic.take(visit)
    former = clinic.one(visit)
    _about(clinic, f"no-{former.number}", "deny", "TREAT", former.sop)
    assert not clinic.seen(former.sop)
    made = clinic.corrected(former.sop, region="cheek", laterality="L", account="reconciler")
    assert not clinic.seen(made)
    again = clinic.corrected(made, region="cheek", laterality="R", account="reconciler")
    assert not clinic.seen(again)
    clinic.put(clinic.bare("Consent", f"no-{former.number}") | {"status": "inactive"})
    assert clinic.seen(again)


def test_a_permit_follows_while_the_patient_is_the_same_and_no_further(clinic: Links) -> None:
    clinic.archive.account("student", "TEACH")
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)

    def pixels(sop: str) -> bool:
        path = f"/instances/{clinic.row(sop).orthanc_id}/preview"
        return bool(clinic.archive.ask(path, "student", "TEACH").status == 200)

    assert not pixels(former.sop)
    _about(clinic, f"yes-{former.number}", "permit", "TEACH", former.sop)
    assert pixels(former.sop)
    made = clinic.corrected(former.sop, region="cheek", laterality="L")
    assert pixels(made)
    moved = clinic.corrected(made, patient="ben", visit=right.encounter)
    assert not pixels(moved)
    # What he says of the one that was anna's is a No, and is no Yes.
    _about(clinic, f"yes-ben-{former.number}", "permit", "TEACH", made, "ben")
    assert not pixels(moved)
    _about(clinic, f"no-ben-{former.number}", "deny", "TREAT", made, "ben")
    assert not clinic.seen(moved)
    clinic.put(clinic.bare("Consent", f"no-ben-{former.number}") | {"status": "inactive"})
    assert clinic.seen(moved)
    back = clinic.corrected(moved, patient="anna", visit=visit.encounter)
    assert not pixels(back)


def test_what_she_agreed_to_publish_stays_hers_and_is_signed_anew_by_another(clinic: Links) -> None:
    clinic.archive.account("shower", "PORTFOLIO")
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)

    def published(sop: str) -> bool:
        path = f"/instances/{clinic.row(sop).orthanc_id}/preview"
        return bool(clinic.archive.ask(path, "shower", "PORTFOLIO").status == 200)

    clinic.agree(f"show-{former.number}", "PORTFOLIO", "anna")
    clinic.agree(f"show-ben-{former.number}", "PORTFOLIO", "ben")
    assert published(former.sop)
    made = clinic.corrected(former.sop, region="cheek", laterality="L")
    assert published(made)
    moved = clinic.corrected(made, patient="ben", visit=right.encounter)
    assert not published(moved)
    clinic.agree(f"show-again-{former.number}", "PORTFOLIO", "ben")
    assert published(moved)
    clinic.bits_are_true()


# --- what else names the photo --------------------------------------------------------------------------------------


def test_what_names_the_former_photo_names_the_corrected_one(clinic: Links) -> None:
    visit, other = clinic.visit("anna"), clinic.visit("anna")
    clinic.take(visit)
    former = clinic.one(visit)
    reference = {"reference": f"DocumentReference/{fhir_id(former.sop)}"}
    clinic.put(
        {
            "resourceType": "CarePlan",
            "id": f"plan-{former.number}",
            "status": "active",
            "intent": "plan",
            "subject": {"reference": "Patient/anna"},
            "supportingInfo": [reference],
        }
    )
    treatment = {
        "resourceType": "Procedure",
        "id": f"laser-{former.number}",
        "status": "completed",
        "code": {"text": "Laser"},
        "subject": {"reference": "Patient/anna"},
        "encounter": {"reference": f"Encounter/{visit.encounter}"},
        "report": [reference],
    }
    clinic.put(treatment)
    plan, laser = f"CarePlan/plan-{former.number}", f"Procedure/laser-{former.number}"
    assert {plan, laser} <= clinic.links_of(former.sop)
    made = clinic.corrected(former.sop, region="cheek", laterality="L")
    assert {plan, laser} <= clinic.links_of(made)
    # A later version of what names it counts as well.
    clinic.put({key: value for key, value in treatment.items() if key != "report"})
    assert laser not in clinic.links_of(made)
    clinic.put(treatment)
    assert laser in clinic.links_of(made)
    moved = clinic.corrected(made, visit=other.encounter)
    assert plan in clinic.links_of(moved)
    assert laser not in clinic.links_of(moved)


def test_copies_are_withdrawn_with_what_they_were_made_from(clinic: Links) -> None:
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)
    clinic.take(made_from := clinic.visit("anna"))
    copy = clinic.one(made_from)
    document = clinic.document(copy.sop)
    target = {"reference": f"DocumentReference/{fhir_id(former.sop)}"}
    clinic.put(
        clinic.bare("DocumentReference", document["id"]) | {"relatesTo": [{"code": "transforms", "target": target}]}
    )
    assert clinic.seen(copy.sop)
    clinic.corrected(former.sop, patient="ben", visit=right.encounter)
    assert not clinic.seen(copy.sop)
    assert clinic.document(copy.sop)["status"] == "entered-in-error"


def test_another_treatment_of_the_visit_is_written_into_the_record_alone(clinic: Links) -> None:
    visit = clinic.visit("anna")
    clinic.take(visit)
    former, objects = clinic.one(visit), clinic.instances()
    for name in ("one", "two"):
        clinic.put(
            {
                "resourceType": "Procedure",
                "id": f"{name}-{former.number}",
                "status": "completed",
                "code": {"text": "Laser"},
                "subject": {"reference": "Patient/anna"},
                "encounter": {"reference": f"Encounter/{visit.encounter}"},
                "extension": [{"url": "urn:photospine:session", "valuePositiveInt": 1}],
            }
        )
        result = clinic.link(former.sop, procedure=f"{name}-{former.number}", reason="It was that one.")
        assert result.exit_code == 0, result.output
        links = {each for each in clinic.links_of(former.sop) if each.startswith("Procedure/")}
        assert links == {f"Procedure/{name}-{former.number}"}
    assert clinic.instances() == objects
    assert clinic.seen(former.sop)


def test_what_rests_on_the_former_photo_rests_on_the_corrected_one(clinic: Links, door: Doors) -> None:
    first, second, right = clinic.visit("anna"), clinic.visit("anna"), clinic.visit("ben")
    clinic.take(first)
    clinic.take(second)
    before, after = clinic.one(first), clinic.one(second)
    plan, outcome = f"rests-{before.number}", f"judged-{before.number}"
    clinic.put(
        {
            "resourceType": "CarePlan",
            "id": plan,
            "status": "active",
            "intent": "plan",
            "subject": {"reference": "Patient/anna"},
            "supportingInfo": [{"reference": clinic.reference_of(after)}],
        }
    )
    judged = Outcome(
        "anna",
        "pore",
        change=2,
        rater=Rater.PATIENT,
        performer="Patient/anna",
        before=clinic.reference_of(before),
        after=clinic.reference_of(after),
        end="2026-05-03",
    )

    def rests(about: str) -> str:
        answer = CliRunner().invoke(
            build(), ["basis", about, "--json", "--as", "clinician", "--settings", str(clinic.file)]
        )
        return answer.stdout if answer.exit_code == 0 else ""

    def asked() -> str:
        return door.fhir("/DocumentReference/$photos?outcome=pore$much-improved$patient&_count=100", "clinician").text

    def holds(now: Row) -> None:
        mine, gone = clinic.reference_of(now), clinic.reference_of(after)
        for about in (f"CarePlan/{plan}", f"Observation/{outcome}"):
            assert mine in rests(about)
            assert gone == mine or gone not in rests(about)
        assert f"CarePlan/{plan}" in rests(mine)
        assert f"Observation/{outcome}" in rests(mine)
        assert fhir_id(now.sop) in asked()

    clinic.put(observation(judged) | {"id": outcome})
    holds(after)
    made = clinic.row(clinic.corrected(after.sop, region="cheek", laterality="L"))
    holds(made)
    again = clinic.row(clinic.corrected(made.sop, region="cheek", laterality="R"))
    holds(again)
    # A judgement that is written anew, or written first, is about the photo that stands there now as well.
    clinic.put(observation(judged) | {"id": outcome, "status": "entered-in-error"})
    assert fhir_id(again.sop) not in asked()
    clinic.put(observation(judged) | {"id": outcome})
    holds(again)
    moved = clinic.row(clinic.corrected(again.sop, patient="ben", visit=right.encounter))
    assert fhir_id(moved.sop) not in asked()
    assert rests(f"CarePlan/{plan}")
    for about in (f"CarePlan/{plan}", f"Observation/{outcome}"):
        assert clinic.reference_of(moved) not in rests(about)
    assert plan not in rests(clinic.reference_of(moved))
