"""Fetching issuers' keys: what is asked, how often, and what is refused; secrets; commands that link accounts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from consent.identity import issuer_keys, policy
from consent.identity.policy import Issuer, Policy
from consent.store.engine import open_engine, reading, transaction
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.errors import AssemblyError, SettingsError
from orthanc_plugin.assembly.issuers import LARGEST, IssuerUnreachable, Refresher, Web
from orthanc_plugin.assembly.providers import read_secrets
from orthanc_plugin.assembly.settings import load
from tests.database import fresh
from tests.issuer import AUDIENCE, TestIssuer
from tests.ports import free_port

pytestmark = pytest.mark.fast

ISSUER = TestIssuer()


class Server:
    """Answers each path with a status, headers and a body; remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                status, headers, body = outer.answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.port = free_port()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def says(self, path: str, value: Any, status: int = 200, **headers: str) -> None:
        """What a path answers."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.answers[path] = (status, headers, body)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = fresh(f"sqlite:///{tmp_path}/photospine.sqlite3")
    yield made
    made.dispose()


def _believe(engine: Engine, *issuers: Issuer) -> None:
    with transaction(engine) as connection:
        policy.save(connection, Policy(issuers))


def _has_key(engine: Engine, issuer: Issuer) -> bool:
    with reading(engine) as connection:
        return issuer_keys.find(connection, issuer, "r1") is not None


def test_keys_come_by_discovery_once_for_all_processes(engine: Engine, server: Server) -> None:
    issuer = Issuer(server.address, audiences=frozenset({AUDIENCE}), client_id="photospine")
    _believe(engine, issuer)
    server.says("/keys", {"keys": ISSUER.jwks})
    server.says(
        "/.well-known/openid-configuration",
        {
            "issuer": server.address,
            "jwks_uri": f"{server.address}/keys",
            "authorization_endpoint": f"{server.address}/auth",
            "token_endpoint": "http://elsewhere.example/token",
            "authorization_response_iss_parameter_supported": True,
        },
    )
    assert [Refresher(engine, Web().get).step() for _ in range(3)] == [1, 0, 0]
    assert server.asked == ["/.well-known/openid-configuration", "/keys"]
    assert _has_key(engine, issuer)
    with reading(engine) as connection:
        known = issuer_keys.metadata(connection, issuer.issuer)
    assert known == {
        "authorization_endpoint": f"{server.address}/auth",
        "jwks_uri": f"{server.address}/keys",
        "names_itself": True,
    }, "and no unsafe address"


def test_keys_come_from_their_own_address_where_it_is_set(engine: Engine, server: Server) -> None:
    issuer = Issuer("https://login.example", audiences=frozenset({AUDIENCE}), jwks_uri=f"{server.address}/keys")
    _believe(engine, issuer)
    server.says("/keys", {"keys": ISSUER.jwks})
    assert Refresher(engine, Web().get).step() == 1
    assert server.asked == ["/keys"]
    assert _has_key(engine, issuer)


@pytest.mark.parametrize(
    "fault", ["another issuer", "status", "redirect", "too large", "no JSON", "no set", "unsafe keys", "gone"]
)
def test_what_is_wrong_leaves_the_keys_that_were_there(
    engine: Engine, server: Server, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = Issuer(server.address, audiences=frozenset({AUDIENCE}))
    _believe(engine, issuer)
    with transaction(engine) as connection:
        issuer_keys.claim(connection, issuer)
        issuer_keys.replace(connection, issuer, ISSUER.jwks, {})
        connection.exec_driver_sql("UPDATE issuer_state SET tried = 0, fetched = fetched - 700000000")
    document = {"issuer": server.address, "jwks_uri": f"{server.address}/keys"}
    server.says("/keys", {"keys": []})
    if fault == "another issuer":
        document["issuer"] = "https://login.example"
    elif fault == "unsafe keys":
        document["jwks_uri"] = "http://elsewhere.example/keys"
    elif fault == "status":
        server.says("/keys", {"keys": []}, 500)
    elif fault == "redirect":
        server.says("/keys", {"keys": []}, 302, Location=f"{server.address}/other")
    elif fault == "too large":
        server.says("/keys", {"keys": [], "x": "x" * LARGEST})
    elif fault == "no JSON":
        server.says("/keys", b"[" * 5000)
    elif fault == "no set":
        server.says("/keys", ["keys"])
    server.says("/.well-known/openid-configuration", document)
    if fault == "gone":
        server.close()
    assert Refresher(engine, Web().get).step() == 1
    assert _has_key(engine, issuer)
    assert "were not fetched" in caplog.text
    assert "/other" not in server.asked


def test_nothing_is_sent_in_the_clear() -> None:
    with pytest.raises(IssuerUnreachable, match="https"):
        Web().post("http://login.example/token", {"code": "x"}, None)


def test_secrets_are_read_from_a_file_of_the_owner_s_alone(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    assert read_secrets(None) == {}
    with pytest.raises(AssemblyError, match="client_secrets"):
        read_secrets(file)
    file.write_text('{"https://login.example": "s3cret"}')
    file.chmod(0o640)
    with pytest.raises(AssemblyError, match="0600"):
        read_secrets(file)
    file.chmod(0o600)
    assert read_secrets(file) == {"https://login.example": "s3cret"}
    for text in ("s3cret", '["s3cret"]', '{"x": 1}'):
        file.write_text(text)
        with pytest.raises(AssemblyError) as refused:
            read_secrets(file)
        assert "s3cret" not in str(refused.value)


_TOML = """
[[issuers]]
issuer = "https://login.example"
audiences = ["https://photos.example"]
scope_purposes = { "photos.read" = ["TREAT"] }

