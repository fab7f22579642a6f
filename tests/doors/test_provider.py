"""A real OpenID provider: its tokens at the doors, people who sign in through it, its keys as they change, no trace."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
import requests

from consent.audit.read import Archive as AuditArchive
from consent.identity import accounts, links, policy
from consent.identity.bearer import BearerTokens
from consent.identity.policy import Issuer
from consent.store.engine import transaction
from orthanc_plugin.assembly.issuers import Refresher, Web
from orthanc_plugin.assembly.serve import build
from orthanc_plugin.assembly.settings import Settings
from tests.archive import Archive, Photo, basic
from tests.database import fresh
from tests.doors.provider import AUDIENCE, Provider, walk
from tests.ports import free_port
from tests.workspace.conftest import Running

pytestmark = [pytest.mark.orthanc]


@dataclass(frozen=True, slots=True)
class World:
    """Anna and Ben with a photo each; serve on loopback; a provider that knows ``dr-test`` and a backend."""

    archive: Archive
    provider: Provider
    issuer: Issuer
    settings: Settings
    address: str
    """Of serve."""

    anna: Photo
    ben: Photo


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (
        Archive(tmp_path_factory.mktemp("provider"), free_port()) as archive,
        Provider(free_port(), f"{address}/login/return") as provider,
    ):
        archive.account("clinician", "TREAT", "BTG")
        archive.account("integrator", "TREAT")
        archive.patient("anna")
        archive.patient("ben")
        photos = archive.photo("anna"), archive.photo("ben")
        issuer = Issuer(
            provider.issuer,
            audiences=frozenset({AUDIENCE}),
            client_id="photospine",
            label="Test Hospital",
        )
        secrets = archive.folder / "secrets.json"
        secrets.touch(0o600)
        secrets.write_text(json.dumps({provider.issuer: "photospine-secret"}))
        settings = replace(
            archive.settings,
            orthanc=archive.process.url,
            public_url=address,
            client_secrets=secrets,
            issuers=(issuer,),
        )
        with transaction(archive.engine) as connection:
            policy.save(connection, settings.policy)
            links.link(connection, "clinician", provider.issuer, "dr-test")
            links.link(connection, "integrator", provider.issuer, "backend")
        assert Refresher(archive.engine, Web().get).step() == 1
        served = build(settings)
        try:
            with Running(served.app, port):
                yield World(archive, provider, issuer, settings, address, *photos)
        finally:
            served.close()


def _ask(address: str, token: str) -> requests.Response:
    return requests.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=20)


def test_a_program_s_token_opens_all_three_doors(world: World) -> None:
    token = world.provider.backend_token()
    assert _ask(world.archive.process.url + world.anna.rest + "/tags", token).status_code == 200
    assert _ask(f"{world.address}/fhir/Patient", token).status_code == 200
    found = _ask(f"{world.address}/dicom-web/instances", token).json()
    assert {row["00080018"]["Value"][0] for row in found} == {world.anna.sop, world.ben.sop}
    changed = token[:-8] + ("AAAAAAAA" if token[-8:] != "AAAAAAAA" else "BBBBBBBB")
    for path in (world.archive.process.url + world.anna.rest, f"{world.address}/fhir/Patient"):
        assert _ask(path, changed).status_code in (401, 403)


def test_a_smart_app_sees_the_patient_of_its_context_alone(world: World) -> None:
    token = world.provider.app_token("patient/*.rs")
    for address in (world.archive.process.url, world.address):
        found = _ask(f"{address}/dicom-web/instances", token).json()
        assert {row["00080018"]["Value"][0] for row in found} == {world.anna.sop}
    assert _ask(world.archive.process.url + world.anna.rest + "/tags", token).status_code == 200
    assert _ask(world.archive.process.url + world.ben.rest + "/tags", token).status_code == 403


def test_an_app_finds_where_its_tokens_come_from(world: World) -> None:
    found = requests.get(f"{world.address}/fhir/.well-known/smart-configuration", timeout=10)
    assert found.headers["content-type"] == "application/json"
    told = found.json()
    assert told["issuer"] == world.provider.issuer
    assert told["token_endpoint"] == f"{world.provider.issuer}/token"
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert "client_credentials" in told["grant_types_supported"]
    assert {"capabilities", "authorization_endpoint", "jwks_uri"} <= told.keys()


# --- the workspace ----------------------------------------------------------------------------------------------------


def _offer(world: World, session: requests.Session) -> str:
    page = session.get(f"{world.address}/login", params={"next": "/chart?q=a"}, timeout=10).text
    assert "Sign in with Test Hospital" in page
    return urljoin(world.address, str(re.findall(r'href="(/login/with/[^"]+)"', page)[0]))


def _out(world: World, session: requests.Session) -> str:
    """Through the provider, up to the address that leads back to us."""
    return walk(session, _offer(world, session), f"{world.address}/login/return")


def test_a_person_signs_in_through_the_provider_and_out_again(world: World) -> None:
    with requests.Session() as session:
        back = _out(world, session)
        answer = session.get(back, allow_redirects=False, timeout=10)
        assert (answer.status_code, answer.headers["location"]) == (303, "/chart?q=a")
        page = session.get(f"{world.address}/chart", timeout=10)
        assert page.status_code == 200
        assert "clinician" in page.text
        assert session.get(back, allow_redirects=False, timeout=10).status_code == 401, "a code counts once"
        token = re.findall(r'action="/logout">\s*<input type="hidden" name="csrf" value="([^"]+)"', page.text)[0]
        left = session.post(f"{world.address}/logout", {"csrf": token}, timeout=10)
        farewell = re.findall(r'href="([^"]+/session/end[^"]*)"', left.text)[0].replace("&amp;", "&")
        assert set(parse_qs(urlsplit(farewell).query)) == {"client_id", "post_logout_redirect_uri"}
        assert session.get(farewell, timeout=10).status_code == 200
        assert session.get(f"{world.address}/chart", allow_redirects=False, timeout=10).status_code == 303


def test_the_way_out_is_pkce_with_state_and_nonce(world: World) -> None:
    with requests.Session() as session:
        answer = session.get(_offer(world, session), allow_redirects=False, timeout=10)
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        cookie = answer.headers["set-cookie"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [f"{world.address}/login/return"]
    assert query["response_type"] == ["code"]
    assert len({query[name][0] for name in ("state", "nonce", "code_challenge")}) == 3
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    for name in ("state", "nonce", "code_challenge"):
        assert query[name][0] not in cookie


@pytest.mark.parametrize(
    "spoiled", ["no cookie", "state", "no state", "code", "no code", "issuer", "no issuer", "twice", "error"]
)
def test_a_return_that_was_tampered_with_signs_nobody_in(world: World, spoiled: str) -> None:
    with requests.Session() as session:
        back = _out(world, session)
        query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        assert {"code", "state", "iss"} <= query.keys()
        extra = ""
        if spoiled == "no cookie":
            session.cookies.clear()
        elif spoiled == "twice":
            extra = f"&code={query['code']}"
        elif spoiled == "error":
            query["error"] = "access_denied"
        else:
            name = {"issuer": "iss"}.get(spoiled.removeprefix("no "), spoiled.removeprefix("no "))
            query[name] = query[name][::-1]
            if spoiled.startswith("no "):
                del query[name]
        address = requests.Request("GET", f"{world.address}/login/return", params=query).prepare().url
        answer = session.get(f"{address}{extra}", allow_redirects=False, timeout=10)
        assert answer.status_code == 401
        assert "no account here" in answer.text
        assert session.get(f"{world.address}/chart", allow_redirects=False, timeout=10).status_code == 303


def test_another_s_code_signs_nobody_in(world: World) -> None:
    """Somebody who sends a victim the end of her own sign-in does not get the victim into her account."""
    with requests.Session() as mine, requests.Session() as victim:
        code = parse_qs(urlsplit(_out(world, mine)).query)["code"][0]
        back = _out(world, victim)
        query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()} | {"code": code}
        answer = victim.get(f"{world.address}/login/return", params=query, allow_redirects=False, timeout=10)
        assert answer.status_code == 401


def test_a_subject_without_an_account_signs_nobody_in(world: World) -> None:
    with transaction(world.archive.engine) as connection:
        links.unlink(connection, "clinician", world.provider.issuer, "dr-test")
    try:
        with requests.Session() as session:
            assert session.get(_out(world, session), allow_redirects=False, timeout=10).status_code == 401
    finally:
        with transaction(world.archive.engine) as connection:
            links.link(connection, "clinician", world.provider.issuer, "dr-test")


# --- keys as they change ----------------------------------------------------------------------------------------------


def test_a_new_key_is_fetched_and_an_old_one_ends(tmp_path: Path) -> None:
    engine = fresh(f"sqlite:///{tmp_path}/photospine.sqlite3")
    port, file = free_port(), tmp_path / "photospine.sqlite3"
    issuer = Issuer(f"http://127.0.0.1:{port}", audiences=frozenset({AUDIENCE}), kept_seconds=1)
    with transaction(engine) as connection:
        accounts.create(connection, "integrator", password=None, purposes=["TREAT"])
        policy.save(connection, policy.Policy((issuer,)))
        links.link(connection, "integrator", issuer.issuer, "backend")
    refresher = Refresher(engine, Web().get)
    with Provider(port, "http://127.0.0.1:9/login/return", key="k1") as provider:
        former = provider.backend_token()
        assert BearerTokens(engine).verify(former) is None, "no key was fetched yet"
        assert refresher.step() == 1
        assert BearerTokens(engine).verify(former) is not None
        assert refresher.step() == 0, "an issuer is asked at most once a minute"
    with Provider(port, "http://127.0.0.1:9/login/return", key="k2") as provider:
        newer = provider.backend_token()
        _rewind(file)
        assert BearerTokens(engine).verify(newer) is None
        assert refresher.step() == 1, "an unknown key was asked for"
        assert BearerTokens(engine).verify(newer) is not None
        time.sleep(1.2)
        assert BearerTokens(engine).verify(former) is None, "a key that vanished ends"
    _rewind(file)
    with transaction(engine) as connection:
        policy.save(connection, policy.Policy((replace(issuer, refresh_seconds=1, stale_seconds=1),)))
    assert refresher.step() == 1
    assert BearerTokens(engine).verify(newer) is None, "keys that cannot be fetched anew count no longer"
    engine.dispose()


def _rewind(file: Path) -> None:
    """As if the last attempt to fetch had been long ago."""
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE issuer_state SET tried = 0")


# --- no trace ---------------------------------------------------------------------------------------------------------


def test_no_token_password_or_code_is_in_a_log_an_address_or_the_record(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything is logged that can be; addresses are those that serve and Orthanc were asked."""
    secrets = {"photospine-secret", "clinician-demo"}
    caplog.set_level(logging.DEBUG)
    asked: list[str] = []

    def see(answer: requests.Response, *_: object, **__: object) -> None:
        asked.append(str(answer.request.url))

    tokens = [world.provider.backend_token(), world.provider.app_token("patient/*.rs")]
    with requests.Session() as session:
        session.hooks["response"].append(see)
        for token in (*tokens, tokens[0][:-6] + "AAAAAA", "x" * 9000):
            secrets.add(token[:200])
            for address in (
                world.archive.process.url + world.anna.rest,
                f"{world.address}/dicom-web/studies",
                f"{world.address}/fhir/Patient",
            ):
                session.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=20)
        for header in (basic("clinician"), "Basic Y2xpbmljaWFuOndyb25nLXNlY3JldA=="):
            secrets.add(header.split()[1])
            session.get(world.archive.process.url + world.anna.rest, headers={"Authorization": header}, timeout=20)
        secrets.add("wrong-secret")
        back = _out(world, session)
        code = parse_qs(urlsplit(back).query)["code"][0]
        session.get(back, timeout=10)
        secrets |= {code, *(str(cookie.value) for cookie in session.cookies if "photospine" in cookie.name)}
    assert not [address for address in asked if any(secret in address for secret in secrets - {code})]
    assert [urlsplit(address).path for address in asked if code in address] == ["/login/return"], "once, for one use"
    found = {"log": caplog.text}
    for file in (world.archive.folder / "orthanc").glob("*.log"):
        found[file.name] = file.read_text("utf-8", errors="replace")
    assert len(found) > 1
    archive = AuditArchive(world.archive.engine, world.settings.audit_folder)
    found["audit"] = "\n".join(str(row.body) for chain in archive.chains() for row in archive.rows(chain))
    with sqlite3.connect(world.archive.folder / "photospine.sqlite3") as connection:
        found["database"] = "\n".join(connection.iterdump())
    ours = {where: text for where, text in found.items() if where != "log"}
    ours["log"] = "\n".join(
        f"{record.name} {record.getMessage()}"
        for record in caplog.records
        if not record.name.startswith(("urllib3", "asyncio"))  # of the client here, and of Python itself
    )
    assert {where: [secret[:12] for secret in secrets if secret in text] for where, text in ours.items()} == {
        where: [] for where in ours
    }
