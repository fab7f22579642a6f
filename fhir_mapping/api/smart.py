"""``/.well-known/smart-configuration``: where an app gets its tokens (SMART App Launch 2.2, "Conformance")."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Engine

from consent.identity import issuer_keys, policy
from consent.store.engine import glancing
from fhir_mapping.api.reply import Reply
from fhir_mapping.errors import Issue, NotFound

#: What this server itself does; what the issuer does is in the issuer's own discovery document.
_CAPABILITIES = ("permission-patient", "permission-user", "permission-v1", "permission-v2")


def smart_configuration(engine: Engine) -> Reply:
    """The first issuer whose access tokens are believed and whose addresses are known.

    Raises
    ------
    NotFound
        There is none.
    """
    with glancing(engine) as connection:
        for issuer in policy.load(connection).issuers:
            known = issuer_keys.metadata(connection, issuer.issuer)
            if issuer.audiences and "token_endpoint" in known:
                return Reply(
                    200, json.dumps(_document(issuer.issuer, known)).encode(), {"Content-Type": "application/json"}
                )
    raise NotFound(Issue("not-found", "No issuer of access tokens is set here."))


def _document(name: str, known: dict[str, Any]) -> dict[str, Any]:
    told = {key: value for key, value in known.items() if key not in ("names_itself", "end_session_endpoint")}
    return {
        "issuer": name,
        **told,
        "grant_types_supported": known.get("grant_types_supported", ["authorization_code"]),
        "code_challenge_methods_supported": ["S256"],
        "capabilities": list(_CAPABILITIES),
    }
