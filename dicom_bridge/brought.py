"""The record that comes with photos: what was done, with which products and devices, at which settings.

All of it is about the photos' patient and their visit. That is asked of what was written, in the same transaction:
there every reference is resolved, whether it came as an address, as a fullUrl or as a condition.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from consent.store.versions import group
from dicom_bridge.errors import BridgeError
from dicom_bridge.plan import Plan
from fhir_mapping import references
from fhir_mapping.search.index import lots_of
from fhir_mapping.store.prepared import Entry, placed
from fhir_mapping.store.reader import Stored
from fhir_mapping.store.record import RecordStore

_TYPES = (
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
_PATIENT, _VISIT = ("subject", "patient"), ("encounter", "context")
"""Elements that say whom, and at which visit, a resource is about."""


class RecordRefused(BridgeError):
    """What comes with a photo does not fit it. Nothing was kept; mend what the text names."""


def prepare(store: RecordStore, plan: Plan) -> tuple[Entry, ...]:
    """Read and check the record, as far as that needs no database.

    Raises
    ------
    RecordRefused, fhir_mapping.errors.MappingError
    """
    if plan.record is None:
        return ()
    entries = store.prepare_transaction(plan.record.encode(), _TYPES)
    for entry in entries:
        _require_lots(entry)
    return entries


def write(connection: Connection, store: RecordStore, plan: Plan, record: Sequence[Entry]) -> list[Stored]:
    """Write the record; one answer for each entry.

    Raises
    ------
    RecordRefused, fhir_mapping.errors.MappingError
        The transaction must be rolled back.
    """
    hers = group(connection, [plan.patient])
    _require_hers(connection, store, hers, record)
    written = store.transaction(connection, tuple(record), source=plan.account)
    named: dict[str, str] = {}
    for entry, stored in zip(record, written, strict=True):
        at = entry.element
        resource = stored.json()
        for found in references.found(resource):
            target = references.local(found.text, store.base)
            if target is not None:
                named.setdefault(target, f"--record: {placed(found.element, at)}")
        _require_about(store, resource, at, _PATIENT, {f"Patient/{each}" for each in hers}, "--patient")
        if entry.if_none_exist is None or stored.created:  # what was there already may be of an earlier visit
            _require_about(store, resource, at, _VISIT, {f"Encounter/{plan.visit}"}, "--visit")
    _require_nobody_else(connection, store, hers, named)
    return written


def _require_lots(entry: Entry) -> None:
    """It says which lot a product was of."""
    resource = entry.ready.resource
    at = f"--record: {placed(None, entry.element)}"
    contained = ((f"{at}.contained", each) for each in resource.get("contained") or ())
    for place, product in ((at, resource), *contained):
        if product.get("resourceType") == "Medication" and not (lots_of(product)[0][0] or "").strip():
            raise RecordRefused(
                f"{place}.batch.lotNumber: say which lot it was of, or 'unknown' where nobody can read it"
            )


def _require_hers(connection: Connection, store: RecordStore, hers: Collection[str], record: Sequence[Entry]) -> None:
    """No entry writes over what the record has of another patient."""
    former = {f"{entry.ready.type}/{entry.id}": entry for entry in record if entry.id is not None}
    for reference, patient in store.patients_of(connection, former).items():
        if patient is not None and patient not in hers:
            element = former[reference].element
            raise RecordRefused(f"--record: {element}.request.url: it is another patient's than --patient")


def _require_about(
    store: RecordStore,
    resource: Mapping[str, Any],
    at: str,
    elements: tuple[str, ...],
    wanted: Collection[str],
    option: str,
) -> None:
    """Whom or what it is about is named as this record names it, so that it is found there."""
    for element in elements:
        if element not in resource:
            continue
        text = resource[element].get("reference")
        named = references.local(text, store.base) if isinstance(text, str) else None
        if named is None:
            fault = f"does not name {option} by its id"
        elif named not in wanted and named.startswith(("Patient/", "Group/", "Encounter/")):
            fault = f"names another {option.removeprefix('--')} than {option}"
        else:
            continue
        place = placed(f"{resource['resourceType']}.{element}", at)
        raise RecordRefused(f"--record: {place}: {fault}; write {' or '.join(sorted(wanted))}, or send it by itself")


def _require_nobody_else(
    connection: Connection, store: RecordStore, hers: Collection[str], named: Mapping[str, str]
) -> None:
    """Nothing in it points at another patient, or at what is another patient's."""
    owners = store.patients_of(connection, named)
    for reference, element in named.items():
        kind, _, identity = reference.partition("/")
        owner = identity if kind == "Patient" else owners.get(reference)
        if owner is not None and owner not in hers:
            raise RecordRefused(f"{element}: names what is another patient's; correct it, or send it by itself")
