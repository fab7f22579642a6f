"""An Orthanc that ran a script before the wall came: the script goes on, and opens no door beside the wall."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from consent.audit.read import Archive as AuditArchive
from consent.directive import Data, Directive, Reach, Rule, Span
from consent.types import Effect, Right
from orthanc_plugin.assembly.archive_process import ArchiveProcess, WallDown
from tests.archive import TAKEN, Archive, chosen
from tests.ports import free_port

pytestmark = pytest.mark.orthanc

GOOD = """
import json
import orthanc
from helper import told

SEEN = {"changes": [], "stored": [], "calls": {}}


def attempt(name, call):
    try:
        SEEN["calls"][name] = call().decode()
    except Exception as error:
        SEEN["calls"][name] = f"{type(error).__name__}: {error}"


def changed(kind, level, resource):
    if kind == orthanc.ChangeType.NEW_INSTANCE:
        SEEN["changes"].append([resource, json.loads(orthanc.RestApiGet("/instances/" + resource))["ID"]])


def stored(instance, identity):
    SEEN["stored"].append(identity)
    told.append(instance.GetInstanceSize())
    raise RuntimeError("a fault of the script's own")


def status(output, uri, **request):
    body = json.loads(request.get("body") or "{}")
    for name, (function, *words) in body.items():
        attempt(name, lambda: getattr(orthanc, function)(*words))
    output.AnswerBuffer(json.dumps(SEEN), "application/json")


orthanc.RegisterOnChangeCallback(changed)
orthanc.RegisterOnStoredInstanceCallback(stored)
orthanc.RegisterRestCallback("/hospital/(.*)", status)
orthanc.LogWarning("the hospital's script is at work")
"""
SECTION = {
    "ScriptRoutes": ["POST /hospital/{any}"],
    "ScriptCalls": ["PUT /instances/{any}/metadata/{any}"],
    "ScriptAccount": "router",
}


class _Scripted(ArchiveProcess):
    section: dict[str, Any]

    def configuration(self) -> dict[str, Any]:
        found = super().configuration()
        found["Photospine"] |= self.section
        found["UserMetadata"] = {"hospital": 1030}
        found["OrthancPeers"] = {"elsewhere": ["http://127.0.0.1:9/", "", ""]}
        return found


@contextmanager
def scripted(folder: Path, text: str, **section: Any) -> Iterator[Archive]:
    """An Orthanc behind its wall, with a script of the hospital's."""
    archive = Archive(folder, free_port())
    (folder / "hospital").mkdir()
    (folder / "hospital" / "helper.py").write_text("told = []\n", "utf-8")
    (folder / "hospital" / "consent.py").write_text("raise SystemExit('it took the place of ours')\n", "utf-8")
    script = folder / "hospital" / "plugin.py"
    script.write_text(text, "utf-8")
    process = _Scripted(archive.settings, folder / "orthanc", archive.port, **chosen())
    process.section = {"Script": str(script), **section}
    archive.process = process
    with archive:
        yield archive


@dataclass(frozen=True, slots=True)
class Hospital:
    archive: Archive

    def say(self, account: str | None = "admin", **calls: list[Any]) -> dict[str, Any]:
        """What the script has seen, after it tried some calls."""
        reply = self.archive.ask("/hospital/status", account, method="POST", body=json.dumps(calls).encode())
        assert reply.status == 200, reply
        found = reply.json()
        assert isinstance(found, dict)
        return found

    def call(self, *words: Any) -> str:
        """The outcome of one call of the script's."""
        return str(self.say(it=list(words))["calls"]["it"])


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with scripted(tmp_path_factory.mktemp("scripted"), GOOD, **SECTION) as archive:
        archive.account("admin", rights=(Right.ADMIN,))
        archive.account("clinician", "TREAT")
        archive.account("router", "TREAT")
        archive.patient("anna")
        yield Hospital(archive)


def test_a_script_that_watches_goes_on(hospital: Hospital) -> None:
    made = hospital.archive.photo("anna")
    seen = hospital.say()
    assert [made.orthanc_id] * 2 in seen["changes"]
    assert made.orthanc_id in seen["stored"]
    assert hospital.archive.ask(f"{made.rest}/file", "clinician", "TREAT").body == made.dicom


def test_its_routes_are_for_accounts_with_the_right_admin(hospital: Hospital) -> None:
    for account in (None, "clinician"):
        reply = hospital.archive.ask("/hospital/status", account, method="POST", body=b"{}")
        assert (reply.status, reply.body) == (403, b"")
    for path, method in (("/hospital/status", "GET"), ("/hospital/a/b", "POST"), ("/hospital", "POST")):
        assert hospital.archive.ask(path, "admin", method=method, body=b"").status == 403


