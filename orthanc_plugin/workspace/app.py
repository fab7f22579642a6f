"""The application that ``serve`` runs: the pages, and whatever else is mounted beside them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence

from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from consent.errors import ConsentError
from fhir_mapping.errors import Behind
from orthanc_plugin.workspace.advisory import Batches, BatchPages
from orthanc_plugin.workspace.basis_page import BasisPage
from orthanc_plugin.workspace.chart import Chart, Own
from orthanc_plugin.workspace.consent_book import ConsentBook
from orthanc_plugin.workspace.consent_page import ConsentPages
from orthanc_plugin.workspace.due import DuePage
from orthanc_plugin.workspace.emergency import Emergencies, Emergency
from orthanc_plugin.workspace.export_page import ExportPage
from orthanc_plugin.workspace.gallery import GalleryPage
from orthanc_plugin.workspace.headers import SAFE, SafeHeaders
from orthanc_plugin.workspace.history_book import HistoryBook
from orthanc_plugin.workspace.keep_page import KeepPage
from orthanc_plugin.workspace.language import Speaking
from orthanc_plugin.workspace.language_choice import LanguageChoice
from orthanc_plugin.workspace.lock import Lock, Locked, Locks
from orthanc_plugin.workspace.next_session import NextSession
from orthanc_plugin.workspace.own_page import OwnPages
from orthanc_plugin.workspace.pages import Pages, Parts
from orthanc_plugin.workspace.patience import Patience
from orthanc_plugin.workspace.portfolio import Portfolio
from orthanc_plugin.workspace.portfolios import Portfolios
from orthanc_plugin.workspace.prospect import ProspectScreen
from orthanc_plugin.workspace.protocol_page import ProtocolPage
from orthanc_plugin.workspace.queue import Queue, QueuePage
from orthanc_plugin.workspace.review import Review
from orthanc_plugin.workspace.session_page import SessionPage
from orthanc_plugin.workspace.shown import PatientScreen
from orthanc_plugin.workspace.signin import SignIn, random_token
from orthanc_plugin.workspace.single_sign_on import Providers
from orthanc_plugin.workspace.visitor import Accounts, Throttle

_LOG = logging.getLogger(__name__)


def create_app(
    parts: Parts,
    accounts: Accounts,
    *,
    throttle: Throttle,
    healthy: Callable[[], bool],
    others: Sequence[BaseRoute] = (),
    token: Callable[[], str] = random_token,
    providers: Providers | None = None,
    batches: Batches | None = None,
    queue: Queue | None = None,
    locks: Locks | None = None,
    consents: ConsentBook | None = None,
    emergencies: Emergencies | None = None,
    history: HistoryBook | None = None,
) -> Starlette:
    """Put the pages together.

    Parameters
    ----------
    healthy
        Whether the database answers and bears the right schema.
    others
        Routes of the other doors on this origin: FHIR, DICOMweb, the viewer.
    providers
        OpenID providers through which people may sign in.
    batches
        What the pages of batch advisories are made of; None: there are none.
    queue
        What the page of photos that wait is made of; None: there is none.
    locks
        Turns the screen to somebody else, and back; None: it is never turned.
    consents
        What the pages of consent are made of; None: there are none.
    emergencies
        Opens emergency access; None: no page does.
    history
        Reads the record of answers; None: no page tells of it.
    """
    pages = Pages(
        parts,
        queue=queue is not None,
        turns=locks is not None,
        consents=consents is not None,
        emergencies=emergencies is not None,
        history=history is not None,
    )
    lock = Lock(pages, locks, throttle) if locks is not None else None

    def health(_: HttpRequest) -> Response:
        well = healthy()
        return JSONResponse({"status": "ok" if well else "down"}, status_code=200 if well else 503)

    async def absent(http: HttpRequest, _: Exception) -> Response:
        return pages.refuse(http, pages.visitor(http))

    def busy(http: HttpRequest, error: Exception) -> Response:
        _LOG.warning("a page cannot be shown now: %s", type(error).__name__)
        answer = pages.show(http, "busy.html", None, status=503, section="")
        answer.headers["Retry-After"] = "2"
        return answer

    def failed(_: HttpRequest, error: Exception) -> Response:
        identity = uuid.uuid4()
        _LOG.error("a request failed: %s (%s)", identity, type(error).__name__)
        # This is said outside the middleware, so it brings the headers itself.
        return PlainTextResponse(f"The request failed; its id in the log is {identity}.", 500, headers=SAFE)

    app = Starlette(
        routes=[
            Route("/healthz", health, methods=["GET"]),
            *LanguageChoice(parts.door.secure).routes(),
            *SignIn(pages, accounts, throttle, token, providers).routes(),
            *Chart(pages).routes(),
            *ExportPage(pages).routes(),
            *(KeepPage(pages, parts.kept).routes() if parts.kept is not None else ()),
            *(DuePage(pages, parts.gaps).routes() if parts.gaps is not None else ()),
            *(NextSession(pages, parts.sessions).routes() if parts.sessions is not None else ()),
            *(BasisPage(pages, parts.sessions).routes() if parts.sessions is not None else ()),
            *(ProtocolPage(pages, parts.sessions).routes() if parts.sessions is not None else ()),
            *(SessionPage(pages, parts.sessions).routes() if parts.sessions is not None else ()),
            *((*lock.routes(), *PatientScreen(pages, lock).routes()) if lock is not None else ()),
            *(ConsentPages(pages, consents, lock).routes() if consents is not None else ()),
            *(Emergency(pages, emergencies).routes() if emergencies is not None else ()),
            *(Review(pages, history).routes() if history is not None else ()),
            *(OwnPages(pages, consents, history).routes() if consents is not None and history is not None else ()),
            *Own(pages).routes(),
            *Portfolio(pages).routes(),
            *(Portfolios(pages, parts.portfolios).routes() if parts.portfolios is not None else ()),
            *(GalleryPage(pages, parts.portfolios).routes() if parts.portfolios is not None else ()),
            *(
                ProspectScreen(pages, lock, parts.portfolios).routes()
                if lock is not None and parts.portfolios is not None
                else ()
            ),
            *(BatchPages(pages, batches).routes() if batches is not None else ()),
            *(QueuePage(pages, queue).routes() if queue is not None else ()),
            *parts.files.routes(),
            *others,
        ],
        middleware=[
            Middleware(Patience),
            Middleware(SafeHeaders),
            Middleware(Speaking),
            Middleware(Locked, door=parts.door, answer=pages.refuse, busy=busy),
        ],
        exception_handlers={404: absent, 500: failed, Behind: busy, DBAPIError: busy, ConsentError: busy},
    )
    app.router.redirect_slashes = False  # it would send a browser wherever the Host header says
    return app
