"""Writing today's session: what was done, its place in the plan, and what was looked at, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, select

from consent.store.versions import group
from consent.wording import worded
from fhir_mapping import references
from fhir_mapping.course.looked_at import Shown, provenance
from fhir_mapping.course.plan import with_session
from fhir_mapping.course.upcoming import treatments_of
from fhir_mapping.errors import Invalid, Issue, NotFound, TreatedMeanwhile
from fhir_mapping.outcome.outcome import Outcome, observation
from fhir_mapping.store.kinds import CLINICAL, SOURCE
from fhir_mapping.store.prepared import Entry
from fhir_mapping.store.record import RecordStore
from fhir_mapping.tables import fhir_resource
from fhir_mapping.treatment.build import KEYS, PROCEDURE_URL, transaction
from fhir_mapping.treatment.session import Session

_KINDS = {
    "CarePlan": worded("CarePlan"),
    "DocumentReference": worded("DocumentReference"),
    "Encounter": worded("Encounter"),
    "Patient": worded("Patient"),
    "Procedure": worded("Procedure"),
}
_WRITES = ("Provenance", *(kind for kind in CLINICAL if kind != "Consent"))


@dataclass(frozen=True, slots=True)
class Decided:
    """Who decided it, looking at what."""

    account: str
    who: str | None
    """``Practitioner/…``."""

    shown: Sequence[Shown] = ()
    record: str = ""
    """The audit record that released the photos."""


def before(
    connection: Connection,
    store: RecordStore,
    session: Session,
    plan_version: int | None,
    outcomes: Sequence[Outcome] = (),
) -> dict[str, Any]:
    """The next version of the session's plan, as a Bundle entry; empty where the plan is another system's.

    Each resource has one owner: a plan that an EHR keeps is named by the Procedure and left as it is.

    Raises
    ------
    Invalid
        The plan, the visit, a photo or what else is named is not of the session's patient.
    """
    _require_hers(connection, store, session, outcomes)
    if not session.plans:
        return {}
    reference = session.plans[0]
    owner = connection.execute(
        select(fhir_resource.c.source).where(
            fhir_resource.c.type == "CarePlan", fhir_resource.c.id == references.id_of(reference)
        )
    ).scalar_one_or_none()
    if owner is None:
        raise NotFound
    if not owner.startswith(SOURCE):
        return {}
    stored = store.read(connection, "CarePlan", references.id_of(reference))
    body = {key: value for key, value in stored.json().items() if key != "meta"}
    return {
        "fullUrl": "urn:photospine:session:plan",
        "resource": body | {"activity": with_session(body, PROCEDURE_URL)},
        "request": {
            "method": "PUT",
            "url": reference,
            "ifMatch": f'W/"{plan_version if plan_version is not None else stored.version}"',
        },
    }


def prepare(
    store: RecordStore,
    session: Session,
    plan_entry: dict[str, Any],
    decided: Decided,
    now: datetime,
    outcomes: Sequence[Outcome] = (),
) -> tuple[Entry, ...]:
    """Everything that is written, read and checked as far as that needs no database.

    Parameters
    ----------
    outcomes
        What was judged at the same time, on photos that are on record.
    """
    bundle = transaction(session)
    targets = [PROCEDURE_URL, *session.plans[:1]]
    looked_at = provenance(
        targets, decided.shown, who=decided.who, account=decided.account, record=decided.record, now=now
    )
    entries = [*bundle["entry"], *([plan_entry] if plan_entry else [])]
    entries += [
        {
            "fullUrl": f"urn:photospine:session:outcome-{number}",
            "resource": observation(each),
            "request": {"method": "POST", "url": "Observation"},
        }
        for number, each in enumerate(outcomes, start=1)
    ]
    entries.append(
        {
            "fullUrl": "urn:photospine:session:looked-at",
            "resource": looked_at,
            "request": {"method": "POST", "url": "Provenance"},
        }
    )
    return store.prepare_transaction({**bundle, "entry": entries}, _WRITES)


def write(
    connection: Connection,
    store: RecordStore,
    session: Session,
    entries: tuple[Entry, ...],
    *,
    source: str,
    known: int | None = None,
) -> str:
    """Write it; gives ``Procedure/…``, the one that is there already where the same session was sent before.

    Parameters
    ----------
    known
        How many treatments of hers whoever sends it knew of; None: that is not asked.

    Raises
    ------
    fhir_mapping.errors.Refused
        ``VersionMismatch`` where the plan was changed meanwhile, ``TreatedMeanwhile`` where another treatment of hers
        came; nothing may be committed then.
    """
    if session.key:
        there = store.unless_there(connection, "Procedure", f"identifier={quote(f'{KEYS}|{session.key}', safe='')}")
        if there is not None:
            return there.reference
    if known is not None and treatments_of(connection, group(connection, [session.patient])) != known:
        raise TreatedMeanwhile(
            Issue("conflict", "Another treatment of hers is on record now: look again.", "Procedure")
        )
    return store.transaction(connection, entries, source=source)[0].reference


def _require_hers(
    connection: Connection, store: RecordStore, session: Session, outcomes: Sequence[Outcome] = ()
) -> None:
    named = {*session.plans, *([session.encounter] if session.encounter else [])}
    named |= {each.photo for each in session.maps}
    for outcome in outcomes:
        named |= {each for each in (outcome.before, outcome.after, outcome.encounter) if each is not None}
        named |= {f"Patient/{outcome.patient}", *outcome.sessions}
    owners = store.patients_of(connection, named)
    hers = group(connection, [session.patient])
    for reference in sorted(named):
        if owners.get(reference, session.patient) not in hers:
            kind = reference.partition("/")[0]
            what = _KINDS.get(kind, kind)
            raise Invalid(Issue("value", worded("%(what)s: it is another patient's.", what=what), "Procedure"))
