"""Signing people in through their OpenID provider: authorization code with PKCE (OpenID Connect Core 3.1, RFC 7636).

All that a sign-in must remember until the browser comes back follows from one secret, which stays in the browser's
cookie: nothing is kept here, so nobody can fill a table by beginning, and the browser may come back to any node.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection

from consent.identity import accounts, issuer_keys, links, tokens
from consent.identity.policy import Issuer
from consent.identity.signatures import proves
from consent.store.clock import now

_LONGEST_CODE = 2048


@dataclass(frozen=True, slots=True)
class Proved:
    """An account whose person has proved herself, in the version that was read with her link."""

    account: str
    version: int


@dataclass(frozen=True, slots=True, repr=False)
class Flow:
    """One sign-in under way. What leaves by an address tells nothing of the secret, nor of the verifier."""

    secret: str

    @staticmethod
    def begin(token: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> Flow:
        """A new one."""
        return Flow(token())

    @property
    def state(self) -> str:
        """Binds the answer to this browser (RFC 6749 10.12)."""
        return self._part("state")

    @property
    def nonce(self) -> str:
        """Binds the ID token to this sign-in."""
        return self._part("nonce")

    @property
    def verifier(self) -> str:
        """Proves to the provider that the code was asked for by us (RFC 7636 4.1)."""
        return self._part("verifier")

    @property
    def challenge(self) -> str:
        """The verifier's S256 (RFC 7636 4.2)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    def _part(self, what: str) -> str:
        return _text(hashlib.sha256(f"photospine sign-in {what}\x00{self.secret}".encode()).digest())


def address(endpoint: str, issuer: Issuer, flow: Flow, redirect: str) -> str:
    """Where to send the browser.

    Parameters
    ----------
    redirect
        Our own address, exactly as the provider has it.
    """
    return _with(
        endpoint,
        {
            "response_type": "code",
            "client_id": issuer.client_id or "",
            "redirect_uri": redirect,
            # Claims beside "sub" come with "profile" (OpenID Connect Core 5.4).
            "scope": "openid" if issuer.subject_claim == "sub" else "openid profile",
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": flow.challenge,
            "code_challenge_method": "S256",
        },
    )


def form(issuer: Issuer, flow: Flow, code: str, redirect: str) -> dict[str, str] | None:
    """What is posted to the token endpoint; None for a code that cannot be one."""
    if not 0 < len(code) <= _LONGEST_CODE or not code.isascii() or not code.isprintable():
        return None
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "client_id": issuer.client_id or "",
        "code_verifier": flow.verifier,
    }


def account_of(connection: Connection, issuer: Issuer, flow: Flow, answer: Any) -> Proved | None:
    """The account that the provider's answer proves; None where it proves none.

    The connection must see one snapshot (:func:`consent.store.engine.reading`).

    Parameters
    ----------
    answer
        JSON of the token endpoint; its ID token alone is read, the rest is thrown away.
    """
    text = answer.get("id_token") if isinstance(answer, Mapping) else None
    token = tokens.parse(text) if isinstance(text, str) else None
    if token is None or token.issuer != issuer.issuer or token.algorithm not in issuer.algorithms:
        return None
    if not tokens.is_id_token(token, issuer, flow.nonce, now(connection)):
        return None
    jwk = issuer_keys.find(connection, issuer, token.kid)
    if jwk is None or not proves(jwk, token):
        return None
    name = links.account_of(connection, issuer.issuer, tokens.person(token, issuer))
    found = None if name is None else accounts.find(connection, name)
    return Proved(found.name, found.version) if found is not None and found.active else None


def farewell(endpoint: str, issuer: Issuer, back: str) -> str:
    """Where a person ends her session at the provider (OpenID Connect RP-Initiated Logout 2); no token is in it."""
    return _with(endpoint, {"client_id": issuer.client_id or "", "post_logout_redirect_uri": back})


def _with(endpoint: str, query: Mapping[str, str]) -> str:
    return endpoint + ("&" if "?" in endpoint else "?") + urlencode(query)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
