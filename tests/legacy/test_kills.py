"""An import is killed at random points, again and again, and begun again: nothing is lost, and nothing there twice."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select

from consent.store.engine import glancing
from consent.store.tables import photo
from dicom_bridge.ledger import State
from dicom_bridge.recovery import Recovery
from dicom_bridge.tables import ledger
from fhir_mapping.tables import fhir_resource
from orthanc_plugin.assembly.intake import open_archive, way
from tests.counts import count, report
from tests.photos import Shot, jpeg
from tests.pipeline.world import World

pytestmark = [pytest.mark.orthanc]

_SEED = 5
_VIEWS = ("frontal", "left-lateral", "right-lateral", "left-oblique")
_EACH_VISIT = 20
_STEPS = 2.2
"""Steps of a file's way, on average; some points lie behind the end, where nothing is left to kill."""


def _folder(place: Path, many: int) -> dict[str, bytes]:
    """Files, no two alike, by name; ten of them once more under another name."""
    base = jpeg(Shot(width=64, height=48, taken=None))
    files = {}
    for number in range(many):
        visit = number // _EACH_VISIT
        patient, day = (
            ("anna", "ben")[visit % 2],
            f"{1990 + visit // 300}-{visit // 25 % 12 + 1:02}-{visit % 25 + 1:02}",
        )
        comment = f"file {number}".encode()
        files[f"PID-{patient}/{day}/face_{_VIEWS[number % 4]} {number}.jpg"] = (
            base[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + base[2:]
        )
    for name in list(files)[:10]:
        files[name.replace(".jpg", " copy.jpg")] = files[name]
    for name, data in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return files


def _run(world: World, place: Path, step: int) -> int:
    command = [sys.executable, "-m", "tests.legacy.victim", str(world.file), str(place), str(step)]
    return subprocess.run(command, check=False, timeout=3600).returncode


def test_an_import_that_is_killed_again_and_again_loses_and_doubles_nothing(world: World, tmp_path: Path) -> None:
    many = count("import killed at random points: files", small=120, full=10_000)
    kills = count("import killed at random points: kills", small=5, full=20)
    started, chance = time.monotonic(), random.Random(_SEED)
    files = _folder(tmp_path, many)
    died = 0
    for number in range(kills):
        left = many * _STEPS * (kills - number) / kills
        ended = _run(world, tmp_path, chance.randrange(1, max(2, int(2 * left / (kills - number)))))
        assert ended in (0, -9)
        died += ended == -9
    assert _run(world, tmp_path, 0) == 0
    assert died >= kills // 2
    _whole(world, files, many)
    assert _run(world, tmp_path, 0) == 0  # once more: nothing is left to do
    _whole(world, files, many)
    report(
        "import killed at random points: files", asked=many, run=many, failures=0, seed=_SEED, started=started,
        measured=f"{died} kills hit it on its way",
    )  # fmt: skip
    report("import killed at random points: kills", asked=kills, run=kills, failures=0, seed=_SEED, started=started)


def _whole(world: World, files: dict[str, bytes], many: int) -> None:
    wanted = {hashlib.sha256(data).hexdigest() for data in files.values()}
    assert len(wanted) == many
    with glancing(world.engine) as connection:
        entries = connection.execute(select(ledger)).all()
        rows = connection.execute(select(photo.c.sop_uid, photo.c.state, photo.c.orthanc_id)).all()
        kinds: dict[str, int] = dict(
            connection.execute(select(fhir_resource.c.type, func.count()).group_by(fhir_resource.c.type)).all()
        )
    assert Counter(each.sha256 for each in entries) == dict.fromkeys(wanted, 1)
    assert {each.state for each in entries} == {State.DONE.value}
    assert len(rows) == many
    assert {each.state for each in rows} == {"linked"}
    visits = -(-many // _EACH_VISIT)
    assert (kinds["DocumentReference"], kinds["ImagingStudy"], kinds["Encounter"]) == (many, visits, visits)
    assert kinds["Provenance"] == many
    assert world.instances() == {each.orthanc_id for each in rows}
    sample = random.Random(_SEED).sample(entries, 40)
    originals = {hashlib.sha256(data).hexdigest(): data for data in files.values()}
    with world.node() as node, open_archive(node) as archive:
        for each in sample:
            assert archive.original("test", each.orthanc_id) == originals[each.sha256]
    # What was written to the spool as it died was never announced: it is swept a day later, and nothing else is there.
    former = time.time() - 2 * 86_400
    for path in world.settings.spool.iterdir():
        assert path.name.startswith(".") or path.name in {each.sop_uid for each in entries}
        os.utime(path, (former, former))
    with world.node() as node, open_archive(node) as archive:
        Recovery(way(node, archive)).sweep()
    assert not any(world.settings.spool.iterdir())
