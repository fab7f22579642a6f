"""What search and projections read of a resource: elements by the explicit paths of the parameters, no FHIRPath."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, delete, insert

from fhir_mapping import references
from fhir_mapping.search import elements
from fhir_mapping.search.parameters import Form, Parameter, parameters
from fhir_mapping.search.paths import listed, values
from fhir_mapping.search.values import FIRST, LAST, folded, indexed, micros, sounds
from fhir_mapping.tables import PART, fhir_composite, fhir_date, fhir_number, fhir_reference, fhir_string, fhir_token
from fhir_mapping.udi.parse import carried

EXACT, TEXT, TYPED, IDENTIFIER = ":e", ":t", ":o", ":i"
"""Behind a parameter's name in the index: ``:exact``, ``:text``, ``:of-type`` and ``:identifier`` read these rows."""

LONGEST_TARGET = 128

#: Parameters of ImagingStudy that read what is said of an instance: the member, and whether of its series.
BY_INSTANCE: Mapping[str, tuple[str, bool]] = {
    "bodysite": ("bodySite", True),
    "dicom-class": ("sopClass", False),
    "modality": ("modality", True),
}

_STRINGS = {
    Form.STRING: elements.texts,
    Form.NAME: elements.names,
    Form.ADDRESS: elements.addresses,
}


@dataclass(slots=True)
class Index:
    """The rows that one resource gives."""

    patient: str | None = None
    status: str | None = None
    tokens: set[tuple[str, str, str]] = field(default_factory=set)
    references: set[tuple[str, str]] = field(default_factory=set)
    dates: set[tuple[str, int, int]] = field(default_factory=set)
    strings: set[tuple[str, str]] = field(default_factory=set)
    numbers: set[tuple[str, float, float, str, str]] = field(default_factory=set)
    composites: set[tuple[str, str, str, str, str, float, float]] = field(default_factory=set)


def extract(identity: str, resource: Mapping[str, Any], zone: ZoneInfo, base: str | None) -> Index:
    """Read the index of a resource that :func:`fhir_mapping.store.validate.structure` has accepted.

    Raises
    ------
    ValueError, OverflowError
        A date does not exist.
    """
    kind = resource["resourceType"]
    index = Index()
    for found in references.found(resource):
        target = target_of(found.text, base)
        if target is not None and len(found.path) <= 200:
            index.references.add((found.path, target))
    index.patient = identity if kind == "Patient" else _patient(resource, base)
    if kind == "Appointment":
        index.patient = _participant(resource, base)
    status = resource.get("status")
    index.status = status if isinstance(status, str) else None
    for parameter, members in _readers(kind):
        if members is None or not members.isdisjoint(resource):
            _read(index, parameter, resource, zone, base)
    if kind == "ImagingStudy":
        index.composites |= _instances(resource)
    if kind in ("Medication", "Device"):
        index.tokens |= {("lot-number", "", indexed(lot.strip())) for lot, _ in lots_of(resource) if lot is not None}
    return index


@functools.cache
def _readers(kind: str) -> tuple[tuple[Parameter, frozenset[str] | None], ...]:
    """The parameters of a type, each with the members that its elements stand in; None: it is read of any resource."""
    made: list[tuple[Parameter, frozenset[str] | None]] = []
    for parameter in parameters(kind).values():
        anyhow = parameter.form is Form.PRESENT or not all(parameter.ways)
        made.append((parameter, None if anyhow else frozenset(way[0].member for way in parameter.ways)))
    return tuple(made)


def target_of(text: str, base: str | None) -> str | None:
    """What a reference names as the index holds it: ``Type/id`` here, the whole address elsewhere."""
    target = references.local(text, base)
    if target is None and references.target_type(text) is not None:
        return indexed(text.partition("/_history/")[0], LONGEST_TARGET)
    return target


