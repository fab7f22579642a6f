"""Files that are dropped into the watched folder are taken in when they are whole, or wait, and are never lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import select

from consent.store.engine import glancing
from consent.store.tables import photo
from dicom_bridge.legacy.dropped import Dropped
from dicom_bridge.waiting import waiting
from orthanc_plugin.assembly.errors import SettingsError
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.watched import Watched, watched_of
from orthanc_plugin.assembly.worker import worker_of
from tests.legacy.making import folder, listed, zipped
from tests.legacy.making import photo as shot
from tests.pipeline.world import World

PATTERN = "{patient}/{date:%Y-%m-%d}/{region}_{view}.jpg"


@pytest.mark.fast
def test_a_file_is_whole_when_it_stands_still(tmp_path: Path) -> None:
    now = 0.0
    dropped = Dropped(tmp_path, still=4, clock=lambda: now)
    folder(tmp_path, {"a.jpg": b"a", "b.jpg.part": b"b", "done/c.jpg": b"c", ".d": b"d", "sub/done/e.jpg": b"e"})
    assert dropped.whole(9) == []
    now = 3
    (tmp_path / "a.jpg").write_bytes(b"aa")
    assert dropped.whole(9) == []
    now = 6
    assert dropped.whole(9) == [tmp_path / "sub/done/e.jpg"]
    now = 8
    assert [path.name for path in dropped.whole(9)] == ["a.jpg", "e.jpg"]
    assert [path.name for path in dropped.whole(1)] == ["a.jpg"]


@pytest.mark.fast
def test_a_sidecar_is_waited_for_and_goes_with_its_file(tmp_path: Path) -> None:
    now = 0.0
    dropped = Dropped(tmp_path, still=4, clock=lambda: now)
    folder(tmp_path, {"a.jpg": b"a"})
    dropped.whole(9)
    now = 5
    folder(tmp_path, {"a.jpg.csv": b"file\na.jpg\n"})
    assert dropped.whole(9) == []
    now = 10
    assert dropped.whole(9) == [tmp_path / "a.jpg"]
    folder(tmp_path, {"done/a.jpg": b"another"})
    dropped.move(tmp_path / "a.jpg", "done", "why")
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == [
        "a-1.jpg", "a-1.jpg.csv", "a-1.jpg.reason.txt", "a.jpg"
    ]  # fmt: skip
    assert (tmp_path / "done/a.jpg").read_bytes() == b"another"


@contextmanager
def _watched(world: World, place: Path) -> Iterator[Watched]:
    settings = replace(world.settings, watched=place, watched_account="clinician", watched_pattern=PATTERN)
    with open_node(settings, "worker") as node, open_archive(node) as archive:
        made = watched_of(node, archive)
        assert made is not None
        made.dropped.still = 0
        yield made
        worker_of(node, archive, lambda _: None, Event()).look()


@pytest.mark.orthanc
def test_what_is_dropped_is_taken_in_waits_or_is_refused(world: World, tmp_path: Path) -> None:
    world.put(
        {"resourceType": "Patient", "id": "dora", "identifier": [{"value": "PID-dora"}],
         "name": [{"family": "Dropova", "given": ["Dora"]}]}
    )  # fmt: skip
    files = {
        "PID-dora/2019-03-05/face_frontal.jpg": shot(901),
        "Dropova Dora.jpg": shot(902),
        "note.txt": b"no photo",
        "beside.jpg": shot(903, None),
        "listed/1.jpg": shot(904, None),
    }
    place = folder(tmp_path / "drop", files)
    row = {"patient": "PID-dora", "date": "2018-01-02", "region": "nose"}
    listed(place / "beside.jpg.csv", [{"file": "beside.jpg"} | row])
    listed(place / "listed/manifest.csv", [{"file": "1.jpg"} | row | {"date": "2018-01-03"}])
    zipped(place / "x.zip", {"a.jpg": shot(905)})
    with _watched(world, place) as watched:
        assert watched.step() == 5
        assert watched.step() == 0
    left = sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
    assert left == [
        "done/Dropova Dora.jpg",
        "done/Dropova Dora.jpg.reason.txt",
        "done/PID-dora/2019-03-05/face_frontal.jpg",
        "done/beside.jpg",
        "done/beside.jpg.csv",
        "done/listed/1.jpg",
        "listed/manifest.csv",
        "refused/note.txt",
        "refused/note.txt.reason.txt",
        "refused/x.zip",
        "refused/x.zip.reason.txt",
    ]
    assert "photospine import" in (place / "refused/x.zip.reason.txt").read_text("utf-8")
    with glancing(world.engine) as connection:
        rows = connection.execute(select(photo.c.state).where(photo.c.patient == "dora")).scalars().all()
        (waits,) = [
            each for each in waiting(connection, world.store) if each.says.get("Study Description") == "Dropova Dora"
        ]
    assert list(rows) == ["linked"] * 3
    assert {each["patient"] for each in waits.suggestions} == {"dora"}
    assert "Patient ID" not in waits.says
    # Dropped once more: nothing is there twice, and nothing is lost.
    folder(place, {"again.jpg": files["Dropova Dora.jpg"], "known.jpg": files["beside.jpg"]})
    with _watched(world, place) as watched:
        assert watched.step() == 2
    with glancing(world.engine) as connection:
        again = [each for each in waiting(connection, world.store) if each.sop_uid == waits.sop_uid]
        rows = connection.execute(select(photo.c.state).where(photo.c.patient == "dora")).scalars().all()
    assert len(again) == 1
    assert list(rows) == ["linked"] * 3
    with world.node() as node, open_archive(node) as archive:
        assert archive.original("test", waits.orthanc_id) == files["Dropova Dora.jpg"]


@pytest.mark.orthanc
def test_without_an_account_that_may_nothing_moves(world: World, tmp_path: Path) -> None:
    place = folder(tmp_path / "drop", {"a.jpg": shot(910)})
    for name in ("", "marketing", "nobody"):
        with _named(world, place, name) as watched:
            assert watched.step() == 0
    assert (place / "a.jpg").exists()


@contextmanager
def _named(world: World, place: Path, name: str) -> Iterator[Watched]:
    settings = replace(world.settings, watched=place, watched_account=name)
    with open_node(settings, "worker") as node, open_archive(node) as archive:
        made = watched_of(node, archive)
        assert made is not None
        made.dropped.still = 0
        yield made


@pytest.mark.orthanc
def test_a_pattern_that_cannot_be_read_is_told_at_the_start(world: World, tmp_path: Path) -> None:
    settings = replace(world.settings, watched=tmp_path, watched_pattern="{nobody}")
    with open_node(settings, "worker") as node, open_archive(node) as archive, pytest.raises(SettingsError) as fault:
        watched_of(node, archive)
    assert "watched_pattern" in str(fault.value)
