"""The clinic of the gaps behind the pages; run as a module it is a place to look at them."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.applications import Starlette

from consent.types import Requester
from dicom_bridge.gaps.desk import GapDesk
from orthanc_plugin.workspace.app import create_app
from orthanc_plugin.workspace.files import Files
from orthanc_plugin.workspace.pages import Parts
from orthanc_plugin.workspace.stored import StoredRecord
from orthanc_plugin.workspace.stored_sessions import StoredSessions
from orthanc_plugin.workspace.visitor import Door
from tests.fhir.clinic import SITE, Clinic, build, open_clinic
from tests.gaps.clinic import at, booked, here, photographed, treated
from tests.gaps.sentences import protocols
from tests.workspace.clinic import Sessions
from tests.workspace.page import Patient
from tests.workspace.safety import Pictures

TODAY = at("2026-03-26")
ACCOUNTS = {
    "clinician": Requester("clinician", ("TREAT",), reference="Practitioner/d"),
    "portal": Requester("portal", ("TREAT",), confined_to=frozenset({"anna"})),
    "marketing": Requester("marketing", ("PORTFOLIO",)),
}


def application(clinic: Clinic, *, packages: Path = Path("absent"), today: datetime = TODAY) -> Starlette:
    """The workspace on a day."""
    sessions = Sessions(dict(ACCOUNTS))
    parts = Parts(
        StoredRecord(clinic.engine, clinic.node.decisions, clinic.node.record),
        Pictures(clinic),
        Door(sessions, secure=False),
        SITE,
        Files(packages),
        lambda: today,
        (),
        sessions=StoredSessions(clinic.node, lambda _: today),
        gaps=GapDesk(clinic.engine, clinic.node.decisions, clinic.record, protocols, lambda _: today),
    )
    return create_app(parts, sessions, throttle=Patient(), healthy=lambda: True)


def fill(clinic: Clinic) -> None:
    """Anna is here, and overdue; Ben is expected, and one view of his is missing."""
    treated(clinic, "s1", "2026-03-03")
    treated(clinic, "s2", "2026-03-10", patient="ben")
    for each in ("rest", "frown"):
        photographed(clinic, f"g{each}", "2026-03-03", each)
        photographed(clinic, f"b{each}", "2026-03-10", each, patient="ben")
    photographed(clinic, "bagain", "2026-03-24", "rest", patient="ben")
    photographed(clinic, "bother", "2026-03-24", "squint", patient="ben")
    here(clinic, "e1", at("2026-03-26", 11))
    booked(clinic, "a2", at("2026-03-26", 15), patient="ben")
    for number in range(6):
        treated(clinic, f"o{number}", f"2025-{number + 6:02}-03", patient="ben")
        photographed(clinic, f"o{number}", f"2025-{number + 6:02}-17", "rest", patient="ben")
        if number > 2:
            photographed(clinic, f"p{number}", f"2025-{number + 6:02}-17", "frown", patient="ben")


if __name__ == "__main__":
    import uvicorn

    with TemporaryDirectory() as name:
        build(Path(name))
        made = open_clinic(Path(name))
        fill(made)
        uvicorn.run(application(made, packages=Path(os.environ["PACKAGES"])), host="127.0.0.1", port=20691)
