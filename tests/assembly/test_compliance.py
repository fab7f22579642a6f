"""What a compliance officer types: who saw, what was seen, why, whether it was so then, and whether it is all there."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consent.decided import stored_purposes
from consent.identity.accounts import create
from consent.site import OtherObjects
from consent.store.engine import transaction
from consent.store.people import save_directive
from consent.store.sites import save_site
from consent.types import Obligation, Request, Requester, Right
from dicom_bridge.held import Held, forget_others, keep_other
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly import upgrade, worker
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load
from tests.store.world import CLINICIAN, MARKETING, consent, one_patient

pytestmark = pytest.mark.fast

ALL = frozenset(Obligation)


@dataclass
class Office:
    """A node with Anna's photos, and a short way to type commands."""

    file: Path

    def run(self, *words: str) -> tuple[int, str]:
        """Exit status and output."""
        done = CliRunner().invoke(build(), [*words, "--settings", str(self.file)])
        return done.exit_code, done.output

    def told(self, *words: str) -> list[Any]:
        """The output of a command that answers in JSON, a line each."""
        status, output = self.run(*words, "--json")
        assert status in (0, 1, 3), output
        return [json.loads(line) for line in output.splitlines() if line.startswith(("{", "["))]

    def ask(self, requester: Requester, purpose: str, uid: str = "2.25.1", **more: Any) -> None:
        """Somebody asks for a photo."""
        with open_node(load(self.file), "test") as node:
            node.point.photo(Request(requester, purpose, **more), uid, route="GET /x", fulfils=ALL)

    def write(self, effect: str, version: int) -> None:
        """Anna's Consent about the portfolio, in a version."""
        with open_node(load(self.file)) as node, transaction(node.engine) as connection:
            save_directive(connection, consent("c1", effect, "PORTFOLIO", version=version))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """The node."""
    file = tmp_path / "photospine.toml"
    file.write_text('checkpoint_folder = "far"\n[site]\ntime_zone = "Europe/Athens"\n')
    upgrade.upgrade(load(file), os_user="test")
    with open_node(load(file)) as node, transaction(node.engine) as connection:
        RecordStore(node.site).update(
            connection,
            "Patient",
            "anna",
            {"resourceType": "Patient", "id": "anna", "birthDate": "1980-01-01"},
            source="t",
        )
        one_patient(connection)
        for name, purposes in {"d": ["TREAT", "BTG"], "m": ["PORTFOLIO"], "c": ["HCOMPL"]}.items():
            create(
                connection,
                name,
                password=None,
                purposes=purposes,
                reference=None if name == "c" else f"Practitioner/{name}",
            )
    made = Office(file)
    made.write("permit", 1)
    return made


def test_who_saw_what_did_and_what_left(office: Office) -> None:
    office.ask(CLINICIAN, "TREAT")
    office.ask(MARKETING, "PORTFOLIO")
    office.ask(CLINICIAN, "BTG", "2.25.2", emergency_reason="bleeding")
    for name in ("2.25.1", "1", "DocumentReference/1"):
        status, output = office.run("audit", "who", name, "--as", "c")
        assert status == 0
        assert "2 answers; shown to d, m" in output
    status, output = office.run("audit", "who", "nothing", "--as", "c")
    assert (status, "no photo is named nothing" in output) == (1, True)
    assert [each["how"] for each in office.told("audit", "who", "2.25.1", "--as", "c")] == ["released"] * 2
    (override,) = office.told("audit", "saw", "d", "--as", "c", "--purpose", "BTG")
    assert (override["override"], override["emergency_reason"], override["photos"]) == (True, "bleeding", ["2.25.2"])
    left = office.told("audit", "disclosures", "anna", "--as", "c")
    assert [each["account"] for each in left] == ["d", "m", "d"]
    assert office.told("audit", "disclosures", "anna", "--as", "c", "--from", "2090-01-01") == []
    for words in (("who", "2.25.1"), ("saw", "d"), ("disclosures", "anna")):
        status, output = office.run("audit", *words, "--as", "m")
        assert (status, "does not hold the purpose HCOMPL" in output) == (1, True)
    status, output = office.run("audit", "list", "--kind", "read", "--as", "c")
    assert status == 0
    assert {"audit who", "audit saw", "audit disclosures"} <= {line.split("  ")[5] for line in output.splitlines()}


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_a_time_that_no_clock_shows_is_told_in_one_line(office: Office, year: str) -> None:
    at = f"{year}-12-31T23:59:59"
    for status, words in (
        (1, ["consent", "explain", "2.25.1", "--as", "m", "--purpose", "PORTFOLIO", "--by", "c", "--at", at]),
        (1, ["audit", "who", "2.25.1", "--as", "c", "--from", at]),
        (1, ["audit", "saw", "m", "--as", "c", "--to", at]),
        (1, ["audit", "list", "--as", "c", "--since", at]),
        (2, ["audit", "verify", "--since", at]),
    ):
        found, output = office.run(*words)
        assert (found, output.strip()) == (status, f"a time lies from 1900 to 2999, and not in {int(year)}")


