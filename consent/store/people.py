"""What the record says of people, as decisions read it: written by the projections of ``fhir_mapping``.

Every function belongs into the transaction that writes the FHIR resource, and ends by raising the versions that
decisions compare. Patients are FHIR ids; other references are relative (``Practitioner/d``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Table, delete, insert, select, update

from consent.codec import directive_to_json
from consent.decided import settle_before_commit
from consent.directive import Directive, Span
from consent.errors import ConsentError
from consent.store.clock import micros_or_none
from consent.store.history import supersede_members, supersede_patients, supersede_site
from consent.store.sites import stored_purposes
from consent.store.tables import (
    care_member,
    directive,
    held,
    membership,
    organization_parent,
    patient,
    patient_state,
    representation,
)
from consent.store.versions import lock, raise_versions, site_changed
from consent.store.write import among, insert_missing, upsert


class MergeRefused(ConsentError):
    """A merge would lead in a circle. The record that says so is wrong."""


def changed(connection: Connection, patients: Iterable[str]) -> None:
    """Facts of these patients changed: the next decision reads them anew, and stored answers are decided anew."""
    settle_before_commit(connection, raise_versions(connection, patients))


def ensure(connection: Connection, patients: Iterable[str]) -> None:
    """Make the rows of patients not known yet, without a birth date and with stale answers."""
    wanted = set(patients)
    known = set(
        connection.execute(select(patient.c.patient).where(among(connection, patient.c.patient, wanted))).scalars()
    )
    fresh = sorted(wanted - known)
    if not fresh:
        return
    insert_missing(connection, patient, [{"patient": each, "version": 1, "survivor": each} for each in fresh])
    insert_missing(
        connection,
        patient_state,
        [
            {"patient": each, "purpose": purpose, "stale": True, "live": False, "valid_from": 0, "epoch": 0}
            for each in fresh
            for purpose in stored_purposes(connection)
        ],
    )


def save_patient(connection: Connection, identity: str, birth: Span | None) -> None:
    """A patient's record was written. ``birth`` is the span of the birth date; None: unknown."""
    lock(connection)
    ensure(connection, [identity])
    start, end = (None, None) if birth is None else (micros_or_none(birth.start), micros_or_none(birth.end))
    former = connection.execute(
        select(patient.c.birth_start, patient.c.birth_end).where(patient.c.patient == identity)
    ).one()
    if tuple(former) != (start, end):
        supersede_patients(connection, [identity])
    connection.execute(update(patient).where(patient.c.patient == identity).values(birth_start=start, birth_end=end))
    changed(connection, [identity])


def merge(connection: Connection, identity: str, into: str | None) -> None:
    """The record was merged into another one; with None the merge is undone.

    Raises
    ------
    MergeRefused
        The other record was itself merged into this one.
    """
    lock(connection)
    ensure(connection, [identity] if into is None else [identity, into])
    supersede_patients(connection, [identity] if into is None else [identity, into])
    changed(connection, [identity] if into is None else [identity, into])
    connection.execute(update(patient).where(patient.c.patient == identity).values(merged_into=into))
    survivor = _end(connection, identity)
    pending = [identity]
    while pending:  # everything that was merged into this record follows it
        connection.execute(
            update(patient).where(among(connection, patient.c.patient, pending)).values(survivor=survivor)
        )
        pending = list(
            connection.execute(
                select(patient.c.patient).where(among(connection, patient.c.merged_into, pending))
            ).scalars()
        )
    changed(connection, [identity])


def _end(connection: Connection, identity: str) -> str:
    seen = {identity}
    here = identity
    while True:
        there = connection.execute(select(patient.c.merged_into).where(patient.c.patient == here)).scalar_one_or_none()
        if there is None:
            return here
        if there in seen:
            raise MergeRefused(f"Patient/{identity} cannot be merged into a record that was merged into it")
        seen.add(there)
        here = there


def save_directive(connection: Connection, value: Directive) -> None:
    """A Consent was written, in a version that makes rules (also where its status says nothing now)."""
    lock(connection)
    former = connection.execute(
        select(directive.c.patient, directive.c.body).where(directive.c.consent == value.consent)
    ).one_or_none()
    concerned = {value.patient} | ({former.patient} if former else set())
    ensure(connection, concerned)
    body = directive_to_json(value)
    if former is None or former.body != body:
        supersede_patients(connection, concerned)
    upsert(
        connection,
        directive,
        {"consent": value.consent, "patient": value.patient, "version": value.version, "body": body},
    )
    changed(connection, concerned)


def drop_directive(connection: Connection, consent: str) -> None:
    """A Consent no longer makes rules: it was deleted, or its scope is another one now."""
    _drop(connection, directive, consent)


