"""Records are merged and unmerged, photos corrected between: each is seen once, as the right patient's, and whole."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from consent.store.engine import glancing
from consent.store.tables import decided, directive, patient, photo, photo_facts, photo_link, photo_patient
from dicom_bridge.objects.uids import fhir_id
from tests.fhir.clinic import consent_of
from tests.links.doors import Doors
from tests.links.world import Links, read

pytestmark = [pytest.mark.orthanc]


def _deny(clinic: Links, name: str, of: str, **more: Any) -> None:
    said = consent_of(name, "deny", "TREAT", of, **more)
    said["organization"] = [{"reference": f"Organization/{clinic.store.site.organization}"}]
    clinic.put(said)


def _facts(clinic: Links, *names: str) -> dict[str, Any]:
    """All that decisions about these patients read and have stored, versions and times of deciding left aside."""
    with glancing(clinic.engine) as connection:
        numbers = select(photo_patient.c.photo).where(photo_patient.c.patient.in_(names))
        queries = {
            "patient": select(
                patient.c.patient, patient.c.birth_start, patient.c.merged_into, patient.c.survivor
            ).where(patient.c.patient.in_(names)),
            "photo": select(photo.c.sop_uid, photo.c.state, photo.c.patient, photo.c.document, photo.c.area).where(
                photo.c.photo.in_(numbers)
            ),
            "facts": select(photo_facts.c.photo, photo_facts.c.body).where(photo_facts.c.photo.in_(numbers)),
            "links": select(photo_link).where(photo_link.c.photo.in_(numbers)),
            "shown": select(photo_patient).where(photo_patient.c.photo.in_(numbers)),
            "consents": select(directive.c.consent, directive.c.body).where(directive.c.patient.in_(names)),
            "answers": select(decided.c.purpose, decided.c.audience, decided.c.photo, decided.c.effect).where(
                decided.c.photo.in_(numbers)
            ),
        }
        return {name: sorted(map(tuple, connection.execute(query)), key=repr) for name, query in queries.items()}


def test_a_merge_takes_effect_at_every_door_and_is_undone_without_a_trace(clinic: Links, door: Doors) -> None:
    clinic.person("mary")
    clinic.person("marie")
    one, other = clinic.visit("mary"), clinic.visit("marie")
    clinic.take(one)
    clinic.take(other)
    hers, mine = clinic.one(one), clinic.one(other)
    _deny(clinic, "no-marie", "marie")
    for row, seen in ((hers, True), (mine, False)):
        found = door.shown(row)
        assert set(found.values()) == {seen}, found
    before = _facts(clinic, "mary", "marie")
    for name, into in (("marie", "mary"), ("mary", "marie")):
        clinic.merge(name, into)
        for row in (hers, mine):
            found = door.shown(row)
            assert set(found.values()) == {False}, found
        clinic.person(name)
        for row, seen in ((hers, True), (mine, False)):
            found = door.shown(row)
            assert set(found.values()) == {seen}, found
        assert _facts(clinic, "mary", "marie") == before


def test_photos_of_merged_records_are_in_one_chart(clinic: Links, door: Doors) -> None:
    clinic.person("joan")
    clinic.person("jeanne")
    one, other = clinic.visit("joan"), clinic.visit("jeanne")
    clinic.take(one)
    clinic.take(other)
    documents = [fhir_id(clinic.one(each).sop) for each in (one, other)]
    assert [each in door.page("/chart/patient/joan", "clinician") for each in documents] == [True, False]
    clinic.merge("jeanne", "joan")
    for name in ("joan", "jeanne"):
        page = door.page(f"/chart/patient/{name}", "clinician")
        assert [each in page for each in documents] == [True, True]
    # The objects bear the number that they were made with; so does what a viewer shows of them.
    bodies = clinic.archive.ask("/dicom-web/instances?PatientID=PID-jeanne&limit=1000", "clinician", "TREAT").body
    assert clinic.one(other).sop.encode() in bodies
    clinic.person("jeanne")
    assert [each in door.page("/chart/patient/joan", "clinician") for each in documents] == [True, False]


def test_a_photo_is_linked_to_a_visit_of_either_merged_record(clinic: Links) -> None:
    clinic.person("ann")
    clinic.person("anne")
    first, second, wrong = clinic.visit("ann"), clinic.visit("anne"), clinic.visit("ben")
    clinic.take(wrong)
    former = clinic.one(wrong)
    refused = clinic.link(former.sop, patient="ann", visit=second.encounter, reason="Hers.")
    assert (refused.exit_code, "--visit" in refused.stderr) == (1, True)
    clinic.merge("anne", "ann")
    made = clinic.row(clinic.corrected(former.sop, patient="ann", visit=second.encounter))
    assert made.patient == "anne"
    moved = clinic.row(clinic.corrected(made.sop, visit=first.encounter))
    assert moved.patient == "ann"


def test_an_object_says_the_number_of_the_record_that_it_is_linked_to(clinic: Links) -> None:
    """While they are merged, too: unmerged, what the one's object says is not to be read in the other's chart."""
    clinic.person("elsa")
    clinic.person("else")
    visit = clinic.visit("elsa")
    made = clinic.sent(910, PatientID="PID-else", PatientName="Familyelse^Given")
    clinic.merge("else", "elsa")
    result = clinic.link(made.sop, "--json", visit=visit.encounter)
    assert result.exit_code == 0, result.output
    row = clinic.row(clinic.told(result))
    clinic.person("else")
    data = clinic.file_of(row)
    assert (row.patient, read(data).PatientID) == ("elsa", "PID-elsa")
    assert b"else" not in data


def test_photos_taken_while_merged_stay_with_the_record_of_their_visit(clinic: Links, door: Doors) -> None:
    clinic.person("nora")
    clinic.person("norah")
    clinic.merge("norah", "nora")
    first, second = clinic.visit("nora"), clinic.visit("norah")
    clinic.take(first, patient="norah")
    clinic.take(second, patient="nora")
    rows = clinic.one(first), clinic.one(second)
    assert [row.patient for row in rows] == ["nora", "norah"]
    clinic.person("norah")
    for row, name, other in ((rows[0], "nora", "norah"), (rows[1], "norah", "nora")):
        assert read(clinic.file_of(row)).PatientID == f"PID-{name}"
        document = fhir_id(row.sop)
        assert document in door.page(f"/chart/patient/{name}", "clinician")
        assert document not in door.page(f"/chart/patient/{other}", "clinician")
