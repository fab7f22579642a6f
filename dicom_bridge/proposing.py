"""What a person says of a photo, held against what is said of it: what would change, and how it would be done."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Connection

from consent.store.photos import PhotoState, StoredPhoto
from consent.store.versions import group
from consent.wording import worded
from dicom_bridge import ledger
from dicom_bridge.brought import RecordRefused
from dicom_bridge.objects import uids
from dicom_bridge.placing import PATIENT_ID
from dicom_bridge.plan import Plan
from dicom_bridge.query.index import text_of
from dicom_bridge.said import Said, attributes_of, said_of, sent_with
from dicom_bridge.treatment import Treatments
from fhir_mapping import references
from fhir_mapping.errors import NotFound
from fhir_mapping.resources.session import session_of
from fhir_mapping.store.record import RecordStore

_LINKED_BY_HAND = "Linked by hand: the object said otherwise."


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that is said otherwise."""

    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class By:
    """Who says it, and why."""

    account: str
    os_user: str
    reference: str | None
    """Whoever the account stands for in the record."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be done."""

    photo: StoredPhoto
    plan: Plan
    changes: tuple[Change, ...]
    anew: bool
    """Another instance is made, and this one rejected; False: only the record is written."""


class Proposals:
    """Makes proposals."""

    def __init__(self, store: RecordStore, site_key: bytes) -> None:
        """Put it together.

        Parameters
        ----------
        site_key
            Key that the UIDs of photos are made with.
        """
        self._store, self._key, self._treatments = store, site_key, Treatments(store)

    def propose(self, connection: Connection, photo: StoredPhoto, wanted: Said, by: By) -> Proposal:
        """Hold what a person says of a photo against what is said of it now.

        Raises
        ------
        RecordRefused
            It does not fit the record; nothing would be changed; or a reason is missing.
        """
        before = said_of(connection, self._store, photo)
        after = self._placed(connection, before, wanted)
        changes = tuple(
            Change(each.name, _text(getattr(before, each.name)), _text(getattr(after, each.name)))
            for each in fields(Said)
            if getattr(before, each.name) != getattr(after, each.name)
        )
        linked = photo.state is PhotoState.LINKED
        if linked and not changes:
            raise RecordRefused(worded("nothing would be changed: all of this is said of the photo already"))
        if linked and not (by.reason or "").strip():
            raise RecordRefused(worded("--reason: say why, in one sentence; it is kept with the correction"))
        if linked and after.laterality is not None and after.region is None:
            raise RecordRefused(
                worded("--region: say which region is shown; a side alone says nothing of several or none")
            )
        if after.also and after.region is None:
            raise RecordRefused(worded("--region: say which region is shown; further regions stand beside it"))
        changed = {each.what for each in changes}
        anew = bool(changed - {"procedure"}) if linked else not self._fits(connection, photo, after, changed)
        plan = self._plan(connection, photo, after, changed, by, anew=anew)
        self._treatments.begin(connection, plan, ())
        return Proposal(photo, plan, changes, anew)

    def anew(self, proposal: Proposal) -> Proposal:
        """The same, by another instance: what the object's picture tells must not be served."""
        sop_uid = proposal.photo.sop_uid
        plan = replace(proposal.plan, corrects=sop_uid, rejection=uids.rejection_uid(self._key, sop_uid))
        return replace(proposal, plan=plan, anew=True)

    def _placed(self, connection: Connection, before: Said, wanted: Said) -> Said:
        """All that is said then, with a visit and its patient that fit each other."""
        given = {each.name: value for each in fields(Said) if (value := getattr(wanted, each.name)) is not None}
        after = replace(before, **given)
        if after.visit is None:
            raise RecordRefused(worded("--visit: say which visit it is of"))
        encounter = self._store.read(connection, "Encounter", after.visit).json()
        subjects = [
            references.id_of(each)
            for each in references.local_of(encounter, self._store.base, "subject")
            if each.startswith("Patient/")
        ]
        if len(subjects) != 1:
            raise RecordRefused(worded("--visit: Encounter/%(visit)s has no patient in the record", visit=after.visit))
        (hers,) = subjects
        if wanted.patient is None and before.patient is not None and hers not in group(connection, [before.patient]):
            raise RecordRefused(
                worded(
                    "--visit: Encounter/%(visit)s is another patient's; say --patient too if so it is",
                    visit=after.visit,
                )
            )
        if wanted.patient is not None and hers not in group(connection, [wanted.patient]):
            raise RecordRefused(
                worded(
                    "--visit: say a visit of Patient/%(patient)s; Encounter/%(visit)s is none",
                    patient=wanted.patient,
                    visit=after.visit,
                )
            )
        if before.visit not in (None, after.visit):
            # What was done at the one visit was not done at the other; its course goes on elsewhere, too.
            after = replace(after, procedure=wanted.procedure, session=None)
        if after.procedure != before.procedure and after.procedure is not None:
            procedure = self._store.read(connection, "Procedure", after.procedure).json()
            after = replace(after, session=session_of(procedure))
        return replace(after, patient=hers)

    def _fits(self, connection: Connection, photo: StoredPhoto, after: Said, changed: set[str]) -> bool:
        """Whether an object that waits says nothing else than what a person says of it."""
        if ledger.entry(connection, photo.sop_uid) is not None:
            return not changed - {"procedure", "also"}
        if changed - {"patient", "visit", "procedure", "session", "also"}:
            return False
        number = text_of(attributes_of(connection, photo), PATIENT_ID)
        named = set(self._store.by_identifier(connection, "Patient", number))
        if number and self._store.exists(connection, f"Patient/{number}"):
            named.add(number)
        if named != {after.patient}:  # a record that was merged may be another patient's again one day
            return False
        try:
            study = self._store.read(connection, "ImagingStudy", uids.fhir_id(photo.study_uid)).json()
        except NotFound:
            return True
        return f"Encounter/{after.visit}" in references.local_of(study, self._store.base, "encounter")

    def _plan(
        self, connection: Connection, photo: StoredPhoto, after: Said, changed: set[str], by: By, *, anew: bool
    ) -> Plan:
        author, photographer = photo.facts.author, photo.facts.photographer
        sent = None if photo.facts.document is not None else sent_with(connection, photo)
        if sent is not None:
            author, photographer = sent.clinician, sent.photographer
        plan = Plan(
            account=by.account,
            os_user=by.os_user,
            patient=after.patient or "",
            visit=after.visit or "",
            region=after.region or "",
            laterality=after.laterality or "",
            view=after.view or "",
            also=after.also or (),
            expression=after.expression,
            session=after.session,
            procedure=after.procedure,
            clinician=author,
            photographer=photographer,
            # What an object says of the time to the millisecond and of its zone it goes on to say.
            taken=after.taken if "taken" in changed else None,
            corrects=photo.sop_uid if anew else None,
            rejection=uids.rejection_uid(self._key, photo.sop_uid) if anew else None,
            reason=by.reason or (_LINKED_BY_HAND if anew else "Linked by hand."),
            corrector=by.reference if by.reference and self._store.exists(connection, by.reference) else None,
        )
        return self._treatments.since_baseline(connection, plan)


def _text(value: Any) -> str | None:
    if isinstance(value, tuple):
        return ", ".join(value) or None
    return None if value is None else str(value)
