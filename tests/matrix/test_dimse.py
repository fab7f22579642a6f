"""The clinic of the matrix by DIMSE: a peer finds and gets what its account may have for its purpose, and no more."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.dsutils import encode

from tests import counts
from tests.archive import Archive
from tests.gateway.peers import EXPLICIT, IMPLICIT, JPEG, STUDY_FIND, STUDY_GET, storage
from tests.gateway.world import gate, identifier
from tests.matrix.asking import Model, number_at
from tests.matrix.clinic import SITES, Asker, Clinic
from tests.matrix.doors import Door, Kind, Level
from tests.matrix.marks import Planted
from tests.matrix.states import STATES
from tests.orthancs import each_orthanc, use
from tests.ports import free_port

pytestmark = pytest.mark.orthanc

SEED = 20_261_130
SMALL, FULL = 120, 3_000
_PENDING = (0xFF00, 0xFF01)
_LEVELS = {"STUDY": Level.STUDY, "SERIES": Level.SERIES, "IMAGE": Level.PHOTO}
_COUNTS = {"STUDY": ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"), "SERIES": (), "IMAGE": ()}
_UIDS = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
_STUDY = Door("C-FIND", Kind.IDENTIFIERS, Level.STUDY, Level.STUDY)
"""What a study gives by DIMSE: objects with their identifiers."""


@pytest.mark.parametrize("orthanc", each_orthanc())
def test_peers_find_and_get_what_their_accounts_may_have(
    orthanc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(orthanc, monkeypatch)
    name = f"matrix by DIMSE: C-FIND and C-GET of studies: Orthanc {orthanc}"
    started, asked = time.monotonic(), counts.count(name, small=SMALL, full=FULL)
    random = Random(SEED)
    states = list(STATES) if counts.FULL else random.sample(sorted(STATES), 8)
    faults: list[str] = []
    seen: Counter[str] = Counter()
    with Archive(tmp_path, free_port()) as archive:
        clinic = Clinic(archive, SEED, states, by_lot=10 if counts.FULL else 2)
        clinic.settle(SITES[0])
        model = Model(clinic, 0, [f"GET {_STUDY.path}"])
        with gate(archive) as door:
            peers = [one for one in clinic.askers if one.account is not None and one.understood and _peer(one)]
            # Who publishes gets no object: what is not given to anybody says little of what is given rightly.
            given = [one for one in peers if model.released(_STUDY, one, list(clinic.photos))]
            each = 6
            for number in range(-(-asked // each)):
                asker = random.choice(random.choice((peers, given, given)))
                title = f"P{number}"
                door.peer(
                    title, str(asker.name.split()[0]), asker.purpose, channel=asker.channel, project=asker.project
                )
                contexts, roles = storage(JPEG, EXPLICIT, IMPLICIT)
                got: list[bytes] = []
                handlers = [(evt.EVT_C_STORE, _keep(got))]
                with door.association(
                    STUDY_FIND, STUDY_GET, title=title, more=contexts, roles=roles, handlers=handlers
                ) as made:
                    assert made.is_established
                    for _ in range(each):
                        for _ in range(random.choice((1, 40, 40))):  # mostly one of which there is something to find
                            study = random.choice(model.targets(Level.STUDY))
                            whole = [n for n, placed in clinic.photos.items() if placed.planted.study_number == study]
                            released = model.released(_STUDY, asker, whole)
                            if released:
                                break
                        example = model.example(_STUDY, study)
                        seen["permit" if released else "deny"] += 1
                        photos = [clinic.finder.planted[one] for one in released]
                        said = f"study {study} ({clinic.cases[example.patient].state}) by {asker.name}"
                        faults += [f"{said}: {fault}" for fault in _found(made, clinic, random, example, photos)]
                        got.clear()
                        last = _status(made, example)
                        if sorted(got) != sorted(one.sop.encode() for one in photos) or last != 0:
                            faults.append(f"{said}: C-GET gave {len(got)} of {len(photos)}, status {last:04x}")
                door.forget(title)
    run = seen.total()
    counts.report(name, asked=asked, run=run, failures=len(faults), seed=SEED, started=started)
    print(f"{orthanc}: {dict(seen)}, {time.monotonic() - started:.0f} s")
    assert not faults, f"{len(faults)} of {run}:\n" + "\n".join(faults[:30])
    assert seen["permit"] >= run * 0.4


def _peer(one: Asker) -> bool:
    """Whether a peer can stand for it: emergencies need a reason, SOCIAL a channel, and each a purpose."""
    return bool(one.purpose) and one.purpose != "BTG" and (one.purpose != "SOCIAL" or one.channel == "instagram")


def _keep(got: list[bytes]) -> Any:
    def stored(event: Any) -> int:
        got.append(str(event.request.AffectedSOPInstanceUID).encode())
        return 0

    return stored


def _found(made: Any, clinic: Clinic, random: Random, example: Planted, photos: list[Planted]) -> Iterator[str]:
    """What is wrong with the answers to a C-FIND about the study, at a level by lot."""
    level = random.choice(list(_LEVELS))
    keys: dict[str, object] = {"StudyInstanceUID": example.study, "PatientName": "", "StudyDescription": ""}
    if level != "STUDY":
        keys["SeriesInstanceUID"] = "" if level == "SERIES" else example.series
    if level == "IMAGE":
        keys["SOPInstanceUID"] = ""
        photos = [one for one in photos if one.series == example.series]
    keys |= dict.fromkeys(_COUNTS[level], "")
    answers: list[Dataset] = []
    for status, answer in made.send_c_find(identifier(level, **keys), STUDY_FIND):
        if status.Status in _PENDING:
            answers.append(answer)
        elif status.Status != 0:
            yield f"C-FIND {level} ended with {status.Status:04x}"
    numbers = sorted({number_at(one, _LEVELS[level]) for one in photos})
    wanted = sorted({(one.study, one.series, one.sop)[list(_LEVELS).index(level)] for one in photos})
    if sorted(str(answer.get(_UIDS[level])) for answer in answers) != wanted:
        yield f"C-FIND {level} found {len(answers)} instead of {len(numbers)}"
    for answer in answers:
        named = clinic.finder.seen(b"", bytes(encode(answer, True, True) or b""))
        if named.photos - {one.number for one in photos}:
            yield f"C-FIND {level} names {sorted(named.photos)}"
        if level == "STUDY":
            told = (int(answer.NumberOfStudyRelatedSeries), int(answer.NumberOfStudyRelatedInstances))
            if told != (len({one.series for one in photos}), len(photos)):
                yield f"C-FIND counts {told}"


def _status(made: Any, example: Planted) -> int:
    last = 0xFFFF
    for status, _ in made.send_c_get(identifier("STUDY", StudyInstanceUID=example.study), STUDY_GET):
        last = int(status.get("Status", 0xFFFF))
    return last
