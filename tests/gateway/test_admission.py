"""Who is let in: AE title and address, or certificate, and nobody else; all others are told the same."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from typer.testing import CliRunner

from consent.identity.peers import Destination
from orthanc_plugin.assembly.cli import build
from tests.gateway.peers import STUDY_FIND, STUDY_MOVE, statuses, storescp
from tests.gateway.world import LOOPBACK, TITLE, Gate, gate, identifier, settings_file
from tests.ports import free_port

pytestmark = pytest.mark.orthanc

ECHO = "1.2.840.10008.1.1"


def rejection(door: Gate, title: str, called: str = TITLE) -> bytes:
    """Every byte that the gateway answers an association request with."""
    sent: list[bytes] = []
    watch: Any = [(evt.EVT_DATA_RECV, lambda event: sent.append(event.data))]
    with door.association(ECHO, title=title, called=called, handlers=watch) as association:
        assert association.is_rejected
    return b"".join(sent)


def test_who_is_not_known_is_rejected_alike(door: Gate) -> None:
    door.peer("ELSEWHERE", "clinician", networks=("192.0.2.0/24",))
    door.peer("SECURE", "clinician", networks=(), fingerprint="0" * 64)
    door.peer("BOTH", "clinician", networks=LOOPBACK, fingerprint="0" * 64)
    door.destination("ONLYDEST", "clinician", 9)
    door.archive.account("former", "TREAT")
    door.peer("FORMER", "former")
    with door.association(ECHO, title="FORMER") as association:
        assert association.is_established
    door.disable("former")
    titles = ("NOBODY", "ELSEWHERE", "SECURE", "BOTH", "ONLYDEST", "FORMER")
    answers = {title: rejection(door, title) for title in titles} | {"": rejection(door, "VIEWER", "ANOTHER")}
    assert set(answers.values()) == {b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x01"}


def test_a_peer_that_is_removed_is_let_go_at_its_next_operation(door: Gate) -> None:
    door.peer("LEAVING", "clinician")
    with door.association(ECHO, STUDY_FIND, title="LEAVING") as association:
        assert association.send_c_echo().Status == 0
        door.forget("LEAVING")
        answers = list(association.send_c_find(identifier("STUDY", StudyInstanceUID=""), STUDY_FIND))
        assert "Status" not in answers[0][0]
        association.join(5)
        assert association.is_aborted


def test_more_than_the_limit_are_told_to_come_again(door: Gate) -> None:
    with gate(door.archive, dimse_associations=1) as small, small.association(ECHO) as first:
        assert first.is_established
        assert rejection(small, "VIEWER") == b"\x03\x00\x00\x00\x00\x04\x00\x02\x03\x02"
        assert rejection(small, "NOBODY") == b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x01"
        first.release()
        with small.association(ECHO) as second:
            assert second.send_c_echo().Status == 0


# --- TLS --------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    made, key = folder / f"{name}.crt", folder / f"{name}.key"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    words += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run(words, check=True, capture_output=True)
    return made, key


def fingerprint(file: Path) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read_text())).hexdigest()


@pytest.fixture(scope="module")
def secure(door: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gate, Path]]:
    """A gateway that speaks TLS, and the folder with the certificates of ``ours``, ``known`` and ``stranger``."""
    folder = tmp_path_factory.mktemp("tls")
    ours, known, _ = (certificate(folder, name) for name in ("ours", "known", "stranger"))
    (folder / "ca.pem").write_text(known[0].read_text() + ours[0].read_text())
    door.peer("TLSVIEWER", "clinician", networks=(), fingerprint=fingerprint(known[0]))
    with gate(
        door.archive,
        dimse_tls_certificate=ours[0],
        dimse_tls_key=ours[1],
        dimse_tls_ca=folder / "ca.pem",
        dimse_idle_seconds=3,
    ) as made:
        yield made, folder


def echoscu(door: Gate, folder: Path, title: str, *words: str) -> int:
    command = ["echoscu", "-aet", title, "-aec", TITLE, "127.0.0.1", str(door.port), *words]
    done = subprocess.run([*command, "+cf", str(folder / "ours.crt")], capture_output=True, timeout=30, check=False)
    return done.returncode


def test_a_certificate_opens_and_a_name_alone_does_not(secure: tuple[Gate, Path]) -> None:
    door, folder = secure
    own = ["+tls", str(folder / "known.key"), str(folder / "known.crt")]
    other = ["+tls", str(folder / "stranger.key"), str(folder / "stranger.crt")]
    assert echoscu(door, folder, "TLSVIEWER", *own) == 0
    assert echoscu(door, folder, "TLSVIEWER", *other) != 0
    assert echoscu(door, folder, "TLSVIEWER", "+tla") != 0
    assert echoscu(door, folder, "NOBODY", *own) != 0
    assert echoscu(door, folder, "VIEWER", "+tla") == 0  # known by its address, and the wire is sealed all the same
    plain = subprocess.run(["echoscu", "-aet", "VIEWER", "-aec", TITLE, "127.0.0.1", str(door.port)], check=False)
    assert plain.returncode != 0


def test_a_silent_client_keeps_nobody_waiting(secure: tuple[Gate, Path]) -> None:
    door, folder = secure
    with socket.create_connection(("127.0.0.1", door.port)):
        assert echoscu(door, folder, "VIEWER", "+tla") == 0


def test_photos_move_over_tls(secure: tuple[Gate, Path], tmp_path: Path) -> None:
    door, folder = secure
    door.archive.patient("tessa")
    photo = door.archive.photo("tessa")
    words = ["+xy", "+tls", str(folder / "known.key"), str(folder / "known.crt"), "-ic"]
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(folder / "ours.crt")
    client.check_hostname = False
    client.load_cert_chain(folder / "known.crt", folder / "known.key")
    with storescp(tmp_path / "moved", *words) as port:
        door.peer("TLSDEST", "clinician", networks=(), destination=Destination("localhost", port, tls=True))
        ae = AE("TLSVIEWER")
        ae.add_requested_context(STUDY_MOVE)
        made = ae.associate("127.0.0.1", door.port, ae_title=TITLE, tls_args=(client, "localhost"))
        assert made.is_established
        wanted = identifier("STUDY", StudyInstanceUID=photo.study)
        assert statuses(made.send_c_move(wanted, "TLSDEST", STUDY_MOVE))[-1][0] == 0
        made.release()
        assert len(list((tmp_path / "moved").iterdir())) == 1


def test_the_doctor_knocks(door: Gate) -> None:
    for port, ok in ((door.port, True), (free_port(), False)):
        file = settings_file(door.archive.settings, port)
        done = CliRunner().invoke(build(), ["doctor", "--json", "--settings", str(file)])
        (found,) = (each for each in json.loads(done.output)["findings"] if each["what"] == "gateway")
        assert found["ok"] is ok
        assert ("refuses strangers" in found["says"]) is ok
        assert ("photospine gateway" in found["remedy"]) is not ok
