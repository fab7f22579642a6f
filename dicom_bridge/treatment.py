"""The treatment that photos belong to: their patient and visit, what was done, and the record that comes with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from consent.store.versions import group
from consent.wording import worded
from dicom_bridge import brought
from dicom_bridge.brought import RecordRefused
from dicom_bridge.plan import Plan
from fhir_mapping import references
from fhir_mapping.course.baseline import baseline_of
from fhir_mapping.resources.people import PatientFacts, VisitFacts, patient_facts, visit_facts
from fhir_mapping.resources.session import session_of
from fhir_mapping.store.prepared import Entry as RecordEntry
from fhir_mapping.store.reader import Stored
from fhir_mapping.store.record import RecordStore


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

    def of_visit(self, connection: Connection, plan: Plan) -> Plan:
        """The plan with that record of its patient which the visit is in: records that were merged are one person's."""
        encounter = self._store.read(connection, "Encounter", plan.visit).json()
        subjects = {references.id_of(each) for each in references.local_of(encounter, self._store.base, "subject")}
        hers = subjects & group(connection, [plan.patient])
        return replace(plan, patient=hers.pop()) if len(hers) == 1 else plan

    def since_baseline(self, connection: Connection, plan: Plan) -> Plan:
        """The plan with the day of its course's first photos, where the record tells it."""
        if plan.procedure is None or plan.procedure.startswith("urn:"):
            return plan
        day = baseline_of(connection, self._store, f"Procedure/{plan.procedure}")
        return plan if day is None else replace(plan, baseline=day.isoformat())

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
            raise RecordRefused(
                worded(
                    "--visit: Encounter/%(visit)s is not a visit of Patient/%(patient)s",
                    visit=plan.visit,
                    patient=plan.patient,
                )
            )
        return patient_facts(patient), visit_facts(encounter, self._store.site.zone)

    def prepare(self, plan: Plan) -> tuple[RecordEntry, ...]:
        """Read and check the record that comes with the photos, before the transaction that writes it.

        Raises
        ------
        RecordRefused, fhir_mapping.errors.MappingError
        """
        return brought.prepare(self._store, plan)

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
            written = brought.write(connection, self._store, plan, record)
            urls = {
                entry.url: stored.reference
                for entry, stored in zip(record, written, strict=True)
                if entry.url is not None
            }
        procedure = self._procedure(connection, plan, written, urls)
        session = plan.session
        if procedure is not None:
            resource = self._store.read(connection, "Procedure", references.id_of(procedure)).json()
            done_to = {references.id_of(each) for each in references.local_of(resource, self._store.base, "subject")}
            if plan.patient not in done_to and not done_to & group(connection, [plan.patient]):
                raise RecordRefused(worded("--procedure: it was not done to Patient/%(patient)s", patient=plan.patient))
            stated = session_of(resource)
            if stated is not None and session is not None and stated != session:
                raise RecordRefused(
                    worded(
                        "--session: the Procedure says session %(stated)s, not %(session)s",
                        stated=stated,
                        session=session,
                    )
                )
            session = None if stated is not None else session
        return Link(visit, procedure, session)

    def _procedure(
        self, connection: Connection, plan: Plan, written: list[Stored], urls: Mapping[str, str]
    ) -> str | None:
        if plan.procedure is not None:
            named = urls.get(plan.procedure, f"Procedure/{plan.procedure}")
            if not named.startswith("Procedure/") or not self._store.exists(connection, named):
                raise RecordRefused(worded("--procedure: neither the record nor --record holds a Procedure named so"))
            return named
        came = [each.reference for each in written if each.type == "Procedure"]
        if len(came) > 1:
            raise RecordRefused(worded("--procedure: the record holds several; name the one that the photos belong to"))
        return came[0] if came else None
