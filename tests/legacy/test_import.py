"""``photospine import``, from folders, ZIPs, lists and dumps to photos that a clinician sees."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import select
from typer.testing import CliRunner, Result

from consent.store.engine import glancing
from consent.store.tables import photo
from dicom_bridge.legacy.visits import HISTORICAL
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.commands.import_ import Lines
from tests.formats import saved
from tests.legacy.making import folder, listed, zipped
from tests.legacy.making import photo as shot
from tests.photos import Shot, picture
from tests.pipeline.commands import state
from tests.pipeline.world import World

pytestmark = [pytest.mark.orthanc]

PATTERN = "{patient}/{date:%Y-%m-%d}/{region}_{view}.jpg"


def run(world: World, *words: str, account: str = "clinician") -> Result:
    """The command."""
    said = ["import", *words, "--settings", str(world.file), "--as", account]
    return CliRunner().invoke(build(), said, env={"PHOTOSPINE_ACCOUNT": None})


def imported(world: World, *words: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Sums, and the lines by file."""
    result = run(world, *words, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    return said["sums"], {each["file"]: each for each in said["files"]}


def document(world: World, line: dict[str, Any]) -> dict[str, Any]:
    """The DocumentReference of a photo."""
    with glancing(world.engine) as connection:
        (found,) = world.store.search(
            connection, "DocumentReference", {"identifier": f"urn:dicom:uid|urn:oid:{line['photo']}"}
        )
    return found.json()


def encounter(world: World, line: dict[str, Any]) -> dict[str, Any]:
    """The visit of a photo."""
    with glancing(world.engine) as connection:
        return world.store.read(connection, "Encounter", line["visit"]).json()


def test_a_folder_is_imported_by_the_pattern_that_is_stated(world: World, tmp_path: Path) -> None:
    files = {
        "PID-anna/2019-03-05/face_frontal.jpg": shot(1, "2019:03:05 10:11:12"),
        "PID-anna/2019-03-05/cheek_left-lateral.jpg": shot(2, "2018:01:01 00:00:00"),
        "PID-anna/2020-06-01/nose_strange.jpg": shot(3),
        "urn:mrn|PID-ben/2019-03-05/face_frontal.jpg": shot(4, None, None),
        "PID-nobody/2019-03-05/face_frontal.jpg": shot(5),
        "PID-anna/2019-03-05/note.txt": b"no photo",
        "loose.jpg": shot(6),
    }
    place = folder(tmp_path / "old", files)
    before = state(world)
    dry = tmp_path / "dry.csv"
    sums, lines = imported(world, str(place), "--pattern", PATTERN, "--dry-run", "--report", str(dry))
    assert state(world) == before
    assert sums["results"] == {"would-import": 4, "left": 3}
    assert (sums["patients"], sums["visits"], sums["visits_made"]) == (2, 3, 3)
    with dry.open(newline="") as source:
        assert {each["file"]: each["result"] for each in csv.DictReader(source)} == {
            name: each["result"] for name, each in lines.items()
        }
    assert dry.stat().st_mode & 0o077 == 0
    sums, lines = imported(world, str(place), "--pattern", PATTERN, "--known-since", "2021-02-03")
    assert sums["results"] == {"imported": 4, "left": 3}
    assert "No Patient is named so" in lines["PID-nobody/2019-03-05/face_frontal.jpg"]["why"]
    assert "nothing says whose" in lines["loose.jpg"]["why"]
    face, cheek, nose = (
        lines[f"PID-anna/{name}.jpg"]
        for name in ("2019-03-05/face_frontal", "2019-03-05/cheek_left-lateral", "2020-06-01/nose_strange")
    )
    assert (face["taken"], face["date_from"], face["certainty"]) == ("2019-03-05T10:11:12+03:00", "pattern", "stated")
    assert (cheek["taken"], cheek["notes"]) == ("2019-03-05", "camera-zoned says 2018-01-01; side unknown")
    assert face["visit"] == cheek["visit"] != nose["visit"]
    assert (nose["view"], nose["region"]) == ("", "nose")
    assert "unknown view 'strange'" in nose["notes"]
    visit = encounter(world, face)
    assert visit["identifier"] == [{"system": HISTORICAL, "value": face["visit"]}]
    assert visit["period"] == {"start": "2019-03-05", "end": "2019-03-05"}
    said = {each["url"]: each for each in document(world, face)["extension"]}
    assert said["urn:photospine:taken-from"]["valueCode"] == "pattern"
    assert said["urn:photospine:known-since"]["valueDate"] == "2021-02-03"
    strange = document(world, nose)
    assert "urn:photospine:view" not in {each["url"] for each in strange["extension"]}
    # A clinician sees all of them, and one view of a visit is one series.
    seen = world.archive.ask("/dicom-web/instances?limit=1000&includefield=0020000E", "clinician", "TREAT").body
    for each in (face, cheek, nose):
        assert each["photo"].encode() in seen
    again, _ = imported(world, str(place), "--pattern", PATTERN)
    assert again["results"] == {"known": 4, "left": 3}


def test_what_nobody_knows_stays_unknown_and_is_seen(world: World, tmp_path: Path) -> None:
    place = folder(tmp_path / "anna", {"scan 1.jpg": shot(11, None, None), "IMG_20180203_101112.jpg": shot(12, None)})
    sums, lines = imported(world, str(place), "--patient", "PID-anna")
    assert sums["unknown"] == {"region unknown": 2, "view unknown": 2, "date unknown": 1}
    scan, named = lines["scan 1.jpg"], lines["IMG_20180203_101112.jpg"]
    assert (named["date"], named["date_from"], named["certainty"]) == ("2018-02-03", "file-name", "fair")
    assert (scan["date"], scan["taken"]) == ("", "")
    assert "period" not in encounter(world, scan)
    assert "period" not in document(world, scan)["context"]
    sight = f"/dicom-web/instances?SOPInstanceUID={scan['photo']}"
    assert scan["photo"].encode() in world.archive.ask(sight, "clinician", "TREAT").body
    # The time of a file is believed where somebody says so, and is kept as what it is.
    other = folder(tmp_path / "ben", {"x.jpg": shot(13, None, None)})
    _, lines = imported(world, str(other), "--patient", "PID-ben", "--least", "file-time")
    assert (lines["x.jpg"]["date"], lines["x.jpg"]["certainty"]) == ("2020-09-13", "poor")


def test_a_manifest_says_more_than_paths_and_its_faults_are_told_by_lines(world: World, tmp_path: Path) -> None:
    known = world.visit("ben")
    with glancing(world.engine) as connection:
        day = str(world.store.read(connection, "Encounter", known.encounter).json()["period"]["start"])[:10]
    place = folder(tmp_path / "m", {f"{number}.jpg": shot(20 + number, None, None) for number in range(5)})
    rows = [
        {"file": "0.jpg", "patient": "PID-ben", "date": "2017-01-02", "region": "visage", "side": "", "view": "front"},
        {"file": "1.jpg", "patient": "PID-ben", "date": day, "region": "cheek", "side": "left", "view": "frontal"},
        {"file": "2.jpg", "patient": "PID-ben", "date": "soon", "region": "", "side": "", "view": ""},
        {"file": "9.jpg", "patient": "PID-ben", "date": "", "region": "", "side": "", "view": ""},
    ]
    manifest = listed(place / "list.csv", rows)
    own = tmp_path / "words.toml"
    own.write_text('[region]\nvisage = "face"\n[view]\nfront = "frontal"\n', "utf-8")
    sums, lines = imported(world, str(place), "--manifest", str(manifest), "--words", str(own))
    assert {name: each["result"] for name, each in lines.items()} == {
        "0.jpg": "imported", "1.jpg": "imported", "2.jpg": "left", "3.jpg": "left", "4.jpg": "left", "9.jpg": "left",
    }  # fmt: skip
    assert (lines["0.jpg"]["region"], lines["0.jpg"]["view"], lines["0.jpg"]["side"]) == ("face", "frontal", "B")
    assert "line 4" in lines["2.jpg"]["why"]
    assert "line 5" in lines["9.jpg"]["why"]
    assert sums["visits_made"] == 1


def test_a_day_with_one_visit_is_that_visit_and_with_two_is_none_of_them(world: World, tmp_path: Path) -> None:
    world.put({"resourceType": "Patient", "id": "carla", "identifier": [{"value": "PID-carla"}]})
    first = world.visit("carla")
    place = folder(tmp_path / "c", {"2026-05-03 a.jpg": shot(31, None)})
    _, lines = imported(world, str(place), "--patient", "PID-carla")
    assert lines["2026-05-03 a.jpg"]["visit"] == first.encounter
    world.visit("carla")
    place = folder(tmp_path / "d", {"2026-05-03 b.jpg": shot(32, None)})
    _, lines = imported(world, str(place), "--patient", "PID-carla")
    assert lines["2026-05-03 b.jpg"]["visit_made"] is True


def test_the_same_content_is_one_photo_and_of_two_patients_none(world: World, tmp_path: Path) -> None:
    same, torn = shot(41, None), shot(42, None)
    files = {
        "PID-anna/unsorted/a.jpg": same,
        "PID-anna/2016-05-06/b.jpg": same,
        "PID-anna/2016-05-06/c.jpg": torn,
        "PID-ben/2016-05-06/c.jpg": torn,
    }
    place = folder(tmp_path / "dup", files)
    sums, lines = imported(world, str(place), "--pattern", "{patient}/**/{}.jpg")
    assert sums["results"] == {"left": 2, "imported": 1, "duplicate": 1}
    assert lines["PID-anna/2016-05-06/b.jpg"]["result"] == "imported"
    assert "under two patients" in lines["PID-ben/2016-05-06/c.jpg"]["why"]
    # What is known as another patient's photo is left, and no second one is made.
    other = folder(tmp_path / "other", {"b.jpg": same})
    sums, lines = imported(world, str(other), "--patient", "PID-ben")
    assert "another patient's photo" in lines["b.jpg"]["why"]


def test_a_zip_is_imported_like_a_folder(world: World, tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"PID-anna/2015-01-02/face_frontal.jpg": shot(51), "../../evil.jpg": shot(52)})
    sums, lines = imported(world, str(path), "--pattern", PATTERN)
    assert sums["results"] == {"left": 1, "imported": 1}
    assert "leads out" in lines["../../evil.jpg"]["why"]


