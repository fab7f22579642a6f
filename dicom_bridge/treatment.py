"""The treatment that photos belong to: their patient and visit, what was done, and the record that comes with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from dicom_bridge.errors import BridgeError
from dicom_bridge.plan import Plan
from fhir_mapping import references
from fhir_mapping.resources.people import PatientFacts, VisitFacts, patient_facts, visit_facts
from fhir_mapping.resources.session import session_of
from fhir_mapping.search.index import lot_of
from fhir_mapping.store.prepared import Entry as RecordEntry
from fhir_mapping.store.reader import Stored
from fhir_mapping.store.record import RecordStore

#: What may come with photos: what was done, with which products and devices, at which settings.
_BROUGHT = (
    "Procedure",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "Device",
    "DeviceUseStatement",
    "Observation",
    "Condition",
    "BodyStructure",
)


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


class Treatments:
    """Reads and writes what a plan names, on the connection that it is given."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

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
        if f"Patient/{plan.patient}" not in references.local_of(encounter, self._store.base, "subject"):
            raise RecordRefused(f"--visit: Encounter/{plan.visit} is not a visit of Patient/{plan.patient}")
        return patient_facts(patient), visit_facts(encounter, self._store.site.zone)

    def prepare(self, plan: Plan) -> tuple[RecordEntry, ...]:
        """Read and check the record that comes with the photos, before the transaction that writes it.

        Raises
        ------
        fhir_mapping.errors.MappingError
        """
        if plan.record is None:
            return ()
        entries = self._store.prepare_transaction(plan.record.encode(), _BROUGHT)
        for entry in entries:
            self._require_fitting(plan, entry)
        return entries

    def _require_fitting(self, plan: Plan, entry: RecordEntry) -> None:
        """What comes with photos is about their patient and their visit, and says which lot a product was of."""
        resource = entry.ready.resource
        at = f"--record: {entry.element}.resource: {entry.ready.type}"
        wanted = (
            ("subject", {f"Patient/{plan.patient}"}, "another patient than --patient"),
            ("patient", {f"Patient/{plan.patient}"}, "another patient than --patient"),
            ("encounter", {f"Encounter/{plan.visit}"}, "another visit than --visit"),
            ("context", {f"Encounter/{plan.visit}"}, "another visit than --visit"),
        )
        for element, allowed, what in wanted:
            for named in references.local_of(resource, self._store.base, element):
                if named.partition("/")[0] in ("Patient", "Encounter") and named not in allowed:
                    raise RecordRefused(f"{at}.{element}: names {what}; correct it, or send it by itself")
        for place, product in (
            (at, resource),
            *((f"{at}.contained", each) for each in resource.get("contained") or ()),
        ):
            if product.get("resourceType") == "Medication" and not (lot_of(product)[0] or "").strip():
                raise RecordRefused(
                    f"{place}.batch.lotNumber: say which lot it was of, or 'unknown' where nobody can read it"
                )

    def begin(self, connection: Connection, plan: Plan, record: tuple[RecordEntry, ...]) -> Link:
        """Write the record that comes with the photos, and find the treatment.

        Parameters
        ----------
        record
            What :meth:`prepare` gave.

        Raises
        ------
        RecordRefused, fhir_mapping.errors.MappingError
        """
        _, visit = self.read(connection, plan)
        written: list[Stored] = []
        urls: dict[str, str] = {}
        if record:
            self._require_hers(connection, plan, record)
            written = self._store.transaction(connection, record, source=plan.account)
            urls = {
                entry.url: stored.reference
                for entry, stored in zip(record, written, strict=True)
                if entry.url is not None
            }
        procedure = self._procedure(connection, plan, written, urls)
        session = plan.session
        if procedure is not None:
            resource = self._store.read(connection, "Procedure", references.id_of(procedure)).json()
            if f"Patient/{plan.patient}" not in references.local_of(resource, self._store.base, "subject"):
                raise RecordRefused(f"--procedure: it was not done to Patient/{plan.patient}")
            stated = session_of(resource)
            if stated is not None and session is not None and stated != session:
                raise RecordRefused(f"--session: the Procedure says session {stated}, not {session}")
            session = None if stated is not None else session
        return Link(visit, procedure, session)

    def _require_hers(self, connection: Connection, plan: Plan, record: tuple[RecordEntry, ...]) -> None:
        """No entry writes over what the record has of another patient."""
        for entry in record:
            if entry.id is None or not self._store.exists(connection, f"{entry.ready.type}/{entry.id}"):
                continue
            former = self._store.read(connection, entry.ready.type, entry.id).json()
            named = {references.local(text, self._store.base) for text in references.of(former, "subject")}
            named |= {references.local(text, self._store.base) for text in references.of(former, "patient")}
            if named - {f"Patient/{plan.patient}"}:
                raise RecordRefused(f"--record: {entry.element}.request.url: it is another patient's than --patient")

    def _procedure(
        self, connection: Connection, plan: Plan, written: list[Stored], urls: Mapping[str, str]
    ) -> str | None:
        if plan.procedure is not None:
            named = urls.get(plan.procedure, f"Procedure/{plan.procedure}")
            if not named.startswith("Procedure/") or not self._store.exists(connection, named):
                raise RecordRefused("--procedure: neither the record nor --record holds a Procedure named so")
            return named
        came = [each.reference for each in written if each.type == "Procedure"]
        if len(came) > 1:
            raise RecordRefused("--procedure: the record holds several; name the one that the photos belong to")
        return came[0] if came else None
