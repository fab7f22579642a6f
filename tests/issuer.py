"""An issuer of tokens for tests, which also makes those that no issuer would."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Engine

from consent.identity import issuer_keys, links, policy
from consent.identity.policy import Issuer, Policy
from consent.store.engine import transaction

NAME = "https://login.hospital.example"
AUDIENCE = "https://photos.hospital.example"


class TestIssuer:
    """Two keys, RSA and EC; ``register`` makes a database believe it."""

    __test__ = False

    def __init__(self, **settings: Any) -> None:
        self.settings = Issuer(**({"issuer": NAME, "audiences": frozenset({AUDIENCE})} | settings))
        self.rsa, self.ec, self.stranger = _keys()

    @property
    def jwks(self) -> list[dict[str, Any]]:
        """What it publishes."""
        algorithms = jwt.algorithms.get_default_algorithms()
        return [
            {
                **json.loads(algorithms["RS256"].to_jwk(self.rsa.public_key())),
                "kid": "r1",
                "use": "sig",
                "alg": "RS256",
            },
            {**json.loads(algorithms["ES256"].to_jwk(self.ec.public_key())), "kid": "e1", "use": "sig"},
        ]

    def register(self, engine: Engine, **accounts: str) -> None:
        """Have the database believe it, with links from accounts to subjects, by keyword."""
        with transaction(engine) as connection:
            policy.save(connection, Policy((self.settings,)))
            issuer_keys.claim(connection, self.settings)
            assert issuer_keys.replace(connection, self.settings, self.jwks, {}) == 2
            for account, subject in accounts.items():
                links.link(connection, account, self.settings.issuer, subject)

    def claims(self, subject: str, **changes: Any) -> dict[str, Any]:
        """Those of a good token; None leaves one out."""
        moment = int(time.time())
        whole: dict[str, Any] = {
            "iss": self.settings.issuer,
            "sub": subject,
            "aud": AUDIENCE,
            "iat": moment - 1,
            "nbf": moment - 1,
            "exp": moment + 300,
            "jti": f"id-{moment}",
            "client_id": "viewer",
        }
        return {name: value for name, value in (whole | changes).items() if value is not None}

    def token(self, subject: str, headers: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """A token signed with the RSA key."""
        return self.signed(self.claims(subject, **changes), headers or {}, self.rsa, "RS256")

    def signed(self, claims: Mapping[str, Any], headers: Mapping[str, Any], key: Any, algorithm: str) -> str:
        """A token of any claims, headers and key."""
        made = {"typ": "at+jwt", "kid": "r1", **headers}
        return jwt.encode(dict(claims), key, algorithm=algorithm, headers=made)

    def bad(self, subject: str, other_patient: str) -> dict[str, str]:
        """Tokens that open nothing for an account that is confined to another patient, by what is wrong with each."""
        now = int(time.time())
        good = self.claims(subject)
        public = self.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        own = json.loads(jwt.algorithms.get_default_algorithms()["RS256"].to_jwk(self.stranger.public_key()))
        head, body, signature = self.token(subject).split(".")
        changed = _b64(json.dumps({**good, "sub": "somebody"}).encode())
        doubled = json.dumps(good)[:-1] + f',"sub":"{subject}"}}'
        return {
            "expired": self.token(subject, exp=now - 61),
            "not yet valid": self.token(subject, nbf=now + 120),
            "issued in the future": self.token(subject, iat=now + 120, exp=now + 400),
            "valid for years": self.token(subject, exp=now + 10 * 365 * 86400),
            "never running out": self.token(subject, exp=None),
            "without iat": self.token(subject, iat=None),
            "exp as a text": self.token(subject, exp=str(now + 300)),
            "exp as true": self.signed({**good, "exp": True}, {}, self.rsa, "RS256"),
            "of another audience": self.token(subject, aud="https://elsewhere.example"),
            "of an audience that begins alike": self.token(subject, aud=AUDIENCE + ".evil.example"),
            "without audience": self.token(subject, aud=None),
            "of another issuer": self.token(subject, iss="https://elsewhere.example"),
            "of an issuer with a slash more": self.token(subject, iss=NAME + "/"),
            "without issuer": self.token(subject, iss=None),
            "without subject": self.token(subject, sub=None),
            "of an unknown subject": self.token("nobody-knows"),
            "subject as a list": _raw({"alg": "RS256", "typ": "at+jwt", "kid": "r1"}, {**good, "sub": [subject]}, self),
            "of another patient": self.token(subject, patient=other_patient),
            "patient as a list": self.token(subject, patient=["anna"]),
            "patient scopes and no patient": self.token(subject, scope="patient/*.rs"),
            "scopes of other resources": self.token(subject, scope="user/Observation.rs"),
            "scope as a number": self.token(subject, scope=7),
            "purposes as a number": self.token(subject, purpose_of_use=7),
            "purposes that the account does not hold": self.token(subject, purpose_of_use="TEACH"),
            "an ID token": self.token(subject, {"typ": "JWT"}, aud=[AUDIENCE]),
            "with a nonce": self.token(subject, nonce="n"),
            "typ of another kind": self.token(subject, {"typ": "logout+jwt"}),
            "without typ": _raw({"alg": "RS256", "kid": "r1"}, good, self),
            "without kid": _raw({"alg": "RS256", "typ": "at+jwt"}, good, self),
            "of an unknown kid": self.token(subject, {"kid": "r2"}),
            "kid that is no text": _raw({"alg": "RS256", "typ": "at+jwt", "kid": 1}, good, self),
            "kid with quotes": self.token(subject, {"kid": "r1' OR '1'='1"}),
            "signed by a stranger": self.signed(good, {}, self.stranger, "RS256"),
            "signed with the other key": self.signed(good, {"kid": "r1"}, self.ec, "ES256"),
            "with an algorithm that is not allowed": self.signed(good, {}, self.rsa, "PS256"),
            "bringing its key's address": self.signed(good, {"jku": "https://evil.example/jwks"}, self.rsa, "RS256"),
            "bringing its key": self.signed(good, {"jwk": own}, self.stranger, "RS256"),
            "bringing a certificate": self.signed(good, {"x5c": ["AAAA"]}, self.rsa, "RS256"),
            "bringing a certificate's address": self.signed(good, {"x5u": "https://evil.example"}, self.rsa, "RS256"),
            "with critical headers": _raw(
                {"alg": "RS256", "typ": "at+jwt", "kid": "r1", "crit": ["exp"], "exp": 1}, good, self
            ),
            "alg none": _unsigned({"alg": "none", "typ": "at+jwt", "kid": "r1"}, good) + ".",
            "alg nOnE": _unsigned({"alg": "nOnE", "typ": "at+jwt", "kid": "r1"}, good) + "." + signature,
            "alg as a list": _unsigned({"alg": ["RS256"], "typ": "at+jwt", "kid": "r1"}, good) + "." + signature,
            "HS256 with the public key": _hmac({"alg": "HS256", "typ": "at+jwt", "kid": "r1"}, good, public),
            "without signature": f"{head}.{body}.",
            "with two parts": f"{head}.{body}",
            "with four parts": f"{head}.{body}.{signature}.{signature}",
            "with another's signature": f"{head}.{changed}.{signature}",
            "a name twice": _raw_text({"alg": "RS256", "typ": "at+jwt", "kid": "r1"}, doubled, self),
            "NaN": _raw_text({"alg": "RS256", "typ": "at+jwt", "kid": "r1"}, json.dumps(good)[:-1] + ',"x":NaN}', self),
            "claims that are a list": _raw_text({"alg": "RS256", "typ": "at+jwt", "kid": "r1"}, "[1]", self),
            "deeply nested": _raw_text(
                {"alg": "RS256", "typ": "at+jwt", "kid": "r1"},
                json.dumps(good)[:-1] + ',"x":' + "[" * 1500 + "]" * 1500 + "}",
                self,
            ),
            "oversized": self.token(subject, more="x" * 7000),
            "no token": "x",
            "empty": "",
            "padded": f"{head}=.{body}.{signature}",
        }


@lru_cache
def _keys() -> tuple[rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey]:
    """Made once: it takes a while."""
    return (
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(65537, 2048),
    )


def _raw(header: Mapping[str, Any], claims: Mapping[str, Any], issuer: TestIssuer) -> str:
    return _raw_text(header, json.dumps(claims), issuer)


def _raw_text(header: Mapping[str, Any], claims: str, issuer: TestIssuer) -> str:
    signed = f"{_b64(json.dumps(header).encode())}.{_b64(claims.encode())}"
    algorithm = jwt.algorithms.get_default_algorithms()["RS256"]
    return f"{signed}.{_b64(algorithm.sign(signed.encode(), issuer.rsa))}"


def _unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    return f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(claims).encode())}"


def _hmac(header: Mapping[str, Any], claims: Mapping[str, Any], key: bytes) -> str:
    signed = _unsigned(header, claims)
    return f"{signed}.{_b64(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
