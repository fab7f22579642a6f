"""The clinic of the FHIR tests: two patients, treatments with lots, photos of two visits, accounts of every kind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine
from starlette.applications import Starlette

from consent.audit.chain import Chain, open_chain
from consent.audit.read import Archive
from consent.identity.basic import credentials
from consent.identity.bearer import Caller
from consent.service import DecisionPoint
from consent.site import Site
from consent.store.engine import open_engine, transaction
from consent.store.photos import save_photo
from consent.types import Requester, Right
from fhir_mapping.api.node import Node
from fhir_mapping.api.routes import routes
from fhir_mapping.projections.photo import area_of, photo_facts, procedure_of
from fhir_mapping.projections.written import Setting
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.record import RecordStore
from tests.database import fresh

BASE = "http://127.0.0.1:20500/fhir"
SITE = Site(time_zone="Europe/Athens", channels=frozenset({"instagram", "tiktok"}), projects=frozenset({"scars"}))
FACE = {"system": "http://snomed.info/sct", "code": "89545001"}
HAND = {"system": "http://snomed.info/sct", "code": "85562004"}
SECOND_VISIT = {
    "resourceType": "Encounter",
    "id": "v3",
    "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    "subject": {"reference": "Patient/anna"},
    "period": {"start": "2026-05-10"},
}
"""Of Anna's."""

ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
OURS = "urn:photospine:purpose"

#: Name, purposes, rights, reference, confined to.
ACCOUNTS: tuple[tuple[str, tuple[str, ...], tuple[Right, ...], str | None, str | None], ...] = (
    ("clinician", ("TREAT", "BTG"), (Right.CONSENT, Right.CAPTURE, Right.LINK), "Practitioner/d", None),
    ("doctor", ("TREAT", "PORTFOLIO", "WEB", "SOCIAL"), (), "Practitioner/e", None),
    ("marketing", ("PORTFOLIO", "WEB", "SOCIAL"), (), "Practitioner/m", None),
    ("anna", ("PATRQT",), (), "Patient/anna", "anna"),
    ("compliance", ("HCOMPL", "PATSFTY"), (), None, None),
    ("integrator", ("TREAT",), (Right.RECORD, Right.CONSENT), None, None),
    ("importer", (), (Right.RECORD,), None, None),
    ("admin", (), (Right.ADMIN,), None, None),
)


