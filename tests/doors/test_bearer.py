"""Bearer tokens at the three HTTP doors: the wall inside Orthanc, FHIR, and DICOMweb through ``serve``."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from consent.audit.read import Archive as AuditArchive
from consent.identity import accounts, issuer_keys, links
from consent.store.engine import transaction
from consent.types import Right
from orthanc_plugin.assembly.serve import Served, build
from tests.archive import Archive, Photo
from tests.issuer import NAME, TestIssuer
from tests.ports import free_port
from tests.workspace.client import Client

pytestmark = [pytest.mark.orthanc]

SUBJECTS = {"clinician": "sub-clinician", "doctor": "sub-doctor", "anna": "sub-anna", "admin": "sub-admin"}


@dataclass(frozen=True, slots=True)
class World:
    """Anna and Ben with a photo each, and an issuer that is believed."""

    archive: Archive
    served: Served
    issuer: TestIssuer
    anna: Photo
    ben: Photo

    def ask(self, door: str, token: str, purpose: str | None = None) -> tuple[int, bytes]:
        """One request for photos of Anna at a door: status and body."""
        headers = {"Authorization": f"Bearer {token}"} | ({"X-Purpose-Of-Use": purpose} if purpose else {})
        return DOORS[door](self, headers)


def _wall(world: World, headers: Mapping[str, str]) -> tuple[int, bytes]:
    answer = world.archive.ask(world.anna.rest + "/tags", headers=headers)
    return answer.status, answer.body


def _wall_set(world: World, headers: Mapping[str, str]) -> tuple[int, bytes]:
    answer = world.archive.ask("/dicom-web/instances", headers=headers)
    return answer.status, answer.body


def _fhir(world: World, headers: Mapping[str, str]) -> tuple[int, bytes]:
    answer = Client(world.served.app).get("/fhir/ImagingStudy", headers=headers)
    return answer.status_code, answer.content


def _dicomweb(world: World, headers: Mapping[str, str]) -> tuple[int, bytes]:
    answer = Client(world.served.app).get(world.anna.wado + "/metadata", headers=headers)
    return answer.status_code, answer.content


DOORS: dict[str, Callable[[World, Mapping[str, str]], tuple[int, bytes]]] = {
    "wall": _wall,
    "wall, sets": _wall_set,
    "fhir": _fhir,
    "dicomweb": _dicomweb,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Archive(tmp_path_factory.mktemp("bearer"), free_port()) as archive:
        archive.account("clinician", "TREAT", "BTG")
        archive.account("doctor", "TREAT", "PORTFOLIO")
        archive.account("anna", "PATRQT", "TREAT", confined_to="anna")
        archive.account("admin", rights=(Right.ADMIN,))
        archive.patient("anna")
        archive.patient("ben")
        issuer = TestIssuer()
        issuer.register(archive.engine, **SUBJECTS)
        photos = archive.photo("anna"), archive.photo("ben")
        settings = replace(archive.settings, orthanc=archive.process.url)
        served = build(settings)
        try:
            yield World(archive, served, issuer, *photos)
        finally:
            served.close()


@pytest.mark.parametrize("door", DOORS)
def test_a_good_token_acts_as_its_account(world: World, door: str) -> None:
    for token in (
        world.issuer.token("sub-clinician"),
        world.issuer.signed(world.issuer.claims("sub-clinician"), {"kid": "e1"}, world.issuer.ec, "ES256"),
        world.issuer.token(
            "sub-clinician", {"typ": "application/at+jwt"}, aud=["x", "https://photos.hospital.example"]
        ),
        world.issuer.token("sub-clinician", scope="openid fhirUser user/*.rs"),
    ):
        for _ in range(2):  # proved, then remembered
            status, body = world.ask(door, token)
            assert status == 200
            assert world.anna.sop.encode() in body or door == "fhir"


@pytest.mark.parametrize("door", DOORS)
def test_no_bad_token_opens_anything(world: World, door: str) -> None:
    """One answer for all of them, and it is that for nobody's password."""
    nobody = DOORS[door](world, {"Authorization": "Basic bm9ib2R5Ong="})
    bad = world.issuer.bad("sub-anna", other_patient="ben")
    answers = {what: world.ask(door, token, "PATRQT") for what, token in bad.items()}
    # Of these the token is sound and says too little: FHIR tells that apart, as it does for an account.
    short = {"scopes of other resources", "purposes that the account does not hold"}
    assert {what: answer for what, answer in answers.items() if answer != nobody and what not in short} == {}
    for what in short:
        assert answers[what][0] == (403 if door == "fhir" else nobody[0])
        assert world.anna.sop.encode() not in answers[what][1]
    # The same account with a good token is let in: it is the tokens that were refused.
    assert world.ask(door, world.issuer.token("sub-anna"), "TREAT")[0] == 200