def test_a_dump_of_objects_is_kept_as_it_is_and_linked(world: World, tmp_path: Path) -> None:
    made = world.archive.describe("anna", 71, StudyDate="20140203")
    mine = {"dump/IM1": made.dicom, "dump/IM2": world.archive.describe("nobody", 72, StudyDate="20140203").dicom}
    place = folder(tmp_path / "pacs", mine)
    sums, lines = imported(world, str(place))
    assert sums["results"] == {"imported": 1, "left": 1}
    line = lines["dump/IM1"]
    assert line["date"] == "2014-02-03"
    with glancing(world.engine) as connection:
        row = connection.execute(select(photo).where(photo.c.sop_uid == line["photo"])).one()
    assert (row.state, row.patient) == ("linked", "anna")
    again, _ = imported(world, str(place))
    assert again["results"] == {"known": 1, "left": 1}
    # A path that says another patient than the object itself is not believed, and neither is the object.
    sums, lines = imported(world, str(folder(tmp_path / "two", {"x": made.dicom})), "--patient", "PID-ben")
    assert "another patient" in lines["x"]["why"]


def test_objects_that_are_damaged_or_show_nothing_are_left_and_the_others_taken(world: World, tmp_path: Path) -> None:
    good, torn, bare = (world.archive.describe("anna", number, StudyDate="20140203").dicom for number in (73, 74, 75))
    dataset = dcmread(io.BytesIO(bare))
    del dataset.PixelData
    without, emptied = io.BytesIO(), io.BytesIO()
    dataset.save_as(without)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.add_new("PixelData", "OB", b"")
    dataset.save_as(emptied)
    files = {
        "a/torn.dcm": torn[:-40],
        "b/bare.dcm": without.getvalue(),
        "b/empty.dcm": emptied.getvalue(),
        "c/good.dcm": good,
    }
    place = folder(tmp_path / "dump", files)
    for words, taken in ((("--dry-run",), "would-import"), ((), "imported")):
        _, lines = imported(world, str(place), *words)
        assert {name: each["result"] for name, each in lines.items()} == {
            "a/torn.dcm": "left", "b/bare.dcm": "left", "b/empty.dcm": "left", "c/good.dcm": taken,
        }  # fmt: skip
        assert "cut off" in lines["a/torn.dcm"]["why"]
        for name in ("b/bare.dcm", "b/empty.dcm"):
            assert "without a picture" in lines[name]["why"]


