"""A portfolio before a real Orthanc, by address and by command: the pixels of permitted photos alone leave."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat
from typer.testing import CliRunner

from consent.audit.read import Archive as AuditArchive
from consent.directive import Data, Directive, Reach, Rule, Span
from consent.store.engine import transaction
from consent.store.people import drop_directive
from consent.types import Effect
from orthanc_plugin.assembly.cli import build as command_line
from orthanc_plugin.assembly.serve import Served, build
from tests.archive import TAKEN, Archive, Photo
from tests.ports import free_port
from tests.workspace.client import Client

pytestmark = [pytest.mark.orthanc]

_SIGNED = Span(datetime(2026, 5, 10, tzinfo=UTC), datetime(2026, 5, 11, tzinfo=UTC))
_BASE = "/portfolio/PORTFOLIO"


@dataclass(frozen=True, slots=True)
class Scene:
    """Anna agrees to her pair, Ben to one of two photos of his."""

    archive: Archive
    served: Served
    file: Path
    anna: tuple[Photo, Photo]
    ben: tuple[Photo, Photo]

    def client(self) -> Client:
        client = Client(self.served.app)
        form = {"csrf": _token(client, "/login"), "name": "marketing", "password": "marketing-demo", "next": "/"}
        assert client.post("/login", data=form).status_code == 303
        return client

    def run(self, *words: str) -> tuple[int, str]:
        result = CliRunner().invoke(command_line(), ["portfolio", *words, "--settings", str(self.file)])
        return result.exit_code, result.output


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("published")
    with Archive(folder, free_port()) as archive:
        archive.account("marketing", "PORTFOLIO", "WEB")
        archive.account("clinician", "TREAT")
        archive.account("compliance", "HCOMPL")
        for name in ("anna", "ben"):
            archive.patient(name)
        anna, ben = _pair(archive, "anna", 1), _pair(archive, "ben", 3)
        archive.consent(_permit("hers", "anna"))
        archive.consent(_permit("his", "ben", Data(Reach.PHOTO, str(ben[0].facts.document))))
        file = folder / "photospine.toml"
        file.write_text(
            f'database = "{archive.settings.database}"\northanc = "{archive.settings.orthanc}"\n'
            f'audit_folder = "{archive.settings.audit_folder}"\nkeys = "{archive.settings.keys}"\n'
            f'checkpoint_key = "{archive.settings.checkpoint_key}"\n'
        )
        served = build(archive.settings)
        try:
            yield Scene(archive, served, file, anna, ben)
        finally:
            served.close()


def _pair(archive: Archive, patient: str, seed: int) -> tuple[Photo, Photo]:
    made = []
    for place in range(2):
        photo = archive.describe(patient, seed + place, visit=str(1 + place), pixels=_pixels(seed + place))
        taken = TAKEN + timedelta(weeks=8 * place)
        photo = replace(photo, facts=replace(photo.facts, taken=Span(taken, taken + timedelta(seconds=1))))
        assert archive.store(photo.dicom).status == 200
        with transaction(archive.engine) as connection:
            made.append(archive.know(connection, photo))
    return made[0], made[1]


def _permit(name: str, patient: str, *data: Data) -> Directive:
    root = Rule("provision", Effect.PERMIT, purposes=frozenset({"PORTFOLIO"}), data=tuple(data) or None)
    return Directive(
        consent=name,
        version=1,
        patient=patient,
        scope="patient-privacy",
        status="active",
        signed=_SIGNED,
        performers=(f"Patient/{patient}",),
        organizations=("Organization/clinic",),
        root=root,
    )


def _pixels(seed: int) -> bytes:
    """A colourful JPEG of its own, with EXIF and a comment that name a person."""
    picture = Image.merge(
        "RGB", [Image.radial_gradient("L").resize((960, 640)).rotate(31 * seed * step) for step in (1, 2, 3)]
    )
    exif = Image.Exif()
    exif[0x013B] = "Secret Photographer"
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92, exif=exif, comment=b"a secret comment")
    return out.getvalue()


def _token(client: Client, path: str) -> str:
    return str(re.findall(r'name="csrf" value="([^"]+)"', client.get(path).text)[0])


def test_an_export_holds_the_pixels_of_permitted_pairs_and_nothing_else(scene: Scene) -> None:
    client = scene.client()
    form = {"csrf": _token(client, _BASE), "name": "Faces"}
    place = client.post(f"{_BASE}/saved", data=form).headers["location"]
    page = client.get(place).text
    assert "One pair;" in page, "Ben has agreed to one half"
    answer = client.post(f"{place}/export", data={"csrf": _token(client, place)})
    assert answer.status_code == 200
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    told = json.loads(archive.read("manifest.json"))
    assert [row["when"] for row in told["pictures"]] == ["Before", "After 8 weeks"]
    for row, photo in zip(told["pictures"], scene.anna, strict=True):
        body = archive.read(row["file"])
        assert hashlib.sha256(body).hexdigest() == row["sha256"]
        with Image.open(io.BytesIO(body)) as shown, Image.open(io.BytesIO(photo.pixels)) as source:
            assert shown.size == source.size
            assert max(ImageStat.Stat(ImageChops.difference(shown.convert("RGB"), source.convert("RGB"))).mean) < 2.5
            assert not shown.getexif()
    whole = answer.content
    words = (b"secret", b"anna", b"ben", b"family", b"pid-", b"1980", b"exif", scene.anna[0].sop.encode())
    pictures = b"".join(archive.read(name)[:600] for name in archive.namelist() if name.endswith(".jpg"))
    for word in words:
        assert word not in (archive.read("manifest.json") + archive.read("manifest.csv") + pictures).lower(), word
    for photo in scene.ben:  # runs of the pixels of what is refused
        assert photo.pixels[2000:2040] not in whole
    last = _records(scene)[-1]
    assert (last["route"], last["released"], last["details"]["sha256"]) == (
        "portfolio/export", 2, hashlib.sha256(whole).hexdigest(),
    )  # fmt: skip


def _records(scene: Scene) -> list[dict[str, Any]]:
    found = AuditArchive(scene.archive.engine, scene.archive.settings.audit_folder)
    return [json.loads(row.body) for chain in found.chains() if "/serve/" in chain for row in found.rows(chain)]


def test_the_command_saves_shows_exports_traces_and_says_why(scene: Scene, tmp_path: Path) -> None:
    as_marketing = ("--as", "marketing")
    status, output = scene.run("save", "By command", "area=face", "--most", "10", *as_marketing)
    assert status == 0, output
    assert "1 pairs; the newest result is" in output
    status, output = scene.run("list", *as_marketing, "--json")
    assert "By command" in {each["name"] for each in json.loads(output)}
    file = tmp_path / "out.zip"
    status, output = scene.run("export", "By command", "-o", str(file), *as_marketing, "--json")
    assert status == 0, output
    told = json.loads(output)
    assert (told["pairs"], told["sha256"]) == (1, hashlib.sha256(file.read_bytes()).hexdigest())
    assert scene.run("export", "By command", "-o", str(file), *as_marketing)[0] == 1, "nothing is written over"
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(zipfile.ZipFile(file).read(zipfile.ZipFile(file).namelist()[-1]))
    status, output = scene.run("trace", str(picture), "--as", "compliance", "--json")
    assert status == 0, output
    found = json.loads(output)
    assert {(each["document"], each["consents"][0]["consent"]) for each in found} == {
        (str(scene.anna[1].facts.document).removeprefix("DocumentReference/"), "hers")
    }
    assert scene.run("why", "By command", "--as", "compliance")[1].startswith("Every photo")
    with transaction(scene.archive.engine) as connection:
        drop_directive(connection, "hers")
    try:
        status, output = scene.run("show", "By command", *as_marketing)
        assert "1 is no longer eligible" in output
        status, output = scene.run("why", "By command", "--as", "compliance", "--json")
        assert {each["document"] for each in json.loads(output)} == {
            str(each.facts.document).removeprefix("DocumentReference/") for each in scene.anna
        }
        status, output = scene.run("export", "By command", "-o", str(tmp_path / "none.zip"), *as_marketing, "--json")
        assert json.loads(output)["pairs"] == 0
    finally:
        scene.archive.consent(_permit("hers", "anna"))
    assert scene.run("remove", "By command", *as_marketing)[0] == 0
    assert scene.run("show", "By command", *as_marketing)[0] == 1


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("list", "--as", "clinician"), "does not hold this purpose"),
        (("list", "--as", "marketing", "--purpose", "TREAT"), "does not hold this purpose"),
        (("why", "x", "--as", "marketing"), "HCOMPL"),
        (("trace", "0" * 64, "--as", "marketing"), "HCOMPL"),
        (("trace", "/nowhere", "--as", "compliance"), "cannot be read"),
        (("save", "x", "area", "--as", "marketing"), "FACET=VALUE"),
        (("save", "x", "taken=2026-05-03", "--as", "marketing"), "whole years"),
        (("save", "x", "--most", "0", "--as", "marketing"), "pairs"),
        (("save", "x", "--comparable", "101", "--as", "marketing"), "comparability"),
    ],
)
def test_what_is_refused_is_told_with_its_remedy(scene: Scene, words: tuple[str, ...], fault: str) -> None:
    status, output = scene.run(*words)
    assert (status, fault in output) == (1, True), output
