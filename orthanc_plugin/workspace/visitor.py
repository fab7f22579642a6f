"""Who is at the browser: the session behind a cookie, its CSRF token, and the purposes that open pages."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from consent.identity.code_flow import Proved
from consent.identity.shown import Shown
from consent.types import Request, Requester

_FOUND = "photospine.visitor"
_LARGEST_FORM = 16 * 1024  # bytes: a name, a password and two tokens


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in account in one session."""

    requester: Requester
    display: str
    csrf: str
    session: str
    """Names the session in audit records; not the cookie."""

    secret: bytes
    """Key of the session's opaque photo names; never leaves the server."""

    shown: Shown | None = None
    """To whom the screen is turned, by whom the requester is narrowed; None: its owner is at it."""

    def asks(self, purpose: str, channel: str | None = None) -> Request | None:
        """The one question that a page of this purpose may put, or None where the account does not hold it."""
        if purpose not in self.requester.purposes:
            return None
        return Request(requester=self.requester, purpose=purpose, channel=channel, session=self.session)


class Accounts(Protocol):
    """Sign-in and sessions."""

    def sign_in(self, name: str, password: str) -> str | None:
        """A new session's cookie value, or None where name and password do not fit."""
        ...

    def sign_in_as(self, proved: Proved) -> str | None:
        """A new session's cookie value for an account that a provider has proved; None where it changed since."""
        ...

    def visitor(self, cookie: str) -> Visitor | None:
        """Whose session it is; None where it has ended or never was."""
        ...

    def sign_out(self, cookie: str) -> None:
        """End the session."""
        ...


class Throttle(Protocol):
    """Makes guessing wait (:class:`consent.identity.throttle.Throttle`)."""

    def attempt(self, name: str | None, address: str) -> int:
        """Begin an attempt: seconds until one is looked at again, or 0."""
        ...

    def waits(self, address: str) -> int:
        """Seconds until somebody from this address is looked at again, or 0; nothing is counted."""
        ...

    def succeeded(self, name: str, address: str) -> None:
        """The right password was given."""
        ...


class Door:
    """Reads the session cookie and checks what a form must prove."""

    def __init__(self, accounts: Accounts, *, secure: bool) -> None:
        self.accounts = accounts
        self.secure = secure
        self.cookie = "__Host-photospine" if secure else "photospine"
        self.form_cookie = "__Host-photospine-form" if secure else "photospine-form"

    def visitor(self, http: HttpRequest) -> Visitor | None:
        """The visitor behind a request, or None; looked up once for each request."""
        value = http.cookies.get(self.cookie)
        if not value:
            return None
        if _FOUND not in http.scope:
            http.scope[_FOUND] = self.accounts.visitor(value)
        found: Visitor | None = http.scope[_FOUND]
        return found

    def keep(self, response: Response, cookie: str) -> Response:
        """The response, with a session's cookie."""
        # Lax and not Strict, so that a link out of the hospital's own record opens the chart.
        response.set_cookie(self.cookie, cookie, httponly=True, secure=self.secure, samesite="lax", path="/")
        return response

    def forget(self, response: Response) -> Response:
        """The response, with the session's cookie taken away."""
        response.delete_cookie(self.cookie, path="/", secure=self.secure, httponly=True, samesite="lax")
        return response


async def read_form(http: HttpRequest, *, most: int = _LARGEST_FORM, fields: int = 20) -> Mapping[str, str] | None:
    """As :func:`read_fields`, by name; of several of a name the last."""
    found = await read_fields(http, most=most, fields=fields)
    return None if found is None else dict(found)


async def read_fields(http: HttpRequest, *, most: int, fields: int) -> Sequence[tuple[str, str]] | None:
    """The fields of a form in their order, also several of a name; None where it is too large or no form at all.

    Parameters
    ----------
    most
        Bytes that it may have.
    fields
        And how many fields.
    """
    if http.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > most:
            return None
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=fields)
    except ValueError:
        return None


def same_origin(http: HttpRequest) -> bool:
    """Whether a browser says that the request comes from our own pages. One that says nothing has its token checked."""
    site = http.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = http.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == http.headers.get("host")


def same_token(given: str | None, known: str | None) -> bool:
    """Whether a form's token is the one that we gave out; compared in constant time."""
    return bool(given) and bool(known) and hmac.compare_digest((given or "").encode(), (known or "").encode())


def local_path(target: str | None) -> str:
    """Where to go after sign-in: a path of ours, or the start page."""
    if not target or not target.startswith("/") or target.startswith("//") or "\\" in target:
        return "/"
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or any(ord(letter) < 0x20 for letter in target):
        return "/"
    return target
