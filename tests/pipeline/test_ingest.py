"""``photospine ingest``: files become photos of a visit, all or none, and the same file is one photo."""

from __future__ import annotations

import io
import json
import re
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from consent.audit.read import Archive as AuditArchive
from consent.store.engine import glancing
from consent.store.tables import photo
from dicom_bridge import ledger
from dicom_bridge.objects.uids import fhir_id
from fhir_mapping.errors import Conflict
from fhir_mapping.tables import fhir_version
from tests.counts import count, report
from tests.formats import FORMATS, HEIC_SAMPLES
from tests.headers import SECRETS, header
from tests.photos import Shot, jpeg, picture
from tests.pipeline.commands import ingest, refused, state
from tests.pipeline.world import Visit, World

pytestmark = [pytest.mark.orthanc]

_ENDINGS = {"JPEG": ".jpg", "MPO": ".mpo", "PNG": ".png", "TIFF": ".tif", "WebP": ".webp"}


def test_a_photo_comes_in_with_its_treatment(world: World) -> None:
    visit = world.visit(files=2)
    bundle = world.settings.folder / "bundle.json"
    bundle.write_text(world.record(visit), encoding="utf-8")
    result = ingest(
        world,
        visit,
        "--json",
        patient=f"urn:mrn|PID-{visit.patient}",
        visit=visit.encounter.replace("anna-visit-", "V-"),
        session="3",
        expression="smile",
        clinician="clinician",
        photographer="clinician",
        record=str(bundle),
    )
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert [each["outcome"] for each in said] == ["added", "added"]
    world.whole(visit)
    sop = said[0]["sop_uid"]
    with glancing(world.engine) as connection:
        document = world.store.read(connection, "DocumentReference", said[0]["document"]).json()
        (treatment,) = world.store.search(connection, "Procedure", {"encounter": f"Encounter/{visit.encounter}"})
        row = connection.execute(select(photo).where(photo.c.sop_uid == sop)).one()
        entry = ledger.entry(connection, sop)
        assert entry is not None
        study = world.store.read(connection, "ImagingStudy", fhir_id(entry.study_uid)).json()
        (told,) = world.store.search(connection, "Provenance", {"target": f"DocumentReference/{document['id']}"})
    assert {"system": "urn:dicom:uid", "value": f"urn:oid:{sop}"} in document["identifier"]
    assert document["subject"] == {"reference": "Patient/anna"}
    assert document["context"]["encounter"] == [{"reference": f"Encounter/{visit.encounter}"}]
    assert document["context"]["related"] == [{"reference": treatment.reference}]
    assert document["context"]["period"] == {"start": "2026-05-03T10:00:00.250+03:00"}
    assert document["author"] == [{"reference": "Practitioner/clinician"}]
    assert "urn:photospine:session" not in {each["url"] for each in document["extension"]}  # its Procedure says it
    assert study["procedureReference"] == {"reference": treatment.reference}
    assert study["encounter"] == {"reference": f"Encounter/{visit.encounter}"}
    assert row.procedure == treatment.id
    agents = {each["type"]["coding"][0]["code"]: each["who"]["reference"] for each in told.json()["agent"]}
    assert agents["performer"] == "Practitioner/clinician"
    assert told.json()["entity"][0]["what"]["identifier"]["value"] == entry.sha256


