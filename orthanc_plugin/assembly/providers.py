"""The OpenID providers through which people sign in to the workspace."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine

from consent import secret_file
from consent.identity import code_flow, issuer_keys, policy
from consent.identity.code_flow import Flow, Proved
from consent.identity.policy import Issuer
from consent.store.engine import glancing, reading, transaction
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.issuers import IssuerUnreachable, Web
from orthanc_plugin.workspace.single_sign_on import RETURN, Offer

_LOG = logging.getLogger(__name__)


class Providers:
    """The issuers with a ``client_id``, as the database has them now."""

    def __init__(self, engine: Engine, web: Web, public_url: str, secrets: dict[str, str]) -> None:
        self._engine, self._web, self._secrets = engine, web, secrets
        self._home = public_url.rstrip("/")

    def offers(self) -> list[Offer]:
        """Those whose addresses are known; one that was never reached is not offered."""
        found = []
        with glancing(self._engine) as connection:
            for issuer in policy.load(connection).issuers:
                known = issuer_keys.metadata(connection, issuer.issuer) if issuer.client_id is not None else {}
                if {"authorization_endpoint", "token_endpoint"} <= known.keys():
                    end = known.get("end_session_endpoint")
                    found.append(
                        Offer(
                            key=_key(issuer),
                            label=issuer.label,
                            farewell=None if end is None else code_flow.farewell(end, issuer, self._home + "/login"),
                        )
                    )
        return found

    def begin(self, key: str, flow: Flow) -> str | None:
        """Where to send the browser; None: there is no such offer."""
        issuer, known = self._issuer(key)
        if issuer is None or "authorization_endpoint" not in known:
            return None
        return code_flow.address(str(known["authorization_endpoint"]), issuer, flow, self._home + RETURN)

    def finish(self, key: str, flow: Flow, code: str, named: str | None) -> Proved | None:
        """The account whose person came back with this code; None where nothing is proved, whatever the cause.

        Parameters
        ----------
        named
            The issuer that the answer names (RFC 9207): must be ours where it is there, and where it always is.
        """
        issuer, known = self._issuer(key)
        if issuer is None or "token_endpoint" not in known:
            return None
        if (named is not None or known.get("names_itself")) and named != issuer.issuer:
            return None
        form = code_flow.form(issuer, flow, code, self._home + RETURN)
        if form is None:
            return None
        secret = self._secrets.get(issuer.issuer)
        pair = None if secret is None else (quote(issuer.client_id or "", safe=""), quote(secret, safe=""))
        try:
            answer = self._web.post(str(known["token_endpoint"]), form, pair)
        except IssuerUnreachable as error:
            _LOG.warning("signing in through %s did not work: %s", issuer.issuer, error)
            return None
        with reading(self._engine) as connection:
            proved = code_flow.account_of(connection, issuer, flow, answer)
            wanted = proved is None and issuer_keys.is_wanted(connection, issuer)
        if wanted:  # its keys may have changed
            with transaction(self._engine) as connection:
                issuer_keys.want(connection, issuer)
        return proved

    def _issuer(self, key: str) -> tuple[Issuer | None, dict[str, object]]:
        with glancing(self._engine) as connection:
            for issuer in policy.load(connection).issuers:
                if issuer.client_id is not None and _key(issuer) == key:
                    return issuer, issuer_keys.metadata(connection, issuer.issuer)
        return None, {}


def read_secrets(file: Path | None) -> dict[str, str]:
    """Our secrets at issuers.

    Raises
    ------
    AssemblyError
        The text names the file and the fault, never a secret.
    """
    if file is None:
        return {}
    try:
        found = secret_file.read(file)
    except secret_file.OpenToOthers as error:
        raise AssemblyError(f"{file}: {error}") from None
    except OSError as error:
        raise AssemblyError(f"setting 'client_secrets': {file}: {error.strerror}") from error
    except ValueError:
        raise AssemblyError(f"{file}: not a JSON object of issuers and secrets") from None
    if not isinstance(found, dict) or not all(isinstance(each, str) and each for each in found.values()):
        raise AssemblyError(f"{file}: not a JSON object of issuers and secrets")
    return found


def _key(issuer: Issuer) -> str:
    """Names the issuer in our addresses; it stays when others are added."""
    return hashlib.sha256(issuer.issuer.encode()).hexdigest()[:12]
