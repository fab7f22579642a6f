"""Accounts, PINs and sessions of a database before the clinic in memory: for what is narrowed on the server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from starlette.applications import Starlette

from consent.audit.record import AuditRecord
from consent.identity import accounts
from consent.identity.accounts import Authenticator
from consent.identity.throttle import Throttle
from consent.site import Site
from consent.store.engine import transaction
from consent.types import Right
from orthanc_plugin.workspace.accounts import StoredAccounts
from orthanc_plugin.workspace.app import create_app
from orthanc_plugin.workspace.files import Files
from orthanc_plugin.workspace.pages import Parts
from orthanc_plugin.workspace.stored_locks import StoredLocks
from orthanc_plugin.workspace.visitor import Door
from tests.workspace.client import Client
from tests.workspace.clinic import NOW, Clinic
from tests.workspace.page import PUBLISHING

PASSWORD = "a long password"
DOCTOR = "doctor"


@dataclass(frozen=True, slots=True)
class Turnable:
    """An application, and what it wrote down."""

    app: Starlette
    engine: Engine
    clinic: Clinic
    records: list[AuditRecord]

    def signed_in(self, name: str = DOCTOR) -> Client:
        """A client with a session."""
        client = Client(self.app)
        token = csrf(client.get("/login").text)
        answer = client.post("/login", data={"csrf": token, "name": name, "password": PASSWORD, "next": "/"})
        assert answer.status_code == 303, answer.text
        return client

    def turned(self, patient: str = "maria") -> Client:
        """A client whose screen is turned to a patient."""
        client = self.signed_in()
        token = csrf(client.get(f"/chart/patient/{patient}").text)
        answer = client.post(f"/chart/patient/{patient}/show", data={"csrf": token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/shown")
        return client


def turnable(engine: Engine, clinic: Clinic, packages: Path = Path("absent")) -> Turnable:
    """Put them together, with an account for all that there is."""
    with transaction(engine) as connection:
        accounts.create(
            connection,
            DOCTOR,
            password=PASSWORD,
            purposes=("TREAT", "BTG", "PATSFTY", "PORTFOLIO", "WEB", "SOCIAL", "HCOMPL"),
            rights=tuple(Right),
            reference="Practitioner/d",
            display="Dr. Markou",
        )
        accounts.create(connection, "maria", password=PASSWORD, purposes=("PATRQT",), confined_to="maria")
    records: list[AuditRecord] = []
    authenticator, throttle = Authenticator(engine), Throttle(engine, record=records.append, door="serve")
    stored = StoredAccounts(engine, authenticator, minutes=30, record=records.append, secret=b"s" * 32)
    door = Door(stored, secure=False)
    site = Site(time_zone="Europe/Athens", channels=frozenset({"instagram", "tiktok"}))
    parts = Parts(clinic, clinic, door, site, Files(packages), lambda: NOW, PUBLISHING)
    locks = StoredLocks(engine, authenticator, records.append, door="serve")
    app = create_app(parts, stored, throttle=throttle, healthy=lambda: True, locks=locks)
    return Turnable(app, engine, clinic, records)


def csrf(page: str) -> str:
    """The first form's token."""
    found: list[str] = re.findall(r'name="csrf" value="([^"]+)"', page)
    return found[0]
