"""C-GET and C-MOVE by dcmtk and pynetdicom, of partly permitted studies: the rest arrives whole, without an error."""

from __future__ import annotations

import io
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pynetdicom import evt

from consent.directive import Actors, Data, Reach
from dicom_bridge.query.classes import ENCAPSULATED_PDF
from tests import postgres
from tests.archive import VL_PHOTOGRAPHIC, Archive, Photo
from tests.counts import count, report
from tests.gateway.peers import (
    EXPLICIT,
    IMPLICIT,
    JPEG,
    PATIENT_GET,
    STUDY_GET,
    STUDY_MOVE,
    Pause,
    files,
    receiver,
    statuses,
    storage,
    storescp,
)
from tests.gateway.world import Gate, gate, identifier
from tests.ports import free_port
from tests.store.world import consent

pytestmark = pytest.mark.orthanc

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_PATTERNS = count("dimse-viewer", small=4, full=20)


def hide(door: Gate, *photos: Photo) -> None:
    """No treatment sees these photos any more."""
    for photo in photos:
        document = str(photo.facts.document)
        data = (Data(Reach.PHOTO, document),)
        door.archive.consent(
            consent(f"hide-{document.rpartition('/')[2]}", "deny", "TREAT", photo.facts.patients[0], data=data)
        )


@pytest.fixture
def someone(door: Gate, request: pytest.FixtureRequest) -> str:
    """A patient for one test."""
    name = f"p{zlib.crc32(request.node.nodeid.encode()) % 1_000_000:06d}"
    door.archive.patient(name)
    return name


def keys(photo: Photo, level: str = "STUDY") -> list[str]:
    """What dcmtk asks for."""
    return ["-k", f"QueryRetrieveLevel={level}", "-k", f"StudyInstanceUID={photo.study}"]


def test_echo(door: Gate) -> None:
    door.run("echoscu")


