"""The worker has renditions ready that pages begin with, and drops those that the care team may not see any more."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
import requests
from PIL import Image, ImageChops, ImageStat
from sqlalchemy import delete, select, update

from consent.decided import stored, stored_purposes
from consent.purposes import TREAT
from consent.store import clock, jobs
from consent.store.engine import glancing, reading, transaction
from consent.store.sites import load_site, save_site
from consent.store.tables import job, patient_state, photo
from consent.types import Request, Requester
from dicom_bridge.archive import ArchiveUnavailable, ObjectUnreadable, OrthancArchive
from dicom_bridge.compare import prepared
from dicom_bridge.compare.prepared import THUMBNAIL, WIDTHS, of_photo
from dicom_bridge.compare.rendering import AT_ONCE, Rendering
from dicom_bridge.compare.renditions import Shelf, render, shown_picture
from dicom_bridge.tables import rendition
from fhir_mapping.question.question import Question
from orthanc_plugin.assembly.intake import open_archive, pipeline
from orthanc_plugin.assembly.worker import worker_of
from orthanc_plugin.workspace.pictures import DecidedPictures, Originals
from orthanc_plugin.workspace.stored import StoredRecord
from tests.archive import Archive
from tests.fhir.clinic import consent_of
from tests.links.world import Links, Row
from tests.photos import Shot, jpeg
from tests.pipeline.world import Visit
from tests.ports import free_port

pytestmark = [pytest.mark.orthanc]


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Links]:
    with Archive(tmp_path_factory.mktemp("clinic"), free_port()) as archive:
        yield Links(archive)


def _taken(clinic: Links, patient: str, *files: bytes) -> Visit:
    visit = replace(clinic.visit(patient), files=files)
    with clinic.node() as node, open_archive(node) as archive:
        list(pipeline(node, archive).take(visit.files, clinic.plan(visit)))
    return visit


def _kept(clinic: Links, row: Row) -> dict[int, tuple[str, bytes]]:
    """What is kept of a photo: object and pixels, by width."""
    query = select(rendition).where(rendition.c.photo == row.number)
    with glancing(clinic.engine) as connection:
        return {each.width: (each.orthanc_id, bytes(each.jpeg)) for each in connection.execute(query)}


def _size(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as opened:
        return opened.size


def _apart(one: bytes, other: bytes) -> float:
    """Mean difference of two pictures of one size, of 255."""
    with Image.open(io.BytesIO(one)) as left, Image.open(io.BytesIO(other)) as right:
        return max(ImageStat.Stat(ImageChops.difference(left.convert("RGB"), right.convert("RGB"))).mean)


def _ask(clinic: Links, patient: str) -> None:
    with transaction(clinic.engine) as connection:
        jobs.put(connection, jobs.RENDER, patient)


def _look_through(clinic: Links) -> None:
    """The worker looks through all photos, as at its start and each hour."""
    with clinic.node("worker") as node, open_archive(node) as archive:
        process = worker_of(node, archive, lambda _: None, Event())
        process.decide_anew()
        process.rendering.begin()
        process.rendering.clear()
        while process.one_job():
            pass


@contextmanager
def _rendering(clinic: Links) -> Iterator[Rendering]:
    """That of a second worker, which does nothing else."""
    with clinic.node("worker") as node, open_archive(node) as archive:
        yield worker_of(node, archive, lambda _: None, Event()).rendering


def _state(clinic: Links, patient: str, **values: Any) -> None:
    """Make what is stored about a patient's answers be something else."""
    with transaction(clinic.engine) as connection:
        connection.execute(update(patient_state).where(patient_state.c.patient == patient).values(**values))


def _says(clinic: Links, patient: str, effect: str, name: str, status: str = "active", **provision: Any) -> None:
    """What the patient says of her care team."""
    with glancing(clinic.engine) as connection:
        moment = clock.now(connection)
    signed = moment.isoformat(timespec="milliseconds")
    said = consent_of(name, effect, "TREAT", patient, signed=signed, provision=provision)
    organization = [{"reference": f"Organization/{clinic.store.site.organization}"}]
    clinic.put(said | {"organization": organization, "status": status})


