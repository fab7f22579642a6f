"""A clinic in which photos are corrected, and what every door says of them before and after."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import select
from typer.testing import CliRunner, Result

from consent.audit.read import Archive as AuditArchive
from consent.store import clock, photos, rows_of_bits
from consent.store.engine import glancing
from consent.store.tables import decided, decided_bits, photo
from consent.types import Right
from dicom_bridge.objects.uids import fhir_id
from dicom_bridge.query.tables import dicom_instance
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.worker import worker_of
from tests.archive import Archive, Photo
from tests.fhir.clinic import consent_of
from tests.pipeline.sent import send
from tests.pipeline.world import Visit, World


@dataclass(frozen=True, slots=True)
class Row:
    """A photo's row."""

    number: int
    sop: str
    series: str
    study: str
    orthanc_id: str
    state: str
    patient: str | None


class Links(World):
    """The clinic."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(archive)
        archive.account("linker", "TREAT", rights=(Right.LINK,))
        archive.account("reconciler", rights=(Right.LINK, Right.RECONCILE))

    # --- the command ------------------------------------------------------------------------------------------------

    def link(self, *words: str, account: str | None = None, **options: str | None) -> Result:
        """Run the command, as ``linker`` where nobody is named; an option that is None is left out."""
        said = ["link", *words, "--settings", str(self.file), "--as", account or "linker"]
        for name, value in options.items():
            if value is not None:
                said += [f"--{name}", value]
        return CliRunner().invoke(build(), said, env={"PHOTOSPINE_ACCOUNT": None})

    def corrected(self, sop: str, account: str | None = None, **options: str | None) -> str:
        """Correct a photo; the SOP Instance UID of the instance that took its place."""
        result = self.link(sop, "--json", account=account, **({"reason": "Seen on the picture."} | options))
        assert result.exit_code == 0, result.output
        made = self.told(result)
        assert made != sop
        return made

    @staticmethod
    def told(result: Result) -> str:
        """The instance that the command says it has made."""
        told = json.loads(result.stdout)
        assert told["new_instance"]
        return str(told["done"]["sop_uid"])

    # --- records of persons -----------------------------------------------------------------------------------------

    def merge(self, name: str, into: str) -> None:
        """The register says that a record is the same person's as another one."""
        link = [{"other": {"reference": f"Patient/{into}"}, "type": "replaced-by"}]
        self.person(name, active=False, link=link)

    # --- what arrives -----------------------------------------------------------------------------------------------

    def sent(self, seed: int, **attributes: str) -> Photo:
        """An object by somebody else that waits."""
        made = send(self, seed, **({"AccessionNumber": f"NOBODY-{seed}"} | attributes))
        with self.node("worker") as node, open_archive(node) as archive:
            worker_of(node, archive, lambda _: None, Event()).look()
        assert self.row(made.sop).state == "examined"
        return made

    def work(self, *, everything: bool = False) -> None:
        """What a worker finds to do, done by this process; ``everything``: it compares the whole archive."""
        with self.node("worker") as node, open_archive(node) as archive:
            process = worker_of(node, archive, lambda _: None, Event())
            process.recover_open(timedelta(0))
            while process.one_job():
                pass
            process.look(everything=everything)

    def copied(self, copy: Row, source: Row) -> None:
        """The record says that a photo was made from another one."""
        target = {"reference": self.reference_of(source)}
        made = self.bare("DocumentReference", fhir_id(copy.sop))
        self.put(made | {"relatesTo": [{"code": "transforms", "target": target}]})

    # --- what is there ----------------------------------------------------------------------------------------------

    def row(self, sop: str) -> Row:
        """The row of an instance."""
        with glancing(self.engine) as connection:
            found = connection.execute(select(photo).where(photo.c.sop_uid == sop)).one()
        return Row(
            found.photo,
            found.sop_uid,
            found.series_uid,
            found.study_uid,
            found.orthanc_id,
            found.state,
            found.patient,
        )

    def at(self, orthanc_id: str) -> Row:
        """The row of an object."""
        with glancing(self.engine) as connection:
            found = connection.execute(select(photo.c.sop_uid).where(photo.c.orthanc_id == orthanc_id)).scalar_one()
        return self.row(found)

    def one(self, visit: Visit) -> Row:
        """The one photo of a visit, as ``ingest`` made it."""
        (sop,) = self.sops(visit)
        return self.row(sop)

    def file_of(self, row: Row) -> bytes:
        """The object, read as our own work reads it."""
        with self.node() as node, open_archive(node) as archive:
            data = archive.file("test", row.orthanc_id)
        assert data is not None
        return data

    def original_of(self, row: Row) -> bytes | None:
        """Its attached original."""
        with self.node() as node, open_archive(node) as archive:
            return archive.original("test", row.orthanc_id)

    def document(self, sop: str) -> dict[str, Any]:
        """The DocumentReference of an instance."""
        with glancing(self.engine) as connection:
            return self.store.read(connection, "DocumentReference", fhir_id(sop)).json()

    def reference_of(self, row: Row) -> str:
        """The DocumentReference of an instance, as a reference."""
        return f"DocumentReference/{fhir_id(row.sop)}"

    def resource(self, kind: str, identity: str) -> dict[str, Any]:
        """A resource of the record."""
        with glancing(self.engine) as connection:
            return self.store.read(connection, kind, identity).json()

    def bare(self, kind: str, identity: str) -> dict[str, Any]:
        """A resource of the record, to be written anew."""
        return {key: value for key, value in self.resource(kind, identity).items() if key != "meta"}

    def links_of(self, sop: str) -> set[str]:
        """What the record links a photo to."""
        with glancing(self.engine) as connection:
            found = photos.by_sop(connection, sop)
        assert found is not None
        return set(found.facts.links)

    def agree(self, name: str, purpose: str, patient: str) -> None:
        """She agrees to all of her photos being used so, now."""
        with glancing(self.engine) as connection:
            moment = clock.now(connection)
        said = consent_of(name, "permit", purpose, patient, signed=moment.isoformat(timespec="milliseconds"))
        said["organization"] = [{"reference": f"Organization/{self.store.site.organization}"}]
        self.put(said)

    def records(self, route: str) -> list[dict[str, Any]]:
        """The audit records of a route."""
        return [each for each in self.everything() if each.get("route") == route]

    def everything(self) -> list[dict[str, Any]]:
        """All audit records."""
        archive = AuditArchive(self.engine, self.settings.audit_folder)
        return [json.loads(row.body) for chain in archive.chains() for row in archive.rows(chain)]

    def bits_are_true(self) -> None:
        """The sets of exceptions that questions read are those of the stored answers."""
        with glancing(self.engine) as connection:
            rows = connection.execute(select(decided.c.purpose, decided.c.audience, decided.c.photo)).all()
            kept = rows_of_bits.load(connection, decided_bits)
        assert {(*key, number) for key, bits in kept.items() for number in bits} == set(map(tuple, rows))

    # --- doors ------------------------------------------------------------------------------------------------------

    def doors(self, row: Row, account: str = "clinician", purpose: str = "TREAT") -> dict[str, bool]:
        """By each door of Orthanc, whether it shows this instance."""
        ask = self.archive.ask
        wado = f"/dicom-web/studies/{row.study}/series/{row.series}/instances/{row.sop}"
        single = {
            "file": f"/instances/{row.orthanc_id}/file",
            "tags": f"/instances/{row.orthanc_id}/simplified-tags",
            "preview": f"/instances/{row.orthanc_id}/preview",
            "instance": f"/instances/{row.orthanc_id}",
            "wado": wado,
            "metadata": f"{wado}/metadata",
            "rendered": f"{wado}/rendered",
            "frames": f"{wado}/frames/1",
            "image": f"/instances/{row.orthanc_id}/rendered",
            "uri": f"/wado?requestType=WADO&studyUID={row.study}&seriesUID={row.series}&objectUID={row.sop}",
        }
        found = {name: ask(path, account, purpose).status == 200 for name, path in single.items()}
        found["archive"] = row.sop in self.archived(row, account, purpose)
        uid = row.sop.encode()
        lists = {
            "qido": f"/dicom-web/instances?SOPInstanceUID={row.sop}",
            "qido study": f"/dicom-web/studies/{row.study}/instances?limit=1000",
            "study metadata": f"/dicom-web/studies/{row.study}/metadata",
        }
        for name, path in lists.items():
            reply = ask(path, account, purpose)
            if reply.status == 503:  # a busy machine: the wall refuses what it cannot answer in time
                reply = ask(path, account, purpose)
            assert reply.status in (200, 204, 404), (name, reply.status)
            found[name] = reply.status == 200 and uid in reply.body
        found["instances"] = row.orthanc_id.encode() in ask("/instances?limit=10000&since=0", account, purpose).body
        return found

    def archived(self, row: Row, account: str = "clinician", purpose: str = "TREAT") -> list[str]:
        """UIDs of what an archive of its study holds."""
        with glancing(self.engine) as connection:
            query = select(dicom_instance.c.orthanc_study).where(dicom_instance.c.sop_uid == row.sop)
            study = connection.execute(query).scalar_one()
        reply = self.archive.ask(f"/studies/{study}/archive", account, purpose)
        if reply.status != 200:
            return []
        opened = zipfile.ZipFile(BytesIO(reply.body))
        return [str(read(opened.read(name)).SOPInstanceUID) for name in opened.namelist()]

    def seen(self, sop: str, account: str = "clinician", purpose: str = "TREAT") -> bool:
        """Whether all doors show an instance; None of them must differ from the others."""
        found = self.doors(self.row(sop), account, purpose)
        assert len(set(found.values())) == 1, found
        return found["file"]

    # --- judges from outside ----------------------------------------------------------------------------------------

    def faults(self, data: bytes, folder: Path) -> list[str]:
        """What dciodvfy holds against an object."""
        file = folder / "judged.dcm"
        file.write_bytes(data)
        done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def read(data: bytes) -> Dataset:
    """An object."""
    return dcmread(BytesIO(data))


def coded(dataset: Mapping[Any, Any] | Dataset, keyword: str) -> tuple[str, str]:
    """Scheme and value of the one code of an attribute."""
    (item,) = getattr(dataset, keyword)
    return item.CodingSchemeDesignator, item.CodeValue
