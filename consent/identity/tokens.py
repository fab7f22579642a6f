"""JSON Web Tokens as they are received: strict reading, and the checks of what they claim (RFC 7519, 8725, 9068).

Nothing is believed here: the signature is proved by :mod:`consent.identity.signatures`, after the header has passed.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent.identity.policy import ALGORITHMS, Issuer

LONGEST = 8192
"""Characters of a token; what Orthanc's server takes as one header."""

_PART = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_NAME = 255
_MOST_BRACKETS = 200

#: Headers by which a token would bring its own key, or change how it is read: never believed (RFC 8725 3.10).
_FORBIDDEN = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"})


@dataclass(frozen=True, slots=True, repr=False)
class Unproved:
    """A token that is well-formed; nothing of it is proved."""

    text: str
    algorithm: str
    kid: str
    typ: str
    claims: Mapping[str, Any]

    @property
    def issuer(self) -> str:
        """Who it says made it."""
        name = self.claims.get("iss")
        return name if isinstance(name, str) else ""

    @property
    def subject(self) -> str:
        """Whom it says it is about; empty where it does not."""
        return _name(self.claims.get("sub"))


class _NotStrict(ValueError):
    """JSON that two readers could understand differently."""


def parse(text: str) -> Unproved | None:
    """A token in compact form; None where it is anything but plain.

    Refused are tokens without ``kid``, with an algorithm that is not asymmetric, with a header that brings a
    key, with a name that stands twice, or larger than :data:`LONGEST`.
    """
    parts = text.split(".") if len(text) <= LONGEST else []
    if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
        return None
    header, claims = _object(parts[0]), _object(parts[1])
    if header is None or claims is None or not _FORBIDDEN.isdisjoint(header):
        return None
    algorithm, kid, typ = header.get("alg"), _name(header.get("kid")), _name(header.get("typ"))
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS or not kid:
        return None
    return Unproved(text, algorithm, kid, typ.lower().removeprefix("application/"), claims)


def is_access_token(token: Unproved, issuer: Issuer, now: datetime) -> bool:
    """Whether the claims make it an access token for us, now (RFC 9068 4)."""
    if token.typ not in {each.lower() for each in issuer.token_types} or "nonce" in token.claims:
        return False
    client = token.claims.get("client_id", token.claims.get("azp"))
    if issuer.clients and client not in issuer.clients:
        return False
    return bool(issuer.audiences & _audiences(token)) and _is_current(token, issuer, now)


def is_id_token(token: Unproved, issuer: Issuer, nonce: str, now: datetime) -> bool:
    """Whether the claims make it the ID token of a sign-in begun with ``nonce`` (OpenID Connect Core 3.1.3.7)."""
    audiences, client = _audiences(token), issuer.client_id
    if client is None or token.typ not in ("", "jwt") or client not in audiences:
        return False
    if (len(audiences) > 1 or "azp" in token.claims) and token.claims.get("azp") != client:
        return False
    return token.claims.get("nonce") == nonce and _is_current(token, issuer, now)


def _is_current(token: Unproved, issuer: Issuer, now: datetime) -> bool:
    claims, moment, skew = token.claims, now.timestamp(), issuer.skew_seconds
    expires, issued = _number(claims.get("exp")), _number(claims.get("iat"))
    begins = issued if "nbf" not in claims else _number(claims["nbf"])
    if expires is None or issued is None or begins is None or claims.get("iss") != issuer.issuer or not token.subject:
        return False
    if not moment - skew < expires <= moment + issuer.longest_seconds + skew:
        return False
    return issued <= moment + skew and begins <= moment + skew and issued < expires


def person(token: Unproved, issuer: Issuer) -> str:
    """Whom the token is about, by the claim that links accounts of this issuer; empty where it does not say."""
    return token.subject if issuer.subject_claim == "sub" else _name(value_at(token.claims, issuer.subject_claim))


def value_at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim that a name with dots leads to; a claim with just that name comes first. None: there is none.

    A claim that is there and null is given as an empty tuple, which nobody takes for a value: what should narrow a
    token and says nothing must not leave it as wide as if it were not there.
    """
    found: Any = claims
    for step in (path,) if path in claims else path.split("."):
        if not isinstance(found, Mapping) or step not in found:
            return None
        found = found[step]
    return () if found is None else found


def words(value: Any) -> frozenset[str] | None:
    """A claim that lists words: a text with blanks, a list of texts, or of codings; None where it is malformed."""
    if isinstance(value, str):
        return frozenset(value.split())
    if not isinstance(value, list):
        return None
    found: set[str] = set()
    for each in value:
        word = each.get("code") if isinstance(each, Mapping) else each
        if not isinstance(word, str):
            return None
        found.add(word)
    return frozenset(found)


def _audiences(token: Unproved) -> frozenset[str]:
    value = token.claims.get("aud")
    if isinstance(value, str):
        return frozenset({value})
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return frozenset(value)
    return frozenset()


def _object(part: str) -> dict[str, Any] | None:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        if raw.count(b"{") + raw.count(b"[") > _MOST_BRACKETS:
            return None
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NotStrict
    return found


def _no_constant(_: str) -> Any:
    raise _NotStrict


def _name(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= _LONGEST_NAME and value.isprintable() else ""


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if abs(value) < 1e12 else None
