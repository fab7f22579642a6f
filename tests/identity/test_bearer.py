"""Bearer tokens without a door: reading, claims, scopes, policy, memory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from consent.identity import accounts, bearer, issuer_keys, links, policy, scopes, signatures, tokens
from consent.identity.bearer import BearerTokens
from consent.identity.policy import Issuer, Policy, PolicyRefused, issuer_of, lock_out_of
from consent.store.engine import transaction
from consent.types import Requester, Right, narrowed
from tests.database import fresh
from tests.issuer import AUDIENCE, NAME, TestIssuer

ISSUER = TestIssuer()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Engine]:
    """A database in a file, where its kind does not matter."""
    made = fresh(f"sqlite:///{tmp_path}/photospine.sqlite3")
    yield made
    made.dispose()


def _make(engine: Engine, **account: Any) -> BearerTokens:
    with transaction(engine) as connection:
        accounts.create(connection, "d", password=None, **({"purposes": ["TREAT", "PORTFOLIO", "BTG"]} | account))
    ISSUER.register(engine, d="sub-d")
    return BearerTokens(engine)


@given(
    st.text(max_size=300)
    | st.from_regex(r"[A-Za-z0-9_-]{1,80}\.[A-Za-z0-9_-]{1,80}\.[A-Za-z0-9_-]{0,80}", fullmatch=True)
)
def test_whatever_comes_is_read_without_a_fault(text: str) -> None:
    assert tokens.parse(text) is None


@given(st.data())
def test_no_changed_token_is_proved(data: st.DataObject) -> None:
    good = ISSUER.token("sub-d")
    jwk = signatures.public_part(ISSUER.jwks[0])
    assert jwk is not None
    place = data.draw(st.integers(0, len(good) - 2))  # the last character has bits that mean nothing
    letter = data.draw(st.sampled_from("ABCXYZabcxyz0189-_."))
    changed = good[:place] + letter + good[place + 1 :]
    parsed = tokens.parse(changed)
    assert parsed is None or signatures.proves(jwk, parsed) == (changed == good)


def test_a_token_narrows_its_account(file: Engine) -> None:
    door = _make(file, rights=[Right.CONSENT, Right.STORE, Right.ADMIN])
    whole = door.verify(ISSUER.token("sub-d"))
    assert whole is not None
    assert whole.requester.purposes == ("TREAT", "PORTFOLIO", "BTG")
    assert whole.requester.rights == {Right.CONSENT, Right.STORE, Right.ADMIN}
    for claims, purposes, rights, confined in (
        ({"purpose_of_use": "PORTFOLIO TREAT"}, ("TREAT", "PORTFOLIO"), 3, None),
        ({"purpose_of_use": ["ETREAT"]}, ("BTG",), 3, None),
        ({"purpose_of_use": [{"system": "x", "code": "TREAT"}]}, ("TREAT",), 3, None),
        ({"purpose_of_use": []}, (), 3, None),
        ({"patient": "anna"}, ("TREAT", "PORTFOLIO", "BTG"), 3, {"anna"}),
        ({"patient": "Patient/anna", "scope": "patient/*.read"}, ("TREAT", "PORTFOLIO", "BTG"), 0, {"anna"}),
        ({"scope": "user/Consent.cruds"}, ("TREAT", "PORTFOLIO", "BTG"), 1, None),
        ({"scope": "openid profile"}, ("TREAT", "PORTFOLIO", "BTG"), 3, None),
    ):
        found = door.verify(ISSUER.token("sub-d", **claims))
        assert found is not None, claims
        assert (found.requester.purposes, len(found.requester.rights)) == (purposes, rights), claims
        assert found.requester.confined_to == confined


@pytest.mark.parametrize("claim", ["purpose_of_use", "patient", "scope", "roles"])
def test_a_claim_that_should_narrow_and_is_null_opens_nothing(file: Engine, claim: str) -> None:
    issuer = TestIssuer(scope_purposes={"photos.read": ("TREAT",)})
    with transaction(file) as connection:
        accounts.create(connection, "d", password=None, purposes=["TREAT", "PORTFOLIO"])
    issuer.register(file, d="sub-d")
    claims = issuer.claims("sub-d", scope="photos.read")
    assert BearerTokens(file).verify(issuer.signed(claims, {}, issuer.rsa, "RS256")) is not None
    assert BearerTokens(file).verify(issuer.signed(claims | {claim: None}, {}, issuer.rsa, "RS256")) is None


def test_scopes_and_roles_stand_for_purposes_where_the_site_says_so(file: Engine) -> None:
    issuer = TestIssuer(
        scope_purposes={"photos.read": ("TREAT",), "Marketing": ("PORTFOLIO", "WEB")}, roles_claim="realm_access.roles"
    )
    with transaction(file) as connection:
        accounts.create(connection, "d", password=None, purposes=["TREAT", "PORTFOLIO"])
    issuer.register(file, d="sub-d")
    door = BearerTokens(file)
    for claims, purposes in (
        ({}, ()),
        ({"scope": "photos.read"}, ("TREAT",)),
        ({"realm_access": {"roles": ["Marketing", "Other"]}}, ("PORTFOLIO",)),
        ({"scope": "photos.read", "realm_access": {"roles": ["Marketing"]}}, ("TREAT", "PORTFOLIO")),
        ({"scope": "photos.read", "purpose_of_use": "PORTFOLIO"}, ()),
    ):
        found = door.verify(issuer.token("sub-d", **claims))
        assert found is not None
        assert found.requester.purposes == purposes


def test_fhir_user_must_be_the_account_s_own_where_that_is_checked(file: Engine) -> None:
    issuer = TestIssuer(check_fhir_user=True, clients=frozenset({"viewer"}))
    with transaction(file) as connection:
        accounts.create(connection, "d", password=None, purposes=["TREAT"], reference="Practitioner/d")
    issuer.register(file, d="sub-d")
    door = BearerTokens(file)
    assert door.verify(issuer.token("sub-d")) is not None
    assert door.verify(issuer.token("sub-d", fhirUser="https://ehr.example/fhir/Practitioner/d")) is not None
    assert door.verify(issuer.token("sub-d", fhirUser="Practitioner/e")) is None
    assert door.verify(issuer.token("sub-d", client_id=None, azp="viewer")) is not None
    assert door.verify(issuer.token("sub-d", client_id="another")) is None


def test_a_remembered_token_ends_with_its_time_its_account_and_the_policy(engine: Engine) -> None:
    clock = [0.0]
    _make(engine)
    door = BearerTokens(engine, clock=lambda: clock[0])
    token = ISSUER.token("sub-d", exp=int(time.time()) + 20)
    assert door.remembered(token) is None
    assert door.verify(token) is not None
    assert door.remembered(token) is not None
    clock[0] += 51  # 20 s and 30 s of skew
    assert door.remembered(token) is None
    long = ISSUER.token("sub-d")
    assert door.verify(long) is not None
    clock[0] += 61
    assert door.remembered(long) is None
    for change in (
        lambda connection: accounts.change(connection, "d", purposes=["TREAT"]),
        lambda connection: policy.save(connection, Policy((ISSUER.settings,), lock_out_of({"failures": 9}))),
    ):
        assert door.verify(long) is not None
        with transaction(engine) as connection:
            change(connection)
        assert door.remembered(long) is None
    with transaction(engine) as connection:
        policy.save(connection, Policy())
    assert door.verify(long) is None, "the issuer is believed no more"


@pytest.mark.parametrize("change", ["unlinked", "policy", "purposes"])
def test_what_changes_while_a_token_is_proved_counts_at_the_next_request(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    door = _make(engine)
    token = ISSUER.token("sub-d")

    def meanwhile(jwk: dict[str, str], unproved: tokens.Unproved) -> bool:
        with transaction(engine) as connection:
            if change == "unlinked":
                links.unlink(connection, "d", NAME, "sub-d")
            elif change == "policy":
                policy.save(connection, Policy())
            else:
                accounts.change(connection, "d", purposes=["WEB"])
        return signatures.proves(jwk, unproved)

    with monkeypatch.context() as once:
        once.setattr(bearer, "proves", meanwhile)
        assert door.verify(token) is not None
    assert door.remembered(token) is None
    found = door.verify(token)
    assert (None if found is None else found.requester.purposes) == (("WEB",) if change == "purposes" else None)


def test_keys_count_as_long_as_their_issuer_says(engine: Engine) -> None:
    issuer = Issuer(NAME, audiences=frozenset({AUDIENCE}), kept_seconds=1)
    with transaction(engine) as connection:
        assert issuer_keys.due(connection, [issuer]) == [issuer]
        assert issuer_keys.claim(connection, issuer)
        assert not issuer_keys.claim(connection, issuer)
        assert issuer_keys.find(connection, issuer, "r1") is None
        assert (
            issuer_keys.replace(connection, issuer, [*ISSUER.jwks, "x", {"kty": "oct", "kid": "s", "k": "AA"}], {}) == 2
        )
    with transaction(engine) as connection:
        assert issuer_keys.find(connection, issuer, "r1") is not None
        twice = [ISSUER.jwks[0], {**ISSUER.jwks[1], "kid": "r1"}, ISSUER.jwks[1]]
        assert issuer_keys.replace(connection, issuer, twice, {}) == 1, "a name that two keys have is no key's"
        assert issuer_keys.find(connection, issuer, "r1") is None
        assert issuer_keys.find(connection, issuer, "e1") is not None
        issuer_keys.forget_others(connection, [])
        assert issuer_keys.find(connection, issuer, "e1") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"kid": None},
        {"kid": ""},
        {"kty": "oct"},
        {"kty": ["RSA"]},
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"n": "AQAB"},
        {"n": None},
        {"n": "not base 64!"},
        {"alg": "HS256"},
        {"alg": "ES256"},
    ],
)
def test_a_key_of_no_use_is_left_out(changes: dict[str, Any]) -> None:
    jwk = ISSUER.jwks[0] | changes
    assert signatures.public_part(jwk) is None
    assert signatures.public_part(ISSUER.jwks[0]) is not None


def test_a_private_key_that_is_published_is_not_kept() -> None:
    kept = signatures.public_part(ISSUER.jwks[0] | {"d": "secret", "p": "secret"})
    assert kept is not None
    assert "secret" not in json.dumps(kept)


@pytest.mark.parametrize(
    ("text", "reads", "writes", "patient"),
    [
        ("patient/*.read", {"*"}, set(), True),
        ("user/*.*", {"*"}, {"*"}, False),
        ("system/ImagingStudy.rs user/Consent.cud", {"ImagingStudy"}, {"Consent"}, False),
        ("patient/Observation.r patient/Patient.s", set(), set(), True),
        ("patient/Observation.rs?category=laboratory", set(), set(), False),
        ("user/*.write user/x.read user/Patient.dr", set(), {"*"}, False),
    ],
)
def test_scopes_are_read_as_smart_writes_them(text: str, reads: set[str], writes: set[str], patient: bool) -> None:
    found = scopes.read(text.split())
    assert found is not None
    assert (set(found.reads), set(found.writes), found.patient) == (reads, writes, patient)


def test_words_that_speak_of_no_resource_narrow_nothing() -> None:
    assert scopes.read(["openid", "launch/patient", "offline_access"]) is None


def test_narrowing_never_adds() -> None:
    held = Requester("d", ("TREAT",), frozenset({Right.LINK}), confined_to=frozenset({"anna"}))
    more = narrowed(held, purposes={"TREAT", "WEB"}, rights=frozenset(Right), confined_to=frozenset({"anna", "ben"}))
    assert more == held
    assert narrowed(held, confined_to=frozenset({"ben"})).confined_to == frozenset()


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"issuer": "http://login.example"}, "https"),
        ({"issuer": "https://user@login.example"}, "https"),
        ({"issuer": "ftp://login.example"}, "https"),
        ({"issuer": ""}, "characters"),
        ({}, "needs 'issuer'"),
        ({"issuer": NAME, "algorithms": ["HS256"]}, "algorithms"),
        ({"issuer": NAME, "algorithms": ["none"]}, "algorithms"),
        ({"issuer": NAME, "algorithms": []}, "algorithms"),
        ({"issuer": NAME, "algorithms": "RS256"}, "list"),
        ({"issuer": NAME, "skew_seconds": 61}, "skew_seconds"),
        ({"issuer": NAME, "skew_seconds": "5"}, "number"),
        ({"issuer": NAME, "check_fhir_user": 1}, "true or false"),
        ({"issuer": NAME, "jwks_uri": "http://keys.example"}, "jwks_uri"),
        ({"issuer": NAME, "audiences": ["photospine"], "client_id": "photospine"}, "client_id"),
        ({"issuer": NAME, "scope_purposes": {"x": "TREAT"}}, "lists of purposes"),
        ({"issuer": NAME, "secret": "x"}, "unknown setting"),
    ],
)
def test_an_issuer_that_could_not_be_kept_is_refused_with_its_setting(values: dict[str, Any], word: str) -> None:
    with pytest.raises(PolicyRefused, match=word):
        issuer_of(values)


def test_a_policy_is_kept_whole(file: Engine) -> None:
    issuer = issuer_of({"issuer": NAME, "audiences": ["a", "b"], "scope_purposes": {"x": ["TREAT"]}, "client_id": "c"})
    whole = Policy((issuer,), lock_out_of({"failures": 3}))
    with transaction(file) as connection:
        assert policy.load(connection) == Policy()
        assert policy.save(connection, whole)
        assert not policy.save(connection, whole)
        assert policy.load(connection) == whole
    with pytest.raises(PolicyRefused, match="twice"):
        Policy((issuer, issuer))
