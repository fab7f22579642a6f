"""What is wrong about a photo is corrected: another instance takes its place, and nobody sees the former one."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from consent.store.engine import glancing
from consent.store.photos import by_sop
from consent.types import Right
from dicom_bridge.objects.uids import fhir_id
from dicom_bridge.objects.vocabulary import find_region
from dicom_bridge.pipeline import Outcome, PhotoKnown
from dicom_bridge.query.classes import KEY_OBJECT_SELECTION
from orthanc_plugin.assembly.intake import open_archive, pipeline
from tests.links.world import Links, coded, read

pytestmark = [pytest.mark.orthanc]


def test_a_wrong_side_is_corrected_at_every_door(clinic: Links, tmp_path: Path) -> None:
    visit = clinic.visit()
    clinic.take(visit)
    former = clinic.one(visit)
    assert clinic.seen(former.sop)
    before = clinic.file_of(former)
    objects = clinic.instances()

    made = clinic.row(clinic.corrected(former.sop, region="cheek", laterality="L"))

    assert (made.state, made.study, made.patient) == ("linked", former.study, "anna")
    assert made.series != former.series
    assert clinic.seen(made.sop)
    assert clinic.row(former.sop).state == "rejected"
    assert not clinic.seen(former.sop)
    after = clinic.file_of(made)
    one, other = read(before), read(after)
    assert one.PixelData == other.PixelData
    assert one.file_meta.TransferSyntaxUID == other.file_meta.TransferSyntaxUID
    assert (other.ImageLaterality, other.SOPInstanceUID) == ("L", made.sop)
    assert coded(other, "ViewCodeSequence") == coded(one, "ViewCodeSequence")
    assert (other.AcquisitionDateTime, other.FNumber, other.Manufacturer) == (
        one.AcquisitionDateTime,
        one.FNumber,
        one.Manufacturer,
    )
    assert clinic.original_of(made) == visit.files[0] == clinic.original_of(former)
    assert clinic.file_of(former) == before

    fresh = clinic.instances() - objects - {made.orthanc_id}
    (about,) = fresh
    rejection = read(clinic.file_of(clinic.at(about)))
    assert rejection.SOPClassUID == KEY_OBJECT_SELECTION
    assert coded(rejection, "ConceptNameCodeSequence") == ("DCM", "113037")
    assert rejection.StudyInstanceUID == former.study
    (study,) = rejection.CurrentRequestedProcedureEvidenceSequence
    assert study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == former.sop
    assert not clinic.seen(str(rejection.SOPInstanceUID))
    for data in (after, clinic.file_of(clinic.at(about))):
        assert clinic.faults(data, tmp_path) == []

    document, old = clinic.document(made.sop), clinic.document(former.sop)
    assert (document["status"], old["status"]) == ("current", "entered-in-error")
    replaced = {"code": "replaces", "target": {"reference": f"DocumentReference/{fhir_id(former.sop)}"}}
    assert document["relatesTo"] == [replaced]
    assert document["context"]["period"] == old["context"]["period"]
    study_of = clinic.resource("ImagingStudy", fhir_id(former.study))
    assert [each["uid"] for series in study_of["series"] for each in series["instance"]] == [made.sop]
    assert study_of["numberOfInstances"] == 1


def test_a_wrong_patient_is_corrected_and_her_consents_reach_it_no_more(clinic: Links, tmp_path: Path) -> None:
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)
    before = clinic.file_of(former)

    made = clinic.row(clinic.corrected(former.sop, patient="ben", visit=right.encounter))

    # The photo of ben that the file makes: whoever sends it for him later sends this photo.
    (expected,) = clinic.sops(visit, "ben")
    assert (made.sop, made.patient, made.state) == (expected, "ben", "linked")
    assert made.study != former.study
    assert clinic.seen(made.sop)
    assert not clinic.seen(former.sop)
    data = clinic.file_of(made)
    after = read(data)
    assert after.PixelData == read(before).PixelData
    assert (after.PatientID, str(after.PatientName)) == ("PID-ben", "Familyben^Given")
    assert after.AccessionNumber == f"ACC-{right.encounter.rpartition('-')[2]}"
    for word in (b"anna", b"PID-anna", former.study.encode(), visit.encounter.encode()):
        assert word not in data
    assert clinic.original_of(made) == visit.files[0]
    assert clinic.faults(data, tmp_path) == []
    document = clinic.document(made.sop)
    assert document["subject"] == {"reference": "Patient/ben"}
    assert "anna" not in json.dumps({key: value for key, value in document.items() if key != "relatesTo"})
    assert clinic.resource("ImagingStudy", fhir_id(former.study))["numberOfInstances"] == 0
    assert clinic.resource("ImagingStudy", fhir_id(made.study))["encounter"] == {
        "reference": f"Encounter/{right.encounter}"
    }


def _regions(clinic: Links, sop: str) -> list[tuple[str, str]]:
    """The regions that Consents are about."""
    with glancing(clinic.engine) as connection:
        found = by_sop(connection, sop)
    assert found is not None
    return [(each.code, each.laterality.value) for each in found.facts.regions]


def _region(name: str, side: str = "B") -> tuple[str, str]:
    return find_region(name).code, side


def test_further_regions_are_said_and_stay_with_the_photo(clinic: Links) -> None:
    visit = clinic.visit()
    clinic.take(visit)
    former = clinic.one(visit).sop
    reason = ("--reason", "Seen on the picture.")
    dry = clinic.link(former, "--also-region", "breast:L", "--also-region", "neck", "--dry-run", *reason)
    breast, neck = find_region("breast").code, find_region("neck").code
    assert f"also: (nothing) -> {breast}#L, {neck}" in dry.stdout
    made = clinic.told(clinic.link(former, "--also-region", "breast:L", "--also-region", "neck", "--json", *reason))
    assert _regions(clinic, made) == [_region("face"), _region("breast", "L"), _region("neck")]
    # What is corrected beside them leaves them, the region that stands first included.
    other = clinic.corrected(made, view="left-lateral")
    assert _regions(clinic, other) == [_region("face"), _region("breast", "L"), _region("neck")]
    cheek = clinic.corrected(other, region="cheek", laterality="R")
    assert _regions(clinic, cheek) == [_region("cheek", "R"), _region("breast", "L"), _region("neck")]
    same = clinic.link(cheek, "--also-region", "breast:L", "--also-region", "neck", *reason)
    assert "nothing would be changed" in same.stderr
    one = clinic.told(clinic.link(cheek, "--also-region", "hand", "--json", *reason))
    assert _regions(clinic, one) == [_region("cheek", "R"), _region("hand")]
    none = clinic.told(clinic.link(one, "--also-region", "none", "--json", *reason))
    assert _regions(clinic, none) == [_region("cheek", "R")]
    assert "--also-region: unknown region 'breasts'" in clinic.link(none, "--also-region", "breasts", *reason).stderr


def test_further_regions_that_a_file_was_sent_with_are_linked_with_it(clinic: Links) -> None:
    hers = clinic.visit()
    clinic.take(hers)
    his = clinic.visit("ben", sent={"same.jpg": hers.files[0]})
    with clinic.node() as node, open_archive(node) as archive:
        (waits,) = pipeline(node, archive).take(
            his.files, replace(clinic.plan(his), also=(f"{_region('breast')[0]}#L",))
        )
    assert waits.outcome is Outcome.UNLINKED
    assert clinic.link(waits.sop_uid, account="reconciler").exit_code == 0
    assert _regions(clinic, waits.sop_uid) == [_region("face"), _region("breast", "L")]


def test_who_did_it_and_why_is_kept(clinic: Links) -> None:
    visit = clinic.visit()
    clinic.take(visit)
    former = clinic.one(visit)
    made = clinic.corrected(former.sop, view="left-lateral", reason="The mole is on the other side.")
    with glancing(clinic.engine) as connection:
        told = [
            each.json()
            for each in clinic.store.search(connection, "Provenance", {"target": f"DocumentReference/{fhir_id(made)}"})
        ]
    (provenance,) = told
    assert provenance["reason"] == [{"text": "The mole is on the other side."}]
    assert {"role": "revision", "what": {"reference": f"DocumentReference/{fhir_id(former.sop)}"}} in provenance[
        "entity"
    ]
    who = [each["who"] for each in provenance["agent"] if each["type"]["coding"][0]["code"] == "enterer"]
    assert who == [{"identifier": {"system": "urn:photospine:account", "value": "linker"}}]
    records = [each for each in clinic.records("link") if each.get("photo") == former.sop and each["kind"] == "intent"]
    (intent,) = records
    assert (intent["account"], intent["details"]["reason"]) == ("linker", "The mole is on the other side.")
    assert made in intent["details"]["photos"]
    assert clinic.open_intents() == set()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"laterality": "B"}, "nothing would be changed"),
        ({}, "nothing would be changed"),
        ({"laterality": "L", "reason": None}, "--reason"),
        ({"patient": "ben"}, "--visit"),
        ({"visit": "of ben"}, "another patient"),
        ({"region": "nowhere"}, "--region"),
        ({"taken": "2999-01-01"}, "--taken"),
        ({"procedure": "none"}, "--procedure"),
        ({"laterality": "L", "reason": "two\nlines"}, "--reason"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_changed(
    clinic: Links, options: dict[str, str | None], said: str
) -> None:
    visit, other = clinic.visit(), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)
    objects = clinic.instances()
    chosen = {"reason": "Wrong."} | options
    if chosen.get("visit") == "of ben":
        chosen["visit"] = other.encounter
    result = clinic.link(former.sop, **chosen)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert clinic.instances() == objects
    assert clinic.seen(former.sop)


def test_a_dry_run_says_what_would_change_and_changes_nothing(clinic: Links) -> None:
    visit = clinic.visit()
    clinic.take(visit)
    former = clinic.one(visit)
    objects = clinic.instances()
    result = clinic.link(former.sop, "--dry-run", "--json", region="cheek", laterality="R", reason="Wrong side.")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["done"] is None
    assert {each["what"] for each in told["changes"]} == {"region", "laterality"}
    assert clinic.instances() == objects
    assert clinic.seen(former.sop)


def test_only_who_may_see_it_or_reconciles_links_a_photo(clinic: Links) -> None:
    visit = clinic.visit()
    clinic.take(visit)
    former = clinic.one(visit)
    assert clinic.link(former.sop, account="clinician", laterality="L", reason="x").exit_code == 1
    clinic.archive.account(f"blind-{former.number}", "PORTFOLIO", rights=(Right.LINK,))
    words = {"region": "cheek", "laterality": "L", "reason": "x"}
    refused = clinic.link(former.sop, account=f"blind-{former.number}", **words)
    absent = clinic.link("2.25.1", account=f"blind-{former.number}", **words)
    assert refused.exit_code == absent.exit_code == 1
    assert refused.stderr.replace(former.sop, "X") == absent.stderr.replace("2.25.1", "X")
    assert clinic.link(former.sop, account="reconciler", **words).exit_code == 0
    assert not clinic.seen(former.sop)
    gone = clinic.link(former.sop, account="reconciler", **words)
    assert (gone.exit_code, "no photo is named" in gone.stderr) == (1, True)


def test_corrected_again_and_again_it_is_one_photo(clinic: Links) -> None:
    visit = clinic.visit()
    clinic.take(visit)
    former = clinic.one(visit)
    original = clinic.original_of(former)
    line = [former.sop]
    for side in ("L", "R", "L", "R"):
        line.append(clinic.corrected(line[-1], region="cheek", laterality=side))
    assert len(set(line)) == len(line)
    for sop in line[:-1]:
        assert not clinic.seen(sop)
    assert clinic.seen(line[-1])
    assert clinic.original_of(clinic.row(line[-1])) == original


def test_a_file_that_comes_again_is_the_corrected_photo_or_is_refused(clinic: Links) -> None:
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    made = clinic.corrected(clinic.one(visit).sop, patient="ben", visit=right.encounter)
    with pytest.raises(PhotoKnown, match="photospine link"):
        clinic.take(visit)
    with clinic.node() as node, open_archive(node) as archive:
        (taken,) = pipeline(node, archive).take(visit.files, replace(clinic.plan(right), session=None))
    assert (taken.outcome, taken.sop_uid) == (Outcome.KNOWN, made)


# --- whose visit it is ------------------------------------------------------------------------------------------------


def test_a_visit_that_was_another_patients_leaves_nothing_of_her_in_his_photo(clinic: Links, tmp_path: Path) -> None:
    """The register finds that the visit was his: its photos are corrected, and those that come next are his too."""
    visit = clinic.visit("anna", files=2)
    clinic.take(visit)
    first, second = (clinic.row(sop) for sop in clinic.sops(visit))
    clinic.put(clinic.bare("Encounter", visit.encounter) | {"subject": {"reference": "Patient/ben"}})
    made = clinic.row(clinic.corrected(first.sop, patient="ben", visit=visit.encounter))
    data = clinic.file_of(made)
    after = read(data)
    assert (after.PatientID, str(after.PatientName)) == ("PID-ben", "Familyben^Given")
    assert b"anna" not in data.replace(visit.encounter.encode(), b"")
    assert made.study != first.study
    assert clinic.seen(made.sop)
    assert clinic.seen(second.sop)
    studies = [clinic.resource("ImagingStudy", fhir_id(each)) for each in (first.study, made.study)]
    assert [each["subject"]["reference"] for each in studies] == ["Patient/anna", "Patient/ben"]
    assert [each["numberOfInstances"] for each in studies] == [1, 1]
    # The other one goes into the same study of his, and so does what is taken in for him now.
    other = clinic.row(clinic.corrected(second.sop, patient="ben", visit=visit.encounter))
    assert (other.study, other.series) == (made.study, made.series)
    late = replace(clinic.visit("ben"), patient="ben", encounter=visit.encounter)
    clinic.take(late)
    taken = clinic.one(late)
    assert (taken.study, taken.patient) == (made.study, "ben")
    assert read(clinic.file_of(taken)).PatientID == "PID-ben"
    # Corrected once more it stays where it is.
    again = clinic.row(clinic.corrected(other.sop, region="cheek", laterality="L"))
    assert (again.study, read(clinic.file_of(again)).PatientID) == (made.study, "PID-ben")
    assert clinic.faults(clinic.file_of(again), tmp_path) == []


# --- what judges from outside say -------------------------------------------------------------------------------------


def test_studies_with_corrections_are_consistent_to_foreign_eyes(clinic: Links, tmp_path: Path) -> None:
    visit, other, right = clinic.visit("anna", files=4), clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    objects = clinic.instances()
    one, two, three, four = clinic.sops(visit)
    clinic.corrected(clinic.corrected(one, region="cheek", laterality="L"), region="cheek", laterality="R")
    clinic.corrected(two, patient="ben", visit=right.encounter)
    clinic.corrected(three, visit=other.encounter)
    rows = [clinic.row(four), *(clinic.at(each) for each in clinic.instances() - objects)]
    files: dict[str, list[Path]] = {}
    for number, row in enumerate(rows):
        data = clinic.file_of(row)
        assert clinic.faults(data, tmp_path) == [], row
        files.setdefault(row.patient or "anna", []).append(tmp_path / f"{number}.dcm")
        files[row.patient or "anna"][-1].write_bytes(data)
    assert len(rows) == 1 + 4 + 4
    for mine in files.values():
        done = subprocess.run(["dcentvfy", *map(str, mine)], capture_output=True, text=True, check=False)
        told = (done.stdout + done.stderr).splitlines()
        assert done.returncode == 0
        # A Key Object Document Series (C.17.6.1) may name requests, so it asks of which level an Accession Number is.
        assert [line for line in told if not (line.startswith("Warning") and "<AccessionNumber>" in line)] == []
        for file in mine:
            shown = subprocess.run(["dcmdump", "-q", str(file)], capture_output=True, text=True, check=False)
            assert (shown.returncode, shown.stderr) == (0, "")
            kind = subprocess.run(["dsrdump", "-q", str(file)], capture_output=True, text=True, check=False)
            if read(file.read_bytes()).Modality == "KO":
                assert (kind.returncode, kind.stderr) == (0, "")
                assert "Rejected for Patient Safety Reasons" in kind.stdout
