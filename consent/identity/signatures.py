"""Signatures of tokens, proved by PyJWT and ``cryptography``.

They are loaded when the first token comes. Inside Orthanc ``cryptography`` is the distribution's own package; where it
is missing, no token opens anything, and everything else goes on.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Any

from consent.identity.tokens import Unproved

_LOG = logging.getLogger(__name__)
_LEAST_RSA_BITS = 2048
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_PUBLIC = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


def public_part(jwk: Mapping[str, Any]) -> dict[str, str] | None:
    """What a JSON Web Key (RFC 7517) holds of a public key that signs; None where it is no such key, or a weak one."""
    kid, kind = jwk.get("kid"), jwk.get("kty")
    if not isinstance(kid, str) or not 0 < len(kid) <= 255 or not isinstance(kind, str) or kind not in _PUBLIC:
        return None
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        return None
    found = {name: jwk.get(name) for name in (*_PUBLIC[kind], "kty", "kid")}
    if isinstance(jwk.get("alg"), str):
        found["alg"] = jwk["alg"]
    kept = {name: value for name, value in found.items() if isinstance(value, str) and len(value) <= 2048}
    if kept.keys() != found.keys() or not fitting(kept):
        return None
    return kept


def fitting(jwk: Mapping[str, str]) -> frozenset[str]:
    """The algorithms that a key may prove; none where it is too weak."""
    kind, curve = jwk["kty"], jwk.get("crv", "")
    found: frozenset[str] = frozenset()
    if kind == "RSA" and _bits(jwk["n"]) >= _LEAST_RSA_BITS:
        found = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
    elif kind == "EC" and curve in _CURVES:
        found = frozenset({_CURVES[curve]})
    elif kind == "OKP" and curve == "Ed25519":
        found = frozenset({"EdDSA"})
    return found & {jwk["alg"]} if "alg" in jwk else found


def available() -> bool:
    """Whether signatures can be proved in this process."""
    try:
        from jwt.algorithms import has_crypto
    except ImportError:
        return False
    return bool(has_crypto)


def proves(jwk: Mapping[str, str], token: Unproved) -> bool:
    """Whether the key made the token's signature, with the algorithm that it names."""
    if token.algorithm not in fitting(jwk):
        return False
    try:
        import jwt  # here, since it costs a tenth of a second and many a node has no issuer
    except ImportError:
        _LOG.error("tokens are refused: PyJWT is not installed")
        return False
    try:
        key = jwt.PyJWK({**jwk, "alg": token.algorithm})
        jwt.PyJWS().decode(token.text, key, algorithms=[token.algorithm])
    except jwt.exceptions.MissingCryptographyError:
        _LOG.error("tokens are refused: the package cryptography is not installed for this Python")
        return False
    except jwt.exceptions.PyJWTError:
        return False
    except (ValueError, TypeError):  # a key whose numbers are no key's
        return False
    return True


def _bits(number: str) -> int:
    try:
        return int.from_bytes(base64.urlsafe_b64decode(number + "=" * (-len(number) % 4)), "big").bit_length()
    except (binascii.Error, ValueError):
        return 0
