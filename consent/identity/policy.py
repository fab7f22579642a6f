"""Whose tokens are believed, and when guessing has to wait. One row in the database holds it for all nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, insert, select, update

from consent.errors import ConsentError
from consent.store.tables import identity_policy

ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""What a signature may be made with: asymmetric algorithms alone (RFC 8725 3.1, 3.2)."""

_LONGEST_SKEW = 60
_LONGEST_NAME = 255
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class PolicyRefused(ConsentError):
    """An issuer or a limit is set so that it could not be kept. The text names the setting and the remedy."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An OpenID provider whose tokens are believed; every name here is a key of ``[[issuers]]``."""

    issuer: str
    """Its identifier, exactly as in the claim ``iss``."""

    audiences: frozenset[str] = frozenset()
    """Values of ``aud`` that mean us. None: its access tokens open nothing, people may sign in through it."""

    algorithms: frozenset[str] = frozenset({"RS256", "ES256"})
    token_types: frozenset[str] = frozenset({"at+jwt"})
    """Values of the header ``typ`` of access tokens (RFC 9068 2.1); add ``JWT`` for a provider that writes that."""

    clients: frozenset[str] = frozenset()
    """Clients whose tokens are believed (``client_id`` or ``azp``); none named: all of this issuer."""

    jwks_uri: str | None = None
    """Where its keys are; None: as its discovery document says."""

    skew_seconds: int = 30
    longest_seconds: int = 86_400
    """A token that runs out later than this from now is refused."""

    subject_claim: str = "sub"
    purposes_claim: str = "purpose_of_use"
    """Narrows the account's purposes, where it is there; dots lead into objects."""

    patient_claim: str = "patient"
    """SMART launch context: confines the token to this patient, where it is there."""

    scope_purposes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Where set, a token has those of the account's purposes alone that its scopes or roles stand for."""

    roles_claim: str = "roles"
    check_fhir_user: bool = False
    """Whether the claim ``fhirUser`` must name the account's own reference, where it is there."""

    refresh_seconds: int = 600
    kept_seconds: int = 600
    """How long a key counts after the issuer ceased to publish it."""

    stale_seconds: int = 86_400
    """How long keys count that could not be fetched anew."""

    client_id: str | None = None
    """Our own name there, for people who sign in to the workspace; None: no such button."""

    label: str = "single sign-on"
    """What the button says after "Sign in with"."""

    def __post_init__(self) -> None:
        """Refuse what could not be kept."""
        where = f"[[issuers]] {self.issuer!r}"
        if not self.issuer or len(self.issuer) > _LONGEST_NAME:
            raise PolicyRefused(f"{where}: 'issuer' has 1 to {_LONGEST_NAME} characters")
        for name, address in (("issuer", self.issuer), ("jwks_uri", self.jwks_uri)):
            if address is not None and not is_safe(address):
                raise PolicyRefused(f"{where}: {name!r} must be an https address (http on this machine alone)")
        if not self.algorithms or not self.algorithms <= ALGORITHMS:
            raise PolicyRefused(f"{where}: 'algorithms' may name {', '.join(sorted(ALGORITHMS))}")
        if not 0 <= self.skew_seconds <= _LONGEST_SKEW:
            raise PolicyRefused(f"{where}: 'skew_seconds' is 0 to {_LONGEST_SKEW}")
        for name in ("longest_seconds", "refresh_seconds", "kept_seconds", "stale_seconds"):
            if not 1 <= getattr(self, name) <= 31 * 86_400:
                raise PolicyRefused(f"{where}: {name!r} is 1 second to 31 days")
        if self.client_id is not None and self.client_id in self.audiences:
            # An ID token has the client as its audience, and must never pass as an access token (RFC 8725 3.11).
            raise PolicyRefused(f"{where}: 'audiences' must not name 'client_id'")
        if self.audiences and not self.token_types:
            raise PolicyRefused(f"{where}: 'token_types' names at least one, at+jwt")


@dataclass(frozen=True, slots=True)
class LockOut:
    """When guessing has to wait; every name here is a key of ``[lock_out]``."""

    failures: int = 5
    """Failures in a row of one name from one address before the first wait."""

    first_seconds: int = 15
    """The first wait; each further failure doubles it."""

    longest_seconds: int = 900
    address_failures: int = 50
    """The same for one address, whatever names it gives."""

    name_failures: int = 50
    """Failures of one name from all addresses, after which one attempt is looked at in ``name_seconds``."""

    name_seconds: int = 60
    window_seconds: int = 3600
    """Failures are forgotten after so long without another."""

    def __post_init__(self) -> None:
        """Refuse what could not be kept."""
        for each in fields(self):
            if not 1 <= getattr(self, each.name) <= 86_400:
                raise PolicyRefused(f"[lock_out] {each.name!r} is 1 to 86400")


