"""Objects that are no photos, where the site opens them: for treatment, by accounts that may archive, at every door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from threading import Event

import pytest
from pydicom import dcmread

from consent.audit.read import Archive as AuditArchive
from consent.decided import stored_purposes
from consent.site import OtherObjects, Site
from consent.store.engine import transaction
from consent.store.sites import load_site, save_site
from consent.types import Right
from dicom_bridge.arrivals import Examined
from dicom_bridge.query.orthanc_ids import orthanc_ids
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.worker import worker_of
from tests.archive import Archive, Photo
from tests.pipeline.sent import encoded
from tests.pipeline.world import World
from tests.ports import free_port

pytestmark = [pytest.mark.orthanc]

ALL = 11
"""The doors that are tried."""

CT, SR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.33"


@pytest.fixture(scope="module")
def clinical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    site = Site(other_objects=OtherObjects.CLINICAL)
    with Archive(tmp_path_factory.mktemp("clinical"), free_port(), site=site) as archive:
        made = World(archive)
        archive.account("pacs", "TREAT", "HCOMPL", rights=(Right.ARCHIVE,))
        archive.account("portal", "TREAT", rights=(Right.ARCHIVE,), confined_to="anna")
        yield made


def _send(world: World, seed: int, sop_class: str, modality: str) -> Photo:
    made = world.archive.describe("anna", seed)
    study, series = f"2.25.88{seed}", f"2.25.88{seed}.1"
    dataset = dcmread(BytesIO(made.dicom))
    dataset.SOPClassUID, dataset.Modality = sop_class, modality
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    sent = replace(made, dicom=encoded(dataset), study=study, series=series)
    assert world.archive.store(sent.dicom).status == 200
    return replace(sent, orthanc_id=orthanc_ids("PID-anna", study, series, made.sop).instance)


def _look(world: World, *, everything: bool = False) -> Examined:
    with world.node("worker") as node, open_archive(node) as archive:
        return worker_of(node, archive, lambda _: None, Event()).arrivals.look(everything=everything)


def _open(world: World, choice: OtherObjects) -> None:
    with transaction(world.engine) as connection:
        site = replace(load_site(connection), other_objects=choice)
        save_site(connection, site, stored_purposes(site))


def _seen(world: World, made: Photo, account: str, purpose: str) -> int:
    """The number of doors at which an account meets the object."""
    study = f"/dicom-web/studies/{made.study}"
    parts = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    one = (made.rest, f"{made.rest}/file", f"{made.rest}/tags", made.wado, f"{made.wado}/metadata")
    several = (
        "/instances",
        "/dicom-web/studies",
        "/dicom-web/instances",
        study,
        f"{study}/metadata",
        f"{study}/series",
    )
    found = 0
    for path in (*one, *several):
        headers = {"Accept": parts} if path in (made.wado, study) else {}
        reply = world.archive.ask(path, account, purpose, headers=headers)
        if any(mark.encode() in reply.body for mark in (made.sop, made.study, made.orthanc_id)):
            found += 1
        elif path in one:
            assert (reply.status, reply.body) == (403, b"")
    return found


def test_they_are_seen_for_treatment_by_accounts_that_may_archive_at_every_door(clinical: World) -> None:
    made = [_send(clinical, 700, CT, "CT"), _send(clinical, 701, SR, "SR")]
    found = _look(clinical)
    assert (found.examined, found.others, found.linked, found.refused) == (2, 2, 0, 0)
    assert clinical.count("Task") == 0
    for each in made:
        assert _seen(clinical, each, "pacs", "TREAT") == ALL
        for account, purpose in (("pacs", "HCOMPL"), ("clinician", "TREAT"), ("marketing", "PORTFOLIO")):
            assert _seen(clinical, each, account, purpose) == 0
        assert _seen(clinical, each, "portal", "TREAT") == 0
    audit = AuditArchive(clinical.engine, clinical.settings.audit_folder)
    rows = [json.loads(row.body) for chain in audit.chains() for row in audit.rows(chain)]
    said = {(each.get("account"), each.get("reason")) for each in rows if each.get("photo") == made[0].sop}
    assert {("pacs", "other-permit"), ("pacs", "other-deny"), ("clinician", "other-deny")} <= said


def test_the_site_closes_and_opens_them_at_once(clinical: World) -> None:
    made = _send(clinical, 702, CT, "CT")
    _look(clinical)
    try:
        _open(clinical, OtherObjects.REFUSE)
        assert _seen(clinical, made, "pacs", "TREAT") == 0
        refused = clinical.archive.describe("anna", 703)
        dataset = dcmread(BytesIO(refused.dicom))
        dataset.SOPClassUID = CT
        clinical.archive.store(encoded(dataset))
        assert clinical.archive.task("GET", f"{refused.rest}/attachments", kind="store").status == 404
    finally:
        _open(clinical, OtherObjects.CLINICAL)
    assert _seen(clinical, made, "pacs", "TREAT") == ALL


def test_a_record_about_one_makes_no_photo_of_it(clinical: World) -> None:
    made = _send(clinical, 705, CT, "CT")
    _look(clinical)
    clinical.put(
        {
            "resourceType": "DocumentReference",
            "id": "about-a-ct",
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{made.sop}"}],
            "status": "current",
            "subject": {"reference": "Patient/anna"},
            "context": {"encounter": [{"reference": f"Encounter/{clinical.visit().encounter}"}]},
            "content": [{"attachment": {"contentType": "application/dicom"}}],
        }
    )
    assert _seen(clinical, made, "clinician", "TREAT") == 0
    assert _seen(clinical, made, "pacs", "TREAT") == ALL


def test_one_that_its_archive_removed_is_forgotten(clinical: World) -> None:
    made = _send(clinical, 704, CT, "CT")
    _look(clinical)
    assert clinical.archive.task("DELETE", made.rest, kind="remove").status == 200
    _look(clinical, everything=True)
    assert _seen(clinical, made, "pacs", "TREAT") == 0
    assert clinical.count("Task") == 0
