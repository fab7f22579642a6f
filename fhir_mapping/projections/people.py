"""Patients, representatives, members and care teams, as decisions read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from consent.ages import majority
from consent.directive import Span
from consent.store import jobs, people
from consent.store.clock import now
from consent.store.tables import patient as patient_table
from fhir_mapping import dates, references
from fhir_mapping.errors import Invalid, Issue
from fhir_mapping.projections.read import current
from fhir_mapping.projections.written import Setting, Written
from fhir_mapping.tables import fhir_reference

_ROLE_SYSTEMS = (
    "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
    "http://terminology.hl7.org/CodeSystem/v3-RoleClass",
)

#: Relationships that entitle to sign by themselves: guardian, power of attorney, responsible party (HL7 v3 RoleCode).
_ENTITLED = frozenset({"GUARD", "GUADLTM", "POWATT", "DPOWATT", "HPOWATT", "SPOWATT", "RESPRSN"})

#: Parents; they sign for a child until the day of majority, and for no adult.
_PARENTS = frozenset({"PRN", "MTH", "FTH", "NPRN", "NMTH", "NFTH", "ADOPTP", "ADOPTM", "ADOPTF"})


def patient(connection: Connection, setting: Setting, written: Written) -> None:
    """Birth date in the site's zone, and merges stated by ``Patient.link`` on either side."""
    birth = written.resource.get("birthDate")
    people.save_patient(
        connection, written.id, dates.span(birth, setting.site.zone) if isinstance(birth, str) else None
    )
    concerned = {written.id}
    for version in (written.resource, written.previous or {}):
        concerned |= {other for _, other in _links(version, setting)}
    for identity in sorted(concerned):
        _merge(connection, setting, identity)
    if written.previous is not None and written.previous.get("birthDate") != birth:
        # Parents represent a child until majority, which has just moved.
        for person in _referrers(connection, f"Patient/{written.id}", "RelatedPerson", "patient"):
            resource = current(connection, "RelatedPerson", person)
            if resource is not None:
                _represent(connection, setting, person, resource)


def related_person(connection: Connection, setting: Setting, written: Written) -> None:
    """Whom a RelatedPerson is entitled to act for, and when."""
    _represent(connection, setting, written.id, written.resource)


def organization(connection: Connection, setting: Setting, written: Written) -> None:
    """What an Organization is part of."""
    parents = references.local_of(written.resource, setting.base, "partOf")
    seen = {written.reference}
    above = parents[0] if parents else None
    while above is not None:
        if above in seen:
            raise Invalid(Issue("business-rule", "An organisation cannot be part of itself.", "Organization.partOf"))
        seen.add(above)
        resource = current(connection, "Organization", references.id_of(above))
        higher = references.local_of(resource, setting.base, "partOf") if resource is not None else []
        above = higher[0] if higher else None
    people.save_organization_parent(connection, written.reference, parents[0] if parents else None)


def members(connection: Connection, setting: Setting, written: Written) -> None:
    """Members that a PractitionerRole, Group or CareTeam states."""
    people.save_members(connection, written.reference, list(_memberships(written, setting)))


def care(connection: Connection, setting: Setting, written: Written) -> None:
    """Whom a CareTeam, Encounter or Procedure of the patient names (``care_team = "record"``).

    A team stands for its members: who they are at the time of a request, their memberships tell.
    """
    identity, named = caring(setting, written)
    people.save_care_members(connection, written.reference, identity, named)


def caring(setting: Setting, written: Written) -> tuple[str | None, list[str]]:
    """Whom a CareTeam, Encounter or Procedure is about, and whom it names."""
    subjects = references.local_of(written.resource, setting.base, "subject")
    identity = references.id_of(subjects[0]) if subjects and subjects[0].startswith("Patient/") else None
    if written.type == "CareTeam":
        named = [written.reference]
    elif written.type == "Encounter":
        named = references.local_of(written.resource, setting.base, "participant", "individual")
    else:
        named = references.local_of(written.resource, setting.base, "performer", "actor")
    if written.resource.get("status") in ("entered-in-error", "inactive", "cancelled", "not-done"):
        named = []
    return identity, named