def test_what_it_may_have_orthanc_do_is_listed_and_recorded(hospital: Hospital) -> None:
    made = hospital.archive.photo("anna")
    path = f"{made.rest}/metadata/hospital"
    assert hospital.call("RestApiPut", path, "seen") == ""
    assert hospital.call("RestApiGet", path) == "seen"
    audit = AuditArchive(hospital.archive.engine, hospital.archive.settings.audit_folder)
    rows = [json.loads(row.body) for chain in audit.chains() for row in audit.rows(chain)]
    assert path in [row["details"]["path"] for row in rows if row.get("route", "").startswith("SCRIPT PUT ")]
    for words in (
        ["RestApiDelete", made.rest],
        ["RestApiDeleteAfterPlugins", made.rest],
        ["RestApiPost", "/tools/execute-script", "os.exit()"],
        ["RestApiPut", f"//{made.rest}/metadata/hospital", "x"],
        ["RestApiPut", f"{made.rest}/metadata/../x", "x"],
        ["RestApiPost", "/modalities/pacs/store-straight", "x"],
        ["GenerateRestApiAuthorizationToken"],
        ["RegisterReceivedInstanceCallback", None],
    ):
        assert "Refused: " in hospital.call(*words), words
    assert hospital.archive.ask(f"{made.rest}/file", "clinician", "TREAT").status == 200


def test_what_it_sends_is_decided_for_its_account(hospital: Hospital) -> None:
    """The peer is nobody, so that what passes the guard ends in Orthanc's own error."""
    archive = hospital.archive
    good, denied = (archive.photo("anna", visit="4", view=str(number)) for number in (1, 2))
    archive.consent(
        Directive(
            consent="no",
            version=1,
            patient="anna",
            scope="patient-privacy",
            status="active",
            signed=Span(TAKEN, TAKEN),
            performers=("Patient/anna",),
            organizations=("Organization/clinic",),
            root=Rule(
                path="provision",
                effect=Effect.DENY,
                purposes=frozenset({"TREAT"}),
                data=(Data(Reach.PHOTO, str(denied.facts.document)),),
            ),
        )
    )
    unseen = archive.photo("anna", visit="5", state="examined")
    for body in (denied.orthanc_id, json.dumps([denied.orthanc_id]), json.dumps({"Resources": [unseen.orthanc_id]})):
        assert "nothing of it may be sent" in hospital.call("RestApiPost", "/peers/elsewhere/store", body)
    assert "no Resources" in hospital.call("RestApiPost", "/peers/elsewhere/store", "{}")
    for body in (good.orthanc_id, json.dumps([good.orthanc_id, denied.orthanc_id])):
        assert "Refused" not in hospital.call("RestApiPost", "/peers/elsewhere/store", body)
    audit = AuditArchive(archive.engine, archive.settings.audit_folder)
    rows = [json.loads(row.body) for chain in audit.chains() for row in audit.rows(chain)]
    sent = [row for row in rows if row.get("route") == "SCRIPT POST /peers/{name}/store"]
    assert [row.get("released") for row in sent[-2:]] == [1, 1]
    assert {row["account"] for row in sent} == {"router"}
    assert {row["details"]["to"] for row in sent} == {"elsewhere"}


@pytest.mark.parametrize(
    ("text", "section", "said"),
    [
        ("import orthanc\northanc.RegisterIncomingHttpRequestFilter(lambda *a, **k: True)", {}, "HttpRequestFilter"),
        ("import orthanc\northanc.RegisterFindCallback(lambda *a: None)", {}, "RegisterFindCallback"),
        ("from orthanc import *\nGenerateRestApiAuthorizationToken()", {}, "GenerateRestApiAuthorizationToken"),
        ("import orthanc\northanc.RegisterRestCallback('/instances/.*', print)", {}, "/instances/"),
        ("import orthanc\northanc.RegisterRestCallback('.*', print)", {}, "too wide"),
        ("1 / 0", {}, "ZeroDivisionError"),
        ("", {"ScriptRoutes": ["GET /instances/{any}/mine"]}, "ScriptRoutes"),
        ("", {"ScriptRoutes": "GET /x"}, "ScriptRoutes"),
        ("", {"ScriptCalls": ["POST /modalities/{any}/store"]}, "ScriptCalls"),
        ("", {"ScriptCalls": ["POST /{any}/{any}/store"]}, "ScriptCalls"),
        ("", {"ScriptCalls": ["everything"]}, "ScriptCalls"),
        ("", {"Script": "/no/such/script.py"}, "Script"),
    ],
)
def test_orthanc_does_not_start_with_a_script_that_opens_a_door(
    tmp_path: Path, text: str, section: dict[str, Any], said: str
) -> None:
    with pytest.raises(WallDown) as caught, scripted(tmp_path, text, **section):
        pass
    log = (tmp_path / "orthanc" / "orthanc.log").read_text("utf-8", errors="replace")
    assert said in str(caught.value) or said in log