def test_an_object_that_cannot_be_linked_waits_and_the_report_says_why(world: World, tmp_path: Path) -> None:
    first, second = (
        world.archive.describe("anna", 80 + number, StudyInstanceUID="2.25.80", StudyDate=day)
        for number, day in enumerate(("20140203", "20140204"))
    )
    _, lines = imported(world, str(folder(tmp_path / "a", {"first.dcm": first.dicom})))
    assert lines["first.dcm"]["result"] == "imported"
    _, lines = imported(world, str(folder(tmp_path / "b", {"second.dcm": second.dicom})))
    assert lines["second.dcm"]["result"] == "left"
    assert "the object's study is another visit's" in lines["second.dcm"]["why"]


def test_a_day_that_is_still_to_come_is_no_day_of_a_photo(world: World, tmp_path: Path) -> None:
    made = world.archive.describe(
        "anna", 76, StudyInstanceUID="2.25.76", StudyDate="20350101", ContentDate="20350101", ContentTime="101500"
    )
    files = {"x.dcm": made.dicom, "m.jpg": shot(77, None, None), "2035-01-02/face_frontal.jpg": shot(78, None, None),
             "2035-01-02/known.jpg": shot(90, None, None)}  # fmt: skip
    place = folder(tmp_path / "future", files)
    manifest = listed(place / "list.csv", [{"file": "m.jpg", "date": "2035-01-01"},
                                             {"file": "2035-01-02/known.jpg", "date": "2015-01-02"}])  # fmt: skip
    words = ("--manifest", str(manifest), "--patient", "PID-anna", "--pattern", "{date:%Y-%m-%d}/{}.jpg")
    _, lines = imported(world, str(place), *words)
    assert (lines["x.dcm"]["result"], lines["x.dcm"]["date"]) == ("imported", "")
    assert "period" not in document(world, lines["x.dcm"])["context"]
    assert (lines["m.jpg"]["result"], lines["m.jpg"]["why"]) == (
        "left", "line 2 of the manifest says 2035-01-01, and no photo is of such a day",
    )  # fmt: skip
    known = lines["2035-01-02/known.jpg"]  # the list says more than a path
    assert (known["result"], known["date"]) == ("imported", "2015-01-02")
    folded = lines["2035-01-02/face_frontal.jpg"]
    assert (folded["result"], folded["why"]) == ("left", "its path says 2035-01-02, and no photo is of such a day")