[lock_out]
failures = 3
"""


def test_issuers_and_limits_come_from_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "photospine.toml"
    file.write_text(_TOML)
    settings = load(file, {})
    assert settings.issuers[0].scope_purposes == {"photos.read": ("TREAT",)}
    assert settings.lock_out.failures == 3
    for text, word in (
        (_TOML.replace("failures", "failure"), "failure"),
        (_TOML.replace("= 3", "= 0"), "failures"),
        (_TOML.replace("audiences", "audience"), "audience"),
        ('issuers = "x"', "issuers"),
        ("lock_out = 3", "lock_out"),
    ):
        file.write_text(text)
        with pytest.raises(SettingsError, match=word):
            load(file, {})


def test_commands_link_accounts_to_subjects(tmp_path: Path) -> None:
    file = tmp_path / "photospine.toml"
    file.write_text(_TOML)

    def run(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(build(), [*words, "--settings", str(file)])
        assert done.exit_code == status, done.output
        return done.output

    assert "issuers and lock-out written" in run("db", "upgrade")
    assert "issuers" not in run("db", "upgrade")
    run("account", "add", "ehr", "--purpose", "TREAT", "--no-password")
    link = ("--issuer", "https://login.example", "--subject", "sub-1")
    run("account", "link-identity", "ehr", *link)
    assert "already" in run("account", "link-identity", "ehr", *link, status=1)
    assert "no issuer" in run("account", "link-identity", "ehr", "--issuer", "x", "--subject", "y", status=1)
    assert "no account" in run("account", "link-identity", "nobody", link[0], link[1], "--subject", "z", status=1)
    listed = json.loads(run("account", "list", "--json"))
    assert listed[0]["identities"] == [["https://login.example", "sub-1"]]
    run("account", "unlink-identity", "ehr", *link)
    run("account", "unlink-identity", "ehr", *link, status=1)
    assert "nothing was counted" in run("account", "unlock", "ehr")
    engine = open_engine(f"sqlite:///{tmp_path}/photospine.sqlite3")
    with reading(engine) as connection:
        assert policy.load(connection).lock_out.failures == 3
    engine.dispose()
