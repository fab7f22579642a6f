"""The screen turned to somebody else: one tap turns it, a PIN or the password takes it back, and nothing else opens.

The session itself is narrowed (:mod:`consent.identity.shown`). Beside that, :class:`Locked` answers every address of
this origin that is not of the room which is shown with one and the same page, whatever stands behind the address.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from consent.errors import ConsentError
from consent.identity.pins import LONGEST, SHORTEST, PinFault, PinRefused
from consent.identity.shown import Shown
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.language_choice import LANGUAGE
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.rooms import ROOMS
from orthanc_plugin.workspace.visitor import Door, Throttle, Visitor, read_form, same_origin, same_token
from orthanc_plugin.workspace.words import too_many

TAKE_BACK = "/unlock"
PIN = "/pin"
_ALWAYS = ("/static/", "/healthz")
"""They say nothing of anybody, and need no session."""

_WRONG = noted("That is not right. Please try again.")
_LAST = noted("That is not right. One more try; after that, sign in anew.")
_OTHER_PIN = noted("The two PINs are not the same.")
_NOT_MATCHING = noted("That password does not match.")
_FAULTS = {
    PinFault.DIGITS: noted("A PIN has %(shortest)s to %(longest)s digits."),
    PinFault.OBVIOUS: noted(
        "A PIN of one digit, or of digits in a row, is the first that anybody tries: choose another."
    ),
}


@dataclass(frozen=True, slots=True)
class Proofs:
    """What an account can prove itself with."""

    pin: bool
    password: bool


@dataclass(frozen=True, slots=True)
class Returned:
    """The outcome of an attempt to take a session back."""

    cookie: str | None
    """The session's new cookie; None: it was not proved."""

    left: int
    """Attempts that are left; with none the session has ended."""


class Locks(Protocol):
    """Turns sessions, and takes them back."""

    def turn(self, visitor: Visitor, cookie: str, to: Shown) -> str | None:
        """The session's new cookie; None where it cannot be turned (any more)."""
        ...

    def take_back(self, visitor: Visitor, cookie: str, secret: str) -> Returned:
        """Whether a PIN or password proves the session's owner; the attempt is counted."""
        ...

    def proofs(self, account: str) -> Proofs:
        """What the account can prove itself with."""
        ...

    def save_pin(self, visitor: Visitor, password: str, pin: str) -> bool:
        """Keep a PIN; False where the account has a password and this is not it.

        Raises
        ------
        consent.identity.pins.PinRefused
            It can be no PIN.
        """
        ...