def _read(index: Index, parameter: Parameter, resource: Mapping[str, Any], zone: ZoneInfo, base: str | None) -> None:
    name, form = parameter.name, parameter.form
    if form is Form.PRESENT:
        stated = any(value is not False for value in values(resource, parameter.ways))
        index.tokens.add((name, "", "true" if stated else "false"))
        return
    for value in values(resource, parameter.ways):
        if form in (Form.TOKEN, Form.CODE):
            index.tokens.update((name, indexed(system), indexed(code)) for system, code in elements.tokens(value))
            if name == "identifier":
                index.tokens.update(
                    (name + TYPED, indexed(system), indexed(code)) for system, code in elements.typed(value)
                )
            index.strings.update((name + TEXT, text) for text in map(folded, elements.texts_beside(value)) if text)
        elif form is Form.CONTACT:
            index.tokens.update((name, indexed(use), indexed(number)) for use, number in elements.contacts(value))
        elif form is Form.REFERENCE:
            if isinstance(value, Mapping) and isinstance(value.get("identifier"), Mapping):
                index.tokens.update(
                    (name + IDENTIFIER, indexed(system), indexed(code))
                    for system, code in elements.tokens(value["identifier"])
                )
        elif form in (Form.URI, Form.CANONICAL):
            if isinstance(value, str):
                index.tokens.add((name, "", indexed(value)))
                if form is Form.CANONICAL:
                    index.tokens.add((name, "", indexed(value.partition("|")[0])))
        elif form is Form.PHONETIC:
            index.strings.update((name, sound) for text in elements.names(value) for sound in sounds(text))
        elif form in _STRINGS:
            for text in _STRINGS[form](value):
                if plain := folded(text):
                    index.strings.add((name, plain))
                    index.strings.add((name + EXACT, indexed(text)))
        elif form is Form.DATE:
            index.dates.update(
                (name, micros(span.start, FIRST), micros(span.end, LAST)) for span in elements.spans(value, zone)
            )
        elif form in (Form.NUMBER, Form.QUANTITY):
            index.numbers.update(
                (name, low, high, indexed(system), indexed(code)) for low, high, system, code in elements.ranges(value)
            )
        elif form is Form.COMPOSITE:
            index.composites.update((name, *row) for row in _pairs(parameter, value, zone, base))


def _pairs(
    parameter: Parameter, element: Any, zone: ZoneInfo, base: str | None
) -> Iterator[tuple[str, str, str, str, float, float]]:
    """Both parts of a composite that stand in one element."""
    first, second = parameter.parts
    heads = {each for value in values(element, first.ways) for each in elements.tokens(value)}
    for value in values(element, second.ways):
        for system, text, low, high in _seconds(second.form, value, zone, base):
            for head_system, code in heads:
                yield (
                    indexed(head_system, PART),
                    indexed(code, PART),
                    indexed(system, PART),
                    indexed(text, PART),
                    low,
                    high,
                )


def _seconds(form: Form, value: Any, zone: ZoneInfo, base: str | None) -> Iterator[tuple[str, str, float, float]]:
    if form in (Form.TOKEN, Form.CODE):
        yield from ((system, code, 0.0, 0.0) for system, code in elements.tokens(value))
    elif form is Form.QUANTITY:
        yield from ((system, code, low, high) for low, high, system, code in elements.ranges(value))
    elif form is Form.DATE:
        for span in elements.spans(value, zone):
            yield "", "", float(micros(span.start, FIRST)), float(micros(span.end, LAST))
    elif form is Form.STRING:
        yield from (("", folded(text), 0.0, 0.0) for text in elements.texts(value))
    elif form is Form.REFERENCE and isinstance(value, Mapping) and isinstance(value.get("reference"), str):
        target = target_of(value["reference"], base)
        if target is not None:
            yield "", target, 0.0, 0.0


