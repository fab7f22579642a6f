"""Signing in through the hospital's OpenID provider: out to it by a link, and back with a code."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response

from consent.identity.code_flow import Flow, Proved
from orthanc_plugin.workspace.visitor import Door, local_path, same_token

RETURN = "/login/return"
"""The path of our redirect address; the provider has it exactly, with ``public_url`` before it."""

_SECONDS = 600
_LONGEST_COOKIE = 2048


@dataclass(frozen=True, slots=True)
class Offer:
    """One provider, as the sign-in page offers it."""

    key: str
    label: str
    farewell: str | None = None
    """Where a person ends her session there too."""


class Providers(Protocol):
    """Those through which people may sign in (:class:`orthanc_plugin.assembly.providers.Providers`)."""

    def offers(self) -> Sequence[Offer]:
        """Those that can be used now."""
        ...

    def begin(self, key: str, flow: Flow) -> str | None:
        """Where to send the browser."""
        ...

    def finish(self, key: str, flow: Flow, code: str, named: str | None) -> Proved | None:
        """The account that is proved."""
        ...


@dataclass(frozen=True, slots=True)
class Returned:
    """Who came back."""

    proved: Proved | None
    """None: nothing is."""

    target: str
    """The page that was asked for at first."""


class SingleSignOn:
    """Out and back."""

    def __init__(self, door: Door, providers: Providers | None) -> None:
        self._providers = providers
        self._secure = door.secure
        self._cookie = "__Host-photospine-sso" if door.secure else "photospine-sso"

    def offers(self) -> Sequence[Offer]:
        """What the sign-in page offers."""
        return () if self._providers is None else self._providers.offers()

    def leave(self, http: HttpRequest) -> Response | None:
        """Send the browser to a provider; None: there is no such one."""
        key, flow = http.path_params["offer"], Flow.begin()
        address = None if self._providers is None else self._providers.begin(key, flow)
        if address is None:
            return None
        target = local_path(http.query_params.get("next"))
        packed = base64.urlsafe_b64encode(target.encode()).decode()
        value = f"{key}.{flow.secret}.{packed if len(packed) < _LONGEST_COOKIE // 2 else ''}"
        response = RedirectResponse(address, status_code=303)
        # Lax, since the browser comes back from another site; a page of ours sets it, so nobody can bring his own.
        response.set_cookie(
            self._cookie, value, max_age=_SECONDS, httponly=True, secure=self._secure, samesite="lax", path="/"
        )
        return response

    def come_back(self, http: HttpRequest) -> Returned:
        """Who comes back from a provider. A code counts for the browser that went out, and for nobody else."""
        value = http.cookies.get(self._cookie, "")
        key, _, rest = value.partition(".")
        secret, _, packed = rest.partition(".")
        query = http.query_params
        if (
            self._providers is None
            or not secret
            or len(value) > _LONGEST_COOKIE
            or len(query.multi_items()) > len(query)
        ):
            return Returned(None, "/")
        flow, target = Flow(secret), _unpacked(packed)
        if not same_token(query.get("state"), flow.state) or "error" in query:
            return Returned(None, target)
        return Returned(self._providers.finish(key, flow, query.get("code", ""), query.get("iss")), target)

    def forget(self, response: Response) -> Response:
        """The way out counts once."""
        response.delete_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="lax")
        return response


def _unpacked(text: str) -> str:
    try:
        return local_path(base64.urlsafe_b64decode(text.encode()).decode())
    except (binascii.Error, ValueError):
        return "/"