def _represent(connection: Connection, setting: Setting, person: str, resource: Mapping[str, Any]) -> None:
    patients = references.local_of(resource, setting.base, "patient")
    codes = {
        coding.get("code")
        for concept in resource.get("relationship") or ()
        for coding in concept.get("coding") or ()
        if coding.get("system") in _ROLE_SYSTEMS
    }
    span: Span | None = None
    if patients and resource.get("active") is not False:
        span = dates.period(resource.get("period"), setting.site.zone)
        if not codes & _ENTITLED:
            span = (
                _until_majority(connection, setting, references.id_of(patients[0]), span) if codes & _PARENTS else None
            )
    reference = f"RelatedPerson/{person}"
    if span is None:
        people.save_representation(connection, reference, None, Span())
    else:
        people.save_representation(connection, reference, references.id_of(patients[0]), span)


def _until_majority(connection: Connection, setting: Setting, identity: str, span: Span) -> Span | None:
    """The part of a span in which the patient surely is under age; None without a birth date."""
    resource = current(connection, "Patient", identity)
    birth = resource.get("birthDate") if resource is not None else None
    if not isinstance(birth, str):
        return None
    # A parent signs while the child surely is under age: until the earliest day on which she may be of age.
    of_age = majority(dates.span(birth, setting.site.zone), setting.site)
    if of_age is None:
        return None
    end = min((each for each in (of_age.start, span.end) if each is not None), default=None)
    if end is not None and span.start is not None and end <= span.start:
        return None
    return Span(span.start, end)


def _links(resource: Mapping[str, Any], setting: Setting) -> Iterator[tuple[str, str]]:
    """Type and patient id of each ``Patient.link`` to a Patient."""
    for link in resource.get("link") or ():
        for other in references.local_of(link, setting.base, "other"):
            if other.startswith("Patient/"):
                yield str(link.get("type")), references.id_of(other)


def _merge(connection: Connection, setting: Setting, identity: str) -> None:
    """Make the stored merge of a patient what the record says now."""
    into: str | None = None
    resource = current(connection, "Patient", identity)
    if resource is not None:
        into = next((other for kind, other in _links(resource, setting) if kind == "replaced-by"), None)
    if into is None:
        for other in _referrers(connection, f"Patient/{identity}", "Patient", "link.other"):
            stating = current(connection, "Patient", other)
            if stating is not None and ("replaces", identity) in set(_links(stating, setting)):
                into = other
                break
    row = connection.execute(
        select(patient_table.c.merged_into).where(patient_table.c.patient == identity)
    ).scalar_one_or_none()
    if row != into:
        try:
            people.merge(connection, identity, into)
        except people.MergeRefused:
            text = "The record was itself merged into the one that it would be merged into."
            raise Invalid(Issue("business-rule", text, "Patient.link")) from None
        for each in sorted({each for each in (identity, row, into) if each is not None}):  # her earliest photos changed
            jobs.put(connection, jobs.JUDGE, each, not_before=now(connection))


def _memberships(written: Written, setting: Setting) -> Iterator[tuple[str, str, Span]]:
    resource, zone, here = written.resource, setting.site.zone, written.reference
    if resource.get("active") is False or resource.get("status") in ("inactive", "entered-in-error"):
        return
    whole = dates.period(resource.get("period"), zone)
    if written.type == "PractitionerRole":
        for practitioner in references.local_of(resource, setting.base, "practitioner"):
            yield practitioner, here, whole
        for belongs in references.local_of(resource, setting.base, "organization"):
            yield here, belongs, whole
    elif written.type == "Group":
        for member in resource.get("member") or ():
            if member.get("inactive") is not True:
                for entity in references.local_of(member, setting.base, "entity"):
                    yield entity, here, dates.period(member.get("period"), zone)
    else:
        for participant in resource.get("participant") or ():
            own = dates.period(participant.get("period"), zone)
            both = _both(whole, own)
            for member in references.local_of(participant, setting.base, "member"):
                if both is not None:
                    yield member, here, both


def _both(one: Span, other: Span) -> Span | None:
    start = max((each for each in (one.start, other.start) if each is not None), default=None)
    end = min((each for each in (one.end, other.end) if each is not None), default=None)
    return None if start is not None and end is not None and end <= start else Span(start, end)


def _referrers(connection: Connection, target: str, kind: str, path: str) -> list[str]:
    query = select(fhir_reference.c.id).where(
        fhir_reference.c.target == target, fhir_reference.c.type == kind, fhir_reference.c.path == path
    )
    return sorted(connection.execute(query).scalars())
