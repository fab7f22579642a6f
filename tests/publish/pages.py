"""The portfolio's pages over a real record, with sessions, and pictures that are decided and drawn."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image, ImageDraw
from starlette.applications import Starlette

from consent.audit.record import AuditRecord
from consent.identity.accounts import Authenticator, create
from consent.identity.throttle import Throttle
from consent.store.engine import transaction
from consent.types import Request
from dicom_bridge.publish.exporting import FULFILS, Exporter
from dicom_bridge.publish.saved import SavedQuestions
from fhir_mapping.question.text import UNNAMED
from orthanc_plugin.workspace.accounts import StoredAccounts
from orthanc_plugin.workspace.app import create_app
from orthanc_plugin.workspace.files import Files
from orthanc_plugin.workspace.pages import Parts
from orthanc_plugin.workspace.portfolio_book import PortfolioBook
from orthanc_plugin.workspace.record import Picture
from orthanc_plugin.workspace.stored import CHART_FULFILS, StoredRecord
from orthanc_plugin.workspace.stored_locks import StoredLocks
from orthanc_plugin.workspace.stored_pairs import StoredPairs
from orthanc_plugin.workspace.visitor import Door
from tests.fhir.clinic import SITE, Clinic, requesters
from tests.workspace.clinic import Sessions
from tests.workspace.page import PUBLISHING, Patient

KEY = b"k" * 32


def drawn(number: int, width: int = 1200) -> bytes:
    """A picture that is like no other photo's, with EXIF as a camera might write it."""
    made = Image.new("RGB", (width, width * 4 // 3), (206 + number % 7 * 6, 168 + number % 5 * 6, 146))
    draw = ImageDraw.Draw(made)
    size = made.size
    draw.ellipse([size[0] * 0.2, size[1] * 0.12, size[0] * 0.8, size[1] * 0.9], fill=(224, 184, 160))
    for line in range(2 + number % 6):
        at = size[1] * (0.28 + line * 0.02)
        draw.line([size[0] * 0.3, at, size[0] * 0.7, at], fill=(170, 120, 100), width=3)
    exif = Image.Exif()
    exif[0x013B] = "Secret Photographer"
    out = io.BytesIO()
    made.save(out, "JPEG", quality=90, exif=exif, comment=b"Anna Anderson")
    return out.getvalue()


class Pictures:
    """Decides and records as the real ones, and draws what it shows."""

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic

    def picture(self, request: Request, sop_uid: str, *, route: str, width: int, publishing: bool) -> Picture | None:
        fulfils = FULFILS if publishing else CHART_FULFILS
        answer = self._clinic.node.decisions.photo(request, sop_uid, route=route, fulfils=fulfils)
        if not answer.permitted or answer.number is None:
            return None
        return Picture(drawn(answer.number, width or 1500))


def book_of(clinic: Clinic) -> PortfolioBook:
    """Where portfolios are kept and exported; Orthanc's part is drawn."""
    record = StoredPairs(clinic.engine, clinic.node.decisions, clinic.node.record)

    def pixels(sop_uid: str, _: str) -> bytes:
        return drawn(int(sop_uid.rpartition(".")[2]) % 97)

    exporter = Exporter(clinic.engine, clinic.node.decisions, pixels, KEY, door="serve")
    saved = SavedQuestions(clinic.engine, clinic.chain, door="serve")
    return PortfolioBook(record, saved, exporter, SITE.zone, UNNAMED)


def turnable(clinic: Clinic, *, packages: Path = Path("absent")) -> Starlette:
    """The workspace with sessions of the database, whose screen can be turned; NAME-demo is each password."""
    with transaction(clinic.engine) as connection:
        for name, purposes in (("marketing", ("PORTFOLIO", "WEB")), ("clinician", ("TREAT",)), ("web", ("WEB",))):
            create(connection, name, password=f"{name}-demo", purposes=purposes)
    authenticator = Authenticator(clinic.engine)

    def record(entry: AuditRecord) -> None:
        clinic.chain.append([entry])

    accounts = StoredAccounts(clinic.engine, authenticator, minutes=30, record=record, secret=KEY)
    locks = StoredLocks(clinic.engine, authenticator, record, door="serve")
    parts = _parts(clinic, Door(accounts, secure=False), packages)
    throttle = Throttle(clinic.engine, record=record, door="serve")
    return create_app(parts, accounts, throttle=throttle, healthy=lambda: True, locks=locks)


def application(clinic: Clinic, *, packages: Path = Path("absent")) -> Starlette:
    """The workspace."""
    sessions = Sessions(requesters())
    parts = _parts(clinic, Door(sessions, secure=False), packages)
    return create_app(parts, sessions, throttle=Patient(), healthy=lambda: True)


def _parts(clinic: Clinic, door: Door, packages: Path) -> Parts:
    return Parts(
        StoredRecord(clinic.engine, clinic.node.decisions, clinic.node.record),
        Pictures(clinic),
        door,
        SITE,
        Files(packages),
        lambda: datetime.now(UTC),
        PUBLISHING,
        portfolios=book_of(clinic),
    )
