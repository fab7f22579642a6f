"""Files and records that nobody expects: one line that names the fault, exit status 1, and nothing half-made."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from consent.types import Right
from tests.photos import Shot, jpeg
from tests.pipeline.commands import ingest, refused, state
from tests.pipeline.world import World

pytestmark = [pytest.mark.orthanc]

GOOD = jpeg(Shot(seed=7))
BEN = "Patient?identifier=urn:mrn|PID-ben"
_FRAME = GOOD.index(b"\xff\xc0")


def _encoded(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    out = BytesIO()
    Image.new(mode, (40, 30), 90 if mode == "L" else None).save(out, kind, **options)
    return out.getvalue()


def _sized(rows: int, columns: int) -> bytes:
    return GOOD[: _FRAME + 5] + struct.pack(">HH", rows, columns) + GOOD[_FRAME + 9 :]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("PNG named so", _encoded("PNG"), "PNG"),
        ("TIFF", _encoded("TIFF"), "TIFF"),
        ("no bytes", b"", "empty"),
        ("half a photo", GOOD[: len(GOOD) // 2], "cut off"),
        ("no end", GOOD[:-2], "cut off"),
        ("300 megapixels", _sized(17320, 17320), "max_pixels"),
        ("no size", _sized(0, 0), "height"),
        ("arithmetic", GOOD.replace(b"\xff\xc0", b"\xff\xc9", 1), "arithmetic"),
        ("a bad profile", _encoded("JPEG", icc_profile=b"\0" * 500), "colour profile"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_taken_in(world: World, name: str, data: bytes, said: str) -> None:
    visit = world.visit()
    visit.paths[0].write_bytes(data)
    refused(world, visit, visit.paths[0].name, said)


@pytest.mark.parametrize(
    "data",
    [
        _encoded("JPEG", progressive=True),
        _encoded("JPEG", "L"),
        _encoded("MPO", save_all=True, append_images=[Image.new("RGB", (40, 30))]),
        GOOD + b"PK\3\4" + b"\0" * 200,
    ],
    ids=["progressive", "grey", "MPO", "something behind the photo"],
)
def test_a_photo_of_an_unusual_kind_is_taken_in_whole(world: World, data: bytes) -> None:
    visit = world.visit()
    visit = replace(visit, files=(data,))
    visit.paths[0].write_bytes(data)
    assert ingest(world, visit).exit_code == 0
    world.whole(visit)


def _exif(entries: dict[int, Any], inner: dict[int, Any]) -> bytes:
    exif = Image.Exif()
    for tag, value in entries.items():
        exif[tag] = value
    for tag, value in inner.items():
        exif.get_ifd(0x8769)[tag] = value
    return _encoded("JPEG", exif=exif.tobytes())


@pytest.mark.parametrize(
    ("data", "taken"),
    [
        (_exif({0x112: 0}, {}), None),
        (_exif({0x112: 9}, {}), None),
        (_exif({0x112: 65535}, {}), None),
        (_exif({0x132: "2026:13:45 99:99:99"}, {0x9003: "0000:00:00 00:00:00"}), None),
        (_exif({}, {0x9003: "    :  :     :  :  "}), None),
        (_exif({}, {0x9003: "2026:02:29 10:00:00"}), None),
        (_exif({}, {0x9003: "2026:05:03 10:00:00", 0x9011: "+99:99"}), "2026-05-03T10:00:00"),
        (_exif({}, {0x9003: "2026:05:03 10:00:00", 0x9011: "+05:30"}), "2026-05-03T10:00:00+05:30"),
        (_exif({}, {0x9003: "1900:01:01 00:00:00"}), "19"),
        (_exif({}, {0x9003: "8999:06:15 10:00:00"}), None),
        (_exif({0x10F: "A\x01\x02\\B", 0x110: "x" * 3000}, {}), None),
        (_exif({0x10F: "Ünïcödé 日本"}, {}), None),
    ],
    ids=[f"exif-{number}" for number in range(12)],
)
def test_an_odd_exif_keeps_no_photo_out(world: World, data: bytes, taken: str | None) -> None:
    visit = world.visit()
    visit = replace(visit, files=(data,))
    visit.paths[0].write_bytes(data)
    result = ingest(world, visit, "--json")
    assert result.exit_code == 0, result.stderr
    world.whole(visit)
    with world.engine.connect() as connection:
        name = json.loads(result.stdout)[0]["document"]
        start = world.store.read(connection, "DocumentReference", name).json()["context"].get("period", {}).get("start")
    assert start is None if taken is None else start.startswith(taken)


@pytest.mark.parametrize("what", ["directory", "pipe", "device", "dangling link", "link to itself", "absent"])
def test_what_is_no_file_is_refused_at_once(world: World, what: str) -> None:
    visit = world.visit()
    path = visit.paths[0].with_name(f"{what.replace(' ', '-')}.jpg")
    if what == "directory":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path = Path("/dev/zero")
    elif what != "absent":
        path.symlink_to(path if what == "link to itself" else "/nonexistent/photo.jpg")
    refused(world, replace(visit, paths=(path,)), path.name)


@pytest.mark.parametrize("name", ["Müller ☃ 日本.jpg".encode(), b"\xff\xfe.jpg", b"two\nlines\x1b[31m.jpg"])
def test_a_file_of_any_name_is_taken_in_and_named_in_one_line(world: World, name: bytes) -> None:
    visit = world.visit()
    path = visit.paths[0].rename(Path(os.fsdecode(os.fsencode(visit.paths[0].parent) + b"/" + name)))
    path.parent.chmod(0o700)
    result = ingest(world, replace(visit, paths=(path,)))
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1
    assert "\x1b" not in result.stdout
    world.whole(visit)


def test_the_same_file_twice_in_one_call_is_one_photo(world: World) -> None:
    visit = world.visit()
    result = ingest(world, replace(visit, paths=visit.paths * 2))
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    world.whole(visit)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"taken": "2026-05-03T10:00:00"}, "zone"),
        ({"taken": "2026-02-30"}, "--taken"),
        ({"taken": "2999-01-01"}, "future"),
        ({"patient": "a\0b"}, "--patient"),
        ({"taken": "9999-12-31"}, "--taken"),
        ({"taken": "2026-05-03T10:00:00+14:30"}, "--taken"),
        ({"taken": (datetime.now(UTC) + timedelta(hours=12)).strftime("%Y-%m-%dT%H:%M:%SZ")}, "future"),
        ({"patient": "\udcff"}, "--patient"),
        ({"visit": "\udcff"}, "--visit"),
        ({"procedure": "\udcff"}, "--procedure"),
        ({"clinician": "\udcff"}, "--clinician"),
        ({"photographer": "\udcff"}, "--photographer"),
        ({"region": "\udcff"}, "--region"),
        ({"view": "Frontal"}, "--view: unknown view"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else str(value),
)
def test_an_odd_option_is_refused_by_name(world: World, options: dict[str, str], said: str) -> None:
    refused(world, world.visit(), said, **options)


def _entry(number: int, **changes: Any) -> Callable[[dict[str, Any], World], None]:
    def change(bundle: dict[str, Any], _world: World) -> None:
        resource = bundle["entry"][number]["resource"]
        for name, value in changes.items():
            if value is None:
                resource.pop(name)
            else:
                resource[name] = value

    return change


def _other_visit(bundle: dict[str, Any], world: World) -> None:
    bundle["entry"][0]["resource"]["encounter"] = {"reference": f"Encounter/{world.visit('ben').encounter}"}


def _visit_of_ben_by_number(bundle: dict[str, Any], world: World) -> None:
    number = world.visit("ben").encounter.rpartition("-")[2]
    bundle["entry"][0]["resource"]["encounter"] = {"reference": f"Encounter?identifier=urn:visit|V-{number}"}


def _part_of_ben(bundle: dict[str, Any], world: World) -> None:
    _of_ben(bundle, world)
    del bundle["entry"][3:]
    bundle["entry"][2]["resource"]["partOf"] = [{"reference": "Procedure/of-ben"}]


def _found_of_ben(bundle: dict[str, Any], world: World) -> None:
    his = bundle["entry"][2]["resource"] | {
        "id": "given-to-ben",
        "identifier": [{"system": "urn:given", "value": "1"}],
        "medicationReference": {"display": "Something"},
        "subject": {"reference": "Patient/ben"},
    }
    world.put({name: value for name, value in his.items() if name != "partOf"})
    bundle["entry"][2]["request"]["ifNoneExist"] = "identifier=urn:given|1"


def _of_ben(bundle: dict[str, Any], world: World) -> None:
    hers = {"resourceType": "Procedure", "id": "of-ben", "status": "completed", "subject": {"reference": "Patient/ben"}}
    world.put(hers)
    mine = hers | {"subject": {"reference": "Patient/anna"}}
    bundle["entry"].append({"resource": mine, "request": {"method": "PUT", "url": "Procedure/of-ben"}})


def _patient(bundle: dict[str, Any], _world: World) -> None:
    ben = {"resourceType": "Patient", "id": "ben", "name": [{"family": "Another"}]}
    bundle["entry"].append({"resource": ben, "request": {"method": "PUT", "url": "Patient/ben"}})


def _consent(bundle: dict[str, Any], _world: World) -> None:
    bundle["entry"].append(
        {"resource": {"resourceType": "Consent", "status": "active"}, "request": {"method": "POST", "url": "Consent"}}
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda bundle, _: bundle.update(type="batch"), "Bundle.type"),
        (lambda bundle, _: bundle.update(entry=None), "Bundle.entry"),
        (lambda bundle, _: bundle.update(entry=["x"]), "Bundle.entry"),
        (_entry(1, batch={"expirationDate": "2027-01"}), "Bundle.entry[1].resource.batch.lotNumber"),
        (_entry(1, batch={"lotNumber": "  "}), "Bundle.entry[1].resource.batch.lotNumber"),
        (_entry(1, batch=None), "Bundle.entry[1].resource.batch.lotNumber"),
        (
            _entry(1, batch={"lotNumber": "A", "expirationDate": "2027-13"}),
            "Bundle.entry[1].resource.batch.expirationDate",
        ),
        (_entry(2, medicationReference={"reference": "Medication/none"}), "medicationReference"),
        (
            _entry(2, medicationReference={"reference": "urn:uuid:33333333-3333-4333-8333-333333333333"}),
            "cannot be read",
        ),
        (_entry(2, medicationReference={"reference": "Patient/anna"}), "not Patient"),
        (_entry(2, subject={"reference": "Patient/ben"}), ".resource.subject: names another patient"),
        (_entry(0, subject={"reference": "Patient/ben"}), ".resource.subject: names another patient"),
        (_entry(0, subject=None), "Bundle.entry[0].resource.subject"),
        (_entry(0, status="finished"), "Bundle.entry[0].resource.status"),
        (_entry(2, effectiveDateTime="2026-05-03T10:05:00"), "needs its zone"),
        (_other_visit, ".resource.encounter: names another visit"),
        (_entry(2, subject={"reference": BEN}), ".resource.subject: names another patient"),
        (_entry(2, subject={"reference": "Patient/ben/_history/1"}), ".resource.subject: names another"),
        (_entry(0, subject={"reference": BEN}), ".resource.subject: names another patient"),
        (_entry(2, subject={"identifier": {"system": "urn:mrn", "value": "PID-anna"}}), "does not name --patient"),
        (_entry(2, subject={"reference": "http://ehr.example/fhir/Patient/anna"}), "write Patient/anna"),
        (
            _entry(2, context={"identifier": {"value": "V-1"}}),
            ".resource.context: does not name --visit",
        ),
        (_visit_of_ben_by_number, ".resource.encounter: names another visit"),
        (_part_of_ben, ".resource.partOf[0]: names what is another patient's"),
        (_found_of_ben, ".resource.subject: names another patient"),
        (_of_ben, "another patient's"),
        (_patient, "may not be written here"),
        (_consent, "may not be written here"),
    ],
    ids=[f"record-{number}" for number in range(28)],
)
def test_a_record_that_is_wrong_is_refused_by_its_element(
    world: World, change: Callable[[dict[str, Any], World], None], said: str
) -> None:
    visit = world.visit()
    bundle = json.loads(world.record(visit))
    change(bundle, world)
    file = world.settings.folder / "wrong.json"
    file.write_text(json.dumps(bundle), encoding="utf-8")
    refused(world, visit, "--record", said, record=str(file))


@pytest.mark.parametrize("text", [b"{", b"", b"[]", b'{"a": "\xff"}', b"[" * 100_000, b'{"a": NaN}'])
def test_a_record_that_is_no_bundle_is_refused(world: World, text: bytes) -> None:
    file = world.settings.folder / "none.json"
    file.write_bytes(text)
    refused(world, world.visit(), "--record", record=str(file))


def test_a_record_needs_the_right_to_write_records(world: World) -> None:
    world.archive.account("porter", "TREAT", rights=(Right.CAPTURE,))
    visit = world.visit()
    file = world.settings.folder / "record.json"
    file.write_text(world.record(visit), encoding="utf-8")
    before = state(world)
    result = ingest(world, visit, account="porter", record=str(file))
    assert result.exit_code == 1
    assert "record" in result.stderr
    assert state(world) == before


def test_a_record_may_name_its_patient_by_number_and_find_what_was_done_before(world: World) -> None:
    visit = world.visit()
    bundle = json.loads(world.record(visit))
    for number in (0, 2):
        bundle["entry"][number]["resource"]["subject"] = {"reference": "Patient?identifier=urn:mrn|PID-anna"}
    world.put(
        {
            "resourceType": "Procedure",
            "id": "done-before",
            "identifier": [{"system": "urn:done", "value": "1"}],
            "status": "completed",
            "subject": {"reference": "Patient/anna"},
            "encounter": {"reference": f"Encounter/{world.visit().encounter}"},
        }
    )
    bundle["entry"][0]["request"]["ifNoneExist"] = "identifier=urn:done|1"
    file = world.settings.folder / "by-number.json"
    file.write_text(json.dumps(bundle), encoding="utf-8")
    assert ingest(world, visit, record=str(file)).exit_code == 0


def test_a_name_that_is_one_patients_id_and_the_identifier_of_another_is_neither(world: World) -> None:
    for name, number in (("one", "4711"), ("4711", "0815")):
        hers = {"resourceType": "Patient", "id": name, "identifier": [{"system": "urn:mrn", "value": number}]}
        world.put(hers)
    visit = world.visit("4711")
    refused(world, visit, "--patient", "system|value")
    assert ingest(world, visit, patient="Patient/4711").exit_code == 0
    assert ingest(world, world.visit("one"), patient="urn:mrn|4711").exit_code == 0


def test_a_spool_that_cannot_be_written_is_named(world: World) -> None:
    world.settings.spool.mkdir(exist_ok=True)
    aside = world.settings.spool.rename(world.settings.folder / "aside")
    world.settings.spool.write_bytes(b"")
    try:
        result = ingest(world, world.visit())
    finally:
        world.settings.spool.unlink()
        aside.rename(world.settings.spool)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "spool" in result.stderr
