"""Sign-in, sign-out, and the start page that leads each account to its own first page."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.pages import Pages, may_review
from orthanc_plugin.workspace.single_sign_on import RETURN, Providers, SingleSignOn
from orthanc_plugin.workspace.visitor import Accounts, Throttle, local_path, read_form, same_origin, same_token
from orthanc_plugin.workspace.words import too_many

_WRONG = noted("That name and password do not match. Please try again.")
_EXPIRED = noted("This page had been open for a long time. Please sign in once more.")

_NOT_RETURNED = noted("That sign-in led to no account here. Please try again, or ask who looks after the accounts.")


class SignIn:
    """The pages before and after a session."""

    def __init__(
        self,
        pages: Pages,
        accounts: Accounts,
        throttle: Throttle,
        token: Callable[[], str],
        providers: Providers | None,
    ) -> None:
        self._pages = pages
        self._accounts = accounts
        self._throttle = throttle
        self._token = token
        self._sso = SingleSignOn(pages.parts.door, providers)

    def routes(self) -> list[BaseRoute]:
        """Their routes."""
        return [
            Route("/", self._start, methods=["GET"]),
            Route("/login", self._form, methods=["GET"]),
            Route("/login", self._sign_in, methods=["POST"]),
            Route("/login/with/{offer}", self._leave_for, methods=["GET"]),
            Route(RETURN, self._return, methods=["GET"]),
            Route("/logout", self._sign_out, methods=["POST"]),
        ]

    def _start(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return RedirectResponse("/login", status_code=303)
        held = visitor.requester.purposes
        if "TREAT" in held:
            return RedirectResponse("/chart", status_code=303)
        for page in self._pages.parts.publishing:
            if page.code in held:
                return RedirectResponse(f"/portfolio/{page.code}", status_code=303)
        if "PATRQT" in held and visitor.requester.confined_to:
            return RedirectResponse("/me", status_code=303)
        if self._pages.parts.safety and "PATSFTY" in held:
            return RedirectResponse("/advisory", status_code=303)
        if self._pages.tells_history and may_review(visitor.requester):
            return RedirectResponse("/review", status_code=303)
        return self._pages.show(http, "no_pages.html", visitor, section="")

    def _form(self, http: HttpRequest) -> Response:
        if self._pages.visitor(http) is not None:
            return RedirectResponse(local_path(http.query_params.get("next")), status_code=303)
        return self._show(http, local_path(http.query_params.get("next")))

    def _show(self, http: HttpRequest, target: str, *, error: str = "", name: str = "", status: int = 200) -> Response:
        door = self._pages.parts.door
        token = http.cookies.get(door.form_cookie) or self._token()
        response = self._pages.show(
            http,
            "login.html",
            None,
            status=status,
            section="",
            token=token,
            next=target,
            error=error,
            name=name,
            offers=self._sso.offers(),
            left="left" in http.query_params,
        )
        response.set_cookie(door.form_cookie, token, httponly=True, secure=door.secure, samesite="strict", path="/")
        return response

    async def _sign_in(self, http: HttpRequest) -> Response:
        form = await read_form(http)
        if form is None or not same_origin(http):
            return await run_in_threadpool(self._show, http, "/", error=_(_EXPIRED), status=400)
        return await run_in_threadpool(self._check, http, form.get("name", ""), form.get("password", ""), form)

    def _check(self, http: HttpRequest, name: str, password: str, form: Mapping[str, str]) -> Response:
        door = self._pages.parts.door
        target = local_path(form.get("next"))
        if not same_token(form.get("csrf"), http.cookies.get(door.form_cookie)):
            return self._show(http, target, error=_(_EXPIRED), name=name, status=400)
        address = http.client.host if http.client else ""
        wait = self._throttle.attempt(name, address)
        if wait:
            response = self._show(http, target, error=too_many(wait), name=name, status=429)
            response.headers["Retry-After"] = str(wait)
            return response
        cookie = self._accounts.sign_in(name, password) if name and password else None
        if cookie is None:
            return self._show(http, target, error=_(_WRONG), name=name, status=401)
        self._throttle.succeeded(name, address)
        return self._enter(cookie, target)

    def _enter(self, cookie: str, target: str) -> Response:
        door = self._pages.parts.door
        response = door.keep(RedirectResponse(target, status_code=303), cookie)
        response.delete_cookie(door.form_cookie, path="/", secure=door.secure, httponly=True, samesite="strict")
        return response

    def _leave_for(self, http: HttpRequest) -> Response:
        return self._sso.leave(http) or self._pages.refuse(http, None)

    def _return(self, http: HttpRequest) -> Response:
        address = http.client.host if http.client else ""
        if self._throttle.waits(address):
            return self._sso.forget(self._show(http, "/", error=_(_NOT_RETURNED), status=429))
        returned = self._sso.come_back(http)
        cookie = None if returned.proved is None else self._accounts.sign_in_as(returned.proved)
        if cookie is None:
            self._throttle.attempt(None, address)
            return self._sso.forget(self._show(http, returned.target, error=_(_NOT_RETURNED), status=401))
        return self._sso.forget(self._enter(cookie, returned.target))

    async def _sign_out(self, http: HttpRequest) -> Response:
        form = await read_form(http)
        return await run_in_threadpool(self._leave, http, form or {})

    def _leave(self, http: HttpRequest, form: Mapping[str, str]) -> Response:
        door = self._pages.parts.door
        visitor = self._pages.visitor(http)
        if visitor is None:
            return RedirectResponse("/login", status_code=303)
        if not same_origin(http) or not same_token(form.get("csrf"), visitor.csrf):
            return self._pages.refuse(http, visitor)
        self._accounts.sign_out(http.cookies[door.cookie])
        response = door.forget(RedirectResponse("/login?left", status_code=303))
        response.headers["Clear-Site-Data"] = '"cache"'
        return response


def random_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)
