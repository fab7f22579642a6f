"""The workspace over a record of its own, where Consents are kept and decided: accounts, pages, drawn pictures."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from starlette.applications import Starlette

from consent.audit.read import Archive
from consent.audit.record import AuditRecord
from consent.identity import accounts, pins
from consent.identity.accounts import Authenticator
from consent.identity.throttle import Throttle
from consent.store.clock import now
from consent.store.engine import reading, transaction
from consent.types import Request, Right
from orthanc_plugin.workspace.accounts import StoredAccounts
from orthanc_plugin.workspace.app import create_app
from orthanc_plugin.workspace.files import Files
from orthanc_plugin.workspace.pages import Parts
from orthanc_plugin.workspace.record import Picture
from orthanc_plugin.workspace.stored import CHART_FULFILS, StoredRecord
from orthanc_plugin.workspace.stored_consents import StoredConsents
from orthanc_plugin.workspace.stored_emergencies import StoredEmergencies
from orthanc_plugin.workspace.stored_history import StoredHistory
from orthanc_plugin.workspace.stored_locks import StoredLocks
from orthanc_plugin.workspace.visitor import Door
from tests.fhir.clinic import FACE, HAND, SECOND_VISIT, SITE, Clinic, build, open_clinic, region
from tests.workspace.client import Client
from tests.workspace.clinic import _drawn
from tests.workspace.page import PUBLISHING

PASSWORD = "a long password"
PIN = "9041"


@dataclass(frozen=True, slots=True)
class DrawnPictures:
    """Draws what the decision permits."""

    clinic: Clinic

    def picture(self, request: Request, sop_uid: str, *, route: str, width: int, publishing: bool) -> Picture | None:
        answer = self.clinic.node.decisions.photo(request, sop_uid, route=route, fulfils=CHART_FULFILS)
        return Picture(_drawn(None, len(sop_uid), "Hand", 3, width or 1500)) if answer.permitted else None


@dataclass(frozen=True, slots=True)
class Consenting:
    """The application and its clinic."""

    app: Starlette
    clinic: Clinic

    def signed_in(self, name: str = "doctor") -> Client:
        """A client with a session."""
        client = Client(self.app)
        token = csrf(client.get("/login").text)
        answer = client.post("/login", data={"csrf": token, "name": name, "password": PASSWORD, "next": "/"})
        assert answer.status_code == 303, answer.text
        return client

    def handed_over(self) -> Client:
        """A client whose screen Anna has, to sign."""
        client = self.signed_in()
        token = csrf(client.get("/chart/patient/anna/consent").text)
        answer = client.post("/chart/patient/anna/consent/sign", data={"csrf": token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign")
        return client


@contextmanager
def consenting(folder: Path, packages: Path = Path("absent")) -> Iterator[Consenting]:
    """Open it: Anna with photos of the face and of either hand in two visits, Ben with one."""
    made = folder / "clinic"
    made.mkdir()
    build(made)
    shutil.rmtree(made / "audit")
    clinic = open_clinic(made)
    clinic.put(SECOND_VISIT)
    for name, visit, extensions in (
        ("g1", "v1", [region(FACE)]),
        ("g2", "v1", [region(HAND, "R")]),
        ("g3", "v3", [region(HAND, "L")]),
        ("g4", "v3", [region(FACE), region(HAND, "R")]),
    ):
        clinic.photo(name, "anna", visit, extension=extensions)
    _accounts(clinic)
    try:
        yield Consenting(_application(clinic, packages), clinic)
    finally:
        clinic.close()


def _accounts(clinic: Clinic) -> None:
    with transaction(clinic.engine) as connection:
        accounts.create(
            connection, "doctor", password=PASSWORD, purposes=("TREAT", "PORTFOLIO", "BTG"), rights=(Right.CONSENT,),
            reference="Practitioner/d", display="Dr. Markou",
        )  # fmt: skip
        accounts.create(connection, "nurse", password=PASSWORD, purposes=("TREAT",), display="Nurse Ana")
        accounts.create(connection, "marketing", password=PASSWORD, purposes=("PORTFOLIO", "WEB"), display="Marketing")
        accounts.create(connection, "compliance", password=PASSWORD, purposes=("HCOMPL",), display="Compliance")
        accounts.create(
            connection, "anna", password=PASSWORD, purposes=("PATRQT",), reference="Patient/anna", confined_to="anna",
            own_patient="anna", display="Anna",
        )  # fmt: skip
        pins.save(connection, "doctor", PIN)


def _application(clinic: Clinic, packages: Path) -> Starlette:
    def record(entry: AuditRecord) -> None:
        clinic.chain.append([entry])

    def moment() -> datetime:
        with reading(clinic.engine) as connection:
            return now(connection)

    authenticator, throttle = Authenticator(clinic.engine), Throttle(clinic.engine, record=record, door="serve")
    stored = StoredAccounts(clinic.engine, authenticator, minutes=30, record=record, secret=b"s" * 32)
    parts = Parts(
        StoredRecord(clinic.engine, clinic.node.decisions, clinic.record),
        DrawnPictures(clinic),
        Door(stored, secure=False),
        SITE,
        Files(packages),
        moment,
        PUBLISHING,
    )
    return create_app(
        parts,
        stored,
        throttle=throttle,
        healthy=lambda: True,
        locks=StoredLocks(clinic.engine, authenticator, record, door="serve"),
        consents=StoredConsents(clinic.node),
        emergencies=StoredEmergencies(clinic.node),
        history=StoredHistory(clinic.node, Archive(clinic.engine, clinic.audit)),
    )


def csrf(page: str) -> str:
    """The first form's token."""
    found: list[str] = re.findall(r'name="csrf" value="([^"]+)"', page)
    return found[0]
