"""Corrections while other things happen: other corrections, answers on their way, withdrawals, merges."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from pynetdicom import evt

from consent.store import photos
from consent.store.engine import reading
from dicom_bridge import ledger
from dicom_bridge.brought import RecordRefused
from dicom_bridge.corrections import Linked
from dicom_bridge.proposing import By, Proposal
from dicom_bridge.said import Said
from dicom_bridge.way import Arrow
from orthanc_plugin.assembly.intake import corrections, open_archive
from tests import forks
from tests.counts import count, report
from tests.fhir.clinic import consent_of
from tests.gateway.peers import JPEG, STUDY_GET, storage
from tests.gateway.world import identifier
from tests.links.doors import Doors
from tests.links.world import Links, Row

pytestmark = [pytest.mark.orthanc]

BY = By("linker", "test", None, "Seen on the picture.")
CHEEK = "http://snomed.info/sct|60819002"


def _carried(clinic: Links, sop: str, said: Said, at: Callable[[Arrow], None] = lambda _: None) -> Linked:
    """Propose and carry out, as the command does; ``at`` is called at each arrow."""
    with clinic.node() as node, open_archive(node) as archive:
        work = corrections(node, archive, at)
        return work.carry_out(_proposal(clinic, sop, said))


def _proposal(clinic: Links, sop: str, said: Said) -> Proposal:
    with clinic.node() as node, open_archive(node) as archive, reading(node.engine) as connection:
        photo = photos.by_sop(connection, sop)
        assert photo is not None
        return corrections(node, archive).propose(connection, photo, said, BY)


def _once(arrow: Arrow, work: Callable[[], object]) -> Callable[[Arrow], None]:
    """A hook that does something when an arrow is reached for the first time."""
    left = iter((work,))

    def at(here: Arrow) -> None:
        if here is arrow:
            for each in left:
                each()
                return

    return at


def _both(clinic: Links, wanted: list[tuple[str, Said]]) -> list[Linked | RecordRefused]:
    """Several corrections, which announce themselves at the same moment."""
    barrier = threading.Barrier(len(wanted))

    def meet() -> None:
        with suppress(threading.BrokenBarrierError):
            barrier.wait(20)

    def one(sop: str, said: Said) -> Linked | RecordRefused:
        try:
            return _carried(clinic, sop, said, _once(Arrow.INTENDED, meet))
        except RecordRefused as error:
            return error

    with ThreadPoolExecutor(len(wanted)) as pool:
        return list(pool.map(lambda each: one(*each), wanted))


def test_of_two_corrections_of_a_photo_one_is_carried_out(clinic: Links) -> None:
    started = time.monotonic()
    pairs = count("two corrections of a photo at once", small=2, full=40)
    for number in range(pairs):
        visit, right = clinic.visit("anna"), clinic.visit("ben")
        clinic.take(visit)
        former, objects, intents = clinic.one(visit), clinic.instances(), clinic.open_intents()
        side = Said(region=CHEEK, laterality="L")
        other = Said(patient="ben", visit=right.encounter) if number % 2 else Said(region=CHEEK, laterality="R")
        made = _both(clinic, [(former.sop, side), (former.sop, other)])
        (done,) = [each for each in made if isinstance(each, Linked)]
        (refused,) = [each for each in made if isinstance(each, RecordRefused)]
        assert "corrected already" in str(refused)
        assert clinic.seen(done.sop_uid)
        assert not clinic.seen(former.sop)
        assert len(clinic.instances() - objects) == 2
        assert clinic.open_intents() == intents
    clinic.bits_are_true()
    report("two corrections of a photo at once", asked=pairs, run=pairs, failures=0, started=started)


def test_photos_that_become_one_view_at_once_are_numbered_apart(clinic: Links) -> None:
    visit = clinic.visit("anna", files=3)
    clinic.take(visit)
    formers = clinic.sops(visit)
    made = _both(clinic, [(sop, Said(region=CHEEK, laterality="L")) for sop in formers])
    done = [each for each in made if isinstance(each, Linked)]
    assert len(done) == len(formers)
    with reading(clinic.engine) as connection:
        numbers = [ledger.entry(connection, each.sop_uid) for each in done]
    assert sorted(each.instance_number for each in numbers if each is not None) == [1, 2, 3]
    assert len({clinic.row(each.sop_uid).series for each in done}) == 1
    assert all(clinic.seen(each.sop_uid) for each in done)


def _laser(clinic: Links, encounter: str, number: int) -> str:
    name = f"laser-once-{number}"
    clinic.put(
        {
            "resourceType": "Procedure",
            "id": name,
            "status": "completed",
            "code": {"text": "Laser"},
            "subject": {"reference": "Patient/anna"},
            "encounter": {"reference": f"Encounter/{encounter}"},
            "extension": [{"url": "urn:photospine:session", "valuePositiveInt": 1}],
        }
    )
    return name


@pytest.mark.parametrize("announced", [False, True])
def test_a_treatment_is_not_written_into_the_record_of_what_is_rejected(clinic: Links, *, announced: bool) -> None:
    visit = clinic.visit("anna")
    clinic.take(visit)
    former = clinic.one(visit)
    treated = _proposal(clinic, former.sop, Said(procedure=_laser(clinic, visit.encounter, former.number)))
    assert not treated.anew
    said = {"region": "cheek", "laterality": "L"}
    if announced:
        words = (str(clinic.file), Arrow.ANNOUNCED.value, "1", former.sop, json.dumps(said))
        assert forks.run("tests.links.victim", *words) == -9
    else:
        clinic.corrected(former.sop, **said)
    before = clinic.document(former.sop)
    with clinic.node() as node, open_archive(node) as archive, pytest.raises(RecordRefused, match="corrected already"):
        corrections(node, archive).carry_out(treated)
    assert clinic.document(former.sop) == before
    clinic.due()
    clinic.work()
    assert clinic.row(former.sop).state == "rejected"


def test_what_was_proposed_of_a_photo_that_is_said_otherwise_by_then_is_asked_again(clinic: Links) -> None:
    visit, right = clinic.visit("anna"), clinic.visit("ben")
    clinic.take(visit)
    former = clinic.one(visit)
    stale = _proposal(clinic, former.sop, Said(patient="ben", visit=right.encounter))
    name = _laser(clinic, visit.encounter, former.number)
    treated = clinic.link(former.sop, "--json", procedure=name, reason="That one.")
    assert json.loads(treated.stdout)["new_instance"] is False
    with clinic.node() as node, open_archive(node) as archive, pytest.raises(RecordRefused, match="look again"):
        corrections(node, archive).carry_out(stale)
    made = clinic.sent(62_000 + former.number, PatientID="PID-anna")
    stale = _proposal(clinic, made.sop, Said(patient="ben", visit=right.encounter))
    result = clinic.link(made.sop, "--json", patient="anna", visit=visit.encounter)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["new_instance"] is False
    with clinic.node() as node, open_archive(node) as archive, pytest.raises(RecordRefused, match="look again"):
        corrections(node, archive).carry_out(stale)


BEFORE_COMMIT = (Arrow.INTENDED, Arrow.ANNOUNCED, Arrow.STORED, Arrow.ATTACHED, Arrow.NOTED)


def _taken(clinic: Links) -> Row:
    visit = clinic.visit("anna")
    clinic.take(visit)
    return clinic.one(visit)


def _said(clinic: Links, name: str, patient: str, **more: Any) -> dict[str, Any]:
    value = consent_of(name, "deny", "TREAT", patient, **more)
    return value | {"organization": [{"reference": f"Organization/{clinic.store.site.organization}"}]}


@pytest.mark.parametrize("arrow", BEFORE_COMMIT)
def test_a_patient_withdraws_while_a_photo_becomes_hers(clinic: Links, arrow: Arrow) -> None:
    former = _taken(clinic)
    clinic.person("wren")
    visit = clinic.visit("wren")
    said = Said(patient="wren", visit=visit.encounter)
    denial = _said(clinic, f"no-wren-{former.number}", "wren")
    done = _carried(clinic, former.sop, said, _once(arrow, lambda: clinic.put(denial)))
    assert not clinic.seen(done.sop_uid)
    assert not clinic.seen(former.sop)
    clinic.put(denial | {"status": "inactive"})
    assert clinic.seen(done.sop_uid)
    assert not clinic.seen(former.sop)


@pytest.mark.parametrize("arrow", BEFORE_COMMIT)
def test_a_denial_of_the_former_photo_meanwhile_reaches_the_corrected_one(clinic: Links, arrow: Arrow) -> None:
    visit = clinic.visit("anna")
    clinic.take(visit)
    former = clinic.one(visit)
    reference = {"reference": clinic.reference_of(former)}
    about = {"data": [{"meaning": "instance", "reference": reference}]}
    denial = _said(clinic, f"no-once-{former.number}", "anna", provision=about)
    done = _carried(clinic, former.sop, Said(region=CHEEK, laterality="L"), _once(arrow, lambda: clinic.put(denial)))
    assert not clinic.seen(done.sop_uid)
    clinic.put(denial | {"status": "inactive"})
    assert clinic.seen(done.sop_uid)


@pytest.mark.parametrize("arrow", BEFORE_COMMIT)
def test_records_are_merged_while_a_photo_becomes_one_of_theirs(clinic: Links, arrow: Arrow) -> None:
    former = _taken(clinic)
    clinic.person("lark")
    clinic.person("larke")
    denial = _said(clinic, f"no-larke-{former.number}", "larke")
    clinic.put(denial)
    visit = clinic.visit("lark")
    said = Said(patient="lark", visit=visit.encounter)
    done = _carried(clinic, former.sop, said, _once(arrow, lambda: clinic.merge("lark", "larke")))
    assert not clinic.seen(done.sop_uid)
    clinic.person("lark")
    assert clinic.seen(done.sop_uid)
    assert clinic.row(done.sop_uid).patient == "lark"
    clinic.put(denial | {"status": "inactive"})


def test_an_answer_on_its_way_holds_no_instance_that_was_rejected_meanwhile(clinic: Links, door: Doors) -> None:
    visit = clinic.visit("anna", files=6)
    clinic.take(visit)
    sops = clinic.sops(visit)
    arrived: list[str] = []
    made: list[str] = []

    def stored(event: Any) -> int:
        arrived.append(str(event.request.AffectedSOPInstanceUID))
        if len(arrived) == 1:
            rest = [each for each in sops if each not in arrived]
            made.extend(clinic.corrected(each, region="cheek", laterality="L") for each in rest[-3:])
        return 0

    contexts, roles = storage(JPEG)
    study = clinic.row(sops[0]).study
    with door.gate.association(
        STUDY_GET, title="CLINICIAN", roles=roles, handlers=[(evt.EVT_C_STORE, stored)], more=contexts
    ) as association:
        list(association.send_c_get(identifier("STUDY", StudyInstanceUID=study), STUDY_GET))
    rejected = {each for each in sops if clinic.row(each).state == "rejected"}
    assert len(made) == len(rejected) == 3
    # One is fetched while another is sent; what was rejected before its turn came is left out.
    assert len(set(arrived) & rejected) <= 1
    assert len(set(arrived)) < len(sops)


def test_an_archive_on_its_way_holds_no_instance_that_was_rejected_meanwhile(clinic: Links) -> None:
    visit = clinic.visit("anna", files=3)
    clinic.take(visit)
    sops = clinic.sops(visit)
    assert set(clinic.archived(clinic.row(sops[0]))) == set(sops)
    made = clinic.corrected(sops[0], region="cheek", laterality="L")
    assert set(clinic.archived(clinic.row(sops[1]))) == {made, *sops[1:]}
