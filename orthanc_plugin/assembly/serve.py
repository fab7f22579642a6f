"""``photospine serve``: the one origin that a browser talks to, put together from its parts."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import requests
import uvicorn
from requests.adapters import HTTPAdapter
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from consent.audit.record import AuditRecord
from consent.errors import ConsentError
from consent.identity.accounts import Authenticator
from consent.identity.callers import Callers
from consent.purposes import Catalog
from consent.service import DecisionPoint
from consent.site import OtherObjects, Site
from consent.store.clock import now
from consent.store.engine import glancing, reading
from consent.store.schema import require_schema
from consent.store.sites import load_site
from dicom_bridge.archive import OrthancArchive
from dicom_bridge.compare.keeping import Keeper
from dicom_bridge.compare.renditions import Shelf
from dicom_bridge.legacy.visits import Visits
from dicom_bridge.protocols.reading import all_protocols
from fhir_mapping.advisory.keeping import Advisories
from fhir_mapping.api.routes import routes as fhir_routes
from orthanc_plugin.assembly import memory, tls
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.gaps import desk
from orthanc_plugin.assembly.intake import corrections, open_archive
from orthanc_plugin.assembly.issuers import Refresher, Web
from orthanc_plugin.assembly.names import names
from orthanc_plugin.assembly.open import Node, open_node
from orthanc_plugin.assembly.portfolios import portfolio_book
from orthanc_plugin.assembly.providers import Providers, read_secrets
from orthanc_plugin.assembly.record import fhir_node, record_store
from orthanc_plugin.assembly.settings import Settings
from orthanc_plugin.workspace.accounts import StoredAccounts
from orthanc_plugin.workspace.advisory import Batches
from orthanc_plugin.workspace.aligning import Aligner
from orthanc_plugin.workspace.app import create_app
from orthanc_plugin.workspace.deposits import Deposits
from orthanc_plugin.workspace.files import Files
from orthanc_plugin.workspace.pages import PUBLISHING, Parts, PublishingPage
from orthanc_plugin.workspace.passthrough import Passthrough, Upstream
from orthanc_plugin.workspace.pictures import DecidedPictures, Originals
from orthanc_plugin.workspace.queue import Queue
from orthanc_plugin.workspace.relay import STALLED
from orthanc_plugin.workspace.stored_alignments import StoredAlignments
from orthanc_plugin.workspace.stored_consents import StoredConsents
from orthanc_plugin.workspace.stored_emergencies import StoredEmergencies
from orthanc_plugin.workspace.stored_history import StoredHistory
from orthanc_plugin.workspace.stored_kept import StoredKept
from orthanc_plugin.workspace.stored_locks import StoredLocks
from orthanc_plugin.workspace.stored_pairs import StoredPairs
from orthanc_plugin.workspace.stored_sessions import StoredSessions
from orthanc_plugin.workspace.viewer import Viewer
from orthanc_plugin.workspace.visitor import Door

ROLE = "serve"
_CONNECTIONS = 32  # to Orthanc


@dataclass(frozen=True, slots=True)
class Served:
    """The application, and what has to be closed after it."""

    app: Starlette
    missing: tuple[str, ...]
    """Browser packages that are not installed: pages work, comparing two photos does not."""

    closing: ExitStack

    def close(self) -> None:
        """Give back the chain's slot and the database."""
        self.closing.close()


def build(settings: Settings) -> Served:
    """Put ``serve`` together.

    Raises
    ------
    AssemblyError
        The database or the keys are not ready; the text says which command makes them so.
    """
    with ExitStack() as closing:
        try:
            node = closing.enter_context(open_node(settings, ROLE))
            web = Web(settings.ca_file)
            files = Files(settings.assets)
            app = _app(node, files, web)
            closing.callback(Refresher(node.engine, web.get).aside())
        except (AssemblyError, ConsentError, SQLAlchemyError) as error:
            raise AssemblyError(f"serve cannot start: {error}") from error
        return Served(app, tuple(files.missing()), closing.pop_all())


