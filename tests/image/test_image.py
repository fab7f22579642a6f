"""The image, built and run: it is what docker/README.md says, and it ends when one of its processes does."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests import counts, photos, postgres
from tests.image import building
from tests.image.building import Image
from tests.image.engine import Answer, Container, relay

pytestmark = [
    pytest.mark.image,
    pytest.mark.full,
    pytest.mark.skipif(building.missing() is not None, reason=str(building.missing())),
]

PASSWORD = "a long one for Jane"
USER = 990
_JSON = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An empty volume, as an engine makes it from the image's folder."""
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o700)
    os.chown(folder, USER, USER)
    return folder


@pytest.fixture
def container(image: Image, root: Path, volume: Path) -> Iterator[Container]:
    """A node that answers."""
    with Container(image, root, volume) as made:
        made.ready()
        yield made


def test_the_image_is_for_an_ordinary_user_and_one_port(image: Image, root: Path) -> None:
    configuration = image.configuration
    assert list(configuration["ExposedPorts"]) == ["8080/tcp"]
    assert list(configuration["Volumes"]) == ["/data"]
    assert configuration["User"] == "photospine"
    passwd = (root / "etc" / "passwd").read_text("ascii")
    assert re.search(rf"^photospine:x:{USER}:", passwd, re.MULTILINE)
    writable = [
        path
        for path in (root / "opt").rglob("*")
        if not path.is_symlink() and (path.stat().st_uid == USER or path.stat().st_mode & stat.S_IWOTH)
    ]
    assert writable == [], "what runs is not its to change"
    assert (root / "opt/photospine/assets/ohif/index.html").is_file()
    assert not (root / "usr/bin/npm").exists(), "what only the build needs stays out"
    assert _content(root / "run/sources") + _content(root / "etc/pip.conf") + _content(root / "root/.npmrc") == []


