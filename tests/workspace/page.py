"""The pages over the clinic in memory, as an application; run as a module it is a place to look at them."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.applications import Starlette

from consent.site import Site
from orthanc_plugin.workspace.aligning import Aligner
from orthanc_plugin.workspace.app import create_app
from orthanc_plugin.workspace.files import Files
from orthanc_plugin.workspace.pages import Parts, PublishingPage
from orthanc_plugin.workspace.visitor import Door, Throttle
from tests.workspace.clinic import NOW, Clinic, KeptBook, Sessions
from tests.workspace.keeping import Keeping

PUBLISHING = (
    PublishingPage("PORTFOLIO", "Portfolio"),
    PublishingPage("WEB", "Website"),
    PublishingPage("SOCIAL", "Social media"),
)


class Patient:
    """Lets anybody guess."""

    def attempt(self, name: str | None, address: str) -> int:
        return 0

    def waits(self, address: str) -> int:
        return 0

    def succeeded(self, name: str, address: str) -> None:
        """Nothing was counted."""


def application(
    clinic: Clinic,
    sessions: Sessions,
    *,
    packages: Path = Path("absent"),
    secure: bool = False,
    throttle: Throttle | None = None,
) -> Starlette:
    """The workspace with everything outside replaced."""
    site = Site(time_zone="Europe/Athens", channels=frozenset({"instagram", "tiktok"}))
    door = Door(sessions, secure=secure)
    parts = Parts(
        clinic,
        clinic,
        door,
        site,
        Files(packages),
        lambda: NOW,
        PUBLISHING,
        aligner=Aligner(clinic),
        kept=KeptBook(clinic, clinic.kept),
        alignments=Keeping(),
    )
    return create_app(parts, sessions, throttle=throttle or Patient(), healthy=lambda: True)


if __name__ == "__main__":
    import uvicorn

    portrait = os.environ.get("PORTRAIT")
    made = Clinic(portrait=Path(portrait) if portrait else None)
    uvicorn.run(application(made, Sessions(), packages=Path(os.environ["PACKAGES"])), host="127.0.0.1", port=20690)