def test_where_photos_were_sent_is_told(office: Office) -> None:
    with open_node(load(office.file), "test") as node:
        told = {"to": "ARCHIVE", "from": "VIEWER", "caller": "d", "level": "STUDY"}
        node.point.record_set(Request(MARKETING, "PORTFOLIO"), "C-MOVE", [1], details=told)
    for words in (("who", "2.25.1"), ("saw", "m"), ("disclosures", "anna")):
        (left,) = office.told("audit", *words, "--as", "c")
        assert (left["to"], left["from"], left["caller"], "level" in left) == ("ARCHIVE", "VIEWER", "d", False)
        assert "to ARCHIVE  from VIEWER  caller d" in office.run("audit", *words, "--as", "c")[1]


def test_what_orthanc_holds_no_more_is_told_of_as_before(office: Office) -> None:
    """An archive may remove an object that is no photo; it may come back, and then has another number."""
    pacs = Requester("pacs", ("TREAT",), rights=frozenset({Right.ARCHIVE}))
    scan = Held("2.25.606", "2.25.606.1", "2.25.606.2", "0" * 40, {})
    for _ in range(2):
        with open_node(load(office.file), "test") as node:
            with transaction(node.engine) as connection:
                save_site(
                    connection, replace(node.site, other_objects=OtherObjects.CLINICAL), stored_purposes(node.site)
                )
                number = keep_other(connection, scan)
            request = Request(pacs, "TREAT")
            assert node.point.photo(request, scan.sop_uid, route="GET /x", fulfils=ALL).permitted
            node.point.record_set(request, "list", [number])
            with transaction(node.engine) as connection:
                forget_others(connection, [number])
    told = office.told("audit", "who", scan.sop_uid, "--as", "c")
    assert [(each["kind"], each["how"]) for each in told] == [("decision", "released"), ("set", "released")] * 2
    for each in told:
        (again,) = office.told("consent", "explain", scan.sop_uid, "--record", each["record"], "--by", "c")
        assert (again["effect"], again["same"], again["door"]) == ("permit", True, "")


def test_why_is_told_step_by_step(office: Office) -> None:
    status, output = office.run("consent", "explain", "2.25.1", "--as", "m", "--purpose", "PORTFOLIO", "--by", "c")
    assert status == 0
    assert " 7  She is not held" in output
    assert " 9  PERMIT: A Consent of the patient permits it" in output
    assert "Consent/c1 version 1 provision: It permits PORTFOLIO. Signed by Patient/anna, on 2026-05-04 10:00" in output
    assert output.splitlines()[-3].startswith("PERMIT: patient-permitted, with no-identifiers")
    status, output = office.run("consent", "explain", "2.25.1", "--as", "m", "--purpose", "PORTFOLIO")
    assert (status, "does not hold the purpose HCOMPL" in output) == (1, True)
    (told,) = office.told("consent", "explain", "404.1", "--as", "d", "--purpose", "TREAT", "--by", "c")
    assert (told["effect"], told["reason"], told["step"]) == ("deny", "not-linked", 2)
    (told,) = office.told(
        "consent", "explain", "2.25.1", "--as", "d", "--purpose", "BTG", "--reason", "bleeding", "--by", "c"
    )
    assert (told["reason"], told["step"]) == ("break-glass", 6)
    assert "emergency override" in told["parts"][0]["steps"][-1]