def test_a_photo_has_them_once_the_worker_has_been_there(clinic: Links) -> None:
    clinic.person("ready")
    row = clinic.one(_taken(clinic, "ready", jpeg(Shot(1500, 1000, seed=3))))
    assert _kept(clinic, row) == {}
    clinic.work()
    kept = _kept(clinic, row)
    assert {width: _size(data) for width, (_, data) in kept.items()} == {
        240: (240, 160),
        640: (640, 427),
        1024: (1024, 683),
    }
    assert {identity for identity, _ in kept.values()} == {row.orthanc_id}
    picture = shown_picture(clinic.file_of(row))
    assert picture is not None
    for width in WIDTHS:
        assert _apart(kept[width][1], render(picture, width=width).jpeg) < 3
    examined = [each for each in clinic.records("examine") if "render ready" in str(each)]
    assert len(examined) == 1
    _ask(clinic, "ready")
    clinic.work()
    assert [each for each in clinic.records("examine") if "render ready" in str(each)] == examined


def test_a_narrow_photo_is_kept_as_wide_as_it_is(clinic: Links) -> None:
    clinic.person("narrow")
    row = clinic.one(_taken(clinic, "narrow", jpeg(Shot(500, 400, seed=4))))
    clinic.work()
    assert {width: _size(data) for width, (_, data) in _kept(clinic, row).items()} == {
        240: (240, 192),
        640: (500, 400),
        1024: (500, 400),
    }


def test_more_photos_than_one_turn_takes_are_all_made(clinic: Links) -> None:
    clinic.person("many")
    many = AT_ONCE + 3
    visit = _taken(clinic, "many", *(jpeg(Shot(340, 240, seed=100 + each)) for each in range(many)))
    clinic.work()
    rows = [clinic.row(sop) for sop in clinic.sops(visit)]
    assert [set(_kept(clinic, row)) for row in rows] == [set(WIDTHS)] * many


def test_what_she_withdraws_is_dropped_and_made_again_where_she_allows_it_again(clinic: Links) -> None:
    clinic.person("unsure")
    clinic.person("other")
    row = clinic.one(_taken(clinic, "unsure", jpeg(Shot(800, 600, seed=5))))
    other = clinic.one(_taken(clinic, "other", jpeg(Shot(800, 600, seed=6))))
    clinic.work()
    assert set(_kept(clinic, row)) == set(WIDTHS)
    _says(clinic, "unsure", "deny", "no-more")
    clinic.work()
    assert _kept(clinic, row) == {}
    assert set(_kept(clinic, other)) == set(WIDTHS)
    _says(clinic, "unsure", "deny", "no-more", status="inactive")
    clinic.work()
    assert set(_kept(clinic, row)) == set(WIDTHS)


