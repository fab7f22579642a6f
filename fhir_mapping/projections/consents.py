"""Consents become directives in the transaction that keeps them, or are refused with the element at fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from consent.ages import majority
from consent.directive import Span
from consent.site import Site
from consent.store import people
from consent.store.versions import group
from fhir_mapping import dates, references
from fhir_mapping.errors import ConsentRefused, Issue
from fhir_mapping.projections.read import current, exists, was_active
from fhir_mapping.projections.written import Setting, Written
from fhir_mapping.to_directive import EarlierConsent, Reading, has_denial, to_directive


def consent(connection: Connection, setting: Setting, written: Written) -> list[Issue]:
    """Make the directive of a Consent; what its writer should know comes back.

    Raises
    ------
    ConsentRefused
        It cannot be honoured as it stands, and did not arrive by synchronisation.
    """
    reading = read(connection, setting, written)
    refusals = [Issue("business-rule", each.text, each.element) for each in reading.refusals]
    patient = _patient(written.resource, setting)
    before = None if written.previous is None else _patient(written.previous, setting)
    if written.previous is not None and before != patient:
        text = "A Consent's patient never changes: mark this one entered-in-error and write it anew."
        refusals.insert(0, Issue("business-rule", text, "Consent.patient"))
    if refusals:
        if not written.arrived or (before is not None and before != patient) or patient is None:
            denial = has_denial(written.resource)
            raise ConsentRefused(refusals, patient=patient, has_denial=denial, body=written.body)
        people.hold(connection, written.id, patient, reading.denial_reaches_treatment)
        return [Issue(each.code, each.text, each.element, "warning") for each in refusals]
    people.release(connection, written.id)
    if reading.directive is None:
        people.drop_directive(connection, written.id)
    else:
        people.save_directive(connection, reading.directive)
    return [Issue("informational", note, None, "information") for note in reading.notes]


def read(connection: Connection, setting: Setting, written: Written) -> Reading:
    """The Consent as :func:`fhir_mapping.to_directive.to_directive` reads it against the record."""
    return to_directive(
        {**written.resource, "id": written.id},
        version=written.version,
        was_active=was_active(connection, "Consent", written.id, written.version),
        site=setting.site,
        resolver=RecordResolver(connection, setting),
        base=setting.base,
    )


def refused(setting: Setting, resource: Mapping[str, Any], issues: Iterable[Issue], body: bytes) -> ConsentRefused:
    """The refusal of a Consent that does not even get as far as being read; a denial in it is not lost either."""
    try:
        patient = _patient(resource, setting)
    except (AttributeError, TypeError):
        patient = None
    return ConsentRefused(issues, patient=patient, has_denial=has_denial(resource), body=body)


class RecordResolver:
    """What reading a Consent asks of the record."""

    def __init__(self, connection: Connection, setting: Setting) -> None:
        self._connection = connection
        self._setting = setting

    def exists(self, reference: str) -> bool:
        """Whether the reference names something in the record."""
        target = references.local(reference, self._setting.base)
        return target is not None and exists(self._connection, target)

    def consent(self, consent: str) -> EarlierConsent | None:
        """The Consent with this id, as far as replacing it needs."""
        resource = current(self._connection, "Consent", consent)
        patient = None if resource is None else _patient(resource, self._setting)
        if resource is None or patient is None:
            return None
        stated = resource.get("dateTime")
        signed = dates.span(stated, self._setting.site.zone) if isinstance(stated, str) else None
        performers = {references.local(text, self._setting.base) for text in references.of(resource, "performer")}
        records = group(self._connection, [patient])
        herself = not performers.isdisjoint({f"Patient/{record}" for record in records})
        birth = self.patient_birth(patient)
        return EarlierConsent(
            patient=patient,
            signed_start=None if signed is None else signed.start,
            signed_as_adult_by_patient=herself and signed is not None and _of_age(signed, birth, self._setting.site),
            records=frozenset(records),
        )

    def patient_birth(self, patient: str) -> Span | None:
        """The span of a patient's birth date; None where it is not known."""
        birth = (current(self._connection, "Patient", patient) or {}).get("birthDate")
        return dates.span(birth, self._setting.site.zone) if isinstance(birth, str) else None


def _patient(resource: Mapping[str, Any], setting: Setting) -> str | None:
    for text in references.of(resource, "patient"):
        target = references.local(text, setting.base)
        if target is not None and target.startswith("Patient/"):
            return references.id_of(target)
    return None


def _of_age(signed: Span, birth: Span | None, site: Site) -> bool:
    """Whether she was surely of age when the signing began."""
    of_age = majority(birth, site)
    if of_age is None or of_age.end is None or signed.start is None:
        return False
    return of_age.end <= signed.start
