"""A photo becomes part of the record: DocumentReference, ImagingStudy, Provenance, treatment, index, its own row."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from consent.facts import PhotoFacts
from consent.site import Site
from consent.store import clock, photos
from consent.store.photos import PhotoState
from consent.types import Laterality
from dicom_bridge.errors import BridgeError
from dicom_bridge.ledger import Entry
from dicom_bridge.objects.photo import VL_PHOTOGRAPHIC
from dicom_bridge.objects.vocabulary import Term, find_expression, find_region, find_view
from dicom_bridge.plan import Plan
from dicom_bridge.query.index import save_instance
from fhir_mapping import references
from fhir_mapping.errors import NotFound
from fhir_mapping.projections.photo import area_of, photo_facts, procedure_of
from fhir_mapping.projections.written import Setting
from fhir_mapping.resources.document_reference import SESSION_EXTENSION, Concept, PhotoDocument, document_reference
from fhir_mapping.resources.imaging_study import StudyInstance, with_instance
from fhir_mapping.resources.people import PatientFacts, VisitFacts, patient_facts, visit_facts
from fhir_mapping.resources.provenance import provenance
from fhir_mapping.resources.task import originals_lost, photo_of_another_patient
from fhir_mapping.store.record import RecordStore, Stored

_SOURCE = "urn:photospine"


class RecordRefused(BridgeError):
    """What comes with a photo does not fit it. Nothing was kept; mend what the text names."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a batch's photos are linked to."""

    visit: VisitFacts
    procedure: str | None
    """``Procedure/…``"""

    session: int | None
    """For the DocumentReference, where the Procedure does not say it."""


