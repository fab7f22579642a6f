"""The README's walk-through, run as text in a fresh folder, against a demo clinic of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import httpx
import pytest
from PIL import Image
from typer.main import get_command

from consent.reasons import Reason
from consent.site import Site
from orthanc_plugin.assembly.archive_process import ArchiveProcess
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.demo import __main__ as demo
from orthanc_plugin.assembly.settings import Settings
from orthanc_plugin.wall.wall import ROWS
from tests import photos
from tests.archive import Archive
from tests.pipeline.bare import bare, send
from tests.ports import free_port
from tests.workspace.planned import fields_of

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text("utf-8")
ORTHANC_PORT, SERVE_PORT, DIMSE_PORT = free_port(), free_port(), free_port()


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A demo clinic in a folder of its own."""
    place = tmp_path_factory.mktemp("walk")
    folder = place / ".run" / "demo"
    demo.up(folder, ORTHANC_PORT, SERVE_PORT, DIMSE_PORT)
    (place / ".venv").symlink_to(sys.prefix)
    yield place
    demo.stop(folder)


def _follow(folder: Path, name: str, replaced: dict[str, str] | None = None, *, timeout: float = 300) -> str:
    """Run a block of the README as it stands, between two comments of its name; gives what it prints.

    Parameters
    ----------
    replaced
        Addresses of the demo clinic, by those of this one.
    """
    mark = re.escape(f"<!-- {name} -->")
    found = re.search(rf"{mark}\n```sh\n(.*?)```\n{mark}", README, re.DOTALL)
    assert found is not None
    script = found[1]
    for old, new in (replaced or {}).items():
        script = script.replace(old, new)
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if not key.startswith("PHOTOSPINE_")},
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.orthanc
def test_the_walk_through_does_what_it_says(clinic: Path) -> None:
    (clinic / "photo.jpg").write_bytes(photos.jpeg(photos.Shot(width=640, height=480, orientation=6, seed=77)))
    addresses = {"127.0.0.1:8042": f"127.0.0.1:{ORTHANC_PORT}", "127.0.0.1 11112": f"127.0.0.1 {DIMSE_PORT}"}
    said = _follow(clinic, "walk-through", addresses, timeout=600)
    assert re.findall(r"^403$", said, re.MULTILINE) == ["403"] * 3
    source = Image.open(clinic / "photo.jpg").transpose(Image.Transpose.ROTATE_270)
    for name in ("clinician.jpg", "marketing.jpg"):
        shown = Image.open(clinic / name).convert("RGB")
        assert shown.size == source.size
        difference = [abs(a - b) for a, b in zip(shown.tobytes(), source.tobytes(), strict=True)]
        assert sum(difference) / len(difference) < 3
    for word in ("patient-permitted", "patient-denied", "default-permit"):
        assert word in said, f"the audit shows no {word}"
    assert "sound" in said
    assert "3 patients" in said, "two patients were given this lot, a third one that reads alike"


