"""``/language``: the reader chooses the language of the pages; it is kept in a cookie."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from orthanc_plugin.workspace.language import COOKIE, languages
from orthanc_plugin.workspace.visitor import local_path, read_form, same_origin

LANGUAGE = "/language"
"""Its address: open to everybody, also to whom a screen is turned."""

_ANSWERED = {"/sign/check": "/sign", "/sign/done": "/sign"}
"""Addresses that a form is sent to, and where it stands: what was answered is answered anew in the other language."""

_YEAR = 365 * 24 * 3600
"""Seconds that the choice is kept."""


class LanguageChoice:
    """The button of the bar."""

    def __init__(self, secure: bool) -> None:
        self._secure = secure

    def routes(self) -> list[BaseRoute]:
        """Its route."""
        return [Route(LANGUAGE, self._choose, methods=["POST"])]

    async def _choose(self, http: HttpRequest) -> Response:
        form = await read_form(http)
        if form is None or form.get("language") not in languages() or not same_origin(http):
            return Response(status_code=400)
        answer = RedirectResponse(_back(http), status_code=303)
        answer.set_cookie(COOKIE, form["language"], max_age=_YEAR, path="/", secure=self._secure, samesite="lax",
                          httponly=True)  # fmt: skip
        return answer


def _back(http: HttpRequest) -> str:
    """The page that the button was on. A browser names it; no page holds its own address, so that all refusals read
    alike."""
    page = urlsplit(http.headers.get("referer", ""))
    here = page.netloc == http.headers.get("host")
    path = _ANSWERED.get(page.path, page.path)
    return local_path(path + (f"?{page.query}" if page.query else "")) if here else "/"