@pytest.mark.parametrize("seed", range(_PATTERNS))
def test_a_viewer_gets_the_rest_of_a_partly_permitted_study(
    door: Gate, someone: str, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    photos = [door.archive.photo(someone, view=str(chance.randint(1, 3))) for _ in range(chance.randint(1, 5))]
    hidden = [photo for photo in photos if chance.random() < 0.4]
    hide(door, *hidden)
    shown = {photo.sop: photo for photo in photos if photo not in hidden}
    found = door.run("findscu", "-S", *keys(photos[0]), "-k", "NumberOfStudyRelatedInstances")
    assert (f"(0020,1208) IS [{len(shown)}" in found) == bool(shown)
    assert ("(Pending)" in found) == bool(shown)
    said = door.run("getscu", "+xy", "-S", *keys(photos[0]), "-od", str(tmp_path))
    got = files(tmp_path)
    assert set(got) == set(shown)
    assert f"Completed Suboperations : {len(shown)}" in said
    assert "Failed Suboperations    : 0" in said
    for sop, photo in shown.items():
        assert got[sop].file_meta.TransferSyntaxUID == JPEG
        assert photo.pixels in got[sop].PixelData
    with storescp(tmp_path / "moved", "+xy") as port:
        door.destination(f"DEST{seed}", "clinician", port)
        door.run("movescu", "-S", "-aem", f"DEST{seed}", *keys(photos[0]))
        assert set(files(tmp_path / "moved")) == set(shown)
    if seed == _PATTERNS - 1:
        report("dimse-viewer", asked=_PATTERNS, run=_PATTERNS, failures=0)


def test_getscu_that_takes_no_jpeg_gets_the_photo_decoded(door: Gate, someone: str, tmp_path: Path) -> None:
    photo = door.archive.photo(someone)
    door.run("getscu", "-S", *keys(photo), "-od", str(tmp_path))
    (got,) = files(tmp_path).values()
    assert got.file_meta.TransferSyntaxUID == EXPLICIT
    assert got.PhotometricInterpretation == "RGB"
    assert got.ImageComments.startswith("comment-")
    with Image.open(io.BytesIO(photo.pixels)) as picture:
        assert got.PixelData == picture.convert("RGB").tobytes()


@pytest.mark.parametrize("syntax", [JPEG, EXPLICIT, IMPLICIT])
def test_the_one_transfer_syntax_that_is_taken(door: Gate, someone: str, syntax: str) -> None:
    photo = door.archive.photo(someone)
    got = _get(door, STUDY_GET, "STUDY", {"StudyInstanceUID": photo.study}, syntax)
    assert [each.SOPInstanceUID for each in got] == [photo.sop]
    assert len(got[0].PixelData) == (64 * 96 * 3 if syntax != JPEG else len(got[0].PixelData))


def test_what_is_agreed_on_where_a_context_offers_several(door: Gate) -> None:
    contexts, roles = storage(EXPLICIT, JPEG)
    with door.association(STUDY_GET, roles=roles, more=contexts) as association:
        agreed = {str(each.abstract_syntax): str(each.transfer_syntax[0]) for each in association.accepted_contexts}
    assert agreed[VL_PHOTOGRAPHIC] == JPEG
    assert agreed[SECONDARY_CAPTURE] == EXPLICIT, "one that is not compressed could be sent in nothing else"
    assert agreed[ENCAPSULATED_PDF] == EXPLICIT


def test_a_syntax_that_nothing_can_be_sent_in_is_a_failure_that_is_named(door: Gate, someone: str) -> None:
    photo = door.archive.photo(someone)
    contexts, roles = storage("1.2.840.10008.1.2.5")
    with door.association(STUDY_GET, roles=roles, more=contexts) as association:
        answers = list(association.send_c_get(identifier("STUDY", StudyInstanceUID=photo.study), STUDY_GET))
    assert statuses(answers) == [(0xA702, (None, 0, 1, 0))]
    assert answers[0][1] is not None
    assert answers[0][1].FailedSOPInstanceUIDList == photo.sop


@pytest.mark.parametrize(("level", "expected"), [("PATIENT", 3), ("STUDY", 2), ("SERIES", 1), ("IMAGE", 1)])
def test_every_level_of_patient_root(door: Gate, someone: str, level: str, expected: int) -> None:
    photos = [
        door.archive.photo(someone, visit=visit, view=view) for visit, view in (("1", "1"), ("1", "2"), ("2", "1"))
    ]
    one = photos[0]
    given = {"PatientID": f"PID-{someone}"}
    given |= {"StudyInstanceUID": one.study} if level != "PATIENT" else {}
    given |= {"SeriesInstanceUID": one.series} if level in ("SERIES", "IMAGE") else {}
    given |= {"SOPInstanceUID": one.sop} if level == "IMAGE" else {}
    assert len(_get(door, PATIENT_GET, level, given)) == expected


def _get(door: Gate, model: str, level: str, given: dict[str, str], syntax: str = JPEG) -> list[Dataset]:
    """What a C-GET brings, which must end in success."""
    contexts, roles = storage(syntax)
    got: list[Dataset] = []

    def stored(event: Any) -> int:
        got.append(event.dataset)
        return 0

    with door.association(model, roles=roles, handlers=[(evt.EVT_C_STORE, stored)], more=contexts) as association:
        answers = statuses(association.send_c_get(identifier(level, **given), model))
    assert answers[-1][0] == 0, answers
    return got


def test_counts_are_true_and_failures_named(door: Gate, someone: str) -> None:
    photos = [door.archive.photo(someone) for _ in range(4)]
    outcomes = {photos[0].sop: 0, photos[1].sop: 0xA700, photos[2].sop: 0xB000, photos[3].sop: 0}
    with receiver(outcomes.__getitem__) as received:
        door.destination("COUNTS", "clinician", received.port)
        with door.association(STUDY_MOVE) as association:
            wanted = identifier("STUDY", StudyInstanceUID=photos[0].study)
            answers = list(association.send_c_move(wanted, "COUNTS", STUDY_MOVE, msg_id=77))
    assert statuses(answers) == [
        (0xFF00, (3, 1, 0, 0)),
        (0xFF00, (2, 1, 1, 0)),
        (0xFF00, (1, 1, 1, 1)),
        (0xB000, (None, 2, 1, 1)),
    ]
    assert answers[-1][1] is not None
    assert answers[-1][1].FailedSOPInstanceUIDList == photos[1].sop
    assert received.originators == [("VIEWER", 77)] * 4


def test_the_destinations_purpose_decides_and_the_caller_may_see_no_more_than_it_may(door: Gate) -> None:
    door.archive.account("p-carol", "PATRQT", confined_to="carol")
    door.archive.patient("carol")
    door.archive.patient("dave")
    carol, dave = door.archive.photo("carol"), door.archive.photo("dave")
    door.archive.consent(consent("carol-hers", "permit", "PATRQT", "carol"))
    door.peer("CAROL", "p-carol", "PATRQT")
    with receiver() as received:
        door.destination("HERS", "p-carol", received.port, "PATRQT")
        door.destination("CLINIC", "clinician", received.port)
        door.destination("MARKETING", "marketing", received.port, "PORTFOLIO")
        for photo, title, caller, expected in (
            (carol, "HERS", "VIEWER", 1),
            (dave, "HERS", "VIEWER", 0),
            (carol, "CLINIC", "CAROL", 1),
            (dave, "CLINIC", "CAROL", 0),
            (carol, "MARKETING", "VIEWER", 0),
        ):
            received.sops.clear()
            with door.association(STUDY_MOVE, title=caller) as association:
                wanted = identifier("STUDY", StudyInstanceUID=photo.study)
                assert statuses(association.send_c_move(wanted, title, STUDY_MOVE))[-1][0] == 0
            assert len(received.sops) == expected, (title, caller)


def test_refused_and_absent_are_answered_byte_for_byte_alike(door: Gate, someone: str) -> None:
    photo = door.archive.photo(someone)
    hide(door, photo)
    with receiver() as received:
        door.destination("ALIKE", "clinician", received.port)
        for model, service in ((STUDY_GET, "send_c_get"), (STUDY_MOVE, "send_c_move")):
            seen = []
            for uid in (photo.study, photo.study[:-1] + "9"):
                sent: list[bytes] = []
                contexts, roles = storage(JPEG)
                watch = [(evt.EVT_DATA_RECV, lambda event, sent=sent: sent.append(event.data))]
                with door.association(model, roles=roles, more=contexts, handlers=watch) as association:
                    wanted = identifier("STUDY", StudyInstanceUID=uid)
                    words = ("ALIKE", model) if service == "send_c_move" else (model,)
                    answers = statuses(getattr(association, service)(wanted, *words))
                seen.append((answers, b"".join(sent)))
            assert seen[0] == seen[1]


def test_an_unknown_destination_and_a_malformed_identifier(door: Gate, someone: str) -> None:
    photo = door.archive.photo(someone)
    with door.association(STUDY_MOVE) as association:
        wanted = identifier("STUDY", StudyInstanceUID=photo.study)
        assert statuses(association.send_c_move(wanted, "NOWHERE", STUDY_MOVE)) == [(0xA801, (None,) * 4)]
        for bad in (identifier("PATIENT", PatientID="x"), identifier("STUDY"), identifier("", StudyInstanceUID="1")):
            with receiver() as received:
                door.destination("BAD", "clinician", received.port)
                assert statuses(association.send_c_move(bad, "BAD", STUDY_MOVE))[0][0] == 0xA900
                door.forget("BAD")


def test_a_destination_that_does_not_listen(door: Gate, someone: str) -> None:
    photo = door.archive.photo(someone)
    door.destination("DEAF", "clinician", 9)
    with door.association(STUDY_MOVE) as association:
        wanted = identifier("STUDY", StudyInstanceUID=photo.study)
        assert statuses(association.send_c_move(wanted, "DEAF", STUDY_MOVE)) == [(0xA702, (None, 0, 1, 0))]


def test_a_withdrawal_stops_a_move_at_the_next_photo(door: Gate, someone: str) -> None:
    photos = [door.archive.photo(someone) for _ in range(5)]
    pause = Pause(2)
    with receiver(pause) as received:
        door.destination("SLOW", "clinician", received.port)
        with door.association(STUDY_MOVE) as association:
            answers = association.send_c_move(identifier("STUDY", StudyInstanceUID=photos[0].study), "SLOW", STUDY_MOVE)
            first = next(answers)
            assert pause.reached.wait(20)
            hide(door, photos[2])
            pause.go.set()
            rest = statuses([first, *answers])
    assert received.sops == [photo.sop for photo in photos[:2]]
    assert rest[-1] == (0xB000, (None, 2, 3, 0))
    refusal = door.records()[-1]
    assert (refusal["kind"], refusal["photo"], refusal["effect"]) == ("decision", photos[2].sop, "deny")


def test_what_is_withdrawn_from_the_caller_alone_stops_its_move_too(door: Gate, someone: str) -> None:
    """Each further photo would tell a caller who may see it no more that it is there."""
    photos = [door.archive.photo(someone) for _ in range(3)]
    door.archive.account("assistant", "TREAT")
    door.peer("ASSISTANT", "assistant")
    pause = Pause(1)
    with receiver(pause) as received:
        door.destination("WARD", "clinician", received.port)
        with door.association(STUDY_MOVE, title="ASSISTANT") as association:
            answers = association.send_c_move(identifier("STUDY", StudyInstanceUID=photos[0].study), "WARD", STUDY_MOVE)
            assert pause.reached.wait(20)
            actors = Actors(persons=frozenset({"Practitioner/assistant"}))
            door.archive.consent(consent("not-the-assistant", "deny", "TREAT", someone, actors=actors))
            pause.go.set()
            assert statuses(answers)[-1] == (0xB000, (None, 1, 2, 0))
    assert received.sops == [photos[0].sop]
    refusal = door.records()[-1]
    assert (refusal["account"], refusal["photo"], refusal["effect"]) == ("assistant", photos[1].sop, "deny")


@pytest.mark.parametrize("how", ["peer", "account"])
def test_a_peer_that_is_taken_away_gets_no_further_photo(door: Gate, someone: str, how: str) -> None:
    photos = [door.archive.photo(someone) for _ in range(3)]
    pause = Pause(1)
    name = f"gone-{how}"
    door.archive.account(name, "TREAT")
    with receiver(pause) as received:
        door.destination(f"GONE-{how.upper()}", name, received.port)
        with door.association(STUDY_MOVE) as association:
            wanted = identifier("STUDY", StudyInstanceUID=photos[0].study)
            answers = association.send_c_move(wanted, f"GONE-{how.upper()}", STUDY_MOVE)
            assert pause.reached.wait(20)
            if how == "peer":
                door.forget("GONE-PEER")
            else:
                door.disable(name)
            pause.go.set()
            assert statuses(answers)[-1][0] == 0xB000
    assert received.sops == [photos[0].sop]


def test_a_move_is_cancelled(door: Gate, someone: str) -> None:
    photos = [door.archive.photo(someone) for _ in range(8)]
    pause = Pause(2)
    with receiver(pause) as received:
        door.destination("CANCELS", "clinician", received.port)
        with door.association(STUDY_MOVE) as association:
            wanted = identifier("STUDY", StudyInstanceUID=photos[0].study)
            answers = association.send_c_move(wanted, "CANCELS", STUDY_MOVE, msg_id=5)
            first = next(answers)
            assert pause.reached.wait(20)
            association.send_c_cancel(5, query_model=STUDY_MOVE)
            pause.go.set()
            rest = statuses([first, *answers])
    arrived = len(received.sops)
    assert 2 <= arrived <= 4  # a photo or two may be on their way while the word is
    assert rest[-1] == (0xFE00, (8 - arrived, arrived, 0, 0))


def test_what_leaves_is_recorded_before(door: Gate, someone: str) -> None:
    photos = [door.archive.photo(someone) for _ in range(2)]
    with receiver() as received:
        door.destination("RECORDED", "clinician", received.port)
        with door.association(STUDY_MOVE) as association:
            wanted = identifier("STUDY", StudyInstanceUID=photos[0].study)
            list(association.send_c_move(wanted, "RECORDED", STUDY_MOVE))
    record = door.records()[-1]
    assert (record["route"], record["account"], record["released"]) == ("C-MOVE", "clinician", 2)
    assert record["details"] == {"caller": "clinician", "from": "VIEWER", "to": "RECORDED"}


@pytest.mark.postgres
def test_on_postgresql_all_is_the_same(tmp_path: Path) -> None:
    with postgres.cluster() as cluster, Archive(tmp_path / "node", free_port(), url=cluster.fresh()) as archive:
        archive.account("clinician", "TREAT")
        archive.patient("anna")
        with gate(archive) as door:
            door.peer("VIEWER", "clinician")
            photos = [archive.photo("anna", view=view) for view in "112"]
            hide(door, photos[1])
            got = tmp_path / "got"
            got.mkdir()
            door.run("getscu", "+xy", "-S", *keys(photos[0]), "-od", str(got))
            assert set(files(got)) == {photos[0].sop, photos[2].sop}


@pytest.fixture(scope="module", autouse=True)
def _quiet_log(door: Gate) -> Iterator[None]:
    """Whatever happened, no text of an object stands in the gateway's log."""
    yield
    log = door.log.read_text()
    assert "Traceback" not in log, log
    assert not any(word in log for word in ("PID-", "Family", "2.25.", "comment-")), log