class Locked:
    """Answers whatever does not belong to the room that a session is turned to; other sessions pass."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        door: Door,
        answer: Callable[[HttpRequest, Visitor], Response],
        busy: Callable[[HttpRequest, Exception], Response],
    ) -> None:
        """Stand before an application.

        Parameters
        ----------
        answer
            The one answer.
        busy
            What is said where nobody can tell whose session it is.
        """
        self._app, self._door, self._answer, self._busy = app, door, answer, busy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and not scope["path"].startswith(_ALWAYS):
            http = HttpRequest(scope)
            if self._door.cookie in http.cookies:
                other = await run_in_threadpool(self._instead, http)
                if other is not None:
                    await other(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _instead(self, http: HttpRequest) -> Response | None:
        try:
            visitor = self._door.visitor(http)
            if visitor is None or visitor.shown is None:
                return None
            path = http.scope["path"]
            if ROOMS[visitor.shown.mode].holds(path) or path in (TAKE_BACK, "/logout"):
                return None
            if path == LANGUAGE and http.method == "POST":  # a cookie is set, and nothing told
                return None
            return self._answer(http, visitor)
        except (DBAPIError, ConsentError) as error:
            return self._busy(http, error)


class Lock:
    """The pages of turning and taking back, and of the PIN."""

    def __init__(self, pages: Pages, locks: Locks, throttle: Throttle) -> None:
        self._pages, self._locks, self._throttle = pages, locks, throttle

    def routes(self) -> list[BaseRoute]:
        """Their routes."""
        return [
            Route(TAKE_BACK, self._ask, methods=["GET"]),
            Route(TAKE_BACK, self._take_back, methods=["POST"]),
            Route(PIN, self._pin, methods=["GET"]),
            Route(PIN, self._save_pin, methods=["POST"]),
        ]

    def turn(self, http: HttpRequest, visitor: Visitor, to: Shown) -> Response:
        """Turn the visitor's screen; the caller has proved the form, and that the visitor may show this."""
        door = self._pages.parts.door
        cookie = self._locks.turn(visitor, http.cookies[door.cookie], to) if visitor.shown is None else None
        if cookie is None:
            return self._pages.refuse(http, visitor)
        return door.keep(RedirectResponse(ROOMS[to.mode].home, status_code=303), cookie)

    # --- taking it back -----------------------------------------------------------------------------------------------

    def _ask(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None or visitor.shown is None:
            return RedirectResponse("/", status_code=303)
        return self._show(http, visitor, visitor.shown)

    def _show(
        self, http: HttpRequest, visitor: Visitor, shown: Shown, *, error: str = "", status: int = 200
    ) -> Response:
        return self._pages.show(
            http,
            "unlock.html",
            visitor,
            status=status,
            section="",
            home=ROOMS[shown.mode].home,
            proofs=self._locks.proofs(visitor.requester.account),
            by_password="password" in http.query_params,
            error=error,
        )

    async def _take_back(self, http: HttpRequest) -> Response:
        form = await read_form(http)
        return await run_in_threadpool(self._prove, http, dict(form or {}))

    def _prove(self, http: HttpRequest, form: dict[str, str]) -> Response:
        visitor, door = self._pages.visitor(http), self._pages.parts.door
        if visitor is None or visitor.shown is None:
            return RedirectResponse("/", status_code=303)
        if not same_origin(http) or not same_token(form.get("csrf"), visitor.csrf):
            return self._show(http, visitor, visitor.shown, status=400)
        account, address = visitor.requester.account, http.client.host if http.client else ""
        if wait := self._throttle.attempt(account, address):
            answer = self._show(http, visitor, visitor.shown, error=too_many(wait), status=429)
            answer.headers["Retry-After"] = str(wait)
            return answer
        returned = self._locks.take_back(visitor, http.cookies[door.cookie], form.get("secret", ""))
        if returned.cookie is not None:
            self._throttle.succeeded(account, address)
            return door.keep(RedirectResponse(_where_it_was(visitor.shown), status_code=303), returned.cookie)
        if returned.left == 0:
            return door.forget(RedirectResponse("/login", status_code=303))
        return self._show(http, visitor, visitor.shown, error=_(_LAST if returned.left == 1 else _WRONG), status=401)

    # --- the PIN ------------------------------------------------------------------------------------------------------

    def _pin(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        return self._pages.sign_in_first(http) if visitor is None else self._show_pin(http, visitor)

    def _show_pin(
        self, http: HttpRequest, visitor: Visitor, *, error: str = "", saved: bool = False, status: int = 200
    ) -> Response:
        return self._pages.show(
            http,
            "pin.html",
            visitor,
            status=status,
            section="",
            proofs=self._locks.proofs(visitor.requester.account),
            error=error,
            saved=saved,
            digits=(SHORTEST, LONGEST),
        )

    async def _save_pin(self, http: HttpRequest) -> Response:
        form = await read_form(http)
        return await run_in_threadpool(self._change_pin, http, dict(form or {}))

    def _change_pin(self, http: HttpRequest, form: dict[str, str]) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        if not same_origin(http) or not same_token(form.get("csrf"), visitor.csrf):
            return self._pages.refuse(http, visitor)
        if form.get("pin", "") != form.get("again", ""):
            return self._show_pin(http, visitor, error=_(_OTHER_PIN), status=422)
        account, address = visitor.requester.account, http.client.host if http.client else ""
        if wait := self._throttle.attempt(account, address):
            return self._show_pin(http, visitor, error=too_many(wait), status=429)
        try:
            kept = self._locks.save_pin(visitor, form.get("password", ""), form.get("pin", ""))
        except PinRefused as error:
            self._throttle.succeeded(account, address)
            return self._show_pin(http, visitor, error=_faulty(error.fault), status=422)
        if not kept:
            return self._show_pin(http, visitor, error=_(_NOT_MATCHING), status=401)
        self._throttle.succeeded(account, address)
        return self._show_pin(http, visitor, saved=True)


def _faulty(fault: PinFault) -> str:
    return _(_FAULTS[fault]) % {"shortest": SHORTEST, "longest": LONGEST}


def _where_it_was(shown: Shown) -> str:
    """The page that the screen was turned from."""
    return "/" if shown.patient is None else f"/chart/patient/{shown.patient}{ROOMS[shown.mode].left}"
