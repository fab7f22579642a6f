"""A clinic whose patient has a plan and a session, behind the pages; and forms as a browser would send them."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from starlette.applications import Starlette

from consent.site import Site
from consent.types import Request, Requester, Right
from dicom_bridge.protocols.reading import all_protocols
from fhir_mapping.course.plan import care_plan
from orthanc_plugin.workspace.app import create_app
from orthanc_plugin.workspace.files import Files
from orthanc_plugin.workspace.pages import Parts
from orthanc_plugin.workspace.record import Picture
from orthanc_plugin.workspace.stored import StoredRecord
from orthanc_plugin.workspace.stored_sessions import StoredSessions
from orthanc_plugin.workspace.visitor import Door
from tests.fhir.clinic import FACE, build, context, open_clinic, region
from tests.fhir.clinic import Clinic as FhirClinic
from tests.fhir.test_course import NOW, PLAN, TOXIN
from tests.workspace.client import Client
from tests.workspace.clinic import Sessions
from tests.workspace.page import PUBLISHING, Patient

SITE = Site(time_zone="Europe/Athens")
PAGE = "/chart/patient/anna/next"


class Drawn:
    """A picture for every photo that the decision point lets through."""

    def __init__(self, clinic: FhirClinic) -> None:
        self._clinic = clinic

    def picture(self, request: Request, sop_uid: str, *, route: str, width: int, publishing: bool) -> Picture | None:
        """A drawing."""
        size = (width or 900, (width or 900) * 4 // 3)
        made = Image.new("RGB", size, (214, 170, 144))
        draw = ImageDraw.Draw(made)
        draw.ellipse([size[0] * 0.2, size[1] * 0.12, size[0] * 0.8, size[1] * 0.9], fill=(224, 184, 160))
        draw.line([size[0] * 0.3, size[1] * 0.35, size[0] * 0.7, size[1] * 0.35], fill=(180, 130, 110), width=3)
        out = io.BytesIO()
        made.save(out, "JPEG", quality=80)
        return Picture(out.getvalue())


def planned(folder: Path) -> FhirClinic:
    """Anna with a plan decided on f1, one session with a product and a machine's settings, and its photo t1."""
    build(folder)
    made = open_clinic(folder)
    made.put(care_plan(PLAN) | {"id": "plan", "meta": {"source": "urn:photospine"}})
    made.put(
        {"resourceType": "Device", "id": "yag", "deviceName": [{"name": "Laser one", "type": "user-friendly-name"}]}
    )
    made.put(
        {
            "resourceType": "Procedure",
            "id": "p1",
            "status": "completed",
            "code": {"coding": [{"system": "urn:photospine:treatment", "code": "toxin"}], "text": TOXIN.text},
            "subject": {"reference": "Patient/anna"},
            "encounter": {"reference": "Encounter/v1"},
            "basedOn": [{"reference": "CarePlan/plan"}],
            "performedDateTime": "2026-05-03T11:00:00+03:00",
            "usedReference": [{"reference": "Device/yag"}],
        }
    )
    made.put(
        {
            "resourceType": "Observation",
            "id": "s1",
            "status": "final",
            "code": {"text": "Device settings"},
            "subject": {"reference": "Patient/anna"},
            "partOf": [{"reference": "Procedure/p1"}],
            "device": {"reference": "Device/yag"},
            "component": [
                {
                    "code": {"coding": [{"system": "urn:photospine:setting", "code": "fluence"}], "text": "Fluence"},
                    "valueQuantity": {
                        "value": 2.4,
                        "unit": "J/cm2",
                        "system": "http://unitsofmeasure.org",
                        "code": "J/cm2",
                    },
                }
            ],
        }
    )
    made.photo("t1", "anna", "v1", context=context("v1", "2026-05-03T10:20:00+03:00", "Procedure/p1"),
               extension=[region(FACE, "L")])  # fmt: skip
    return made


def today_visit(clinic: FhirClinic, *photos: str) -> None:
    """Anna is here, and photos of her face were taken."""
    clinic.put(
        {
            "resourceType": "Encounter",
            "id": "v5",
            "status": "in-progress",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": "Patient/anna"},
            "period": {"start": "2026-06-15T11:30:00+03:00"},
        }
    )
    for number, name in enumerate(photos):
        clinic.photo(name, "anna", "v5", context=context("v5", f"2026-06-15T11:4{number}:00+03:00"),
                     extension=[region(FACE)])  # fmt: skip


def people() -> Sessions:
    """Accounts: the clinician may write, the doctor reads."""
    made = Sessions()
    made.requesters["clinician"] = Requester(
        "clinician", ("TREAT",), frozenset({Right.RECORD}), reference="Practitioner/d"
    )
    return made


def application(
    clinic: FhirClinic,
    sessions: Sessions,
    *,
    packages: Path = Path("absent"),
    now: Callable[[], datetime] = lambda: NOW,
    strict: bool = False,
) -> Starlette:
    """The pages over this clinic."""
    record = StoredRecord(clinic.engine, clinic.node.decisions, clinic.record)
    book = StoredSessions(clinic.node, lambda _: now(), all_protocols(), strict=strict)
    door = Door(sessions, secure=False)
    parts = Parts(record, Drawn(clinic), door, SITE, Files(packages), now, PUBLISHING, sessions=book)
    return create_app(parts, sessions, throttle=Patient(), healthy=lambda: True)


def signed_in(clinic: FhirClinic, sessions: Sessions, account: str) -> Client:
    """A browser that is signed in."""
    made = Client(application(clinic, sessions))
    cookie = sessions.sign_in(account, f"{account}-demo")
    assert cookie is not None
    made.cookies.set(Door(sessions, secure=False).cookie, cookie)
    return made


class _Form(HTMLParser):
    """Reads the form of today's session."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._within = False
        self._chosen = False
        self._select = self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._within = said.get("id") == "today"
        if not self._within:
            return
        if tag == "input" and (said.get("type") != "checkbox" or "checked" in said):
            self.found[said["name"]] = said.get("value", "on")
        elif tag == "select":
            self._select, self._chosen = said["name"], False
            self.found[self._select] = ""
        elif tag == "option" and self._select and ("selected" in said or not self._chosen):
            self.found[self._select], self._chosen = said.get("value", ""), True
        elif tag == "textarea":
            self._area = said["name"]
            self.found[self._area] = ""

    def handle_endtag(self, tag: str) -> None:
        self._within = self._within and tag != "form"
        self._select = "" if tag == "select" else self._select
        self._area = "" if tag == "textarea" else self._area

    def handle_data(self, data: str) -> None:
        if self._area:
            self.found[self._area] += data


def fields_of(page: str) -> dict[str, str]:
    """The fields of the form as a browser would send them, by the button that saves."""
    form = _Form()
    form.feed(page)
    assert form.found, "there is no form"
    return form.found | {"step": "save"}


def send(client: Client, fields: dict[str, str], page: str = PAGE, **headers: str) -> Any:
    """Press the button."""
    return client.post(page, data=fields, headers=headers)