def test_a_report_that_cannot_be_written_is_said_before_the_work(world: World, tmp_path: Path) -> None:
    place = folder(tmp_path / "p", {"2011-01-02.jpg": shot(79, None)})
    for report in (tmp_path / "nowhere" / "r.csv", place.parent / "taken.csv"):
        (tmp_path / "taken.csv").mkdir(exist_ok=True)
        result = run(world, str(place), "--patient", "PID-anna", "--report", str(report))
        assert (result.exit_code, result.stdout) == (1, "")
        assert "--report" in result.stderr
        assert "Traceback" not in result.stderr
    sums, _ = imported(world, str(place), "--patient", "PID-anna")
    assert sums["results"] == {"imported": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pattern", "{nobody}"), "unknown field"),
        (("--region", "nowhere"), "unknown region"),
        (("--known-since", "soon"), "--known-since"),
        (("--manifest", "/nowhere.csv"), "--manifest"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything(
    world: World, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    result = run(world, str(tmp_path), *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert run(world, str(tmp_path), account="marketing").exit_code == 1


def test_people_read_sums_and_reasons(world: World, tmp_path: Path) -> None:
    place = folder(tmp_path / "p", {"2011-01-02.jpg": shot(81, None), "x.pdf": b"%PDF-1.4"})
    result = run(world, str(place), "--patient", "PID-anna", "--report", str(tmp_path / "r.json"))
    assert result.exit_code == 0
    for each in ("1  imported", "1  left", "1 patients, 1 visits, 1 of these by photos alone", "fair (file-name)"):
        assert each in result.stdout
    assert len(json.loads((tmp_path / "r.json").read_text("utf-8"))["files"]) == 2


@pytest.mark.fast
def test_how_far_it_is_stands_in_a_log_with_rate_and_time_left() -> None:
    now, said = 0.0, list[str]()
    lines = Lines(quiet=False, clock=lambda: now, say=said.append)
    lines.begin("imported", 100)
    for _ in range(100):
        now += 1
        lines.advance()
    assert said == [
        "30 of 100 imported, 1.0 a second, 0:01:10 left",
        "60 of 100 imported, 1.0 a second, 0:00:40 left",
        "90 of 100 imported, 1.0 a second, 0:00:10 left",
        "100 of 100 imported, 1.0 a second, 0:00:00 left",
    ]


def test_pictures_that_are_nearly_the_same_are_told_and_all_taken(world: World, tmp_path: Path) -> None:
    whole = picture(Shot(width=640, height=480, seed=11))
    smaller = whole.resize((320, 240))
    files = {
        "PID-anna/2011-03-05/face_frontal.jpg": saved(whole, "JPEG", quality=95),
        "PID-anna/2011-03-06/face_frontal.jpg": saved(smaller, "JPEG", quality=70),
        "PID-anna/2011-03-07/face_frontal.jpg": shot(77),
    }
    place = folder(tmp_path / "alike", files)
    sums, lines = imported(world, str(place), "--pattern", PATTERN, "--dry-run")
    assert sums["alike"] == 0
    told = run(world, str(place), "--pattern", PATTERN, "--dry-run", "--alike")
    assert "1  nearly the same picture as another one of the same patient" in told.stdout
    sums, lines = imported(world, str(place), "--pattern", PATTERN, "--alike")
    assert sums["results"] == {"imported": 3}
    assert [name for name, line in lines.items() if "nearly the same" in line["notes"]] == [
        "PID-anna/2011-03-06/face_frontal.jpg"
    ]
    assert "nearly the same picture as PID-anna/2011-03-05/face_frontal.jpg" in str(lines)
