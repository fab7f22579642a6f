"""A clinic with a real Orthanc, where photos are taken in and processes die; and what must hold afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from consent.audit.read import Archive as AuditArchive
from consent.audit.verify import verify
from consent.store.engine import glancing, transaction
from consent.store.tables import job, photo
from consent.types import Right
from dicom_bridge import ledger
from dicom_bridge.batch import RECOVER
from dicom_bridge.ledger import State
from dicom_bridge.objects import uids
from dicom_bridge.objects.uids import fhir_id
from dicom_bridge.objects.vocabulary import find_region, find_view
from dicom_bridge.plan import Plan
from dicom_bridge.settling import Step
from dicom_bridge.tables import ledger as ledger_table
from dicom_bridge.way import Arrow
from fhir_mapping.store.record import RecordStore
from fhir_mapping.tables import fhir_resource
from orthanc_plugin.assembly import processes
from orthanc_plugin.assembly.archive_process import NAME
from orthanc_plugin.assembly.intake import open_archive, pipeline
from orthanc_plugin.assembly.open import Node, open_node
from orthanc_plugin.assembly.settings import load
from tests import forks
from tests.archive import Archive
from tests.photos import Shot, jpeg

SOURCE = "urn:test"
MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
ACSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit that nobody else uses, and files for it."""

    patient: str
    encounter: str
    files: tuple[bytes, ...]
    paths: tuple[Path, ...]