def test_every_format_comes_in_and_its_original_is_kept(world: World) -> None:
    shot = Shot(width=320, height=240, seed=4242)
    sent = {
        f"{number}{_ENDINGS[name.split()[0].strip(',')]}": make(shot)
        for number, (name, make) in enumerate(FORMATS.items())
    }
    sent["phone.heic"] = (HEIC_SAMPLES / "heif" / "RGB_8__128x128.heif").read_bytes()
    visit = world.visit(sent=sent)
    result = ingest(world, visit, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert [each["outcome"] for each in said] == ["added"] * len(sent)
    derived = {name: each["derivation"] for name, each in zip((*FORMATS, "HEIC"), said, strict=True)}
    assert {name for name, words in derived.items() if words is None} == {"MPO", "JPEG without EXIF"}
    assert derived["HEIC"].startswith("Original lossy HEIC decoded")
    world.whole(visit)
    for each in said:
        with glancing(world.engine) as connection:
            entry = ledger.entry(connection, each["sop_uid"])
        assert entry is not None
        shown = world.archive.ask(f"/instances/{entry.orthanc_id}/rendered", "clinician", "TREAT")
        assert shown.status == 200
        assert Image.open(io.BytesIO(shown.body)).size in ((320, 240), (128, 128))


def test_an_upright_photo_is_kept_once_and_given_back_whole(world: World) -> None:
    data = jpeg(Shot(width=1600, height=1200, quality=95, seed=4244))
    visit = world.visit(sent={"photo.jpg": data})
    before = _stored(world)
    assert ingest(world, visit).exit_code == 0
    assert 0 < _stored(world) - before <= 1.1 * len(data)
    with glancing(world.engine) as connection:
        (sop,) = world.sops(visit)
        entry = ledger.entry(connection, sop)
    assert entry is not None
    world.archive.account("legal", "HLEGAL")
    attachments = f"/instances/{entry.orthanc_id}/attachments"
    whole = world.archive.ask(f"{attachments}/original/data", "legal", "HLEGAL")
    assert (whole.status, whole.body) == (200, data)
    assert world.archive.ask(f"{attachments}/original/data", "clinician", "TREAT").status == 403
    world.whole(visit)


def test_no_secret_of_a_header_is_in_any_byte_served(world: World) -> None:
    asked, started, leaked = count("headers of cameras, served", small=3, full=60), time.monotonic(), 0
    sent = {}
    for number in range(asked):
        out = io.BytesIO()
        exif = header(number)[1]
        exif[0x0112] = number % 8 + 1
        picture(Shot(width=64 + number, height=48, seed=9000 + number)).save(out, "JPEG", exif=exif)
        sent[f"{number}.jpg"] = out.getvalue()
        assert all(secret.encode() in out.getvalue() for secret in SECRETS[:4])
    said = json.loads(ingest(world, world.visit(sent=sent), "--json").stdout)
    for each in said:
        with glancing(world.engine) as connection:
            entry = ledger.entry(connection, each["sop_uid"])
        assert entry is not None
        core = f"/instances/{entry.orthanc_id}"
        wado = f"/dicom-web/studies/{entry.study_uid}/series/{entry.series_uid}/instances/{entry.sop_uid}"
        for path in ("file", "tags", "simplified-tags", "rendered", "preview", "frames/0/raw"):
            leaked += _leaks(world, f"{core}/{path}")
        for path in (wado, f"{wado}/metadata", f"{wado}/frames/1", f"{wado}/rendered"):
            leaked += _leaks(world, path)
    report(
        "headers of cameras: no owner, serial, place or maker note in any byte served",
        asked=asked,
        run=len(said),
        failures=leaked,
        seed=0,
        started=started,
    )
    assert leaked == 0


def _leaks(world: World, path: str) -> bool:
    answer = world.archive.ask(path, "clinician", "TREAT")
    assert answer.status == 200, path
    return any(secret.encode() in answer.everything for secret in SECRETS)


def _stored(world: World) -> int:
    """Bytes of all files that Orthanc keeps."""
    files = [path for path in world.archive.folder.rglob("*") if _KEPT.fullmatch(path.name)]
    assert files or not world.instances()
    return sum(path.stat().st_size for path in files)


_KEPT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_a_file_whose_name_says_another_format_is_refused(world: World) -> None:
    visit = world.visit(sent={"photo.jpg": FORMATS["PNG"](Shot(seed=4243))})
    refused(world, visit, "its name says JPEG and it is PNG")


def test_the_hash_is_in_the_audit_chain_before_anything_is_stored(world: World) -> None:
    visit = world.visit()
    assert ingest(world, visit).exit_code == 0
    archive = AuditArchive(world.engine, world.settings.audit_folder)
    records = [json.loads(row.body) for chain in archive.chains() for row in archive.rows(chain)]
    (sop,) = world.sops(visit)
    intents = [each for each in records if sop in (each.get("details") or {}).get("photos", ())]
    assert [each["kind"] for each in intents] == ["intent"]
    with glancing(world.engine) as connection:
        entry = ledger.entry(connection, sop)
    assert entry is not None
    assert intents[0]["details"]["originals"] == [entry.sha256]
    assert intents[0]["account"] == "clinician"
    assert intents[0]["os_user"]


def test_the_same_file_again_is_the_same_photo(world: World) -> None:
    visit = world.visit()
    assert ingest(world, visit).exit_code == 0
    before = state(world)
    again = ingest(world, visit)
    assert again.exit_code == 0
    assert "known already" in again.stdout
    assert state(world) == before
    world.whole(visit)


@pytest.mark.parametrize("what", ["another view", "another visit"])
def test_the_same_file_at_another_place_is_refused_and_named(world: World, what: str) -> None:
    visit = world.visit()
    assert ingest(world, visit).exit_code == 0
    before = state(world)
    if what == "another view":
        result = ingest(world, visit, view="left-lateral")
    else:
        result = ingest(world, visit, visit=world.visit().encounter)
    assert result.exit_code == 1
    assert world.sops(visit)[0] in result.stderr
    assert "link" in result.stderr
    assert state(world) == before


@pytest.mark.parametrize("option", ["record", "session", "taken", "clinician", "photographer", "procedure"])
def test_what_comes_with_a_known_file_is_refused_where_it_would_be_dropped(world: World, option: str) -> None:
    visit = world.visit()
    assert ingest(world, visit).exit_code == 0
    record = world.settings.folder / "late.json"
    record.write_text(world.record(visit), encoding="utf-8")
    hers = {"resourceType": "Procedure", "status": "completed", "subject": {"reference": f"Patient/{visit.patient}"}}
    world.put({**hers, "id": "later"})
    said = {"record": str(record), "session": "4", "taken": "2026-05-02", "procedure": "later"}.get(option, "clinician")
    refused(world, visit, f"--{option}", world.sops(visit)[0], **{option: said})


def test_a_record_is_written_once_for_all_files_that_come_with_it(world: World) -> None:
    visit = world.visit(files=2)
    first = Visit(visit.patient, visit.encounter, visit.files[:1], visit.paths[:1])
    record = world.settings.folder / "once.json"
    record.write_text(world.record(visit), encoding="utf-8")
    for _ in range(2):
        assert ingest(world, first, record=str(record)).exit_code == 0
    refused(world, visit, "--record", "--procedure", record=str(record))
    with glancing(world.engine) as connection:
        (treatment,) = world.store.search(connection, "Procedure", {"encounter": f"Encounter/{visit.encounter}"})
    assert ingest(world, visit, procedure=treatment.id).exit_code == 0
    world.whole(visit)


def test_the_same_file_for_another_patient_waits_for_a_person(world: World) -> None:
    hers = world.visit("anna")
    assert ingest(world, hers).exit_code == 0
    his = world.visit("ben")
    tasks, documents = world.count("Task"), world.count("DocumentReference")
    his = Visit("ben", his.encounter, hers.files, hers.paths)
    result = ingest(world, his, "--json")
    assert result.exit_code == 0, result.output
    (said,) = json.loads(result.stdout)
    assert (said["outcome"], said["document"]) == ("unlinked", None)
    assert said["sop_uid"] != world.sops(hers)[0]
    assert (world.count("Task"), world.count("DocumentReference")) == (tasks + 1, documents)
    world.whole(hers)
    with glancing(world.engine) as connection:
        row = connection.execute(select(photo).where(photo.c.sop_uid == said["sop_uid"])).one()
        entry = ledger.entry(connection, said["sop_uid"])
    assert row.state == "examined"
    assert entry is not None
    assert world.archive.ask(f"/instances/{entry.orthanc_id}/file", "clinician").status == 403
    before = state(world)
    assert json.loads(ingest(world, his, "--json").stdout)[0]["outcome"] == "unlinked"
    assert state(world) == before


def _bomb(path: Path) -> None:
    """A JPEG of a few bytes that says it has 65500 x 65500 pixels."""
    head = b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xdc\xff\xdc\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    path.write_bytes(head + b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00" + b"\x00" * 64 + b"\xff\xd9")


def _png(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + zlib.compress(b"no photo"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"patient": "nobody"}, "--patient"),
        ({"visit": "nowhere"}, "--visit"),
        ({"visit": "|"}, "--visit"),
        ({"procedure": "urn:mrn|"}, "--procedure"),
        ({"region": "elsewhere"}, "elsewhere"),
        ({"view": "sideways"}, "sideways"),
        ({"expression": "surprise-party"}, "surprise-party"),
        ({"clinician": "nobody"}, "--clinician"),
        ({"procedure": "nothing"}, "--procedure"),
        ({"taken": "yesterday"}, "--taken"),
        ({"record": "/nonexistent.json"}, "--record"),
        ({"patient": "ben"}, "--visit"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else str(value),
)
def test_what_is_not_known_is_refused_by_name(world: World, options: dict[str, str], named: str) -> None:
    visit = world.visit()
    before = state(world)
    result = ingest(world, visit, **options)
    assert result.exit_code == 1
    assert named in result.stderr
    assert "Traceback" not in result.output
    assert state(world) == before


@pytest.mark.parametrize("make", [_bomb, _png], ids=["a bomb", "no JPEG"])
def test_a_file_that_is_none_is_refused_and_takes_the_others_with_it(world: World, make: Any) -> None:
    visit = world.visit(files=2)
    make(visit.paths[1])
    before = state(world)
    result = ingest(world, visit)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert state(world) == before


def test_a_photo_that_the_record_has_already_is_refused_before_anything_is_kept(world: World) -> None:
    """One photo of each kind is rehearsed, and those of which something is there."""
    visit = world.visit(files=3)
    before = world.instances()
    for sop in world.sops(visit)[1:2]:
        world.put(
            {
                "resourceType": "DocumentReference",
                "id": fhir_id(sop),
                "status": "current",
                "content": [{"attachment": {"url": "urn:x"}}],
            }
        )
    with pytest.raises(Conflict):
        world.take(visit)
    assert world.instances() == before
    with glancing(world.engine) as connection:
        assert [ledger.entry(connection, each) for each in world.sops(visit)] == [None, None, None]


def test_a_record_that_cannot_be_written_is_refused_before_anything_is_kept(world: World) -> None:
    visit = world.visit()
    bundle = json.loads(world.record(visit))
    bundle["entry"][2]["resource"]["subject"] = {"reference": "Patient/nobody"}
    file = world.settings.folder / "broken.json"
    file.write_text(json.dumps(bundle), encoding="utf-8")
    before = state(world)
    result = ingest(world, visit, record=str(file))
    assert result.exit_code == 1
    assert state(world) == before


@pytest.mark.parametrize(("account", "said"), [(None, "--as"), ("marketing", "capture"), ("nobody", "nobody")], ids=str)
def test_only_an_account_that_may_capture_takes_photos_in(world: World, account: str | None, said: str) -> None:
    visit = world.visit()
    before = state(world)
    result = ingest(world, visit, account=account)
    assert result.exit_code == 1
    assert said in result.stderr
    assert state(world) == before


def test_a_missing_option_is_wrong_usage(world: World) -> None:
    assert ingest(world, world.visit(), view="").exit_code == 2


def test_an_archive_that_is_away_is_found_out_before_anything_is_kept(world: World) -> None:
    visit = world.visit()
    before = state(world)
    world.kill_orthanc()
    try:
        result = ingest(world, visit)
    finally:
        world.archive.process.start()
    assert result.exit_code == 1
    assert "doctor" in result.stderr
    assert state(world) == before


def test_the_record_keeps_what_was_sent_byte_for_byte(world: World) -> None:
    visit = world.visit()
    bundle = world.settings.folder / "exact.json"
    text = world.record(visit).replace('"Hyaluronic acid"', '"Hyaluronic  acid 1.50"')
    bundle.write_text(text, encoding="utf-8")
    assert ingest(world, visit, record=str(bundle)).exit_code == 0
    with glancing(world.engine) as connection:
        bodies = connection.execute(select(fhir_version.c.body).where(fhir_version.c.type == "Medication")).scalars()
        assert any(b"Hyaluronic  acid 1.50" in bytes(body) for body in bodies)
