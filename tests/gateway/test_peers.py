"""Peers: what an AE title must come with, and what is refused before it is written down."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from consent.audit.read import Archive
from consent.identity import accounts, peers
from consent.identity.peers import Destination, Peer, PeerRefused, Peers
from consent.store.engine import open_engine, reading, transaction
from consent.types import Right
from orthanc_plugin.assembly import upgrade
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.errors import SettingsError
from orthanc_plugin.assembly.gateway import client_tls, limits, server_tls
from orthanc_plugin.assembly.knocking import Heard, knock
from orthanc_plugin.assembly.settings import Settings, load
from tests.ports import free_port

PEER = Peer("PACS", "clinician", "TREAT", networks=("192.0.2.0/24", "2001:db8::1"))


@pytest.fixture
def known(engine: Engine) -> Engine:
    """A database with an account that treats and publishes, and the peer PACS."""
    with transaction(engine) as connection:
        accounts.create(
            connection, "clinician", password=None, purposes=("TREAT", "SOCIAL", "HRESCH", "BTG"), rights=(Right.STORE,)
        )
        peers.add(connection, PEER)
    return engine


@pytest.mark.parametrize(
    ("title", "address", "found"),
    [
        ("PACS", "192.0.2.7", True),
        ("PACS", "::ffff:192.0.2.7", True),
        ("PACS", "2001:db8::1", True),
        ("PACS", "2001:db8::2", False),
        ("PACS", "192.0.3.7", False),
        ("PACS", "nowhere", False),
        ("pacs", "192.0.2.7", False),
        ("", "192.0.2.7", False),
        ("PACS%", "192.0.2.7", False),
    ],
)
def test_who_calls(known: Engine, title: str, address: str, found: bool) -> None:
    assert (Peers(known).caller(title, address, None) is not None) == found


def test_a_certificate_is_asked_for_where_one_is_named(known: Engine) -> None:
    with transaction(known) as connection:
        peers.add(connection, replace(PEER, ae_title="SEALED", networks=(), fingerprint="a" * 64))
        peers.add(connection, replace(PEER, ae_title="BOTH", fingerprint="a" * 64))
    asked = Peers(known)
    assert asked.caller("SEALED", "203.0.113.9", "a" * 64) is not None
    assert asked.caller("SEALED", "192.0.2.7", None) is None
    assert asked.caller("SEALED", "192.0.2.7", "b" * 64) is None
    assert asked.caller("BOTH", "192.0.2.7", "a" * 64) is not None
    assert asked.caller("BOTH", "203.0.113.9", "a" * 64) is None
    assert asked.caller("PACS", "192.0.2.7", "b" * 64) is not None


def test_what_is_changed_counts_at_once(known: Engine) -> None:
    asked = Peers(known)
    found = asked.caller("PACS", "192.0.2.7", None)
    assert found is not None
    assert (found.request.purpose, found.request.requester.account) == ("TREAT", "clinician")
    with transaction(known) as connection:
        accounts.change(connection, "clinician", purposes=("SOCIAL",))
    changed = asked.caller("PACS", "192.0.2.7", None)
    assert changed is not None
    assert changed != found
    with transaction(known) as connection:
        accounts.disable(connection, "clinician")
    assert asked.caller("PACS", "192.0.2.7", None) is None
    with transaction(known) as connection:
        accounts.change(connection, "clinician", active=True)
        peers.remove(connection, "PACS")
    assert asked.caller("PACS", "192.0.2.7", None) is None


def test_a_destination_is_no_caller_and_a_caller_no_destination(known: Engine) -> None:
    where = Destination("pacs.example", 104, tls=True)
    with transaction(known) as connection:
        peers.add(connection, replace(PEER, ae_title="SINK", networks=(), destination=where))
    asked = Peers(known)
    assert asked.caller("SINK", "192.0.2.7", None) is None
    found = asked.destination("SINK")
    assert found is not None
    assert found.peer.destination == where
    assert asked.destination("PACS") is None
    with reading(known) as connection:
        assert [each.ae_title for each in peers.everyone(connection)] == ["PACS", "SINK"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ae_title": "SEVENTEEN-LETTERS"}, "1 to 16"),
        ({"ae_title": " PACS"}, "1 to 16"),
        ({"ae_title": "A\\B"}, "1 to 16"),
        ({"ae_title": "PACS"}, "is taken"),
        ({"networks": ()}, "proves nothing"),
        ({"networks": ("192.0.2.7", "0.0.0.0/0")}, "every address there is"),
        ({"networks": ("::/0",), "fingerprint": "a" * 64}, "every address there is"),
        ({"networks": ("192.0.2.1/24",)}, "no IP address or network"),
        ({"networks": ("pacs.example",)}, "no IP address or network"),
        ({"fingerprint": "A" * 64}, "64 digits"),
        ({"purpose": "BTG"}, "cannot ask for BTG"),
        ({"purpose": "PATRQT"}, "does not hold the purpose PATRQT"),
        ({"channel": "instagram"}, "SOCIAL alone"),
        ({"project": "scars"}, "HRESCH alone"),
        ({"account": "nobody"}, "no active account"),
        ({"destination": Destination("a b", 104, False)}, "host name"),
        ({"destination": Destination("pacs", 0, False)}, "host name"),
    ],
)
def test_what_is_refused(known: Engine, change: dict[str, object], says: str) -> None:
    made = replace(PEER, **({"ae_title": "OTHER"} | change))  # type: ignore[arg-type]
    with pytest.raises(PeerRefused, match=says), transaction(known) as connection:
        peers.add(connection, made)


# --- commands and settings --------------------------------------------------------------------------------------------


@pytest.mark.fast
def test_the_commands_write_list_and_forget_and_are_recorded(tmp_path: Path) -> None:
    file = tmp_path / "photospine.toml"
    file.write_text("", "utf-8")
    node = load(file, {})
    upgrade.upgrade(node, os_user="test")
    app = build()

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["account", *words, "--settings", str(file)])

    assert run("add", "jane", "--purpose", "TREAT", "--no-password").exit_code == 0
    words = ("peer", "add", "PACS", "--account", "jane", "--purpose", "TREAT")
    assert "proves nothing" in run(*words).stderr
    assert "needs --host and --port" in run(*words, "--host", "pacs").stderr
    assert run(*words, "--address", "192.0.2.7", "--host", "pacs", "--port", "104", "--tls").exit_code == 0
    (listed,) = json.loads(run("peer", "list", "--json").stdout)
    assert (listed["ae_title"], listed["networks"]) == ("PACS", ["192.0.2.7/32"])
    assert listed["destination"] == {"host": "pacs", "port": 104, "tls": True}
    assert "192.0.2.7/32  is sent to at: pacs:104 TLS" in run("peer", "list").stdout
    assert run("peer", "remove", "PACS").exit_code == 0
    again = run("peer", "remove", "PACS")
    assert (again.exit_code, again.stderr.strip()) == (1, "there is no peer PACS")
    chains = Archive(open_engine(node.database), node.audit_folder)
    bodies = [json.loads(row.body) for chain in chains.chains() for row in chains.rows(chain)]
    records = [(each["kind"], each.get("route"), each.get("outcome")) for each in bodies]
    assert ("intent", "account peer add", None) in records
    assert ("done", "account peer add", "done") in records
    assert ("done", "account peer add", "failed") in records
    assert ("done", "account peer remove", "done") in records


@pytest.mark.fast
@pytest.mark.parametrize("name", ["dimse_associations", "dimse_pdu_bytes", "dimse_idle_seconds", "dimse_most_objects"])
def test_a_limit_that_is_none_is_named(tmp_path: Path, name: str) -> None:
    assert limits(Settings(tmp_path)).associations == 20
    for value in (0, 10**9):
        with pytest.raises(SettingsError, match=name):
            limits(Settings(tmp_path, **{name: value}))  # type: ignore[arg-type]


@pytest.mark.fast
def test_half_a_certificate_is_named(tmp_path: Path) -> None:
    assert server_tls(Settings(tmp_path)) is None
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing", "ascii")
    with pytest.raises(SettingsError, match="'dimse_tls_key' is missing"):
        server_tls(Settings(tmp_path, dimse_tls_certificate=broken))
    with pytest.raises(SettingsError, match="no pair"):
        server_tls(Settings(tmp_path, dimse_tls_certificate=broken, dimse_tls_key=broken))
    with pytest.raises(SettingsError, match="'dimse_tls_ca' cannot be read"):
        client_tls(Settings(tmp_path, dimse_tls_ca=broken))


@pytest.mark.fast
def test_nobody_is_heard_where_nobody_listens(tmp_path: Path) -> None:
    assert knock(Settings(tmp_path, dimse_port=free_port())) is Heard.NOTHING
