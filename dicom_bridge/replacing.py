"""The steps of a correction after its announcement: the corrected instance and the document that rejects the former
one into Orthanc, then the commit.

Each may be taken again, by any process: all that they need is the plan in the ledger, and the former object, which
stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from consent.store import photos
from consent.store.clock import now
from consent.store.engine import reading, transaction
from consent.store.photos import StoredPhoto
from consent.types import Laterality
from consent.wording import worded
from dicom_bridge import ledger
from dicom_bridge.archive import ArchiveUnavailable, OriginalDiffers
from dicom_bridge.brought import RecordRefused
from dicom_bridge.delivery import Delivery
from dicom_bridge.held import Held
from dicom_bridge.ledger import Entry
from dicom_bridge.linking import Fresh
from dicom_bridge.objects.anew import MadeObject
from dicom_bridge.objects.corrected import Corrected, corrected
from dicom_bridge.objects.description import PatientModule, VisitModule
from dicom_bridge.objects.read import read_object
from dicom_bridge.objects.rejection import Rejection, rejection
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view
from dicom_bridge.plan import Plan
from dicom_bridge.query.index import whole_text_of
from dicom_bridge.query.orthanc_ids import orthanc_ids
from dicom_bridge.settling import examination
from dicom_bridge.way import Way
from fhir_mapping import dates
from fhir_mapping.resources.people import PatientFacts, VisitFacts


@dataclass(frozen=True, slots=True)
class Facts:
    """What a correction is made of."""

    former: StoredPhoto
    patient: PatientFacts
    visit: VisitFacts
    now: datetime


class Replacing:
    """Takes these steps."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._delivery = Delivery(way)

    def facts(self, connection: Connection, plan: Plan) -> Facts:
        """The former instance, and whom and which visit the plan names.

        Raises
        ------
        RecordRefused, fhir_mapping.errors.NotFound
        """
        former = photos.by_sop(connection, plan.corrects or "")
        if former is None:
            raise RecordRefused(worded("the photo is not there any more as it was; somebody corrected it meanwhile"))
        patient, visit = self._way.treatments.read(connection, plan)
        return Facts(former, patient, visit, now(connection))

    def former_file(self, batch: str, orthanc_id: str) -> bytes:
        """A photo's object.

        Raises
        ------
        ArchiveUnavailable
            Orthanc does not have it.
        """
        way = self._way
        way.chain.append([examination(batch, [orthanc_id], way.door)])
        file = way.archive.file(batch, orthanc_id)
        if file is None:
            raise ArchiveUnavailable("Orthanc does not have the photo's object; see `photospine doctor`")
        return file

    def original(self, batch: str, facts: Facts, file: bytes, sha256: str | None) -> bytes:
        """The photo's original; what arrived as DICOM is its own.

        Parameters
        ----------
        sha256
            What it must be; None: of an object that is not part of the record yet.

        Raises
        ------
        OriginalDiffers
        """
        attached = self._way.archive.original(batch, facts.former.orthanc_id)
        original = file if attached is None else attached
        if sha256 is not None and hashlib.sha256(original).hexdigest() != sha256:
            raise OriginalDiffers(
                f"the original of {facts.former.orthanc_id} is not the file that the record says; nothing was changed"
            )
        return original

    def objects(self, plan: Plan, facts: Facts, file: bytes, entries: Sequence[Entry]) -> tuple[MadeObject, MadeObject]:
        """The corrected object, and the document that rejects the former one.

        Parameters
        ----------
        entries
            Of the two, in this order.
        """
        site, (mine, about) = self._way.site, entries
        same = mine.study_uid == facts.former.study_uid
        patient, visit = facts.patient, facts.visit
        said = Corrected(
            sop_instance_uid=mine.sop_uid,
            series_instance_uid=mine.series_uid,
            instance_number=mine.instance_number,
            patient=None
            if same
            else PatientModule(patient.id, patient.issuer, patient.name, patient.birth_date, patient.sex),
            visit=VisitModule(
                study_instance_uid=mine.study_uid,
                started=visit.started,
                accession_number=visit.accession_number,
                admission_id=visit.admission_id,
            ),
            region=find_region(plan.region) if plan.region else None,
            laterality=Laterality(plan.laterality) if plan.laterality else None,
            view=find_view(plan.view) if plan.view else None,
            expression=None if plan.expression is None else find_expression(plan.expression),
            session=plan.session,
            baseline=plan.baseline,
            taken=None if plan.taken is None else dates.known(plan.taken, site.zone),
        )
        told = Rejection(about.sop_uid, about.series_uid, about.instance_number, facts.now.astimezone(site.zone))
        return corrected(file, said), rejection(file, told)

    def deliver(
        self, plan: Plan, intent: str, entries: Sequence[Entry], made: Sequence[MadeObject], original: bytes
    ) -> None:
        """Both objects and the original into Orthanc, and the commit."""
        (mine, about), (photo, document) = entries, made
        self._delivery.deliver(mine, photo.file, original)
        self._delivery.deliver_alone(about, document.file)
        self._delivery.commit(plan, intent, [Fresh(mine, plan.taken, photo.attributes)], held_of(about, document))

    def go_on(self, plan: Plan, intent: str, entries: Sequence[Entry]) -> None:
        """Go on with a correction that a process left behind, from wherever it stopped."""
        way, batch = self._way, entries[0].batch
        mine, about = (
            next(each for each in entries if (each.sop_uid == plan.rejection) is document) for document in (False, True)
        )
        with reading(way.engine) as connection:
            facts = self.facts(connection, plan)
        file = self.former_file(batch, facts.former.orthanc_id)
        original = self.original(batch, facts, file, mine.sha256)
        made = self.objects(plan, facts, file, (mine, about))
        placed = [self._placed(entry, object_) for entry, object_ in zip((mine, about), made, strict=True)]
        self.deliver(plan, intent, [each[0] for each in placed], [each[1] for each in placed], original)

    def _placed(self, entry: Entry, made: MadeObject) -> tuple[Entry, MadeObject]:
        """The entry, with the id that its object has in Orthanc or will have now; and the object that is there."""
        way = self._way
        stored = way.archive.file(entry.batch, entry.orthanc_id)
        if stored is not None:
            return entry, MadeObject(stored, read_object(stored).attributes)
        orthanc_id = orthanc_id_of(made)
        if orthanc_id != entry.orthanc_id:
            with transaction(way.engine) as connection:
                ledger.move(connection, entry.sop_uid, orthanc_id)
        return replace(entry, orthanc_id=orthanc_id), made


def orthanc_id_of(made: MadeObject) -> str:
    """The id that an object will have in Orthanc."""
    parts = (whole_text_of(made.attributes, tag) for tag in ("00100020", "0020000D", "0020000E", "00080018"))
    return orthanc_ids(*parts).instance


def held_of(entry: Entry, made: MadeObject) -> Held:
    """An object of ours, as Orthanc holds it."""
    return Held(entry.sop_uid, entry.series_uid, entry.study_uid, entry.orthanc_id, made.attributes)
