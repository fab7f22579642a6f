"""A correction takes effect at every door at once, and what patients said of the photo keeps its meaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from consent.replay import replay
from consent.store.engine import glancing, reading, transaction
from consent.store.tables import photo, photo_facts
from dicom_bridge.objects.uids import fhir_id
from fhir_mapping.projections.project import rebuild
from fhir_mapping.projections.written import Setting
from orthanc_plugin.assembly.cli import build
from tests.fhir.clinic import consent_of
from tests.links.doors import Doors, doors
from tests.links.world import Links

pytestmark = [pytest.mark.orthanc]


@pytest.fixture(scope="module")
def door(clinic: Links) -> Iterator[Doors]:
    """All doors of the clinic."""
    with doors(clinic) as made:
        yield made


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