class World:
    """The clinic. Each test takes a visit of its own."""

    def __init__(self, archive: Archive) -> None:
        self.archive, self.engine = archive, archive.engine
        self.file = archive.folder / "photospine.toml"
        self.file.write_text(
            f'database = "{archive.settings.database}"\northanc = "{archive.settings.orthanc}"\n', encoding="utf-8"
        )
        self.settings = load(self.file)
        self.store = RecordStore(self._site(), base=self.settings.public_url + "/fhir")
        self._count = 0
        archive.account("clinician", "TREAT", rights=(Right.CAPTURE, Right.RECORD))
        archive.account("marketing", "PORTFOLIO")
        self.put({"resourceType": "Organization", "id": self.store.site.organization, "name": "Clinic"})
        self.put({"resourceType": "Practitioner", "id": "clinician", "name": [{"family": "Clinician"}]})
        for name in ("anna", "ben"):
            self.person(name, gender="female")

    def _site(self) -> Any:
        with self.node() as node:
            return node.site

    @contextmanager
    def node(self, role: str = "cli") -> Iterator[Node]:
        """The node, opened as a command does."""
        with open_node(self.settings, role) as node:
            yield node

    def put(self, resource: Mapping[str, Any]) -> None:
        """Write into the record."""
        with transaction(self.engine) as connection:
            self.store.update(connection, resource["resourceType"], resource["id"], resource, source=SOURCE)

    def person(self, name: str, **more: Any) -> None:
        """A patient's record, as the hospital's register writes it; one that was merged is a person's own again."""
        self.put(
            {
                "resourceType": "Patient",
                "id": name,
                "identifier": [{"type": MR, "system": "urn:mrn", "value": f"PID-{name}"}],
                "name": [{"family": f"Family{name}", "given": ["Given"]}],
                "birthDate": "1980-01-01",
            }
            | more
        )

    def visit(self, patient: str = "anna", files: int = 1, sent: Mapping[str, bytes] | None = None) -> Visit:
        """A new visit, with files that nobody sent yet.

        Parameters
        ----------
        sent
            Their names and bytes; else test photos.
        """
        self._count += 1
        name = f"{patient}-visit-{self._count}"
        self.put(
            {
                "resourceType": "Encounter",
                "id": name,
                "identifier": [
                    {"type": ACSN, "system": "urn:accession", "value": f"ACC-{self._count}"},
                    {"system": "urn:visit", "value": f"V-{self._count}"},
                ],
                "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
                "subject": {"reference": f"Patient/{patient}"},
                "period": {"start": "2026-05-03T10:00:00+03:00"},
            }
        )
        if sent is None:
            sent = {f"{number}.jpg": jpeg(Shot(seed=1000 * self._count + number)) for number in range(files)}
        paths = []
        for file, data in sent.items():
            path = self.settings.folder / f"{name}-{file}"
            path.write_bytes(data)
            paths.append(path)
        return Visit(patient, name, tuple(sent.values()), tuple(paths))

    def record(self, visit: Visit) -> str:
        """What was done at a visit, as a FHIR transaction: a treatment with its product's batch."""
        return json.dumps(
            {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [
                    {
                        "fullUrl": "urn:uuid:11111111-1111-4111-8111-111111111111",
                        "resource": {
                            "resourceType": "Procedure",
                            "status": "completed",
                            "subject": {"reference": f"Patient/{visit.patient}"},
                            "encounter": {"reference": f"Encounter/{visit.encounter}"},
                            "code": {"text": "Filler"},
                            "extension": [{"url": "urn:photospine:session", "valuePositiveInt": 3}],
                        },
                        "request": {"method": "POST", "url": "Procedure"},
                    },
                    {
                        "fullUrl": "urn:uuid:22222222-2222-4222-8222-222222222222",
                        "resource": {
                            "resourceType": "Medication",
                            "code": {"text": "Hyaluronic acid"},
                            "batch": {"lotNumber": "LOT-1", "expirationDate": "2027-01"},
                        },
                        "request": {"method": "POST", "url": "Medication"},
                    },
                    {
                        "resource": {
                            "resourceType": "MedicationAdministration",
                            "status": "completed",
                            "medicationReference": {"reference": "urn:uuid:22222222-2222-4222-8222-222222222222"},
                            "subject": {"reference": f"Patient/{visit.patient}"},
                            "effectiveDateTime": "2026-05-03T10:05:00+03:00",
                            "partOf": [{"reference": "urn:uuid:11111111-1111-4111-8111-111111111111"}],
                        },
                        "request": {"method": "POST", "url": "MedicationAdministration"},
                    },
                ],
            }
        )

    def plan(self, visit: Visit, *, view: str = "frontal", record: bool = False, patient: str | None = None) -> Plan:
        """What is asked for."""
        return Plan(
            account="clinician",
            os_user="test",
            patient=patient or visit.patient,
            visit=visit.encounter,
            region=find_region("face").code,
            laterality="B",
            view=find_view(view).code,
            clinician="Practitioner/clinician",
            session=None if record else 1,
            record=self.record(visit) if record else None,
        )

    # --- processes that die -----------------------------------------------------------------------------------------

    def victim(self, role: str, arrow: Arrow | Step | None = None, nth: int = 1, *words: str) -> int:
        """Run a process that kills itself at an arrow, and give its exit status: -9 where it did."""
        said = (str(self.file), role, arrow.value if arrow else "-", str(nth), *words)
        return forks.run("tests.pipeline.victim", *said)

    def ingest_until(self, arrow: Arrow, nth: int, visit: Visit) -> int:
        """``ingest`` that dies at an arrow."""
        plan = self.settings.folder / f"{visit.encounter}.plan"
        plan.write_text(self.plan(visit, record=True).dumps(), encoding="utf-8")
        return self.victim("ingest", arrow, nth, str(plan), *(str(path) for path in visit.paths))

    def due(self) -> None:
        """Time passes: work that was put off is due."""
        with transaction(self.engine) as connection:
            connection.execute(update(job).values(not_before=0, lease_until=None))

    def kill_orthanc(self) -> None:
        """Orthanc dies, and is gone when this returns."""
        folder = self.settings.folder / "orthanc"
        pid = processes.pid_of(NAME, folder)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while processes.pid_of(NAME, folder) is not None:
            pass

    # --- what holds -------------------------------------------------------------------------------------------------

    def sops(self, visit: Visit, patient: str | None = None) -> list[str]:
        """The UIDs of a visit's photos."""
        with self.node() as node:
            key = node.keys.uid
        digests = [hashlib.sha256(data).hexdigest() for data in visit.files]
        return [uids.sop_instance_uid(key, patient or visit.patient, digest) for digest in digests]

    def take(self, visit: Visit, **more: Any) -> list[Any]:
        """``ingest`` in this process."""
        with self.node() as node, open_archive(node) as archive:
            return list(pipeline(node, archive).take(visit.files, self.plan(visit, **more)))

    def instances(self) -> set[str]:
        """All objects that Orthanc has."""
        with self.node() as node, open_archive(node) as archive:
            return set(archive.instances("test"))

    def count(self, kind: str) -> int:
        """How many resources of a type there are."""
        with glancing(self.engine) as connection:
            query = select(func.count()).select_from(fhir_resource).where(fhir_resource.c.type == kind)
            return int(connection.execute(query).scalar_one())

    def tasks(self, code: str) -> list[dict[str, Any]]:
        """What persons were asked to see to of one kind, the oldest first."""
        with glancing(self.engine) as connection:
            query = select(fhir_resource.c.id).where(fhir_resource.c.type == "Task").order_by(fhir_resource.c.updated)
            found = [self.store.read(connection, "Task", name).json() for name in connection.execute(query).scalars()]
        return [each for each in found if each["code"]["coding"][0]["code"] == code]

    def nobody_sees(self, visit: Visit) -> None:
        """No photo of the visit is visible by any door while it is not committed."""
        uids_ = self.sops(visit)
        with glancing(self.engine) as connection:
            rows = connection.execute(select(photo.c.sop_uid, photo.c.state).where(photo.c.sop_uid.in_(uids_))).all()
            entries = [ledger.entry(connection, uid) for uid in uids_]
        committed = {entry.sop_uid for entry in entries if entry is not None and entry.state is State.DONE}
        assert {row.sop_uid for row in rows} == committed
        for entry in entries:
            if entry is None or entry.sop_uid in committed:
                continue
            rest = self.archive.ask(f"/instances/{entry.orthanc_id}/file", "clinician")
            assert rest.status == 403
            assert rest.body == b""
            wado = f"/dicom-web/studies/{entry.study_uid}/series/{entry.series_uid}/instances/{entry.sop_uid}"
            assert self.archive.ask(wado, "clinician").status == 403
            assert (
                entry.sop_uid.encode()
                not in self.archive.ask("/dicom-web/instances?limit=1000", "clinician").everything
            )

    def whole(self, visit: Visit) -> None:
        """Every photo of the visit is there once, linked, with its original; nothing is left over."""
        sops = self.sops(visit)
        with self.node() as node, open_archive(node) as archive, glancing(self.engine) as connection:
            present = archive.instances("test")
            numbers = []
            for sop, data in zip(sops, visit.files, strict=True):
                entry = ledger.entry(connection, sop)
                assert entry is not None
                assert entry.state is State.DONE
                numbers.append(entry.instance_number)
                assert entry.orthanc_id in present
                assert archive.original("test", entry.orthanc_id) == data
                row = connection.execute(select(photo).where(photo.c.sop_uid == sop)).one()
                assert (row.state, row.orthanc_id, row.patient) == ("linked", entry.orthanc_id, visit.patient)
                document = self.store.read(connection, "DocumentReference", fhir_id(sop))
                assert document.version == 1
                told = self.store.search(connection, "Provenance", {"target": f"DocumentReference/{fhir_id(sop)}"})
                assert len(told) == 1
                assert not (self.settings.spool / sop).exists()
            assert sorted(numbers) == list(range(1, len(sops) + 1))
            entry = ledger.entry(connection, sops[0])
            assert entry is not None
            study = self.store.read(connection, "ImagingStudy", fhir_id(entry.study_uid)).json()
            assert study["numberOfInstances"] == len(sops)
            assert sorted(each["uid"] for each in study["series"][0]["instance"]) == sorted(sops)
            treatments = self.store.search(connection, "Procedure", {"encounter": f"Encounter/{visit.encounter}"})
            assert len(treatments) <= 1
            assert ledger.plan_of(connection, entry.batch) is not None
            open_jobs = connection.execute(select(job.c.key).where(job.c.kind == RECOVER)).scalars().all()
            assert entry.batch not in open_jobs
            objects = connection.execute(
                select(func.count()).select_from(ledger_table).where(ledger_table.c.study_uid == entry.study_uid)
            ).scalar_one()
            assert objects == len(sops)
        for sop in sops:
            wado = f"/dicom-web/studies/{entry.study_uid}/series/{entry.series_uid}/instances/{sop}/metadata"
            assert self.archive.ask(wado, "clinician", "TREAT").status == 200

    def open_intents(self) -> set[str]:
        """Audit records of writes whose outcome is not told; the chains must be sound."""
        verdict = verify(AuditArchive(self.engine, self.settings.audit_folder))
        assert verdict.sound
        return {each.record for each in verdict.open}


def spread(cases: Sequence[Any], wanted: int) -> list[Any]:
    """So many of the cases, evenly spread."""
    return [cases[number * len(cases) // wanted] for number in range(wanted)]
