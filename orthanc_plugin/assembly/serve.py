"""``photospine serve``: the one origin that a browser talks to, put together from its parts."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path

import requests
import uvicorn
from requests.adapters import HTTPAdapter
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from consent.audit.chain import Chain, open_chain
from consent.audit.record import AuditRecord
from consent.errors import ConsentError
from consent.identity.accounts import Authenticator
from consent.identity.keys import load
from consent.identity.tickets import TicketKeys, TicketMint
from consent.purposes import Catalog
from consent.service import DecisionPoint
from consent.site import Site
from consent.store.clock import now
from consent.store.engine import glancing, open_engine, reading
from consent.store.schema import require_schema
from consent.store.sites import load_site
from dicom_bridge.compare.renditions import Shelf
from fhir_mapping.api.node import Node as FhirNode
from fhir_mapping.api.routes import routes as fhir_routes
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly import tls
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.settings import Settings
from orthanc_plugin.workspace.accounts import StoredAccounts
from orthanc_plugin.workspace.app import create_app
from orthanc_plugin.workspace.files import Files
from orthanc_plugin.workspace.pages import Parts, PublishingPage
from orthanc_plugin.workspace.passthrough import Passthrough, Upstream
from orthanc_plugin.workspace.pictures import DecidedPictures, Originals
from orthanc_plugin.workspace.stored import StoredRecord
from orthanc_plugin.workspace.throttle import Throttle
from orthanc_plugin.workspace.viewer import Viewer
from orthanc_plugin.workspace.visitor import Door

ROLE = "serve"
_CONNECTIONS = 32  # to Orthanc
_PAGES = {"PORTFOLIO": "Portfolio", "WEB": "Website", "SOCIAL": "Social media", "CONF": "Conferences"}


@dataclass(frozen=True, slots=True)
class Served:
    """The application, and what has to be closed after it."""

    app: Starlette
    engine: Engine
    chain: Chain
    missing: tuple[str, ...]
    """Browser packages that are not installed: pages work, comparing two photos does not."""

    def close(self) -> None:
        """Give back the chain's slot and the database."""
        self.chain.close()
        self.engine.dispose()


def build(settings: Settings) -> Served:
    """Put ``serve`` together.

    Raises
    ------
    AssemblyError
        The database or the keys are not ready; the text says which command makes them so.
    """
    engine = open_engine(settings.database)
    try:
        with reading(engine) as connection:
            require_schema(connection)
            site = load_site(connection)
        keys = TicketKeys.load(settings.keys)
        secret = load(settings.keys).uid
    except (ConsentError, SQLAlchemyError) as error:
        engine.dispose()
        raise AssemblyError(f"serve cannot start: {error}") from error
    chain = open_chain(settings.database, settings.audit_folder, settings.node, ROLE)
    point = DecisionPoint(engine, chain, ROLE)
    mint = TicketMint(keys, settings.node)
    authenticator = Authenticator(engine)
    session = _session()
    most_bytes = settings.max_file_megabytes * 1024 * 1024
    door = _door(settings, engine, authenticator, chain, secret)
    store = RecordStore(site, base=settings.fhir_base)
    files = Files(settings.assets)
    parts = Parts(
        record=StoredRecord(engine, point, store),
        pictures=DecidedPictures(
            point, Originals(settings.orthanc, mint, session, most_bytes=most_bytes), Shelf(), mark=""
        ),
        door=door,
        site=site,
        files=files,
        now=lambda: _moment(engine),
        publishing=publishing_pages(site),
        viewer=settings.ohif is not None,
    )
    others: list[BaseRoute] = Passthrough(
        Upstream(settings.orthanc, settings.public_url, most_bytes), door, mint, authenticator.authenticate, session
    ).routes()
    others += fhir_routes(_fhir(settings, engine, store, point, authenticator))
    if settings.ohif is not None:
        others += _viewer(settings.ohif).routes()
    app = create_app(
        parts,
        door.accounts,
        throttle=Throttle(time.monotonic),
        healthy=lambda: _healthy(engine),
        others=others,
    )
    return Served(app, engine, chain, tuple(files.missing()))


def publishing_pages(site: Site) -> tuple[PublishingPage, ...]:
    """The galleries of a site, in the order of its purposes."""
    catalog = Catalog.of(site)
    return tuple(
        PublishingPage(code, _PAGES.get(code, code)) for code in catalog.codes() if catalog.is_publishing(code)
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
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
        served.close()


def _door(settings: Settings, engine: Engine, authenticator: Authenticator, chain: Chain, secret: bytes) -> Door:
    def record(entry: AuditRecord) -> None:
        chain.append([entry])

    accounts = StoredAccounts(engine, authenticator, minutes=settings.session_minutes, record=record, secret=secret)
    return Door(accounts, secure=settings.public_url.startswith("https://"))


def _fhir(
    settings: Settings, engine: Engine, store: RecordStore, point: DecisionPoint, authenticator: Authenticator
) -> FhirNode:
    return FhirNode(
        engine=engine,
        record=store,
        decisions=point,
        chain=point.chain,
        authenticate=authenticator.authenticate,
        base=settings.fhir_base,
        version=metadata.version("photospine"),
        started=_moment(engine),
        door=ROLE,
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
