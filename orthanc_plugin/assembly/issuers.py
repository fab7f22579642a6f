"""Fetching issuers' keys and discovery documents, in ``serve`` and ``worker``; the wall only reads what is kept."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import Engine

from consent.identity import issuer_keys, policy
from consent.identity.policy import Issuer, is_safe
from consent.store.engine import glancing, transaction
from orthanc_plugin.assembly.errors import AssemblyError

LOOK_SECONDS = 1.0
"""How often it is looked whether an issuer's keys should be fetched."""

LARGEST = 512 * 1024
_TIMEOUT = (3.0, 5.0)  # seconds to connect, and between two pieces
_LONGEST = 10.0  # seconds for all of an answer
_CHUNK = 16 * 1024
_DISCOVERY = "/.well-known/openid-configuration"
_ADDRESSES = (
    "authorization_endpoint",
    "token_endpoint",
    "end_session_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
    "jwks_uri",
)
_LISTS = (
    "grant_types_supported",
    "response_types_supported",
    "scopes_supported",
    "token_endpoint_auth_methods_supported",
)
_MOST_WORDS = 200
_LOG = logging.getLogger(__name__)

Fetch = Callable[[str], Any]
"""An address -> the JSON there."""


class IssuerUnreachable(AssemblyError):
    """An issuer did not give what it should. The text names the issuer and the fault, never what it sent."""


class Web:
    """Speaks with OpenID providers: https alone but to this machine, no redirects, limits on size and time."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no .netrc of whoever started us
        if ca_file is not None:
            self._session.verify = str(ca_file)

    def get(self, address: str) -> Any:
        """The JSON at an address.

        Raises
        ------
        IssuerUnreachable
        """
        return self._json("GET", address)

    def post(self, address: str, form: Mapping[str, str], secret: tuple[str, str] | None) -> Any:
        """The JSON that answers a form; with a secret by HTTP Basic (RFC 6749 2.3.1).

        Raises
        ------
        IssuerUnreachable
        """
        return self._json("POST", address, data=dict(form), auth=secret)

    def _json(self, method: str, address: str, **words: Any) -> Any:
        if not is_safe(address):
            raise IssuerUnreachable("the address is not https")
        end = time.monotonic() + _LONGEST
        try:
            with self._session.request(
                method,
                address,
                headers={"Accept": "application/json"},
                timeout=_TIMEOUT,
                allow_redirects=False,
                stream=True,
                **words,
            ) as answer:
                if answer.status_code != 200:
                    raise IssuerUnreachable(f"it answered {answer.status_code}")
                body = bytearray()
                for chunk in answer.iter_content(_CHUNK):
                    body += chunk
                    if len(body) > LARGEST or time.monotonic() > end:
                        raise IssuerUnreachable("its answer is too large or too slow")
                return json.loads(bytes(body))
        except requests.RequestException as error:
            raise IssuerUnreachable(f"it cannot be reached: {type(error).__name__}") from None
        except (ValueError, RecursionError):
            raise IssuerUnreachable("its answer is no JSON") from None


class Refresher:
    """Keeps the keys of all issuers fresh; any number of processes may."""

    def __init__(self, engine: Engine, fetch: Fetch) -> None:
        self._engine, self._fetch = engine, fetch

    def step(self) -> int:
        """Fetch what is due; tells how many issuers were asked. One that does not answer is tried again in a minute."""
        with glancing(self._engine) as connection:
            due = issuer_keys.due(connection, policy.load(connection).issuers)
        asked = 0
        for issuer in due:
            with transaction(self._engine) as connection:
                mine = issuer_keys.claim(connection, issuer)
            if mine:
                asked += 1
                self._refresh(issuer)
        return asked

    def _refresh(self, issuer: Issuer) -> None:
        try:
            keys, metadata = self._read(issuer)
        except IssuerUnreachable as error:
            _LOG.warning("keys of the issuer %s were not fetched: %s", issuer.issuer, error)
            return
        with transaction(self._engine) as connection:
            count = issuer_keys.replace(connection, issuer, keys, metadata)
        if count == 0:
            _LOG.warning("the issuer %s publishes no key of use", issuer.issuer)

    def _read(self, issuer: Issuer) -> tuple[list[Any], dict[str, Any]]:
        address, metadata = issuer.jwks_uri, {}
        if address is None or issuer.client_id is not None:
            found = self._fetch(issuer.issuer.rstrip("/") + _DISCOVERY)
            if not isinstance(found, Mapping) or found.get("issuer") != issuer.issuer:
                raise IssuerUnreachable("its discovery document names another issuer")
            metadata = _kept(found)
            metadata["names_itself"] = found.get("authorization_response_iss_parameter_supported") is True
            address = address or str(found.get("jwks_uri"))
        keys = self._fetch(address)
        if not isinstance(keys, Mapping) or not isinstance(keys.get("keys"), list):
            raise IssuerUnreachable("its keys are no JWK set")
        return keys["keys"], metadata

    def run(self, stopped: threading.Event) -> None:
        """Go on until stopped."""
        while not stopped.wait(LOOK_SECONDS):
            try:
                self.step()
            except Exception as error:  # noqa: BLE001  # an outermost edge: the thread goes on when the database is back
                _LOG.warning("issuers cannot be looked at now: %s", type(error).__name__)

    def aside(self) -> Callable[[], None]:
        """Go on in a thread of its own; gives what stops it."""
        stopped = threading.Event()
        thread = threading.Thread(target=self.run, args=(stopped,), name="photospine-issuers", daemon=True)
        thread.start()

        def stop() -> None:
            stopped.set()
            thread.join(1.0)

        return stop


def ailing(engine: Engine) -> Iterator[tuple[str, str | None]]:
    """Each issuer, and what keeps its tokens from being proved; None: nothing."""
    with glancing(engine) as connection:
        for issuer in policy.load(connection).issuers:
            yield issuer.issuer, issuer_keys.fault(connection, issuer)


def _kept(document: Mapping[str, Any]) -> dict[str, Any]:
    """What sign-in and apps need of a discovery document (OpenID Connect Discovery 3), where it is as it should be."""
    kept: dict[str, Any] = {}
    for name in _ADDRESSES:
        value = document.get(name)
        if isinstance(value, str) and is_safe(value):
            kept[name] = value
    for name in _LISTS:
        value = document.get(name)
        if isinstance(value, list) and len(value) <= _MOST_WORDS and all(isinstance(each, str) for each in value):
            kept[name] = value
    return kept