def test_a_purpose_claim_narrows_and_the_header_chooses_among_what_remains(world: World) -> None:
    narrowed = world.issuer.token("sub-doctor", purpose_of_use=["PORTFOLIO", "HRESCH"])
    assert world.ask("wall", narrowed)[0] == 403, "PORTFOLIO opens no header"
    for purpose in ("TREAT", "HRESCH"):
        assert world.ask("wall", narrowed, purpose)[0] == 403
    whole = world.issuer.token("sub-doctor", purpose_of_use=[{"system": "urn:x", "code": "TREAT"}])
    assert world.ask("wall", whole, "TREAT")[0] == 200
    assert world.ask("wall", whole, "PORTFOLIO")[0] == 403
    assert world.ask("dicomweb", whole, "TREAT")[0] == 200
    assert world.ask("fhir", whole, "PORTFOLIO")[0] == 403


@pytest.mark.parametrize("door", ["wall, sets", "dicomweb sets"])
def test_a_patient_context_confines(world: World, door: str) -> None:
    """Also where ``serve`` passes the question on: the ticket carries it."""
    token = world.issuer.token("sub-clinician", patient="ben", scope="launch/patient patient/*.rs")
    headers = {"Authorization": f"Bearer {token}"}
    if door == "wall, sets":
        status, body = _wall_set(world, headers)
    else:
        answer = Client(world.served.app).get("/dicom-web/instances", headers=headers)
        status, body = answer.status_code, answer.content
    assert status == 200
    assert world.ben.sop.encode() in body
    assert world.anna.sop.encode() not in body
    assert world.ask("wall", token)[0] == 403
    assert world.ask("dicomweb", token)[0] == 404


def test_scopes_take_rights_and_types(world: World) -> None:
    token = world.issuer.token("sub-clinician", scope="user/ImagingStudy.rs user/Patient.read")
    client = Client(world.served.app)
    headers = {"Authorization": f"Bearer {token}"}
    found = {
        path: client.get(f"/fhir/{path}", headers=headers).status_code
        for path in ("ImagingStudy", "Patient", "Consent", "Patient?_revinclude=Consent:patient")
    }
    assert list(found.values()) == [200, 200, 403, 403]
    admin = world.issuer.token("sub-admin")
    assert world.archive.ask("/system", headers={"Authorization": f"Bearer {admin}"}).status == 200
    scoped = world.issuer.token("sub-admin", scope="user/*.cruds")
    assert world.archive.ask("/system", headers={"Authorization": f"Bearer {scoped}"}).status == 403


@pytest.mark.parametrize("door", ["wall", "wall, sets", "fhir", "dicomweb"])
def test_a_disabled_account_is_refused_at_the_next_request(world: World, door: str) -> None:
    token = world.issuer.token("sub-doctor")
    assert world.ask(door, token)[0] == 200
    with transaction(world.archive.engine) as connection:
        accounts.disable(connection, "doctor")
    try:
        assert world.ask(door, token)[0] in (401, 403)
    finally:
        with transaction(world.archive.engine) as connection:
            accounts.change(connection, "doctor", active=True)
    assert world.ask(door, token)[0] == 200


def test_an_unlinked_subject_is_refused_at_the_next_request(world: World) -> None:
    token = world.issuer.token("sub-doctor")
    assert world.ask("wall", token)[0] == 200
    with transaction(world.archive.engine) as connection:
        links.unlink(connection, "doctor", NAME, "sub-doctor")
    try:
        assert world.ask("wall", token)[0] == 403
    finally:
        with transaction(world.archive.engine) as connection:
            links.link(connection, "doctor", NAME, "sub-doctor")
    assert world.ask("wall", token)[0] == 200


def test_a_token_that_runs_out_is_refused_though_it_is_remembered(world: World) -> None:
    moment = int(time.time())
    token = world.issuer.token("sub-doctor", iat=moment - 40, nbf=moment - 40, exp=moment - 28)  # 30 s of skew
    assert world.ask("wall", token)[0] == 200
    time.sleep(2.5)
    assert world.ask("wall", token)[0] == 403


def test_an_unknown_key_is_asked_for_and_counts_once_it_was_fetched(world: World) -> None:
    engine, issuer = world.archive.engine, world.issuer
    token = issuer.token("sub-doctor", {"kid": "r9"})
    with sqlite3.connect(str(engine.url.database)) as connection:
        connection.execute("UPDATE issuer_state SET tried = 0, wanted = NULL")
    assert world.ask("wall", token)[0] == 403
    with transaction(engine) as connection:
        assert issuer_keys.due(connection, [issuer.settings]) == [issuer.settings]
        assert issuer_keys.claim(connection, issuer.settings)
        assert not issuer_keys.claim(connection, issuer.settings)
        more = [*issuer.jwks, {**issuer.jwks[0], "kid": "r9"}]
        assert issuer_keys.replace(connection, issuer.settings, more, {}) == 3
    assert world.ask("wall", token)[0] == 200


def test_what_a_token_did_is_recorded_as_its_account(world: World) -> None:
    world.ask("wall", world.issuer.token("sub-clinician"))
    found = AuditArchive(world.archive.engine, world.archive.settings.audit_folder)
    rows = [json.loads(row.body) for chain in found.chains() if "/wall/" in chain for row in found.rows(chain)]
    assert rows[-1]["account"] == "clinician"
    assert rows[-1]["effect"] == "permit"
