"""What search and projections read of a resource: explicit functions, no FHIRPath (R4 SearchParameter expressions)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, delete, insert

from consent.directive import Span
from fhir_mapping import dates, references
from fhir_mapping.search.values import FIRST, LAST, folded, indexed, lot_key, micros
from fhir_mapping.tables import fhir_date, fhir_reference, fhir_string, fhir_token
from fhir_mapping.udi.parse import lot_in

#: Element of each resource type that a date search parameter reads (R4 search-parameters.json).
DATES: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "Patient": (("birthdate", ("birthDate",)),),
    "Encounter": (("date", ("period",)),),
    "Procedure": (("date", ("performedDateTime", "performedPeriod")),),
    "Observation": (("date", ("effectiveDateTime", "effectivePeriod", "effectiveInstant")),),
    "MedicationAdministration": (("effective-time", ("effectiveDateTime", "effectivePeriod")),),
    "Consent": (("date", ("dateTime",)),),
    "ImagingStudy": (("started", ("started",)),),
    "DocumentReference": (("date", ("date",)),),
}


#: What people write where a lot cannot be read.
ILLEGIBLE = frozenset({"unknown", "unreadable", "illegible", "not legible", "missing", "none", "n/a", "-"})


@dataclass(slots=True)
class Index:
    """The rows that one resource gives."""

    patient: str | None = None
    status: str | None = None
    tokens: set[tuple[str, str, str]] = field(default_factory=set)
    references: set[tuple[str, str]] = field(default_factory=set)
    dates: set[tuple[str, int, int]] = field(default_factory=set)
    strings: set[tuple[str, str]] = field(default_factory=set)


def extract(identity: str, resource: Mapping[str, Any], zone: ZoneInfo, base: str | None) -> Index:
    """Read the index of a resource that :func:`fhir_mapping.store.validate.structure` has accepted."""
    kind = resource["resourceType"]
    index = Index()
    for found in references.found(resource):
        target = references.local(found.text, base)
        if target is not None and len(found.path) <= 200:
            index.references.add((found.path, target))
    index.patient = identity if kind == "Patient" else _patient(resource, base)
    status = resource.get("status")
    index.status = status if isinstance(status, str) else None
    if index.status is not None:
        index.tokens.add(("status", "", index.status))
    for name, system, value in _tokens(kind, resource):
        index.tokens.add((name, indexed(system), indexed(value)))
    for name, members in DATES.get(kind, ()):
        for span in _spans(resource, members, zone):
            index.dates.add((name, micros(span.start, FIRST), micros(span.end, LAST)))
    for name, text in _strings(resource):
        if value := folded(text):
            index.strings.add((name, value))
    return index


def save(
    connection: Connection, extracts: Iterable[tuple[str, str, Index]], *, former: Collection[tuple[str, str]]
) -> None:
    """Put resources' rows in place of those that they had.

    Parameters
    ----------
    extracts
        Type, id and rows of each.
    former
        Type and id of those that had rows before.
    """
    for table in (fhir_token, fhir_reference, fhir_date, fhir_string):
        for kind, identity in former:
            connection.execute(delete(table).where(table.c.type == kind, table.c.id == identity))
    tokens: list[dict[str, Any]] = []
    targets: list[dict[str, Any]] = []
    spans: list[dict[str, Any]] = []
    strings: list[dict[str, Any]] = []
    for kind, identity, index in extracts:
        key = {"type": kind, "id": identity}
        tokens += [
            key | {"name": name, "system": system, "value": value} for name, system, value in sorted(index.tokens)
        ]
        targets += [key | {"path": path, "target": target} for path, target in sorted(index.references)]
        spans += [key | {"name": name, "start": start, "end": end} for name, start, end in sorted(index.dates)]
        strings += [key | {"name": name, "value": value} for name, value in sorted(index.strings)]
    for table, rows in ((fhir_token, tokens), (fhir_reference, targets), (fhir_date, spans), (fhir_string, strings)):
        if rows:
            connection.execute(insert(table), rows)


def _patient(resource: Mapping[str, Any], base: str | None) -> str | None:
    for member in ("subject", "patient", "for"):
        value = resource.get(member)
        if isinstance(value, Mapping) and isinstance(value.get("reference"), str):
            target = references.local(value["reference"], base)
            if target is not None and target.startswith("Patient/"):
                return references.id_of(target)
    return None


def _tokens(kind: str, resource: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for member in ("identifier", "masterIdentifier"):
        for entry in _listed(resource.get(member)):
            if isinstance(entry.get("value"), str):
                yield "identifier", str(entry.get("system", "")), entry["value"]
    for member in ("code", "type"):
        for concept in _listed(resource.get(member)):
            if isinstance(concept, Mapping):
                yield from _codings(member, concept)
    if kind in ("Medication", "Device"):
        yield from _lots(resource, "lot-number")
    if kind == "Device":
        for carrier in _listed(resource.get("udiCarrier")):
            if isinstance(carrier.get("deviceIdentifier"), str):
                yield "udi-di", "", carrier["deviceIdentifier"]
    for contained in resource.get("contained") or ():
        if contained.get("resourceType") in ("Medication", "Device"):
            yield from _lots(contained, "contained-lot")
    if kind == "ImagingStudy":
        for series in resource.get("series") or ():
            for instance in series.get("instance") or ():
                yield "instance", "", str(instance.get("uid", ""))


def lots_of(product: Mapping[str, Any]) -> list[tuple[str | None, str | None]]:
    """Lots of a Medication or Device as received, each with its expiry; of a Device also those in its UDIs.

    One at least: without a lot, None, with the expiry that is stated all the same.
    """
    holder = product.get("batch") if product.get("resourceType") == "Medication" else product
    lot, expiry = (
        (holder.get("lotNumber"), holder.get("expirationDate")) if isinstance(holder, Mapping) else (None,) * 2
    )
    expiry = expiry if isinstance(expiry, str) else None
    found: list[tuple[str | None, str | None]] = [(lot, expiry)] if isinstance(lot, str) else []
    carriers = _listed(product.get("udiCarrier")) if product.get("resourceType") == "Device" else []
    for told in filter(None, (lot_in(carrier) for carrier in carriers)):
        if told[0] not in [each for each, _ in found]:
            found.append((told[0], told[1] or expiry))
    return found or [(None, expiry)]


def _lots(product: Mapping[str, Any], name: str) -> Iterator[tuple[str, str, str]]:
    """Lots as they stand, and folded for the advisory; what is no legible lot, or none, is marked as unclear."""
    for lot, _ in lots_of(product):
        if lot is not None:
            yield name, "", lot.strip()
            yield f"{name}-key", "", lot_key(lot)
        if lot is None or unclear_lot(lot):
            yield f"{name}-unclear", "", "true"


def unclear_lot(lot: str) -> bool:
    """Whether a lot is a word for "not legible", or has illegible places."""
    return folded(lot) in ILLEGIBLE or any(mark in lot for mark in "?*_")


def _codings(name: str, concept: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for coding in concept.get("coding") or ():
        if isinstance(coding.get("code"), str):
            yield name, str(coding.get("system", "")), coding["code"]


def _strings(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in _listed(resource.get("name")):
        if isinstance(name, str):
            yield "name", name
        elif isinstance(name, Mapping):
            for member in ("family", "text"):
                if isinstance(name.get(member), str):
                    yield "name", name[member]
            for given in name.get("given") or ():
                if isinstance(given, str):
                    yield "name", given


def _spans(resource: Mapping[str, Any], members: tuple[str, ...], zone: ZoneInfo) -> Iterator[Span]:
    for member in members:
        value = resource.get(member)
        if isinstance(value, str):
            yield dates.span(value, zone)
        elif isinstance(value, Mapping):
            yield dates.period(value, zone)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