def test_another_time_has_the_facts_of_that_time(office: Office) -> None:
    time.sleep(1.1)  # options tell times to the second
    between = datetime.now().astimezone()
    office.write("deny", 2)
    words = ("consent", "explain", "2.25.1", "--as", "m", "--purpose", "PORTFOLIO", "--by", "c")
    (now,) = office.told(*words)
    (then,) = office.told(*words, "--at", between.strftime("%Y-%m-%dT%H:%M:%S"))
    assert (now["reason"], now["parts"][0]["provisions"][0]["version"]) == ("patient-denied", 2)
    assert now["parts"][0]["provisions"][0]["sentence"].startswith("It denies PORTFOLIO.")
    assert (then["reason"], then["parts"][0]["provisions"][0]["version"]) == ("patient-permitted", 1)
    assert "are not kept" in then["rests_on"][1]
    (ahead,) = office.told(*words, "--at", "2090-01-01T00:00:00")
    assert "today's" in ahead["rests_on"][0]


def test_a_record_is_decided_again(office: Office) -> None:
    office.ask(MARKETING, "PORTFOLIO")
    office.write("deny", 2)
    (shown,) = office.told("audit", "who", "2.25.1", "--as", "c")
    status, output = office.run("consent", "explain", "--record", shown["record"], "--by", "c")
    assert status == 0
    assert "The same as recorded." in output
    assert "Consent/c1 version 1" in output
    for wrong in ("n/x/0#1", "node1/cli/0#999", "node1/cli/0#1"):
        status, output = office.run("consent", "explain", "--record", wrong, "--by", "c")
        assert status == 1
        assert "record" in output


def test_all_is_there_or_it_is_said_what_is_not(office: Office) -> None:
    office.ask(CLINICIAN, "TREAT")
    with open_node(load(office.file)) as node:
        assert node.notary.look() == {}
    office.ask(CLINICIAN, "TREAT")
    (told,) = office.told("audit", "verify")
    assert (told["sound"], told["uncovered"]["node1/test/0"]) == (True, 1)
    status, output = office.run("audit", "key")
    assert status == 0
    key = output.strip()
    far = str(office.file.parent / "far")
    status, output = office.run("audit", "verify", "--checkpoints", far, "--key", key)
    assert (status, output.splitlines()[-1]) == (0, "sound")
    assert "not covered by a checkpoint yet: the last 1 of node1/test/0" in output
    status, output = office.run("audit", "key", "--rotate")
    assert (status, output.splitlines()[1]) == (0, key)
    assert office.run("audit", "verify")[0] == 0
    status, _ = office.run("audit", "verify", "--key", "photospine.audit/x+00000000+AAAA")
    assert status == 2
    with closing(sqlite3.connect(office.file.parent / "audit" / "node1+test+0.sqlite3")) as connection:
        connection.execute("DELETE FROM record")
        connection.commit()
    status, output = office.run("audit", "verify", "--checkpoints", far)
    assert (status, output.splitlines()[-1]) == (1, "CHANGED")
    assert "ends at record 0" in output or "gone" in output


def test_the_worker_signs_and_tells_a_person_what_it_must_not_sign(office: Office) -> None:
    office.ask(CLINICIAN, "TREAT")
    stopped = threading.Event()
    with open_node(load(office.file), worker.ROLE) as node:
        running = threading.Thread(target=worker.run, args=(node, stopped))
        running.start()
        try:
            for _ in range(200):
                if stopped.wait(0.05) or list((office.file.parent / "far").glob("node1+test+0/*/*.note")):
                    break
        finally:
            stopped.set()
            running.join(30)
    assert list((office.file.parent / "far").glob("node1+test+0/*/*.note"))
    with closing(sqlite3.connect(office.file.parent / "audit" / "node1+test+0.sqlite3")) as connection:
        connection.execute("DELETE FROM record")
        connection.commit()
    with open_node(load(office.file), worker.ROLE) as node:
        made = worker.worker_of(node, None, lambda _: None, threading.Event())  # type: ignore[arg-type]
        made.sign_once()
        made.sign_once()
        with transaction(node.engine) as connection:
            (task,) = RecordStore(node.site).search(connection, "Task", {"code": "audit-chain-refused"})
    assert task.json()["priority"] == "urgent"
    assert task.version == 1