@dataclass(slots=True)
class Clinic:
    """The parts, and short ways to use them."""

    engine: Engine
    record: RecordStore
    chain: Chain
    audit: Path
    node: Node
    app: Starlette

    def close(self) -> None:
        self.chain.close()
        self.engine.dispose()

    def put(self, resource: Mapping[str, Any]) -> None:
        """Write a resource as the record's own."""
        with transaction(self.engine) as connection:
            self.record.update(connection, resource["resourceType"], resource["id"], resource, source="test")

    def judged(self, resource: Mapping[str, Any]) -> None:
        """Write what the judge says of a photo."""
        with transaction(self.engine) as connection:
            ready = self.record.own("Observation", resource)
            self.record.update(connection, "Observation", resource["id"], ready, source=SOURCE)

    def photo(self, name: str, patient: str, visit: str, **more: Any) -> int:
        """Keep a photo: its document, its visit's study, and the row that decisions read."""
        uid = uid_of(name)
        document = document_of(name, patient, visit) | more
        with transaction(self.engine) as connection:
            self.record.create(connection, "DocumentReference", document, source="pipeline", id=name)
            known = self.record.search(connection, "ImagingStudy", {"_id": visit})
            uids = [each["instance"][0]["uid"] for each in known[0].json()["series"]] if known else []
            study = study_of(visit, patient, [*uids, uid])
            self.record.update(connection, "ImagingStudy", visit, study, source="pipeline")
            facts = photo_facts(connection, Setting(SITE, BASE), name)
            return save_photo(
                connection,
                facts,
                series_uid=f"{uid}.1",
                study_uid=f"2.25.7{visit[1:]}",
                orthanc_id=f"o-{name}",
                state="linked",
                area=area_of(facts),
                view="frontal",
                procedure=procedure_of(facts),
            )

    def ask(self, account: str, method: str, path: str, **more: Any) -> Any:
        """An HTTP request of an account; ``json`` bodies go as FHIR's media type."""
        headers = dict(more.pop("headers", {}))
        if "json" in more:
            more["content"] = json.dumps(more.pop("json"))
        if "content" in more:
            headers.setdefault("Content-Type", "application/fhir+json")
        return self.raw(method, path, auth=(account, f"{account}-pw"), headers=headers, **more)

    def raw(self, method: str, path: str, **more: Any) -> httpx.Response:
        """An HTTP request as it is."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:20500") as client:
                return await client.request(method, f"/fhir{path}", **more)

        # In a thread of its own: a browser driven by the same process has an event loop running in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(send())).result()

    def get(self, account: str, path: str, purpose: str | None = None) -> Any:
        headers = {} if purpose is None else {"X-Purpose-Of-Use": purpose}
        return self.ask(account, "GET", path, headers=headers)

    def records(self) -> list[dict[str, Any]]:
        """Every audit record so far."""
        archive = Archive(self.engine, self.audit)
        return [json.loads(row.body) for chain in archive.chains() for row in archive.rows(chain)]


def requesters() -> dict[str, Requester]:
    """Who the accounts are; the passwords of most tests are checked here, since scrypt is slow on purpose."""
    return {
        name: Requester(
            account=name,
            purposes=purposes,
            rights=frozenset(rights),
            reference=reference,
            confined_to=None if confined is None else frozenset({confined}),
            own_patient=confined,
        )
        for name, purposes, rights, reference, confined in ACCOUNTS
    }


def open_clinic(folder: Path, url: str | None = None) -> Clinic:
    """Open the clinic whose database lies in a folder, or at an address."""
    url = url or f"sqlite:///{folder}/clinic.sqlite3"
    engine = open_engine(url)
    people = requesters()
    audit = folder / "audit"
    chain = open_chain(url, audit, "node1", "serve")
    record = RecordStore(SITE, base=BASE)
    node = Node(
        engine=engine,
        record=record,
        decisions=DecisionPoint(engine, chain, "serve"),
        chain=chain,
        identify=lambda header, _address: _caller(people, header),
        base=BASE,
        version="0.1.0",
        started=datetime(2026, 6, 15, tzinfo=UTC),
        archive=Archive(engine, audit),
    )
    app = Starlette(routes=routes(node))
    return Clinic(engine, record, chain, audit, node, app)


def _caller(people: Mapping[str, Requester], header: str | None) -> Caller | None:
    name, password = credentials(header) or ("", "")
    found = people.get(name) if password == f"{name}-pw" else None
    return None if found is None else Caller(found)


def build(folder: Path, url: str | None = None) -> None:
    """Make the clinic's database in a folder, or in an empty one at an address."""
    fresh(url or f"sqlite:///{folder}/clinic.sqlite3", SITE).dispose()
    clinic = open_clinic(folder, url)
    for resource in RESOURCES:
        clinic.put(resource)
    clinic.photo("f1", "anna", "v1", context=context("v1", "2026-05-03T10:00:00+03:00", "Procedure/p1"))
    clinic.photo("f2", "anna", "v1", context=context("v1", "2026-05-03T10:05:00+03:00"))
    clinic.photo("b1", "ben", "v2", context=context("v2", "2026-05-04T10:00:00+03:00"))
    clinic.close()


def uid_of(name: str) -> str:
    """A SOP Instance UID for a photo's name."""
    return f"2.25.{int(name.encode().hex(), 16)}"


def context(visit: str, taken: str, *related: str) -> dict[str, Any]:
    """DocumentReference.context."""
    made: dict[str, Any] = {"encounter": [{"reference": f"Encounter/{visit}"}], "period": {"start": taken}}
    if related:
        made["related"] = [{"reference": each} for each in related]
    return made


def document_of(name: str, patient: str, visit: str) -> dict[str, Any]:
    """A photo's DocumentReference."""
    return {
        "resourceType": "DocumentReference",
        "id": name,
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid_of(name)}"}],
        "status": "current",
        "subject": {"reference": f"Patient/{patient}"},
        "author": [{"reference": "Practitioner/d"}],
        "custodian": {"reference": "Organization/clinic"},
        "extension": [region(FACE)],
        "content": [{"attachment": {"contentType": "image/jpeg", "url": f"/photos/{name}"}}],
        "context": context(visit, "2026-05-03T10:00:00+03:00"),
    }


