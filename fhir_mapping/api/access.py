"""Who may read which resources that are no photo, and who may write.

Treatment and the duties read the record. The patient reads her own. Whoever holds publishing purposes alone reads
nothing here: a portfolio shows pixels, and FHIR resources name people.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, false, literal, or_, select, true

from consent.store.versions import records
from consent.types import Request, Requester, Right
from fhir_mapping.errors import Forbidden, Issue
from fhir_mapping.resources import alignment, appraisal
from fhir_mapping.resources.advisory import ADVISORY, PATIENT
from fhir_mapping.resources.task import CONSENT_REFUSED
from fhir_mapping.store.history import Narrowing
from fhir_mapping.store.kinds import CLINICAL
from fhir_mapping.tables import fhir_deletion, fhir_reference, fhir_resource, fhir_token

_EVERYTHING = frozenset({"TREAT", "HCOMPL", "PATSFTY", "HLEGAL"})
_OWN = "PATRQT"

#: Types that are in no patient's compartment: a patient reads those that her own resources name. Not Group, which
#: names other patients.
_SHARED = frozenset({"Practitioner", "PractitionerRole", "Organization", "Location", "Medication", "Device"})


class Reach(StrEnum):
    """How much of a resource type a request may read."""

    ALL = "all"
    OWN = "own"
    """What is in the compartments of the requester's own patients, under all their records, and what that names."""

    NONE = "none"


def reach(request: Request, kind: str) -> Reach:
    """How much of a type a request may read. DocumentReference and ImagingStudy are decided photo by photo instead."""
    requester = request.requester
    if request.purpose not in requester.purposes:
        return Reach.NONE
    if kind == "Task":
        if requester.confined_to is not None:
            return Reach.NONE
        allowed = request.purpose in ("HCOMPL", "PATSFTY") or requester.rights & {Right.RECONCILE, Right.CONSENT}
        return Reach.ALL if allowed else Reach.NONE
    if request.purpose in _EVERYTHING:
        return Reach.ALL if requester.confined_to is None else Reach.OWN
    if request.purpose == _OWN and own_patients(requester):
        return Reach.OWN
    return Reach.NONE


def own_patients(requester: Requester) -> frozenset[str]:
    """The patients whose records are the requester's own, or whom she represents."""
    if requester.confined_to is not None:
        return requester.confined_to
    return frozenset() if requester.own_patient is None else frozenset({requester.own_patient})


def condition(request: Request, kind: str, row: Any = fhir_resource) -> ColumnElement[bool]:
    """The rows of ``fhir_resource`` that a request may read.

    Parameters
    ----------
    row
        The table, or an alias of it.

    Raises
    ------
    Forbidden
        None of the type; that does not depend on what the record holds.
    """
    extent = reach(request, kind)
    if extent is Reach.NONE:
        raise Forbidden(Issue("forbidden", f"This purpose does not read {kind}."))
    if extent is Reach.ALL:
        return _tasks(request, row) if kind == "Task" else true()
    patients = sorted(own_patients(request.requester))
    if not patients:
        return false()
    hers = records(patients)
    if kind not in _SHARED:
        return and_(row.c.patient.in_(hers))
    owner = fhir_resource.alias("owner")
    named = exists(
        select(literal(1))
        .select_from(fhir_reference)
        .join(owner, (owner.c.type == fhir_reference.c.type) & (owner.c.id == fhir_reference.c.id))
        .where(
            fhir_reference.c.target == literal(f"{kind}/") + row.c.id,
            owner.c.patient.in_(hers),
            owner.c.type.in_(CLINICAL),
        )
    )
    return or_(row.c.patient.in_(hers), row.c.patient.is_(None) & named)


def of_versions(request: Request, kind: str) -> Narrowing:
    """The versions and deletions that a request may know of: of what it may read now, or might have when it was there.

    Raises
    ------
    Forbidden
        As :func:`condition`.
    """
    may = condition(request, kind)
    if reach(request, kind) is Reach.ALL and kind != "Task":
        return lambda _columns: true()
    patients = sorted(own_patients(request.requester))
    here = select(fhir_resource.c.id).where(fhir_resource.c.type == kind, may)
    last, later = fhir_deletion.alias("last"), fhir_deletion.alias("later")
    gone = select(last.c.id).where(
        last.c.type == kind,
        last.c.patient.in_(records(patients)),
        ~exists().where(fhir_resource.c.type == kind, fhir_resource.c.id == last.c.id),
        ~exists().where(later.c.type == kind, later.c.id == last.c.id, later.c.version > last.c.version),
    )
    return lambda columns: or_(columns.id.in_(here), columns.id.in_(gone))


def readable(connection: Connection, request: Request, kind: str, identity: str) -> bool:
    """Whether a resource that is no photo is there and may be read; what is told of photos alone is none of these.

    Raises
    ------
    Forbidden
        None of the type may.
    """
    query = select(fhir_resource.c.id).where(
        fhir_resource.c.type == kind, fhir_resource.c.id == identity, condition(request, kind)
    )
    if kind == "Observation":
        query = query.where(~tells_of_photos(fhir_resource))
    return connection.execute(query).first() is not None


def tells_of_photos(row: Any) -> ColumnElement[bool]:
    """Whether an Observation tells of photos alone, how one was taken or where it lies on another: it is answered as
    the photos are that it names."""
    return exists(
        select(literal(1)).where(
            fhir_token.c.type == "Observation",
            fhir_token.c.id == row.c.id,
            fhir_token.c.name == "code",
            or_(
                (fhir_token.c.system == appraisal.SYSTEM) & (fhir_token.c.value == appraisal.PHOTOGRAPH),
                (fhir_token.c.system == alignment.SYSTEM) & (fhir_token.c.value == alignment.PHOTOGRAPHS),
            ),
        )
    )


def require_write(requester: Requester, kind: str) -> None:
    """Let only those write who have the right to.

    Raises
    ------
    Forbidden
    """
    if kind not in writable(requester):
        right = Right.CONSENT if kind == "Consent" else Right.RECORD
        raise Forbidden(Issue("forbidden", f"Writing {kind} needs the right {right.value!r}."))


def writable(requester: Requester) -> frozenset[str]:
    """The types that a requester may write. One who is confined to patients writes nothing."""
    if requester.confined_to is not None:
        return frozenset()
    kinds: frozenset[str] = frozenset()
    if Right.RECORD in requester.rights:
        kinds |= frozenset(CLINICAL) - {"Consent"}
    if Right.CONSENT in requester.rights:
        kinds |= {"Consent"}
    return kinds


def _tasks(request: Request, row: Any) -> ColumnElement[bool]:
    """Compliance sees all Tasks, safety its advisories, who signs Consents what became of them; linking sees the rest.

    An advisory's Tasks name patients, what they were given, and what they said.
    """
    rights, safety = request.requester.rights, _of_codes(row, [ADVISORY, PATIENT])
    if request.purpose == "HCOMPL":
        return true()
    if Right.RECONCILE in rights:
        return true() if request.purpose == "PATSFTY" else ~safety
    if request.purpose == "PATSFTY":
        return or_(safety, _of_codes(row, [CONSENT_REFUSED])) if Right.CONSENT in rights else safety
    return _of_codes(row, [CONSENT_REFUSED]) if Right.CONSENT in rights else false()


def _of_codes(row: Any, codes: list[str]) -> ColumnElement[bool]:
    return exists(
        select(fhir_token.c.id).where(
            fhir_token.c.type == "Task",
            fhir_token.c.id == row.c.id,
            fhir_token.c.name == "code",
            fhir_token.c.value.in_(codes),
        )
    )
