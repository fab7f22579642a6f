"""Bearer tokens: access tokens of the hospital's OpenID provider, SMART's among them (RFC 6750, RFC 9068).

A token acts as the account that its subject is linked to, and gives less than that account, never more: its purposes
narrow the account's, its patient context confines, its SMART scopes say what may be read and written.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from sqlalchemy import Engine, bindparam, select

from consent.identity import issuer_keys, links, policy, scopes, tokens
from consent.identity.accounts import of_row
from consent.identity.policy import Issuer
from consent.identity.scopes import Scopes
from consent.identity.signatures import proves
from consent.identity.tokens import Unproved
from consent.purposes import BTG
from consent.store.clock import now
from consent.store.engine import reading, transaction
from consent.store.quick import Quick
from consent.store.tables import account, identity_policy
from consent.types import Requester, narrowed

REMEMBER_SECONDS = 60.0
"""How long a proved token is remembered by a process, if it does not run out before."""

_REMEMBER_MOST = 10_000
_WRITE_SECONDS = 0.5
_SCHEME = "bearer"

_ONE = select(account, select(identity_policy.c.version).scalar_subquery().label("policy_version")).where(
    account.c.name == bindparam("name")
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by password or by token."""

    requester: Requester
    scopes: Scopes | None = None
    """The token's SMART scopes; None: nothing is narrowed by them."""

    @property
    def sees_photos(self) -> bool:
        """Whether photos may be asked for at a door that speaks of no FHIR type."""
        return self.scopes is None or self.scopes.sees_photos


@dataclass(frozen=True, slots=True)
class _Known:
    """A proved token."""

    caller: Caller
    account_version: int
    policy_version: int | None
    until: float


def token_of(header: str | None) -> str | None:
    """The token of an ``Authorization`` header; None where it claims to hold none. An empty text is no token."""
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == _SCHEME else None


class BearerTokens:
    """Proves tokens; one for each process.

    A proved token is remembered for a minute as HMAC under a key of this process. The versions of its account and of
    the policy are compared at each request, so that disabling the account counts at the next one.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._engine, self._clock = engine, clock
        self._accounts = Quick(engine, _ONE, "name")
        self._key = random(32)
        self._remembered: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = Lock()

    def verify(self, token: str) -> Caller | None:
        """Who brings this token; None where it opens nothing, whatever the cause."""
        mark = self._mark(token)
        return None if mark is None else self._prove(mark, token)

    def at_hand(self, token: str) -> Caller | None:
        """As :meth:`remembered`, where that waits for nobody; else None."""
        return self.remembered(token) if self._accounts.direct else None

    def remembered(self, token: str) -> Caller | None:
        """As :meth:`verify`, where the token is remembered; None where it must be proved first."""
        mark = self._mark(token)
        return None if mark is None else self._recall(mark)

    def _mark(self, token: str) -> bytes | None:
        if not 0 < len(token) <= tokens.LONGEST or not token.isascii():
            return None
        return hmac.digest(self._key, token.encode(), hashlib.sha256)

    def _recall(self, mark: bytes) -> Caller | None:
        with self._lock:
            known = self._remembered.get(mark)
        if known is None:
            return None
        for row in self._accounts.rows(known.caller.requester.account):
            same = (row.version, row.policy_version) == (known.account_version, known.policy_version)
            if row.active and same and known.until > self._clock():
                return known.caller
        with self._lock:
            self._remembered.pop(mark, None)
        return None

    def _prove(self, mark: bytes, text: str) -> Caller | None:
        token = tokens.parse(text)
        if token is None:
            return None
        # One snapshot, so that what is remembered has the versions of what was read.
        with reading(self._engine) as connection:
            issuer = policy.load(connection).issuer(token.issuer)
            if issuer is None or token.algorithm not in issuer.algorithms:
                return None
            moment = now(connection)
            if not tokens.is_access_token(token, issuer, moment):
                return None
            jwk = issuer_keys.find(connection, issuer, token.kid)
            wanted = jwk is None and issuer_keys.is_wanted(connection, issuer)
            name = links.account_of(connection, issuer.issuer, tokens.person(token, issuer))
            row = None if name is None else connection.execute(_ONE, {"name": name}).one_or_none()
        if wanted:
            with transaction(self._engine, wait=_WRITE_SECONDS) as connection:
                issuer_keys.want(connection, issuer)
        if jwk is None or not proves(jwk, token) or row is None or not row.active:
            return None
        caller = _caller(of_row(row).requester, token, issuer)
        if caller is None:
            return None
        left = float(token.claims["exp"]) + issuer.skew_seconds - moment.timestamp()
        known = _Known(caller, row.version, row.policy_version, self._clock() + min(left, REMEMBER_SECONDS))
        with self._lock:
            self._remembered[mark] = known
            while len(self._remembered) > _REMEMBER_MOST:
                self._remembered.popitem(last=False)
        return caller


def _caller(held: Requester, token: Unproved, issuer: Issuer) -> Caller | None:
    """The account with no more than the token gives; None where the token says something that cannot be kept."""
    claims = token.claims
    said = tokens.words(claims.get("scope", claims.get("scp", "")))
    if said is None:
        return None
    found = scopes.read(said)
    purposes = _purposes(claims, issuer, said)
    patient = tokens.value_at(claims, issuer.patient_claim)
    if purposes is None or (patient is not None and (not isinstance(patient, str) or not 0 < len(patient) <= 64)):
        return None
    if patient is None and found is not None and found.patient:
        return None  # scopes of a patient in context, and no patient
    if issuer.check_fhir_user and not _is_user(claims.get("fhirUser"), held.reference):
        return None
    requester = narrowed(
        held,
        purposes=set(held.purposes) & purposes if purposes is not _ALL else None,
        rights=None if found is None else found.rights(held.rights),
        confined_to=None if patient is None else frozenset({patient.removeprefix("Patient/")}),
    )
    if requester.confined_to is not None and not requester.confined_to:
        return None  # the token's patient is not the account's
    return Caller(requester, found)


_ALL: frozenset[str] = frozenset({"*"})


def _purposes(claims: Mapping[str, Any], issuer: Issuer, said: frozenset[str]) -> frozenset[str] | None:
    """The purposes that the token leaves; :data:`_ALL`: those of the account; None: it cannot be read."""
    left = _ALL
    if issuer.scope_purposes:
        roles = tokens.value_at(claims, issuer.roles_claim)
        named = frozenset() if roles is None else tokens.words(roles)
        if named is None:
            return None
        left = frozenset(code for word in said | named for code in issuer.scope_purposes.get(word, ()))
    value = tokens.value_at(claims, issuer.purposes_claim)
    if value is None:
        return left
    given = tokens.words(value)
    if given is None:
        return None
    given = frozenset(BTG if code == "ETREAT" else code for code in given)
    return given if left is _ALL else left & given


def _is_user(claim: Any, reference: str | None) -> bool:
    """Whether ``fhirUser`` (SMART 2.2) names the account's own reference; nothing is checked where either is absent."""
    if claim is None or reference is None:
        return True
    return isinstance(claim, str) and "/".join(claim.split("/")[-2:]) == reference
