"""The application that ``serve`` runs: the pages, and whatever else is mounted beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from orthanc_plugin.workspace.chart import Chart, Own
from orthanc_plugin.workspace.headers import SafeHeaders
from orthanc_plugin.workspace.pages import Pages, Parts
from orthanc_plugin.workspace.portfolio import Portfolio
from orthanc_plugin.workspace.signin import SignIn, random_token
from orthanc_plugin.workspace.throttle import Throttle
from orthanc_plugin.workspace.visitor import Accounts


def create_app(
    parts: Parts,
    accounts: Accounts,
    *,
    throttle: Throttle,
    healthy: Callable[[], bool],
    others: Sequence[BaseRoute] = (),
    token: Callable[[], str] = random_token,
) -> Starlette:
    """Put the pages together.

    Parameters
    ----------
    healthy
        Whether the database answers and bears the right schema.
    others
        Routes of the other doors on this origin: FHIR, DICOMweb, the viewer.
    """
    pages = Pages(parts)

    def health(_: HttpRequest) -> Response:
        well = healthy()
        return JSONResponse({"status": "ok" if well else "down"}, status_code=200 if well else 503)

    async def absent(http: HttpRequest, _: Exception) -> Response:
        return pages.refuse(http, pages.visitor(http))

    return Starlette(
        routes=[
            Route("/healthz", health, methods=["GET"]),
            *SignIn(pages, accounts, throttle, token).routes(),
            *Chart(pages).routes(),
            *Own(pages).routes(),
            *Portfolio(pages).routes(),
            *parts.files.routes(),
            *others,
        ],
        middleware=[Middleware(SafeHeaders)],
        exception_handlers={404: absent},
    )