def hold(connection: Connection, consent: str, identity: str, treatment: bool) -> None:
    """A Consent arrived that cannot be honoured: its patient is held until a person resolves it.

    Parameters
    ----------
    treatment
        Whether it contains a denial that could reach TREAT.
    """
    lock(connection)
    former = connection.execute(select(held.c.patient).where(held.c.consent == consent)).scalar_one_or_none()
    concerned = {identity} | ({former} if former else set())
    ensure(connection, concerned)
    supersede_patients(connection, concerned)
    upsert(connection, held, {"consent": consent, "patient": identity, "treatment": treatment})
    changed(connection, concerned)


def release(connection: Connection, consent: str) -> None:
    """The Consent that held its patient was resolved."""
    _drop(connection, held, consent)


def _drop(connection: Connection, table: Table, consent: str) -> None:
    lock(connection)
    concerned = set(connection.execute(select(table.c.patient).where(table.c.consent == consent)).scalars())
    supersede_patients(connection, concerned)
    connection.execute(delete(table).where(table.c.consent == consent))
    changed(connection, concerned)


def save_representation(connection: Connection, person: str, identity: str | None, period: Span) -> None:
    """A RelatedPerson is entitled to act for a patient during the period; with no patient it no longer is."""
    lock(connection)
    concerned = set(
        connection.execute(select(representation.c.patient).where(representation.c.person == person)).scalars()
    )
    if identity is not None:
        concerned.add(identity)
        ensure(connection, concerned)
    supersede_patients(connection, concerned)
    connection.execute(delete(representation).where(representation.c.person == person))
    if identity is not None:
        connection.execute(
            insert(representation).values(
                person=person,
                patient=identity,
                start=micros_or_none(period.start),
                end=micros_or_none(period.end),
            )
        )
    changed(connection, concerned)


def save_members(connection: Connection, source: str, members: Sequence[tuple[str, str, Span]]) -> None:
    """All memberships that one resource states, in place of those that it stated before.

    Parameters
    ----------
    source
        The resource, ``PractitionerRole/r``.
    members
        Member, what it belongs to, and when: ``("Practitioner/d", "Organization/clinic", Span())``. What a member
        belongs to passes on: a role that belongs to an organisation makes its practitioner belong to it.
    """
    lock(connection)
    rows = [
        {
            "source": source,
            "position": position,
            "member": member,
            "of": of,
            "start": micros_or_none(span.start),
            "end": micros_or_none(span.end),
        }
        for position, (member, of, span) in enumerate(members)
    ]
    supersede_members(connection, source, rows)
    connection.execute(delete(membership).where(membership.c.source == source))
    if rows:
        connection.execute(insert(membership), rows)
    site_changed(connection, answers=False)


def save_organization_parent(connection: Connection, organization: str, parent: str | None) -> None:
    """The organisation is part of another one, both as ``Organization/…``; None: of none."""
    lock(connection)
    former = connection.execute(
        select(organization_parent.c.parent).where(organization_parent.c.organization == organization)
    ).scalar_one_or_none()
    if former == parent:
        return
    supersede_site(connection)
    connection.execute(delete(organization_parent).where(organization_parent.c.organization == organization))
    if parent is not None:
        connection.execute(insert(organization_parent).values(organization=organization, parent=parent))
    site_changed(connection, answers=True)


def save_care_members(connection: Connection, source: str, identity: str | None, references: Iterable[str]) -> None:
    """Everybody whom one CareTeam, Encounter or Procedure names, in place of what it named before.

    Parameters
    ----------
    identity
        The patient whom it is about; None: no patient, or no longer one.
    """
    lock(connection)
    concerned = set(connection.execute(select(care_member.c.patient).where(care_member.c.source == source)).scalars())
    named = set() if identity is None else set(references)
    if identity is not None:
        concerned.add(identity)
        ensure(connection, concerned)
    of_each = {each: named if each == identity else set() for each in concerned}
    supersede_patients(
        connection, [each for each in concerned if _is_named_otherwise(connection, source, each, of_each[each])]
    )
    connection.execute(delete(care_member).where(care_member.c.source == source))
    if identity is not None:
        rows = [{"source": source, "reference": each, "patient": identity} for each in sorted(named)]
        if rows:
            connection.execute(insert(care_member), rows)
    changed(connection, concerned)


def _is_named_otherwise(connection: Connection, source: str, identity: str, named: set[str]) -> bool:
    """Whether a patient's care team would be another one, where the source named these; most visits name those who are
    named already."""
    rows = connection.execute(
        select(care_member.c.source, care_member.c.reference).where(care_member.c.patient == identity)
    ).all()
    others = {row.reference for row in rows if row.source != source}
    return others | named != {row.reference for row in rows}
