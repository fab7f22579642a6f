"""A real Orthanc behind its wall, for tests: with a database, accounts, and photos that are known to both."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TypedDict
from urllib.parse import quote, urlencode

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit
from sqlalchemy import Connection, Engine

from consent.audit import signing
from consent.directive import Directive, Region, Span
from consent.facts import PhotoFacts
from consent.identity import accounts, keys
from consent.identity.keys import load as load_keys
from consent.identity.tickets import TicketKeys, TicketMint
from consent.site import Site
from consent.store.engine import open_engine, transaction
from consent.store.people import save_directive, save_patient
from consent.store.photos import save_photo
from consent.types import Request, Requester, Right
from dicom_bridge.archive import stow
from dicom_bridge.objects.attributes import attributes_json
from dicom_bridge.objects.inside import clean
from dicom_bridge.query.index import save_instance
from dicom_bridge.query.orthanc_ids import orthanc_ids
from orthanc_plugin.assembly.archive_process import ArchiveProcess
from orthanc_plugin.assembly.settings import Settings
from tests.database import fresh
from tests.photos import Shot, jpeg

VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
FACE = "http://snomed.info/sct|89545001"
TAKEN = datetime(2026, 5, 3, 7, tzinfo=UTC)
ORTHANC = "PHOTOSPINE_TEST_ORTHANC"
"""Variable that names the folder of another Orthanc than the machine's (:mod:`benchmarks.orthancs`)."""
ADULT = Span(datetime(1980, 1, 1, tzinfo=UTC), datetime(1980, 1, 2, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo, as Orthanc and the database know it."""

    number: int
    facts: PhotoFacts
    sop: str
    series: str
    study: str
    orthanc_id: str
    dicom: bytes = field(repr=False)
    pixels: bytes = field(repr=False)

    @property
    def wado(self) -> str:
        """Path of the instance in DICOMweb."""
        return f"/dicom-web/studies/{self.study}/series/{self.series}/instances/{self.sop}"

    @property
    def rest(self) -> str:
        """Path of the instance in Orthanc."""
        return f"/instances/{self.orthanc_id}"


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response, whole."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def json(self) -> object:
        """The body as JSON."""
        return json.loads(self.body)

    def header(self, name: str) -> str:
        """A header's value; empty where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def everything(self) -> bytes:
        """Every byte that was received, for searching."""
        return repr(self.headers).encode() + self.body


class Archive:
    """Use as a context manager: starts Orthanc, stops it at the end."""

    def __init__(
        self, folder: Path, port: int, *, url: str | None = None, site: Site | None = None, anew: bool = True
    ) -> None:
        """Make one; with ``anew`` false, open the one that an earlier process left in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, port
        self.settings = Settings(
            folder=folder,
            database=url or f"sqlite:///{folder}/photospine.sqlite3",
            audit_folder=folder / "audit",
            keys=folder / "keys.json",
            checkpoint_key=folder / "checkpoint.key",
            checkpoint_folder=folder / "checkpoints",
            orthanc=f"http://127.0.0.1:{port}",
        )
        if anew:
            keys.make(self.settings.keys)
            signing.make(self.settings.checkpoint_key, self.settings.node)
        self.engine: Engine = fresh(self.settings.database, site) if anew else open_engine(self.settings.database)
        self.mint = TicketMint(TicketKeys(load_keys(self.settings.keys).tickets), self.settings.node)
        self.process = ArchiveProcess(self.settings, folder / "orthanc", port, **chosen())
        self._seed = 0

    def __enter__(self) -> Archive:
        self.process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stop()
        self.engine.dispose()

    def account(
        self, name: str, *purposes: str, rights: tuple[Right, ...] = (), confined_to: str | None = None
    ) -> None:
        """An account with the password ``NAME-demo``."""
        reference = f"Patient/{confined_to}" if confined_to else f"Practitioner/{name}"
        with transaction(self.engine) as connection:
            accounts.create(
                connection,
                name,
                password=f"{name}-demo",
                purposes=purposes,
                rights=rights,
                reference=reference,
                confined_to=confined_to,
            )

    def patient(self, name: str) -> None:
        """An adult."""
        with transaction(self.engine) as connection:
            save_patient(connection, name, ADULT)

    def consent(self, value: Directive) -> None:
        """A Consent."""
        with transaction(self.engine) as connection:
            save_directive(connection, value)

    # --- photos -----------------------------------------------------------------------------------------------------

    def photo(
        self,
        patient: str = "anna",
        *,
        visit: str = "1",
        view: str = "1",
        state: str = "linked",
        region: str = FACE,
        pixels: bytes | None = None,
        name: str | None = None,
        **attributes: object,
    ) -> Photo:
        """Store a photo in Orthanc and make it known, as the pipeline does; with further attributes by keyword."""
        self._seed += 1
        made = self.describe(
            patient, self._seed, visit=visit, view=view, region=region, pixels=pixels, name=name, **attributes
        )
        assert self.store(made.dicom).status == 200
        with transaction(self.engine) as connection:
            return self.know(connection, made, state=state)

    def photo_of(self, patient: str, study: str, series: str, sop: str, pixels: bytes, size: tuple[int, int]) -> Photo:
        """Store a photo under ids that another record has for it, its patient's among them, and make it known.

        Parameters
        ----------
        size
            Columns and rows.
        """
        self._seed += 1
        made = self.describe(patient, self._seed, pixels=pixels)
        dataset = _dataset(patient, f"Family{patient}", study, series, sop, "1", self._seed)
        dataset.Columns, dataset.Rows = size
        facts = replace(made.facts, photo=sop)
        ids = orthanc_ids(patient, study, series, sop)
        made = Photo(0, facts, sop, series, study, ids.instance, _file(dataset, pixels), pixels)
        assert self.store(made.dicom).status == 200
        with transaction(self.engine) as connection:
            return self.know(connection, made)

    def describe(
        self,
        patient: str,
        seed: int,
        *,
        visit: str = "1",
        view: str = "1",
        region: str = FACE,
        pixels: bytes | None = None,
        name: str | None = None,
        **attributes: object,
    ) -> Photo:
        """A photo that nobody knows yet."""
        code = int.from_bytes(patient.encode()[:6], "big")
        study, series = f"2.25.{code}{visit}", f"2.25.{code}{visit}.{view}"
        sop = f"2.25.77{seed:06d}1{code}"
        facts = PhotoFacts(
            photo=sop,
            patients=(patient,),
            known_since={patient: TAKEN},
            document=f"DocumentReference/d{seed}",
            imaging_study=f"ImagingStudy/{patient}-{visit}",
            encounter=f"Encounter/{patient}-{visit}",
            links=frozenset({f"Encounter/{patient}-{visit}"}),
            author="Practitioner/clinician",
            custodian="Organization/clinic",
            taken=Span(TAKEN, TAKEN + timedelta(seconds=1)),
            regions=(Region(region),),
        )
        pixels = clean(jpeg(Shot(seed=seed))) if pixels is None else pixels
        dataset = _dataset(f"PID-{patient}", name or f"Family{patient}^Given{seed}", study, series, sop, visit, seed)
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        dicom = _file(dataset, pixels)
        return Photo(
            0, facts, sop, series, study, orthanc_ids(f"PID-{patient}", study, series, sop).instance, dicom, pixels
        )

    def know(self, connection: Connection, made: Photo, *, state: str = "linked") -> Photo:
        """Make a stored photo known."""
        number = save_photo(
            connection,
            made.facts,
            series_uid=made.series,
            study_uid=made.study,
            orthanc_id=made.orthanc_id,
            state=state,
            area=made.facts.regions[0].code,
            view="frontal",
            procedure=None,
        )
        patient = made.facts.patients[0]
        seed = int(str(made.facts.document).rpartition("d")[2])
        dataset = _dataset(
            f"PID-{patient}", f"Family{patient}^Given{seed}", made.study, made.series, made.sop, made.study[-1], seed
        )
        save_instance(connection, number, made.sop, attributes_json(dataset))
        return replace(made, number=number)

    # --- HTTP -------------------------------------------------------------------------------------------------------

    def ask(
        self,
        path: str,
        account: str | None = None,
        purpose: str | None = None,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """One request, by Basic where an account is given."""
        sent = dict(headers or {})
        if account is not None:
            sent["Authorization"] = basic(account)
        if purpose is not None:
            sent["X-Purpose-Of-Use"] = purpose
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return Reply(response.status, tuple(response.getheaders()), response.read())
        finally:
            connection.close()

    def store(self, dicom: bytes, *, ticket_for: bytes | None = None) -> Reply:
        """Store an object as the pipeline does; ``ticket_for``: what the ticket is made for, where not for it."""
        bound = dicom if ticket_for is None else ticket_for
        ticket = self.mint.mint_task("POST", "/dicom-web/studies", job="test", kind="store", bodies=(bound,))
        content_type, body = stow((dicom,))
        headers = {"Content-Type": content_type, "Accept": "application/dicom+json", "Authorization": ticket}
        return self.ask("/dicom-web/studies", method="POST", body=body, headers=headers)

    def task(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        kind: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request with a ``task`` ticket."""
        ticket = self.mint.mint_task(
            method, path, query, job="test", kind=kind, bodies=None if body is None else (body,)
        )
        return self._with(ticket, method, path, query, body, headers)

    def as_account(
        self, path: str, requester: Requester, purpose: str, query: Mapping[str, str] | None = None
    ) -> Reply:
        """One GET with an ``as`` ticket."""
        ticket = self.mint.mint_as("GET", path, query, request=Request(requester, purpose))
        return self._with(ticket, "GET", path, query, None, None)

    def _with(
        self,
        ticket: str,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Reply:
        address = quote(path) + (f"?{urlencode(query)}" if query else "")
        return self.ask(address, method=method, body=body, headers={**(headers or {}), "Authorization": ticket})


class Choice(TypedDict, total=False):
    """Words for :class:`ArchiveProcess`."""

    program: str
    plugins: Path


def chosen() -> Choice:
    """The Orthanc that is to be tested."""
    folder = os.environ.get(ORTHANC)
    return {} if folder is None else {"program": f"{folder}/Orthanc", "plugins": Path(folder, "plugins")}


def basic(account: str) -> str:
    """The header's value for an account of :meth:`Archive.account`."""
    return "Basic " + base64.b64encode(f"{account}:{account}-demo".encode()).decode()


def _dataset(patient_id: str, name: str, study: str, series: str, sop: str, visit: str, seed: int) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.SOPClassUID, dataset.SOPInstanceUID = VL_PHOTOGRAPHIC, sop
    dataset.StudyDate, dataset.StudyTime = f"2026050{visit}", "100000"
    dataset.AccessionNumber = f"ACC{visit}"
    dataset.Modality = "XC"
    dataset.ReferringPhysicianName = "Referring^Physician"
    dataset.StudyDescription = f"Visit {visit}"
    dataset.SeriesDescription = f"Series of {series[-1]}"
    dataset.PatientName, dataset.PatientID = name, patient_id
    dataset.PatientBirthDate, dataset.PatientSex = "19800101", "F"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = f"S{visit}", int(series[-1]), seed
    dataset.ImageComments = f"comment-{seed}-of-{patient_id}"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "YBR_FULL_422", 0
    dataset.Rows, dataset.Columns = 64, 96
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    return dataset


def _file(dataset: Dataset, pixels: bytes) -> bytes:
    whole = Dataset()
    whole.update(dataset)
    whole.PixelData = encapsulate([pixels])
    whole["PixelData"].is_undefined_length = True
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = whole.SOPClassUID, whole.SOPInstanceUID
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    whole.file_meta = meta
    out = io.BytesIO()
    whole.save_as(out, enforce_file_format=True, little_endian=True, implicit_vr=False)
    return out.getvalue()