def _app(node: Node, files: Files, web: Web) -> Starlette:
    settings, point = node.settings, node.point
    callers = Callers.of(node.engine, record=lambda entry: node.chain.append([entry]), door=ROLE)
    fhir = fhir_node(node, point, callers.identify)
    mint, session = node.mint, _session()
    most_bytes = settings.max_file_megabytes * 1024 * 1024
    door = _door(node, callers.authenticator)
    originals = Originals(settings.orthanc, mint, session, most_bytes=most_bytes)
    pictures = DecidedPictures(node.engine, point, originals, Shelf(), mark="")
    stored = StoredPairs(node.engine, point, fhir.record)
    kept = _kept(node, point)
    parts = Parts(
        record=stored,
        pictures=pictures,
        door=door,
        site=node.site,
        files=files,
        now=lambda: _moment(node.engine),
        publishing=publishing_pages(node.site),
        viewer=settings.ohif is not None,
        sessions=StoredSessions(fhir, protocols=all_protocols(settings.protocols), strict=settings.strict_baseline),
        safety=True,
        aligner=Aligner(pictures) if Aligner.installed() else None,
        kept=kept,
        alignments=StoredAlignments(fhir, kept),
        gaps=desk(node),
        portfolios=portfolio_book(node, point, stored, originals),
        names=names(),
    )
    others: list[BaseRoute] = Passthrough(
        Upstream(settings.orthanc, settings.public_url, most_bytes),
        door,
        mint,
        callers.identify,
        session,
        _deposits(node, most_bytes),
    ).routes()
    others += fhir_routes(fhir)
    if settings.ohif is not None:
        others += _viewer(settings.ohif).routes()
    return create_app(
        parts,
        door.accounts,
        throttle=callers.throttle,
        healthy=lambda: _healthy(node.engine),
        others=others,
        batches=Batches(Advisories(fhir), node.engine),
        queue=_queue(node),
        consents=StoredConsents(fhir),
        emergencies=StoredEmergencies(fhir),
        history=StoredHistory(fhir, node.archive),
        locks=StoredLocks(node.engine, callers.authenticator, lambda entry: node.chain.append([entry]), door=ROLE),
        providers=Providers(node.engine, web, settings.public_url, read_secrets(settings.client_secrets)),
    )


def _kept(node: Node, point: DecisionPoint) -> StoredKept:
    store, address = record_store(node), node.settings.public_url
    keeper = Keeper(node.engine, node.chain, point, store, node.keys.uid, door=ROLE, public_url=address)
    return StoredKept(node.engine, point, keeper, lambda: open_archive(node))


def _queue(node: Node) -> Queue:
    store = record_store(node)
    visits = Visits(store, node.keys.uid)
    return Queue(
        node.engine, node.chain, store, visits, lambda: open_archive(node), lambda archive: corrections(node, archive)
    )


def publishing_pages(site: Site) -> tuple[PublishingPage, ...]:
    """The galleries of a site, in the order of its purposes."""
    catalog = Catalog.of(site)
    return tuple(
        PublishingPage(code, PUBLISHING.get(code, code)) for code in catalog.codes() if catalog.is_publishing(code)
    )


def run(settings: Settings) -> None:
    """Serve until a signal comes.

    Raises
    ------
    AssemblyError
        It cannot start.
    """
    pair = tls.files(settings)
    served = build(settings)
    try:
        listener = socket.create_server((settings.host, settings.port), backlog=512)
    except OSError as error:
        served.close()
        raise AssemblyError(f"serve cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
    # A connection that takes nothing for so long is ended by the kernel; else what was to be sent on it stays for good.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALLED * 1000))
    config = uvicorn.Config(
        served.app,
        log_level="warning",
        access_log=False,  # addresses name patients
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        ssl_certfile=pair and str(pair[0]),
        ssl_keyfile=pair and str(pair[1]),
    )
    memory.begun()
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
        served.close()


def _door(node: Node, authenticator: Authenticator) -> Door:
    def record(entry: AuditRecord) -> None:
        node.chain.append([entry])

    accounts = StoredAccounts(
        node.engine, authenticator, minutes=node.settings.session_minutes, record=record, secret=node.keys.uid
    )
    return Door(accounts, secure=node.settings.public_url.startswith("https://"))


def _deposits(node: Node, most_bytes: int) -> Deposits:
    settings = node.settings

    def others() -> bool:
        with glancing(node.engine) as connection:
            return load_site(connection).other_objects is not OtherObjects.REFUSE

    return Deposits(
        lambda: OrthancArchive(settings.orthanc, node.mint),
        node.chain,
        others,
        door=ROLE,
        public_url=settings.public_url,
        most_bytes=most_bytes,
    )


def _viewer(folder: Path) -> Viewer:
    if not (folder / "index.html").is_file():
        raise AssemblyError(f"setting 'ohif': {folder} holds no prepared viewer (orthanc_plugin.assembly.assets)")
    return Viewer(folder)


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy stands between the processes of a node
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _moment(engine: Engine) -> datetime:
    with glancing(engine) as connection:
        return now(connection)


def _healthy(engine: Engine) -> bool:
    try:
        with reading(engine) as connection:
            require_schema(connection)
    except (ConsentError, SQLAlchemyError):
        return False
    return True
