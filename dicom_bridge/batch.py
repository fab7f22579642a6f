"""A batch: files of one visit and view that become photos together, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from consent.audit.record import AuditRecord, Kind
from consent.types import Laterality
from dicom_bridge.intake import IncomingPhoto
from dicom_bridge.ledger import Entry
from dicom_bridge.linking import Fresh
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule, days_between
from dicom_bridge.objects.photo import WrappedPhoto, wrap
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view
from dicom_bridge.plan import Plan
from fhir_mapping import dates
from fhir_mapping.resources.people import PatientFacts, VisitFacts

RECOVER = "recover"
"""Kind of the job that goes on with a batch; its key is the batch."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a batch, and its photo's row in the ledger."""

    photo: IncomingPhoto
    entry: Entry

    def wrapped(self, plan: Plan, patient: PatientFacts, visit: VisitFacts, zone: ZoneInfo) -> WrappedPhoto:
        """The object that is made of it.

        Raises
        ------
        FileRefused, DescriptionRefused
            As :func:`dicom_bridge.objects.photo.wrap` does.
        """
        plan = plan.of(self.photo.sha256)
        taken = self.photo.camera.taken_local if plan.taken is None else dates.known(plan.taken, zone)
        return wrap(
            self.photo,
            patient=PatientModule(patient.id, patient.issuer, patient.name, patient.birth_date, patient.sex),
            visit=VisitModule(
                study_instance_uid=self.entry.study_uid,
                started=visit.started,
                accession_number=visit.accession_number,
                admission_id=visit.admission_id,
            ),
            description=PhotoDescription(
                sop_instance_uid=self.entry.sop_uid,
                series_instance_uid=self.entry.series_uid,
                region=find_region(plan.region) if plan.region else None,
                laterality=Laterality(plan.laterality) if plan.laterality else None,
                view=find_view(plan.view) if plan.view else None,
                expression=None if plan.expression is None else find_expression(plan.expression),
                session=plan.session,
                days_since_baseline=days_between(plan.baseline, taken),
                taken=taken,
                instance_number=self.entry.instance_number,
            ),
        )

    def fresh(self, plan: Plan, attributes: Mapping[str, Any]) -> Fresh:
        """What becomes part of the record.

        Parameters
        ----------
        attributes
            Of its object, DICOM JSON Model.
        """
        return Fresh(self.entry, self._taken(plan.of(self.photo.sha256)), attributes)

    def _taken(self, plan: Plan) -> str | None:
        """When it was taken, as FHIR writes it, in the precision that is known."""
        if plan.taken is not None:
            return plan.taken
        camera = self.photo.camera
        if camera.taken_local is None or camera.taken is None:
            return None
        start, end = camera.taken.start, camera.taken.end
        assert start is not None
        assert end is not None
        exact = (end - start).total_seconds() >= 1
        return dates.date_time(camera.taken_local, "seconds" if exact else "milliseconds")


def announcement(entries: Sequence[Entry], plan: Plan, door: str) -> AuditRecord:
    """What the audit chain says of a batch before the ledger has it, and with the outcome once more at its end."""
    digests = sorted(entry.sha256 for entry in entries)
    details: dict[str, Any] = {"originals": digests, "photos": sorted(entry.sop_uid for entry in entries)}
    if plan.corrects is not None:
        details["reason"] = plan.reason or ""
    return AuditRecord(
        kind=Kind.INTENT,
        door=door,
        route="ingest" if plan.corrects is None else "link",
        account=plan.account,
        os_user=plan.os_user,
        photo=plan.corrects,
        patient=plan.patient,
        subject=f"Encounter/{plan.visit}",
        digest=hashlib.sha256("\n".join(digests).encode()).hexdigest(),
        details=details,
    )