def region(coding: Mapping[str, Any], side: str | None = None) -> dict[str, Any]:
    """The extension that names a region."""
    parts: list[dict[str, Any]] = [{"url": "code", "valueCodeableConcept": {"coding": [dict(coding)]}}]
    if side is not None:
        parts.append({"url": "laterality", "valueCode": side})
    return {"url": "urn:photospine:photo-region", "extension": parts}


def study_of(visit: str, patient: str, uids: list[str]) -> dict[str, Any]:
    """A visit's ImagingStudy, every photo in a series of its own."""
    photography = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "XC"}
    return {
        "resourceType": "ImagingStudy",
        "id": visit,
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:2.25.7{visit[1:]}"}],
        "status": "available",
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": f"Encounter/{visit}"},
        "started": "2026-05-03T10:00:00+03:00",
        "modality": [photography],
        "numberOfSeries": len(uids),
        "numberOfInstances": len(uids),
        "series": [
            {
                "uid": f"{uid}.1",
                "modality": photography,
                "numberOfInstances": 1,
                "instance": [
                    {
                        "uid": uid,
                        "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.77.1.4"},
                    }
                ],
            }
            for uid in uids
        ],
    }


def consent_of(
    name: str, effect: str, purpose: str | None, patient: str = "anna", *, signed: str = "2026-05-10", **more: Any
) -> dict[str, Any]:
    """A Consent that the patient has signed."""
    provision: dict[str, Any] = {"type": effect} | more.pop("provision", {})
    if purpose is not None:
        ours = purpose in ("PORTFOLIO", "WEB", "SOCIAL", "CONF", "TEACH")
        provision["purpose"] = [{"system": OURS if ours else REASON, "code": purpose}]
    return {
        "resourceType": "Consent",
        "id": name,
        "status": "active",
        "scope": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"},
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": signed,
        "performer": [{"reference": f"Patient/{patient}"}],
        "organization": [{"reference": "Organization/clinic"}],
        "policy": [{"uri": "urn:photospine:text:1"}],
        "provision": provision,
    } | more


def _person(kind: str, name: str, family: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": kind,
        "id": name,
        "identifier": [{"system": "urn:photospine:demo", "value": f"demo-{name}"}],
        "name": [{"family": family, "given": [name.capitalize()]}],
    } | more


RESOURCES: tuple[dict[str, Any], ...] = (
    {"resourceType": "Organization", "id": "group", "name": "Group"},
    {"resourceType": "Organization", "id": "clinic", "name": "Clinic", "partOf": {"reference": "Organization/group"}},
    _person("Practitioner", "d", "Doe"),
    _person("Practitioner", "e", "Eco"),
    _person("Practitioner", "m", "Market"),
    _person("Patient", "anna", "Ānderson", birthDate="1990-05-05"),
    _person("Patient", "ben", "Berg", birthDate="1985-01"),
    *(
        {
            "resourceType": "Encounter",
            "id": visit,
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": f"Patient/{patient}"},
            "period": {"start": "2026-05-03"},
        }
        for visit, patient in (("v1", "anna"), ("v2", "ben"))
    ),
    {
        "resourceType": "Medication",
        "id": "lot7",
        "status": "active",
        "code": {"text": "Toxin A"},
        "batch": {"lotNumber": "LOT-0071", "expirationDate": "2027-01-31"},
    },
    {
        "resourceType": "Device",
        "id": "laser",
        "status": "active",
        "udiCarrier": [{"deviceIdentifier": "09504000059118", "carrierHRF": "(01)09504000059118(10)L1"}],
        "lotNumber": "L1",
        "expirationDate": "2028-12-31",
    },
    *(
        {
            "resourceType": "Procedure",
            "id": name,
            "status": "completed",
            "subject": {"reference": f"Patient/{patient}"},
            "encounter": {"reference": f"Encounter/{visit}"},
            "performedDateTime": "2026-05-03T11:00:00+03:00",
            "performer": [{"actor": {"reference": "Practitioner/d"}}],
        }
        for name, patient, visit in (("p1", "anna", "v1"), ("p2", "ben", "v2"))
    ),
    {
        "resourceType": "MedicationAdministration",
        "id": "ma1",
        "status": "completed",
        "subject": {"reference": "Patient/anna"},
        "medicationReference": {"reference": "Medication/lot7"},
        "effectiveDateTime": "2026-05-03T11:00:00+03:00",
        "partOf": [{"reference": "Procedure/p1"}],
        "dosage": {"dose": {"value": 20, "unit": "U"}},
    },
)