@dataclass(frozen=True, slots=True)
class Policy:
    """All of it."""

    issuers: tuple[Issuer, ...] = ()
    lock_out: LockOut = field(default_factory=LockOut)

    def __post_init__(self) -> None:
        """Refuse an issuer that is named twice."""
        names = [each.issuer for each in self.issuers]
        for name in names:
            if names.count(name) > 1:
                raise PolicyRefused(f"[[issuers]] {name!r} stands there twice")

    def issuer(self, name: str) -> Issuer | None:
        """The issuer with exactly this identifier."""
        return next((each for each in self.issuers if each.issuer == name), None)


def is_safe(address: str) -> bool:
    """Whether a secret or a key may pass over this address: https, or this machine itself."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def issuer_of(values: Mapping[str, Any]) -> Issuer:
    """An issuer from a settings file or from the database.

    Raises
    ------
    PolicyRefused
        For an unknown key or a value of the wrong kind; the text names the key.
    """
    known = {each.name: each for each in fields(Issuer)}
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise PolicyRefused(f"unknown setting [[issuers]] {key!r}; known are {', '.join(sorted(known))}")
        kind = str(known[key].type)
        if kind.startswith("frozenset"):
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise PolicyRefused(f"[[issuers]] {key!r} must be a list of texts")
            made[key] = frozenset(value)
        elif kind.startswith("Mapping"):
            made[key] = _table(key, value)
        elif kind in ("int", "bool"):
            if type(value).__name__ != kind:
                raise PolicyRefused(f"[[issuers]] {key!r} must be {'true or false' if kind == 'bool' else 'a number'}")
            made[key] = value
        elif value is None or isinstance(value, str):
            made[key] = value
        else:
            raise PolicyRefused(f"[[issuers]] {key!r} must be a text")
    if not isinstance(made.get("issuer"), str):
        raise PolicyRefused("[[issuers]] needs 'issuer', the provider's identifier")
    return Issuer(**made)


def _table(key: str, value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping) or not all(
        isinstance(codes, list) and all(isinstance(code, str) for code in codes) for codes in value.values()
    ):
        raise PolicyRefused(f"[[issuers]] {key!r} must be a table of lists of purposes")
    return {str(scope): tuple(codes) for scope, codes in value.items()}


def lock_out_of(values: Mapping[str, Any]) -> LockOut:
    """The limits of guessing from a settings file or from the database.

    Raises
    ------
    PolicyRefused
        The text names the key.
    """
    known = [each.name for each in fields(LockOut)]
    for key, value in values.items():
        if key not in known:
            raise PolicyRefused(f"unknown setting [lock_out] {key!r}; known are {', '.join(sorted(known))}")
        if type(value) is not int:
            raise PolicyRefused(f"[lock_out] {key!r} must be a whole number")
    return LockOut(**values)


def load(connection: Connection) -> Policy:
    """What the database holds; where nothing was written yet, nobody's tokens are believed."""
    body = connection.execute(select(identity_policy.c.body)).scalar_one_or_none()
    if body is None:
        return Policy()
    values = json.loads(body)
    return Policy(tuple(issuer_of(each) for each in values["issuers"]), lock_out_of(values["lock_out"]))


def save(connection: Connection, policy: Policy) -> bool:
    """Write it; tells whether it changed anything. Tokens remembered under another are checked anew."""
    body = to_json(policy)
    row = connection.execute(select(identity_policy.c.body)).one_or_none()
    if row is None:
        connection.execute(insert(identity_policy).values(id=1, version=1, body=body))
    elif row.body == body:
        return False
    else:
        connection.execute(update(identity_policy).values(version=identity_policy.c.version + 1, body=body))
    return True


def to_json(policy: Policy) -> str:
    """One text for equal policies."""
    issuers = [
        {key: sorted(value) if isinstance(value, frozenset) else value for key, value in asdict(each).items()}
        for each in policy.issuers
    ]
    return json.dumps({"issuers": issuers, "lock_out": asdict(policy.lock_out)}, sort_keys=True)
