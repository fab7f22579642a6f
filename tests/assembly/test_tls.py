"""``serve`` with a certificate of its own: what is set is shown, and what is half set is refused by name."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

import pytest

from orthanc_plugin.assembly import beside, tls, upgrade
from orthanc_plugin.assembly.demo import __main__ as demo
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.settings import FILE_NAME, Settings, load
from tests.ports import free_port


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """``serve`` as a process, with a certificate made on the spot."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = tls.self_signed(folder)
    port = free_port()
    file = folder / FILE_NAME
    file.write_text(
        f'port = {port}\ndimse_port = {free_port()}\npublic_url = "https://localhost:{port}"\n'
        f'tls_certificate = "{certificate.name}"\ntls_key = "{key.name}"\n'
    )
    settings = load(file, {})
    upgrade.upgrade(settings, os_user="test")
    beside.start(settings, folder, {**os.environ, "PHOTOSPINE_SETTINGS": str(file)})
    yield settings
    beside.stop(folder)


def test_pages_come_over_tls_with_secure_cookies(served: Settings) -> None:
    assert served.tls_certificate is not None
    trusted = ssl.create_default_context(cafile=str(served.tls_certificate))
    wire = HTTPSConnection("localhost", served.port, timeout=10, context=trusted)
    wire.request("GET", "/login")
    answer = wire.getresponse()
    assert answer.status == 200
    assert "Secure" in (answer.getheader("Set-Cookie") or "")
    wire.close()


def test_nothing_comes_without_it(served: Settings) -> None:
    wire = HTTPConnection("127.0.0.1", served.port, timeout=10)
    wire.request("GET", "/login")
    with pytest.raises((OSError, HTTPException)):
        wire.getresponse()
    wire.close()


@pytest.mark.fast
def test_the_key_is_closed_to_others_and_is_kept(tmp_path: Path) -> None:
    first = tls.self_signed(tmp_path)
    assert stat.S_IMODE(first[1].stat().st_mode) == 0o600
    before = first[0].read_bytes()
    assert tls.self_signed(tmp_path) == first
    assert first[0].read_bytes() == before


@pytest.mark.fast
def test_half_a_pair_is_refused_by_name(tmp_path: Path) -> None:
    certificate, key = tls.self_signed(tmp_path)
    with pytest.raises(AssemblyError, match="'tls_key' is missing"):
        tls.files(Settings(tmp_path, tls_certificate=certificate))
    with pytest.raises(AssemblyError, match="'tls_certificate' is missing"):
        tls.files(Settings(tmp_path, tls_key=key))


@pytest.mark.fast
@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_what_is_no_pair_is_refused(tmp_path: Path, content: bytes | None) -> None:
    certificate, key = tls.self_signed(tmp_path)
    other = tmp_path / "other"
    if content is not None:
        other.write_bytes(content)
    with pytest.raises(AssemblyError, match="no pair"):
        tls.files(Settings(tmp_path, tls_certificate=other, tls_key=key))
    with pytest.raises(AssemblyError, match="no pair"):
        tls.files(Settings(tmp_path, tls_certificate=certificate, tls_key=other))


@pytest.mark.fast
def test_a_clinic_made_without_tls_is_not_turned(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('node = "demo"\n')
    with pytest.raises(AssemblyError, match="was made without TLS"):
        demo.up(tmp_path, free_port(), free_port(), free_port(), secure=True)