def test_a_node_is_made_lives_through_its_day_and_ends_when_told(container: Container, volume: Path) -> None:
    started = time.monotonic()
    assert b"<form" in _page(container, "/login").body
    _the_wall_stands(container)
    _only_one_door(container)

    refused = container.get("/dicom-web/studies", headers=_basic("jane"))
    assert refused.status == 401, "there is no account until one is made"
    rights = [word for right in ("capture", "link", "record", "consent", "store") for word in ("--right", right)]
    made = container.run(
        *("photospine", "account", "add", "jane", "--purpose", "TREAT", *rights),
        *("--reference", "Practitioner/jane", "--password-stdin"),
        given=PASSWORD + "\n",
    )
    assert made.returncode == 0, made.stderr
    assert container.get("/dicom-web/studies", headers=_basic("jane", "wrong")).status == 401
    assert json.loads(container.get("/dicom-web/studies", headers=_basic("jane")).body or b"[]") == []

    sop = _take_in(container, volume)
    found = container.get(f"/dicom-web/instances?SOPInstanceUID={sop}", headers=_basic("jane"))
    assert found.status == 200, found
    (instance,) = json.loads(found.body)
    study, series = (instance[tag]["Value"][0] for tag in ("0020000D", "0020000E"))
    rendered = container.get(
        f"/dicom-web/studies/{study}/series/{series}/instances/{sop}/rendered",
        headers=_basic("jane") | {"Accept": "image/jpeg"},
    )
    assert (rendered.status, rendered.body[:2]) == (200, b"\xff\xd8")
    assert container.run("photospine", "audit", "verify").returncode == 0

    keys = (volume / "keys.json").read_text("ascii")
    secrets = [PASSWORD, sop, "Doe", *re.findall(r'"([^"]{20,})"', keys)]
    assert len(secrets) > 3, "the keys are there to be looked for"
    assert [word for word in secrets if word in container.output] == []
    open_to_others = [path for path in volume.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert open_to_others == []

    told = time.monotonic()
    container.stop()
    assert container.ended(10) == 0
    seconds = time.monotonic() - told
    assert seconds < 10
    counts.report("image built, run and ended", asked=1, run=1, failures=0, started=started)


def test_a_node_goes_on_where_it_stopped_and_its_volume_is_its_own(image: Image, root: Path, volume: Path) -> None:
    with Container(image, root, volume) as container:
        container.ready()
        _account(container)
        sop = _take_in(container, volume)
        beside = container.run("python", "-m", "orthanc_plugin.assembly.container")
        assert beside.returncode == 1
        assert "another node runs in /data" in beside.stderr
        container.stop()
        assert container.ended(10) == 0
    with Container(image, root, volume) as container:
        container.ready()
        found = container.get(f"/dicom-web/instances?SOPInstanceUID={sop}", headers=_basic("jane"))
        assert found.status == 200


@pytest.mark.parametrize("program", ["Orthanc", "serve", "worker", "gateway"])
def test_when_one_process_is_killed_the_container_ends_with_a_failure(container: Container, program: str) -> None:
    os.kill(container.pid_of({"Orthanc": "Orthanc\0"}.get(program, f"photospine\0{program}")), signal.SIGKILL)
    assert container.ended(15) == 1
    assert f"{program.lower()} has ended (killed by SIGKILL)" in container.output


def test_a_misspelt_setting_is_named(image: Image, root: Path, volume: Path) -> None:
    with Container(image, root, volume, {"PHOTOSPINE_PUBLICURL": "https://x"}) as container:
        assert container.ended(30) == 1
        assert "PHOTOSPINE_PUBLICURL is no setting" in container.output
    assert not any(volume.iterdir())


def test_without_the_packages_of_the_wall_nothing_is_served(image: Image, root: Path, volume: Path) -> None:
    with Container(image, root, volume, {"PHOTOSPINE_WALL": "/opt/photospine/assets"}) as container:
        assert container.ended(120) == 1
        assert "ready at" not in container.output


def test_a_database_of_another_version_and_one_without_keys_are_left_alone(
    image: Image, root: Path, volume: Path
) -> None:
    with Container(image, root, volume) as container:
        container.ready()
        container.stop()
        assert container.ended(10) == 0
    keys = (volume / "keys.json").read_bytes()
    (volume / "keys.json").unlink()
    with Container(image, root, volume) as container:
        assert container.ended(30) == 1
        assert "put them back from the backup" in container.output
    _owned(volume / "keys.json", keys)
    _set_schema(volume, "older")
    before = (volume / "photospine.sqlite3").read_bytes()
    with Container(image, root, volume) as container:
        assert container.ended(30) == 1
        assert "photospine db upgrade" in container.output
    assert (volume / "photospine.sqlite3").read_bytes() == before


def test_a_copy_of_a_stopped_volume_is_a_whole_backup(image: Image, root: Path, volume: Path, tmp_path: Path) -> None:
    with Container(image, root, volume) as container:
        container.ready()
        _account(container)
        sop = _take_in(container, volume)
        container.stop()
        assert container.ended(10) == 0
    shutil.make_archive(str(tmp_path / "backup"), "gztar", volume)
    shutil.rmtree(volume)
    volume.mkdir(mode=0o700)
    os.chown(volume, USER, USER)
    shutil.unpack_archive(tmp_path / "backup.tar.gz", volume, filter="fully_trusted")
    with Container(image, root, volume) as container:
        container.ready()
        assert container.get(f"/dicom-web/instances?SOPInstanceUID={sop}", headers=_basic("jane")).status == 200
        assert container.run("photospine", "audit", "verify").returncode == 0


@pytest.mark.postgres
def test_a_node_with_postgresql_keeps_its_record_there(image: Image, root: Path, volume: Path) -> None:
    container = Container(image, root, volume)
    with postgres.cluster() as cluster, relay(container.outside, cluster.port) as port:
        url = make_url(cluster.fresh()).set(host=container.outside, port=port)
        container.environment = {"PHOTOSPINE_DATABASE": url.render_as_string(hide_password=False)}
        with container:
            container.ready()
            _the_wall_stands(container)
            _account(container)
            sop = _take_in(container, volume)
            found = container.get(f"/dicom-web/instances?SOPInstanceUID={sop}", headers=_basic("jane"))
            assert found.status == 200
            container.stop()
            assert container.ended(10) == 0
    assert not list(volume.glob("photospine.sqlite3*"))


# --- what the tests do ------------------------------------------------------------------------------------------------


def _content(place: Path) -> list[str]:
    """What the machine that built the image left there; a mount leaves an empty place."""
    files = place.rglob("*") if place.is_dir() else [place]
    return [str(file) for file in files if file.is_file() and file.stat().st_size]


def _the_wall_stands(container: Container) -> None:
    found = container.run("photospine", "doctor", "--json")
    assert found.returncode == 0, found.stdout + found.stderr
    findings = json.loads(found.stdout)
    assert findings["healthy"]


def _only_one_door(container: Container) -> None:
    """From outside, Orthanc refuses everything, the canary too; nothing else listens but the gateway, inside."""
    for path in ("/system", "/instances", "/dicom-web/studies", f"/photospine/canary?nonce={'0' * 32}"):
        answer = container.get(path, port=8042, headers=_basic("jane"))
        assert answer.status in (401, 403), "refused by Orthanc itself, which answers this machine's loopback alone"
        assert answer.body == b""
    listening = container.run(
        "python",
        "-c",
        "import pathlib; print(*{int(l.split()[1].rsplit(':', 1)[1], 16) for f in ('tcp', 'tcp6') "
        "for l in pathlib.Path('/proc/net', f).read_text().splitlines()[1:] if l.split()[3] == '0A'})",
    )
    assert {int(port) for port in listening.stdout.split()} == {8042, 8080, 11112}


def _page(container: Container, path: str) -> Answer:
    answer = container.get(path)
    assert (answer.status, answer.kind.split(";")[0]) == (200, "text/html")
    return answer


def _account(container: Container) -> None:
    rights = [word for right in ("capture", "link", "record", "consent", "store") for word in ("--right", right)]
    words = ("account", "add", "jane", "--purpose", "TREAT", *rights, "--reference", "Practitioner/jane")
    done = container.run("photospine", *words, "--password-stdin", given=PASSWORD + "\n")
    assert done.returncode == 0, done.stderr


def _take_in(container: Container, volume: Path) -> str:
    """A patient and a visit by FHIR, a photo of it by ``ingest``; its SOP Instance UID."""
    visit = {"status": "finished", "class": _AMBULATORY, "subject": {"reference": "Patient/doe"}}
    visit["period"] = {"start": "2026-05-03T10:00:00+03:00", "end": "2026-05-03T11:00:00+03:00"}
    record: dict[str, dict[str, Any]] = {
        "Organization/clinic": {"name": "A clinic"},
        "Patient/doe": {"name": [{"family": "Doe"}], "birthDate": "1980-01-01"},
        "Encounter/visit": visit,
    }
    for reference, resource in record.items():
        kind, _, identifier = reference.partition("/")
        body = json.dumps({"resourceType": kind, "id": identifier, **resource}).encode()
        answer = container.send("PUT", f"/fhir/{reference}", headers=_basic("jane") | _JSON, body=body)
        assert answer.status == 201, answer
    _owned(volume / "photo.jpg", photos.jpeg(photos.Shot(width=640, height=480, orientation=6, seed=5)))
    place = ("--patient", "doe", "--visit", "visit", "--region", "face", "--laterality", "B", "--view", "frontal")
    done = container.run("photospine", "ingest", "photo.jpg", *place, "--as", "jane", "--json")
    assert done.returncode == 0, done.stderr
    (taken,) = json.loads(done.stdout)
    return str(taken["sop_uid"])


_AMBULATORY = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}


def _basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def _owned(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o600)
    os.chown(file, USER, USER)


def _set_schema(volume: Path, revision: str) -> None:
    with sqlite3.connect(volume / "photospine.sqlite3") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()