def test_one_who_withdraws_while_they_are_made_has_none_kept(clinic: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic.person("quick")
    row = clinic.one(_taken(clinic, "quick", jpeg(Shot(800, 600, seed=7))))

    at_once = OrthancArchive.file

    def after_she_has_spoken(archive: OrthancArchive, work: str, orthanc_id: str) -> bytes | None:
        _says(clinic, "quick", "deny", "stop")
        return at_once(archive, work, orthanc_id)

    monkeypatch.setattr(OrthancArchive, "file", after_she_has_spoken)
    with clinic.node("worker") as node, open_archive(node) as archive:
        worker_of(node, archive, lambda _: None, Event()).rendering.work("quick", "{}")
    monkeypatch.undo()
    assert _kept(clinic, row) == {}
    clinic.work()
    assert _kept(clinic, row) == {}


def test_a_photo_that_another_one_took_the_place_of_has_none(clinic: Links) -> None:
    clinic.person("twice")
    row = clinic.one(_taken(clinic, "twice", jpeg(Shot(700, 500, seed=8))))
    clinic.work()
    made = clinic.row(clinic.corrected(row.sop, view="left-lateral"))
    clinic.work()
    assert _kept(clinic, row) == {}
    assert {identity for identity, _ in _kept(clinic, made).values()} == {made.orthanc_id}


def test_photos_of_before_an_upgrade_are_found(clinic: Links) -> None:
    with transaction(clinic.engine) as connection:
        connection.execute(delete(rendition))
    clinic.person("old")
    many = AT_ONCE + 2
    visit = _taken(clinic, "old", *(jpeg(Shot(340, 240, seed=200 + each)) for each in range(many)))
    rows = [clinic.row(sop) for sop in clinic.sops(visit)]
    with transaction(clinic.engine) as connection:
        prepared.drop(connection, [row.number for row in rows])
    _look_through(clinic)
    assert [set(_kept(clinic, row)) for row in rows] == [set(WIDTHS)] * many


@pytest.mark.parametrize(("asked", "seed"), [("patient", 300), ("all", 400)])
def test_objects_that_are_not_to_be_had_keep_nobody_from_having_theirs(
    clinic: Links, monkeypatch: pytest.MonkeyPatch, asked: str, seed: int
) -> None:
    name = f"lost-{asked}"
    clinic.person(name)
    many = AT_ONCE * 2 + 2
    visit = _taken(clinic, name, *(jpeg(Shot(340, 240, seed=seed + each)) for each in range(many)))
    rows = sorted((clinic.row(sop) for sop in clinic.sops(visit)), key=lambda row: row.number)
    gone, damaged, there = rows[: AT_ONCE + 1], rows[AT_ONCE + 1], rows[AT_ONCE + 2 :]
    at_once = OrthancArchive.file
    lost = {row.orthanc_id for row in gone}

    def file(archive: OrthancArchive, work: str, orthanc_id: str) -> bytes | None:
        if orthanc_id == damaged.orthanc_id:
            raise ObjectUnreadable("status 500")
        return None if orthanc_id in lost else at_once(archive, work, orthanc_id)

    monkeypatch.setattr(OrthancArchive, "file", file)
    if asked == "patient":
        clinic.work()
    else:
        with transaction(clinic.engine) as connection:
            connection.execute(delete(job))
        _look_through(clinic)
    assert [set(_kept(clinic, row)) for row in there] == [set(WIDTHS)] * len(there)
    assert [_kept(clinic, row) for row in [*gone, damaged]] == [{}] * (AT_ONCE + 2)
    monkeypatch.undo()
    _look_through(clinic)
    assert [set(_kept(clinic, row)) for row in rows] == [set(WIDTHS)] * many


def test_an_archive_that_is_away_is_waited_for(clinic: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic.person("later")
    row = clinic.one(_taken(clinic, "later", jpeg(Shot(340, 240, seed=20))))

    def away(archive: OrthancArchive, work: str, orthanc_id: str) -> bytes | None:
        raise ArchiveUnavailable("nobody answers")

    monkeypatch.setattr(OrthancArchive, "file", away)
    with clinic.node("worker") as node, open_archive(node) as archive:
        rendering = worker_of(node, archive, lambda _: None, Event()).rendering
        with pytest.raises(ArchiveUnavailable):
            rendering.work("later", "{}")
    monkeypatch.undo()
    assert _kept(clinic, row) == {}


def test_one_whose_answer_depends_on_who_asks_has_none(clinic: Links) -> None:
    clinic.person("names")
    row = clinic.one(_taken(clinic, "names", jpeg(Shot(340, 240, seed=21))))
    clinic.work()
    assert set(_kept(clinic, row)) == set(WIDTHS)
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "PRCP"}
    role = {"coding": [coding]}
    somebody = {"role": role, "reference": {"reference": "Practitioner/former-husband"}}
    clinic.put({"resourceType": "Practitioner", "id": "former-husband"})
    _says(clinic, "names", "deny", "not-him", actor=[somebody])
    clinic.work()
    assert _kept(clinic, row) == {}
    _look_through(clinic)
    assert _kept(clinic, row) == {}


def test_what_ran_out_is_decided_anew_and_stays_where_nothing_changes(clinic: Links) -> None:
    clinic.person("ended")
    row = clinic.one(_taken(clinic, "ended", jpeg(Shot(340, 240, seed=22))))
    clinic.work()
    made = _kept(clinic, row)
    assert set(made) == set(WIDTHS)
    _state(clinic, "ended", valid_until=1)
    with _rendering(clinic) as rendering:
        rendering.work(prepared.GONE, "{}")
        rendering.work("ended", "{}")
    assert _kept(clinic, row) == made
    _look_through(clinic)
    assert _kept(clinic, row) == made
    with glancing(clinic.engine) as connection:
        until = select(patient_state.c.valid_until).where(patient_state.c.patient == "ended")
        assert 1 not in connection.execute(until).scalars().all()


def test_what_ran_out_is_dropped_where_the_answer_is_another_one_since(clinic: Links) -> None:
    clinic.person("begins")
    row = clinic.one(_taken(clinic, "begins", jpeg(Shot(340, 240, seed=23))))
    with glancing(clinic.engine) as connection:
        start = clock.now(connection) + timedelta(seconds=3)
    _says(clinic, "begins", "deny", "from-then", period={"start": start.isoformat(timespec="milliseconds")})
    clinic.work()
    assert set(_kept(clinic, row)) == set(WIDTHS)
    with glancing(clinic.engine) as connection:
        time.sleep(max(0.0, (start - clock.now(connection)).total_seconds()) + 0.1)
    _look_through(clinic)
    assert _kept(clinic, row) == {}


def test_what_arrives_while_answers_are_decided_anew_waits_for_them(clinic: Links) -> None:
    clinic.person("slow")
    first = clinic.one(_taken(clinic, "slow", jpeg(Shot(340, 240, seed=24))))
    clinic.work()
    made = _kept(clinic, first)
    second = clinic.one(_taken(clinic, "slow", jpeg(Shot(340, 240, seed=25))))
    _state(clinic, "slow", stale=True)
    with _rendering(clinic) as rendering:  # it comes before the one that decides
        rendering.work("slow", "{}")
        rendering.work(prepared.GONE, "{}")
    with transaction(clinic.engine) as connection:
        connection.execute(delete(job).where(job.c.kind == jobs.RENDER))
        jobs.put(connection, jobs.REDECIDE, "slow")
    assert (_kept(clinic, first), _kept(clinic, second)) == (made, {})
    clinic.work()
    assert (_kept(clinic, first), set(_kept(clinic, second))) == (made, set(WIDTHS))


def test_what_waits_for_its_answers_keeps_nobody_from_deciding_them(clinic: Links) -> None:
    clinic.person("night")
    row = clinic.one(_taken(clinic, "night", jpeg(Shot(340, 240, seed=26))))
    _state(clinic, "night", valid_until=1)
    with transaction(clinic.engine) as connection:
        connection.execute(delete(job))
        jobs.put(connection, jobs.RENDER, "night", not_before=clock.now(connection) - timedelta(hours=8))
    with clinic.node("worker") as node, open_archive(node) as archive:
        process = worker_of(node, archive, lambda _: None, Event())
        assert process.one_job()  # it is looked at, and waits
        process.decide_anew()
        for _ in range(6):
            process.one_job()
    assert set(_kept(clinic, row)) == set(WIDTHS)


def test_a_look_that_is_on_its_way_is_not_begun_anew(clinic: Links) -> None:
    with _rendering(clinic) as rendering:
        for key in (prepared.MISSING, prepared.GONE):
            with transaction(clinic.engine) as connection:
                jobs.put(connection, jobs.RENDER, key, '{"after": 7}')
        rendering.begin()
        rendering.clear()
    with transaction(clinic.engine) as connection:
        mine = job.c.key.in_((prepared.MISSING, prepared.GONE))
        assert connection.execute(select(job.c.body).where(mine)).scalars().all() == ['{"after": 7}'] * 2
        connection.execute(delete(job).where(mine))


def test_what_is_asked_of_many_photos_reads_the_rows_of_these_alone(clinic: Links) -> None:
    plans = []
    with reading(clinic.engine) as connection:
        said = stored(connection, TREAT)
        for condition in (said.permitted, said.refused):
            query = select(photo.c.photo).where(photo.c.photo > 1, photo.c.photo < 2000, condition)
            written = query.compile(clinic.engine, compile_kwargs={"literal_binds": True})
            plans += [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {written}")]
    assert any("SEARCH photo USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in each for each in plans)
    searched = [each for each in plans if "photo" in each or "patient_state" in each]
    wrong = ("SCAN", "(state=?", "(purpose=?)", "ix_patient_state_")
    assert [each for each in searched if any(word in each for word in wrong)] == []


def test_what_cannot_be_rendered_here_is_not_tried_again_in_vain(
    clinic: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic.person("strange")
    row = clinic.one(_taken(clinic, "strange", jpeg(Shot(700, 500, seed=10))))
    monkeypatch.setattr("dicom_bridge.compare.rendering.shown_picture", lambda _: None)
    clinic.work()
    assert set(_kept(clinic, row)) == {prepared.NOT_TO_BE_HAD}
    assert of_photo(clinic.engine, row.sop, row.orthanc_id, 240, "") is None
    examined = len(clinic.records("examine"))
    _ask(clinic, "strange")
    clinic.work()
    assert len(clinic.records("examine")) == examined


def test_what_is_asked_for_is_what_was_kept_or_is_made_of_it(clinic: Links) -> None:
    clinic.person("asked")
    row = clinic.one(_taken(clinic, "asked", jpeg(Shot(1500, 1000, seed=11))))
    clinic.work()
    kept = _kept(clinic, row)

    def found(width: int, mark: str = "", orthanc_id: str = row.orthanc_id) -> bytes | None:
        made = of_photo(clinic.engine, row.sop, orthanc_id, width, mark)
        return None if made is None else made.jpeg

    assert [found(width) for width in WIDTHS] == [kept[width][1] for width in WIDTHS]
    between, marked = found(320), found(240, "PORTFOLIO")
    assert between is not None
    assert _size(between) == (320, 214)
    assert marked is not None
    assert _apart(marked, kept[240][1]) > 0.5
    assert [found(1600), found(0), found(240, orthanc_id="another")] == [None, None, None]


def test_a_page_shows_what_is_ready_without_asking_the_archive_and_nothing_that_is_refused(clinic: Links) -> None:
    clinic.person("shown")
    row = clinic.one(_taken(clinic, "shown", jpeg(Shot(1500, 1000, seed=12))))
    clinic.work()

    away = f"http://127.0.0.1:{free_port()}"  # nobody answers there
    ready = _kept(clinic, row)
    request = Request(requester=Requester(account="clinician", purposes=("TREAT",)), purpose="TREAT")
    with clinic.node("serve") as node, requests.Session() as session:
        originals = Originals(away, node.mint, session, most_bytes=1 << 20)
        pictures = DecidedPictures(node.engine, node.point, originals, Shelf())
        shown = pictures.picture(request, row.sop, route="/chart/photo", width=240, publishing=False)
        assert shown is not None
        assert shown.jpeg == ready[240][1]
        assert pictures.picture(request, row.sop, route="/chart/photo", width=1600, publishing=False) is None, (
            "not ready"
        )
        _says(clinic, "shown", "deny", "not-any-more")
        assert set(_kept(clinic, row)) == set(WIDTHS), "the worker was there already: this shows nothing"
        assert pictures.picture(request, row.sop, route="/chart/photo", width=240, publishing=False) is None
        assert pictures.picture(request, row.sop, route="/chart/photo", width=1024, publishing=False) is None


def test_a_page_brings_the_thumbnails_of_what_it_lists_unless_a_watermark_is_owed(clinic: Links) -> None:
    clinic.person("listed")
    first, second = (clinic.one(_taken(clinic, "listed", jpeg(Shot(600, 400, seed=each)))) for each in (13, 14))
    clinic.work()
    kept = {row.number: _kept(clinic, row)[THUMBNAIL][1] for row in (first, second)}
    request = Request(requester=Requester(account="clinician", purposes=("TREAT",)), purpose="TREAT")

    def listed() -> dict[int, bytes]:
        with clinic.node("serve") as node:
            record = StoredRecord(node.engine, node.point, clinic.store)
            course = record.course(request, "listed", Question(), "/chart/patient", thumbnails=True)
            return {each.number: each.thumbnail for each in course.photos}

    assert listed() == kept
    with transaction(clinic.engine) as connection:
        site = load_site(connection)
        save_site(connection, replace(site, watermark=frozenset({"TREAT"})), stored_purposes(site))
    try:
        assert listed() == dict.fromkeys(kept, b"")
    finally:
        with transaction(clinic.engine) as connection:
            save_site(connection, site, stored_purposes(site))
    assert listed() == kept
    this = {"meaning": "instance", "reference": {"reference": clinic.reference_of(second)}}
    _says(clinic, "listed", "deny", "not-this", data=[this])
    assert listed() == {first.number: kept[first.number]}