def _instances(study: Mapping[str, Any]) -> set[tuple[str, str, str, str, str, float, float]]:
    """Which instance a value is of, for parameters whose values differ between the instances of a study.

    Whoever may see some of a study's photos finds it by what is said of these alone.
    """
    found: dict[str, set[tuple[str, str, str]]] = {name: set() for name in BY_INSTANCE}
    uids: set[str] = set()
    for series in listed(study.get("series")):
        for instance in listed(series.get("instance")):
            uid = str(instance.get("uid", ""))
            uids.add(uid)
            for name, (member, of_series) in BY_INSTANCE.items():
                for value in listed((series if of_series else instance).get(member)):
                    found[name].update((*each, uid) for each in elements.tokens(value))
    rows = set()
    for name, told in found.items():
        values_of = {(system, code) for system, code, _ in told}
        if len(told) != len(values_of) * len(uids):  # not all of all
            rows |= {
                (name, indexed(system, PART), indexed(code, PART), "", indexed(uid, PART), 0.0, 0.0)
                for system, code, uid in told
            }
    return rows


_COLUMNS = {
    "tokens": (fhir_token, ("name", "system", "value")),
    "references": (fhir_reference, ("path", "target")),
    "dates": (fhir_date, ("name", "start", "end")),
    "strings": (fhir_string, ("name", "value")),
    "numbers": (fhir_number, ("name", "low", "high", "system", "code")),
    "composites": (fhir_composite, ("name", "system", "value", "part_system", "part_value", "low", "high")),
}


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
    for table, columns, rows in rows_of(extracts):
        for kind, identity in former:
            connection.execute(delete(table).where(table.c.type == kind, table.c.id == identity))
        if rows:
            connection.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in rows])


def rows_of(
    extracts: Iterable[tuple[str, str, Index]],
) -> Iterator[tuple[Table, tuple[str, ...], list[tuple[Any, ...]]]]:
    """Each table of the index, its columns, and the rows that resources give."""
    kept = list(extracts)
    for member, (table, columns) in _COLUMNS.items():
        rows = [(kind, identity, *row) for kind, identity, index in kept for row in sorted(getattr(index, member))]
        yield table, ("type", "id", *columns), rows


def _patient(resource: Mapping[str, Any], base: str | None) -> str | None:
    for member in ("subject", "patient", "for"):
        value = resource.get(member)
        if isinstance(value, Mapping) and isinstance(value.get("reference"), str):
            target = references.local(value["reference"], base)
            if target is not None and target.startswith("Patient/"):
                return references.id_of(target)
    # An Appointment names her among those who take part; one of several patients is in nobody's compartment.
    taking_part = references.local_of(resource, base, "participant", "actor")
    patients = {each for each in taking_part if each.startswith("Patient/")}
    return (
        references.id_of(patients.pop()) if resource["resourceType"] == "Appointment" and len(patients) == 1 else None
    )


def _participant(resource: Mapping[str, Any], base: str | None) -> str | None:
    """The patient whom an Appointment is with; an appointment of several is, as a Group, in nobody's compartment."""
    actors = references.local_of(resource, base, "participant", "actor")
    patients = {references.id_of(each) for each in actors if each.startswith("Patient/")}
    return patients.pop() if len(patients) == 1 else None


def lots_of(product: Mapping[str, Any]) -> list[tuple[str | None, str | None]]:
    """Lots of a Medication or Device as received, each with its expiry; of a Device also those in its UDIs, if sound.

    One at least: without a lot, None, with the expiry that is stated all the same.
    """
    holder = product.get("batch") if product.get("resourceType") == "Medication" else product
    lot, expiry = (
        (holder.get("lotNumber"), holder.get("expirationDate")) if isinstance(holder, Mapping) else (None,) * 2
    )
    expiry = expiry if isinstance(expiry, str) else None
    found: list[tuple[str | None, str | None]] = [(lot, expiry)] if isinstance(lot, str) else []
    carriers = listed(product.get("udiCarrier")) if product.get("resourceType") == "Device" else []
    for udi in (each for carrier in carriers if isinstance(carrier, Mapping) for each in carried(carrier)):
        if udi.lot and not udi.doubted and udi.lot not in [each for each, _ in found]:
            found.append((udi.lot, udi.expiry or expiry))
    return found or [(None, expiry)]