@pytest.mark.orthanc
def test_a_batch_advisory_is_closed_as_it_says(clinic: Path) -> None:
    said = _follow(clinic, "batch")
    assert "PS-2407A  expiry 2026-06  on record" in said
    assert "reads alike" in said
    assert "closed, 0 patients left" in said
    assert (clinic / "closed.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.orthanc
def test_photos_are_linked_and_corrected_as_written(clinic: Path) -> None:
    """After the walk-through: what waits is linked, a side and a patient are corrected, records merged and unmerged."""
    found = re.search(r"<!-- links -->\n```sh\n(.*?)```\n<!-- links -->", README, re.DOTALL)
    assert found is not None
    (clinic / "photo.jpg").write_bytes(photos.jpeg(photos.Shot(width=640, height=480, orientation=6, seed=77)))
    done = subprocess.run(
        ["bash", "-e", "-c", found[1].replace("127.0.0.1:8080", f"127.0.0.1:{SERVE_PORT}")],
        cwd=clinic,
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("PHOTOSPINE_")},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "perhaps: photospine link" in done.stdout
    assert "laterality: R -> L" in done.stdout
    assert "another instance would be made" in done.stdout
    assert "patient: demo-anna -> demo-maria" in done.stdout
    assert "takes the place of" in done.stdout
    counts = [json.loads((clinic / f"{name}.count").read_text("utf-8"))["total"] for name in ("merged", "unmerged")]
    assert counts[0] > 10
    assert counts[1] == 0


@pytest.mark.orthanc
def test_an_old_folder_moves_in_as_written(clinic: Path) -> None:
    said = _follow(clinic, "moving-in")
    would, _, did = said.partition("  imported")
    for each in ("of these by photos alone", "nothing says whose photo it is"):
        assert each in would
        assert each in did
    assert re.search(r"Perhaps .*Patient/demo-anna", said)
    assert "line 3 of the manifest names it" in said
    with (clinic / "did.csv").open(newline="", encoding="utf-8") as source:
        done = {each["file"]: each for each in csv.DictReader(source)}
    taken = {name for name, each in done.items() if each["result"] == "imported"}
    assert taken == {
        "demo-anna/2019-03-05/face_front.jpg",
        "demo-anna/2019-03-05/cheek-left_profile.jpg",
        "demo-anna/2020-06-01/face_front.jpg",
        "demo-maria/2019-03-05/nose_front.jpg",
        "demo-maria/someday/IMG_20180203_101112.jpg",
        "phone/1.jpg",
        "more.zip/demo-maria/2020-06-01/face_front.jpg",
    }
    assert done["demo-anna/2019-03-05/copy.jpg"]["result"] == "duplicate"
    assert done["phone/1.jpg"]["date_from"] == "camera"
    again = json.loads((clinic / "again.json").read_text("utf-8"))
    assert again["sums"]["results"].get("known") == len(taken) + 1  # and the copy
    assert "imported" not in again["sums"]["results"]


@pytest.mark.orthanc
def test_the_next_session_is_asked_as_written(clinic: Path) -> None:
    said = _follow(clinic, "next-session", {"127.0.0.1:8080": f"127.0.0.1:{SERVE_PORT}"}, timeout=120)
    assert "CarePlan/demo-anna-plan planned on DocumentReference/" in said
    assert "Observation/demo-anna-outcome judged on DocumentReference/" in said
    ways = {each["name"] for each in json.loads((clinic / "basis.json").read_text("utf-8"))["parameter"]}
    assert {"rests-on", "carries"} <= ways
    for name, wanted in (
        ("treatment", {"Procedure/demo-anna-p1", "Device/demo-laser", "Observation/demo-anna-p1-settings"}),
        ("lot", {"Procedure/demo-maria-p1", "Procedure/demo-eleni-p1", "Observation/demo-maria-p1-points"}),
    ):
        bundle = json.loads((clinic / f"{name}.json").read_text("utf-8"))
        assert wanted <= {each["fullUrl"].rpartition("/fhir/")[2] for each in bundle["entry"]}


@pytest.mark.orthanc
def test_the_next_session_is_saved_as_the_chapter_says(clinic: Path) -> None:
    page = "/chart/patient/demo-anna/next"
    with httpx.Client(base_url=f"http://127.0.0.1:{SERVE_PORT}", timeout=30) as browser:
        csrf = re.findall(r'name="csrf" value="([^"]*)"', browser.get("/login").text)
        sent = {"name": "clinician", "password": "clinician-demo", "csrf": csrf[0] if csrf else ""}
        assert browser.post("/login", data=sent).status_code == 303
        assert page in browser.get("/chart/patient/demo-anna").text
        text = browser.get(page).text
        for words in ("Laser of facial pigment", "Even tone on both cheeks", "Was due", "Fluence", "2.4 J/cm²",
                      "Much improved", "Save session 7", "of last time has expired"):  # fmt: skip
            assert words in text, words
        fields = fields_of(text)
        assert (fields["number"], fields["lot-0"]) == ("7", "")
        photo = fields["map-photo-0"]
        pair = re.findall(r'name="pair-0".*?<option value="([^"|]+\|[^"|]+)">', text, re.DOTALL)[0]
        filled = fields | {
            "scan-0": "(01)09504000059118(17)281231(10)LC-2044",
            "map-product-0": "0", "map-photo-0": photo, "x-0-0": "40", "y-0-0": "30",
            "what-0": "pigment", "change-0": "improved", "rater-0": "patient", "pair-0": pair,
        }  # fmt: skip
        refused = browser.post(page, data=filled | {"x-0-0": "140"})
        assert (refused.status_code, 'id="fault-x-0-0"' in refused.text) == (422, True)
        answer = browser.post(page, data=fields_of(refused.text) | {"x-0-0": "40"})
        assert answer.status_code == 303, answer.text
        assert "Session 7 is saved" in browser.get(answer.headers["location"]).text
        saved = answer.headers["location"].partition("saved=")[2]
        shown = browser.get(f"/chart/session/{saved}").text
        for words in ("LC-2044", "31 Dec 2028", "1 injection point", "Fluence"):
            assert words in shown, words
        assert "On the screen when it was decided" in browser.get(f"/chart/basis/Procedure/{saved}").text
        assert f"/chart/basis/Procedure/{saved}" in browser.get(f"/chart/basis/DocumentReference/{photo}").text


EXISTING = """{
  // as Debian's package ships it, in short
  "Name" : "the hospital's",
  "StorageDirectory" : "%(folder)s/storage", "IndexDirectory" : "%(folder)s/storage",
  "HttpPort" : %(port)d, "RemoteAccessAllowed" : true, "AuthenticationEnabled" : false,
  "DicomServerEnabled" : true, "DicomPort" : %(dicom)d,
  /* a folder, in no promised order */
  "Plugins" : ["/usr/share/orthanc/plugins"],
  "PythonScript" : "%(folder)s/routing.py"
}
"""
ROUTING = """
import orthanc

def changed(kind, level, resource):
    if kind == orthanc.ChangeType.NEW_INSTANCE:
        orthanc.LogWarning("routing: " + resource)

orthanc.RegisterOnChangeCallback(changed)
"""


@pytest.mark.orthanc
def test_an_orthanc_that_exists_already_is_taken_behind_the_wall(tmp_path: Path) -> None:
    found = re.search(r"<!-- existing -->\n```sh\n(.*?)```\n<!-- existing -->", README, re.DOTALL)
    assert found is not None
    port, etc = free_port(), tmp_path / "etc"
    etc.mkdir()
    (etc / "orthanc.json").write_text(EXISTING % {"folder": tmp_path, "port": port, "dicom": free_port()}, "utf-8")
    (tmp_path / "routing.py").write_text(ROUTING, "utf-8")
    (tmp_path / "photospine.toml").write_text(
        f'database = "sqlite:///{tmp_path}/photospine.sqlite3"\northanc = "http://127.0.0.1:{port}"\n', "utf-8"
    )
    archive = Archive(tmp_path / "before", port)
    process = ArchiveProcess(replace(archive.settings, folder=tmp_path), tmp_path, port)
    with bare(process, port):
        send(port, [archive.describe("anna", number).dicom for number in (1, 2)])
    done = subprocess.run(
        ["bash", "-e", "-c", f"trap 'kill %1; wait' EXIT\n{found[1].replace('/etc/orthanc', str(etc))}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("PHOTOSPINE_")}
        | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    wall: stands" in done.stdout
    for changed in ("DicomServerEnabled", "RemoteAccessAllowed", "Plugins", "routing.py is loaded after the wall"):
        assert changed in done.stdout
    assert "2 objects were not known: 0 are linked" in done.stdout


@pytest.mark.fast
@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_explained(reason: Reason) -> None:
    assert f"| `{reason}` | {reason.sentence} |" in README


@pytest.mark.fast
def test_every_command_is_named() -> None:
    for name in get_command(build()).commands:  # type: ignore[attr-defined]
        assert f"`photospine {name}`" in README


@pytest.mark.fast
def test_every_setting_is_named() -> None:
    for entry in (*fields(Settings), *(field for field in fields(Site) if field.init)):
        if entry.name not in ("folder", "site"):
            assert f"`{entry.name}`" in README, entry.name


@pytest.mark.fast
def test_every_route_of_the_wall_is_named_and_no_other() -> None:
    told = re.findall(r"^- `((?:GET|POST|PUT|DELETE) /[^`]*)`$", SECURITY, re.MULTILINE)
    assert sorted(told) == sorted(row.name for row in ROWS)


@pytest.mark.fast
@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docker/*.md")), ids=lambda page: page.name
)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
