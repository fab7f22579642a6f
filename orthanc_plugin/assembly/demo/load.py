"""Loading the demo clinic, as an import would: accounts, the record, the photos, what was signed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from consent.audit.record import AuditRecord, Kind
from consent.identity import accounts, peers
from consent.store import clock
from consent.store.engine import reading, transaction
from consent.store.tables import photo
from consent.types import Right
from dicom_bridge.objects import uids
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view
from dicom_bridge.pipeline import Pipeline
from dicom_bridge.plan import Plan
from orthanc_plugin.assembly.demo import around, clinic, courses, pictures, resources, today
from orthanc_plugin.assembly.intake import open_archive, pipeline
from orthanc_plugin.assembly.open import Node
from orthanc_plugin.assembly.record import record_store

SOURCE = "urn:photospine:demo"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account of the demo; its password is its name and ``-demo``."""

    name: str
    purposes: tuple[str, ...] = ()
    rights: tuple[Right, ...] = ()
    reference: str | None = None
    confined_to: str | None = None

    @property
    def password(self) -> str:
        """Known to everybody: the demo alone has such passwords."""
        return f"{self.name}-demo"


ACCOUNTS = (
    DemoAccount(
        "clinician",
        ("TREAT", "BTG"),
        (Right.CAPTURE, Right.LINK, Right.CONSENT, Right.RECORD, Right.RECONCILE),
        "Practitioner/demo-clinician",
    ),
    DemoAccount("doctor", ("TREAT", "PORTFOLIO", "WEB", "SOCIAL"), (Right.RECORD,), "Practitioner/demo-doctor"),
    DemoAccount("marketing", ("PORTFOLIO", "WEB", "SOCIAL"), (), "Practitioner/demo-marketing"),
    DemoAccount("anna", ("PATRQT",), (), "Patient/demo-anna", "demo-anna"),
    DemoAccount("compliance", ("HCOMPL", "PATSFTY"), (Right.RECONCILE,)),
    DemoAccount("integrator", ("TREAT",), (Right.STORE, Right.RECORD)),
    DemoAccount("admin", (), (Right.ADMIN,)),
)

PEER = "VIEWER"
"""The AE title of a viewer on this machine: it sees what the integrator sees."""


def load(node: Node, portrait: Path, said: Callable[[str], None]) -> None:
    """Load what is not there yet. ``portrait`` is the public-domain portrait that the faces are made from."""
    _accounts(node)
    _record(node)
    with open_archive(node) as archive:
        for number, (shot, data) in enumerate(_missing(node, portrait), start=1):
            _take(pipeline(node, archive), shot, data)
            if number % 8 == 0:
                said(f"{number} photos")
    _courses(node)
    with reading(node.engine) as connection:
        day = clock.now(connection).astimezone(clinic.ZONE).date()
    _write(node, [today.today(day)])
    _consents(node)


def _accounts(node: Node) -> None:
    with transaction(node.engine) as connection:
        for account in ACCOUNTS:
            if accounts.find(connection, account.name) is None:
                accounts.create(
                    connection,
                    account.name,
                    password=account.password,
                    purposes=account.purposes,
                    rights=account.rights,
                    reference=account.reference,
                    confined_to=account.confined_to,
                )
        if all(peer.ae_title != PEER for peer in peers.everyone(connection)):
            peers.add(connection, peers.Peer(PEER, "integrator", "TREAT", networks=("127.0.0.0/8",)))


def _record(node: Node) -> None:
    _write(node, (resources.foundation(), *resources.visits(), around.around()))


def _courses(node: Node) -> None:
    """What rests on the photos: plans, outcomes, injection points."""
    with reading(node.engine) as connection:
        documents = {
            row.series_uid: row.document for row in connection.execute(select(photo.c.series_uid, photo.c.document))
        }
    _write(node, courses.bundles(lambda visit, view: documents.get(_series(node, visit, view))))


def _write(node: Node, bundles: Iterable[dict[str, Any]]) -> None:
    """Write those resources that are not there yet."""
    store = record_store(node)
    for bundle in bundles:
        with reading(node.engine) as connection:
            missing = [entry for entry in bundle["entry"] if not store.exists(connection, entry["request"]["url"])]
        if missing:
            intent = AuditRecord(Kind.INTENT, node.role, "demo", details={"resources": len(missing)})
            with node.chain.written(intent), transaction(node.engine) as connection:
                store.transaction(connection, {**bundle, "entry": missing}, source=SOURCE)


def _missing(node: Node, portrait: Path) -> Iterator[tuple[clinic.Shot, bytes]]:
    """The photos that are not there yet: one for each view of a visit. Making one costs more than finding out."""
    with reading(node.engine) as connection:
        have = set(connection.execute(select(photo.c.series_uid)).scalars())
    for shot in clinic.shots():
        if _series(node, shot.visit, shot) not in have:
            yield shot, _picture(shot, portrait)


def _series(node: Node, visit: str, view: clinic.Shot | clinic.View) -> str:
    return uids.series_instance_uid(
        node.keys.uid,
        visit,
        uids.SeriesView(
            find_region(view.region).code,
            view.laterality,
            find_view(view.view).code,
            None if view.expression is None else find_expression(view.expression).code,
        ),
    )


def _picture(shot: clinic.Shot, portrait: Path) -> bytes:
    light = 0.97 + 0.015 * (shot.session % 5)
    turn = (shot.session % 3 - 1) * 0.6
    if shot.marks == "face":
        made = pictures.face(portrait, severity=shot.severity, seed=shot.seed, light=light, turn=turn)
    else:
        made = pictures.skin(
            tone=shot.tone, marks=shot.marks, severity=shot.severity, seed=shot.seed, light=light, turn=turn
        )
    return pictures.jpeg(made, taken=shot.taken, orientation=6 if shot.session % 4 == 2 else 1)


def _take(way: Pipeline, shot: clinic.Shot, data: bytes) -> None:
    way.take(
        [data],
        Plan(
            account="clinician",
            os_user="demo",
            patient=shot.patient,
            visit=shot.visit,
            region=find_region(shot.region).code,
            laterality=shot.laterality,
            view=find_view(shot.view).code,
            expression=None if shot.expression is None else find_expression(shot.expression).code,
            session=shot.session,
            procedure=shot.procedure,
            clinician="Practitioner/demo-clinician",
            photographer="Practitioner/demo-doctor",
            known_since=f"{clinic.KNOWN_SINCE:%Y-%m-%d}",
        ),
    )


def _consents(node: Node) -> None:
    store = record_store(node)
    with reading(node.engine) as connection:
        if store.exists(connection, "Consent/demo-nikos-instagram"):
            return
        denied = _denied_document(connection)
    intent = AuditRecord(Kind.INTENT, node.role, "demo", subject="Consent", details={"denied": denied})
    with node.chain.written(intent), transaction(node.engine) as connection:
        for consent in resources.consents(denied):
            store.update(connection, "Consent", consent["id"], json.dumps(consent).encode(), source=SOURCE)


def _denied_document(connection: Connection) -> str:
    """The photo that Dimitra keeps from her care team: the last of her right cheek."""
    return str(
        connection.execute(
            select(photo.c.document).where(photo.c.patient == "demo-dimitra").order_by(photo.c.taken.desc()).limit(1)
        ).scalar_one()
    )
