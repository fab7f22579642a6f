"""ID tokens of a sign-in, and what leaves the browser of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Engine

from consent.identity import accounts, code_flow, issuer_keys, links, policy
from consent.identity.bearer import BearerTokens
from consent.identity.code_flow import Flow, Proved
from consent.identity.policy import Policy
from consent.store.engine import reading, transaction
from tests.database import fresh
from tests.issuer import AUDIENCE, NAME, TestIssuer

ISSUER = TestIssuer(client_id="photospine")
FLOW = Flow("secret-of-the-browser")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = fresh(f"sqlite:///{tmp_path}/photospine.sqlite3")
    with transaction(made) as connection:
        accounts.create(connection, "d", password=None, purposes=["TREAT"])
    ISSUER.register(made, d="sub-d")
    yield made
    made.dispose()


def _proved(engine: Engine, answer: Any) -> Proved | None:
    with reading(engine) as connection:
        return code_flow.account_of(connection, ISSUER.settings, FLOW, answer)


def _token(headers: dict[str, Any] | None = None, **changes: Any) -> str:
    claims = {"aud": "photospine", "nonce": FLOW.nonce, "client_id": None, "nbf": None} | changes
    return ISSUER.token("sub-d", {"typ": "JWT"} | (headers or {}), **claims)


def test_an_id_token_proves_its_account(engine: Engine) -> None:
    for token in (_token(), _token(aud=["photospine"]), _token(aud=["photospine", "x"], azp="photospine")):
        assert _proved(engine, {"id_token": token, "access_token": "thrown away"}) == Proved("d", 2)
    with transaction(engine) as connection:
        accounts.disable(connection, "d")
    assert _proved(engine, {"id_token": _token()}) is None


@pytest.mark.parametrize(
    "answer",
    [
        lambda: None,
        list,
        dict,
        lambda: {"id_token": 7},
        lambda: {"id_token": ""},
        lambda: {"access_token": _token()},
        lambda: {"id_token": _token(nonce=None)},
        lambda: {"id_token": _token(nonce=Flow("another").nonce)},
        lambda: {"id_token": _token(nonce=FLOW.state)},
        lambda: {"id_token": _token(aud="another")},
        lambda: {"id_token": _token(aud=AUDIENCE)},
        lambda: {"id_token": _token(aud=["photospine", "x"])},
        lambda: {"id_token": _token(aud=["photospine", "x"], azp="x")},
        lambda: {"id_token": _token(azp="x")},
        lambda: {"id_token": _token(iss=NAME + "/")},
        lambda: {"id_token": _token(exp=int(time.time()) - 60)},
        lambda: {"id_token": _token(iat=int(time.time()) + 120)},
        lambda: {"id_token": _token(sub="nobody")},
        lambda: {"id_token": _token({"typ": "at+jwt"})},
        lambda: {"id_token": _token({"typ": "logout+jwt"})},
        lambda: {"id_token": _token({"kid": "r2"})},
        lambda: {"id_token": _token({"jku": "https://evil.example"})},
        lambda: {"id_token": ISSUER.signed(ISSUER.claims("sub-d"), {"typ": "JWT"}, ISSUER.stranger, "RS256")},
        lambda: {"id_token": _token()[:-8] + "AAAAAAAA"},
    ],
)
def test_anything_else_proves_nobody(engine: Engine, answer: Callable[[], Any]) -> None:
    """Made when it is needed, so that each is refused for what is wrong with it and not for its age."""
    assert _proved(engine, answer()) is None


def test_who_signs_in_is_told_by_the_claim_that_links_accounts(engine: Engine) -> None:
    """Else somebody whose ``sub`` is what another one's claim says would be taken for her."""
    issuer = TestIssuer(client_id="photospine", subject_claim="oid")
    issuer.register(engine)
    assert "&scope=openid+profile&" in code_flow.address("https://login.example/", issuer.settings, FLOW, "https://us")

    def proved(**changes: Any) -> Proved | None:
        with reading(engine) as connection:
            return code_flow.account_of(connection, issuer.settings, FLOW, {"id_token": _token(**changes)})

    assert proved() is None
    assert proved(oid="another") is None
    assert proved(oid=["sub-d"]) is None
    assert proved(sub="another", oid="sub-d") == Proved("d", 2)


def test_an_id_token_opens_no_door_and_an_access_token_signs_nobody_in(engine: Engine) -> None:
    door = BearerTokens(engine)
    assert door.verify(ISSUER.token("sub-d")) is not None
    assert door.verify(_token()) is None
    assert _proved(engine, {"id_token": ISSUER.token("sub-d")}) is None


def test_what_leaves_tells_nothing_of_the_secret() -> None:
    address = code_flow.address(
        "https://login.example/auth?tenant=1", ISSUER.settings, FLOW, "https://us.example/return"
    )
    query = parse_qs(urlsplit(address).query)
    assert query["tenant"] == ["1"]
    assert query["code_challenge"] == [FLOW.challenge]
    assert FLOW.secret not in address
    assert FLOW.verifier not in address
    assert len({FLOW.state, FLOW.nonce, FLOW.verifier, FLOW.challenge}) == 4
    assert Flow.begin().state != Flow.begin().state
    assert 43 <= len(FLOW.verifier) <= 128


@pytest.mark.parametrize("code", ["", "x" * 3000, "a\nb", "é"])
def test_what_cannot_be_a_code_is_sent_nowhere(code: str) -> None:
    assert code_flow.form(ISSUER.settings, FLOW, code, "https://us.example/return") is None
    good = code_flow.form(ISSUER.settings, FLOW, "abc", "https://us.example/return")
    assert good is not None
    assert good["code_verifier"] == FLOW.verifier


def test_a_provider_that_is_believed_no_more_proves_nobody(engine: Engine) -> None:
    with transaction(engine) as connection:
        policy.save(connection, Policy())
        issuer_keys.forget_others(connection, [])
        links.unlink(connection, "d", NAME, "sub-d")
    assert _proved(engine, {"id_token": _token()}) is None