class Linker:
    """Writes what a photo means into the record, on the connection that it is given."""

    def __init__(self, store: RecordStore, site: Site, public_url: str) -> None:
        self._store, self._site, self._public_url = store, site, public_url.rstrip("/")

    def read(self, connection: Connection, plan: Plan) -> tuple[PatientFacts, VisitFacts]:
        """Patient and visit.

        Raises
        ------
        RecordRefused
            The visit is another patient's.
        fhir_mapping.errors.NotFound
        """
        patient = self._store.read(connection, "Patient", plan.patient).json()
        encounter = self._store.read(connection, "Encounter", plan.visit).json()
        subjects = {references.local(text, self._store.base) for text in references.of(encounter, "subject")}
        if f"Patient/{plan.patient}" not in subjects:
            raise RecordRefused(f"--visit: Encounter/{plan.visit} is not a visit of Patient/{plan.patient}")
        return patient_facts(patient), visit_facts(encounter, self._site.zone)

    def begin(self, connection: Connection, plan: Plan) -> Link:
        """Write the record that comes with the photos, and find the treatment.

        Raises
        ------
        RecordRefused, fhir_mapping.errors.MappingError
        """
        _, visit = self.read(connection, plan)
        written: list[Stored] = []
        urls: dict[str, str] = {}
        if plan.record is not None:
            body = plan.record.encode()
            written = self._store.transaction(connection, body, source=plan.account)
            urls = _full_urls(plan.record, written)
        procedure = self._procedure(plan, written, urls)
        session = plan.session
        if procedure is not None:
            resource = self._store.read(connection, "Procedure", references.id_of(procedure)).json()
            subjects = {references.local(text, self._store.base) for text in references.of(resource, "subject")}
            if f"Patient/{plan.patient}" not in subjects:
                raise RecordRefused(f"--procedure: {procedure} was not done to Patient/{plan.patient}")
            stated = _session_of(resource)
            if stated is not None and session is not None and stated != session:
                raise RecordRefused(f"--session: {procedure} says session {stated}, not {session}")
            session = None if stated is not None else session
        return Link(visit, procedure, session)

    def _procedure(self, plan: Plan, written: list[Stored], urls: Mapping[str, str]) -> str | None:
        if plan.procedure is not None:
            return urls.get(plan.procedure, f"Procedure/{plan.procedure}")
        came = [each.reference for each in written if each.type == "Procedure"]
        if len(came) > 1:
            raise RecordRefused("--procedure: the record holds several; name the one that the photos belong to")
        return came[0] if came else None

    def link(
        self,
        connection: Connection,
        plan: Plan,
        link: Link,
        entry: Entry,
        taken: str | None,
        attributes: Mapping[str, Any],
    ) -> int:
        """Write one photo; its number comes back."""
        document = str(uuid.UUID(int=int(entry.sop_uid.removeprefix("2.25."))))
        study = str(uuid.UUID(int=int(entry.study_uid.removeprefix("2.25."))))
        custodian = f"Organization/{self._site.organization}"
        view = find_view(plan.view)
        expression = None if plan.expression is None else find_expression(plan.expression)
        region, side = find_region(plan.region), Laterality(plan.laterality)
        now = clock.now(connection)
        self._store.create(
            connection,
            "DocumentReference",
            document_reference(
                PhotoDocument(
                    id=document,
                    sop_uid=entry.sop_uid,
                    sha256=entry.sha256,
                    patient=f"Patient/{plan.patient}",
                    encounter=f"Encounter/{plan.visit}",
                    custodian=custodian,
                    url=self._url(entry),
                    region=region,
                    laterality=side,
                    view=_concept(view),
                    expression=None if expression is None else _concept(expression),
                    procedure=link.procedure,
                    session=link.session,
                    author=plan.clinician,
                    taken=taken,
                    known_since=plan.known_since,
                ),
                now,
            ),
            source=_SOURCE,
            id=document,
        )
        try:
            former: Mapping[str, Any] | None = self._store.read(connection, "ImagingStudy", study).json()
        except NotFound:
            former = None
        self._store.update(
            connection,
            "ImagingStudy",
            study,
            with_instance(
                _without_meta(former),
                StudyInstance(
                    study_id=study,
                    study_uid=entry.study_uid,
                    series_uid=entry.series_uid,
                    sop_uid=entry.sop_uid,
                    sop_class=str(VL_PHOTOGRAPHIC),
                    number=entry.instance_number,
                    patient=f"Patient/{plan.patient}",
                    encounter=f"Encounter/{plan.visit}",
                    procedure=link.procedure,
                    started=link.visit.started_text,
                    description=_text(attributes, "0008103E") or view.meaning,
                    region=region,
                    laterality=side,
                    title=view.meaning,
                ),
            ),
            source=_SOURCE,
        )
        self._store.create(
            connection,
            "Provenance",
            provenance(
                document=f"DocumentReference/{document}",
                study=f"ImagingStudy/{study}",
                sha256=entry.sha256,
                custodian=custodian,
                photographer=plan.photographer,
                author=plan.clinician,
                occurred=taken,
                now=now,
            ),
            source=_SOURCE,
        )
        facts = photo_facts(connection, Setting(self._site, self._store.base), document)
        number = photos.save_photo(
            connection,
            facts,
            series_uid=entry.series_uid,
            study_uid=entry.study_uid,
            orthanc_id=entry.orthanc_id,
            state=PhotoState.LINKED,
            area=area_of(facts),
            view=view.code,
            procedure=procedure_of(facts),
        )
        save_instance(connection, number, entry.sop_uid, attributes)
        return number

    def keep_unlinked(self, connection: Connection, entry: Entry, attributes: Mapping[str, Any]) -> int:
        """Keep a photo that nobody sees, and ask a person: its file is known as another patient's."""
        number = photos.save_photo(
            connection,
            PhotoFacts(photo=entry.sop_uid),
            series_uid=entry.series_uid,
            study_uid=entry.study_uid,
            orthanc_id=entry.orthanc_id,
            state=PhotoState.EXAMINED,
            area=None,
            view=None,
            procedure=None,
        )
        save_instance(connection, number, entry.sop_uid, attributes)
        task = photo_of_another_patient(entry.sop_uid, entry.patient, clock.now(connection))
        self._store.create(connection, "Task", task, source=_SOURCE)
        return number

    def ask_again(self, connection: Connection, plan: Plan, entries: Sequence[Entry]) -> None:
        """Ask a person to send files again whose originals were lost on the way."""
        task = originals_lost(plan.patient, [entry.sop_uid for entry in entries], clock.now(connection))
        self._store.create(connection, "Task", task, source=_SOURCE)

    def _url(self, entry: Entry) -> str:
        return (
            f"{self._public_url}/dicom-web/studies/{entry.study_uid}/series/{entry.series_uid}"
            f"/instances/{entry.sop_uid}/rendered"
        )


def _concept(term: Term) -> Concept:
    return Concept(term.system, term.value, term.meaning)


def _without_meta(resource: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if resource is None else {key: value for key, value in resource.items() if key != "meta"}


def _session_of(procedure: Mapping[str, Any]) -> int | None:
    for extension in procedure.get("extension") or ():
        if extension.get("url") == SESSION_EXTENSION:
            value = extension.get("valuePositiveInt")
            return int(value) if value is not None else None
    return None


def _full_urls(record: str, written: list[Stored]) -> dict[str, str]:
    """The references that the fullUrls of a transaction became."""
    entries = json.loads(record).get("entry") or []
    return {
        str(entry.get("fullUrl")): stored.reference
        for entry, stored in zip(entries, written, strict=True)
        if entry.get("fullUrl")
    }


def _text(attributes: Mapping[str, Any], tag: str) -> str:
    values = (attributes.get(tag) or {}).get("Value") or [""]
    return str(values[0])
