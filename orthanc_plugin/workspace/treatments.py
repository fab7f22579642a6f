"""Treatments as the timeline shows them, read from Procedure and what belongs to it (R4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from consent.regions import regions
from consent.store.write import among
from fhir_mapping import dates, references
from fhir_mapping.resources.session import session_of
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_reference, fhir_resource
from orthanc_plugin.workspace.record import OTHER, Area, Product, Setting, Treatment

Json = Mapping[str, Any]

OWN_TREATMENTS = "urn:photospine:treatment"
_NOT_DONE = frozenset({"entered-in-error", "not-done", "preparation"})
_VOID = frozenset({"entered-in-error", "not-done", "cancelled"})


def treatments(connection: Connection, store: RecordReader, patients: Iterable[str], zone: ZoneInfo) -> list[Treatment]:
    """All treatments of the patients, in order of time."""
    ids = connection.execute(
        select(fhir_resource.c.id).where(
            fhir_resource.c.type == "Procedure", among(connection, fhir_resource.c.patient, set(patients))
        )
    ).scalars()
    procedures = [stored.json() for stored in store.read_many(connection, "Procedure", sorted(ids))]
    procedures = [entry for entry in procedures if entry.get("status") not in _NOT_DONE]
    parts = _Parts(connection, store, procedures)
    made = [_treatment(entry, parts, zone) for entry in procedures]
    return sorted(made, key=lambda entry: (entry.at is not None, entry.at.timestamp() if entry.at else 0.0, entry.id))


def titles(connection: Connection, store: RecordReader, procedures: Iterable[str]) -> dict[str, str]:
    """Names of treatments by their codes alone, for pages that must not repeat what somebody typed."""
    found = store.read_many(connection, "Procedure", sorted(set(procedures)))
    return {stored.id: _coded_title(stored.json().get("code")) for stored in found}


def sessions(connection: Connection, store: RecordReader, kind: str, ids: Iterable[str]) -> dict[str, int]:
    """Session numbers stated by resources of a type."""
    found = {stored.id: session_of(stored.json()) for stored in store.read_many(connection, kind, sorted(set(ids)))}
    return {identity: number for identity, number in found.items() if number}


def region_name(code: str) -> str:
    """A region as people call it: ``Lower eyelid``; a code that the tree does not hold, as it stands."""
    found = regions().by_code(code)
    return found.name.replace("-", " ").capitalize() if found else code.rpartition("|")[2]


class _Parts:
    """What belongs to the procedures: drugs given, device settings, and whatever these name."""

    def __init__(self, connection: Connection, store: RecordReader, procedures: Sequence[Json]) -> None:
        self._connection, self._store = connection, store
        targets = {f"Procedure/{entry['id']}" for entry in procedures}
        rows = connection.execute(
            select(fhir_reference.c.type, fhir_reference.c.id).where(
                fhir_reference.c.path == "partOf",
                fhir_reference.c.type.in_(("MedicationAdministration", "Observation")),
                among(connection, fhir_reference.c.target, targets),
            )
        ).all()
        self.given = self._read("MedicationAdministration", {row.id for row in rows if row.type != "Observation"})
        self.observed = self._read("Observation", {row.id for row in rows if row.type == "Observation"})
        everything = [*procedures, *self.given.values(), *self.observed.values()]
        named = {target for entry in everything for target in self._targets(entry)}
        self._named: dict[str, Json] = {}
        for kind in ("Medication", "Device", "Practitioner"):
            ids = {references.id_of(target) for target in named if target.startswith(f"{kind}/")}
            self._named |= {f"{kind}/{identity}": entry for identity, entry in self._read(kind, ids).items()}

    def _read(self, kind: str, ids: set[str]) -> dict[str, Json]:
        return {stored.id: stored.json() for stored in self._store.read_many(self._connection, kind, sorted(ids))}

    def target(self, reference: Any) -> str | None:
        """``Type/id`` where a reference is to a resource of this server."""
        text = reference.get("reference") if isinstance(reference, Mapping) else None
        return references.local(text, self._store.base) if isinstance(text, str) else None

    def _targets(self, resource: Json) -> set[str]:
        found = (references.local(each.text, self._store.base) for each in references.found(resource))
        return {target for target in found if target is not None}

    def of(self, found: Mapping[str, Json], procedure: str) -> list[Json]:
        """Those of the resources that are part of a procedure and not void."""
        return [
            entry
            for _, entry in sorted(found.items())
            if entry.get("status") not in _VOID
            and any(self.target(part) == f"Procedure/{procedure}" for part in entry.get("partOf") or ())
        ]

    def get(self, reference: Any, container: Json) -> Json | None:
        """What a reference names: in the record, or contained in the resource itself."""
        text = reference.get("reference") if isinstance(reference, Mapping) else None
        if isinstance(text, str) and text.startswith("#"):
            return next((entry for entry in container.get("contained") or () if entry.get("id") == text[1:]), None)
        return self._named.get(self.target(reference) or "")


def _treatment(procedure: Json, parts: _Parts, zone: ZoneInfo) -> Treatment:
    identity = str(procedure["id"])
    observed = parts.of(parts.observed, identity)
    used = [*(procedure.get("usedReference") or ())]
    used += [entry["manipulated"] for entry in procedure.get("focalDevice") or () if "manipulated" in entry]
    used += [entry["device"] for entry in observed if "device" in entry]
    device_names = [_device(parts.get(reference, procedure), reference) for reference in used]
    return Treatment(
        id=identity,
        title=_concept(procedure.get("code")) or "Treatment",
        at=_moment(procedure, zone),
        visit=references.id_of(parts.target(procedure.get("encounter")) or "") or None,
        areas=tuple(_area(site) for site in procedure.get("bodySite") or ()),
        session=session_of(procedure),
        clinician=", ".join(dict.fromkeys(filter(None, (_performer(entry, parts, procedure)
                                                        for entry in procedure.get("performer") or ())))),
        device=", ".join(dict.fromkeys(filter(None, device_names))),
        products=tuple(_product(entry, parts) for entry in parts.of(parts.given, identity)),
        settings=tuple(setting for entry in observed for setting in _settings(entry)),
    )  # fmt: skip


def _product(given: Json, parts: _Parts) -> Product:
    medication = parts.get(given.get("medicationReference"), given)
    batch = (medication or {}).get("batch") or {}
    name = _concept((medication or {}).get("code")) or _concept(given.get("medicationCodeableConcept"))
    reference = given.get("medicationReference") or {}
    return Product(
        name=name or str(reference.get("display") or "Product"),
        amount=_quantity((given.get("dosage") or {}).get("dose")),
        lot=str(batch.get("lotNumber") or ""),
        expires=str(batch.get("expirationDate") or ""),
    )


def _settings(observed: Json) -> Iterable[Setting]:
    for part in [observed, *(observed.get("component") or ())]:
        value = _value(part)
        if value:
            yield Setting(_concept(part.get("code")) or "Setting", value)


def _value(part: Json) -> str:
    if "valueQuantity" in part:
        return _quantity(part["valueQuantity"])
    if "valueCodeableConcept" in part:
        return _concept(part["valueCodeableConcept"])
    for member in ("valueString", "valueInteger", "valueBoolean"):
        if member in part:
            value = part[member]
            return ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return ""


def _quantity(quantity: Any) -> str:
    if not isinstance(quantity, Mapping) or "value" not in quantity:
        return ""
    unit = str(quantity.get("unit") or quantity.get("code") or "").replace("J/cm2", "J/cm²")
    number = f"{quantity['value']:f}" if "E" in str(quantity["value"]) else str(quantity["value"])
    number = number.removesuffix(".0")
    return f"{quantity.get('comparator', '')}{number}{' ' if unit else ''}{unit}"


def _device(device: Json | None, reference: Any) -> str:
    if device is None:
        return str(reference.get("display") or "") if isinstance(reference, Mapping) else ""
    names = device.get("deviceName") or ()
    return str(names[0].get("name") or "") if names else _concept(device.get("type"))


def _performer(entry: Json, parts: _Parts, procedure: Json) -> str:
    actor = entry.get("actor") or {}
    found = parts.get(actor, procedure)
    return human_name(found) if found else str(actor.get("display") or "")


def human_name(resource: Json) -> str:
    """A person's name as it is spoken: the official or usual one, else the first."""
    names = [name for name in resource.get("name") or () if isinstance(name, Mapping)]
    if not names:
        return ""
    name = min(names, key=lambda entry: {"official": 0, "usual": 1, None: 2}.get(entry.get("use"), 3))
    if name.get("text"):
        return str(name["text"])
    parts = [*(name.get("prefix") or ()), *(name.get("given") or ()), name.get("family")]
    return " ".join(str(part) for part in parts if part)  # a part may be null beside an extension that says why


def _area(site: Json) -> Area:
    for coding in site.get("coding") or ():
        code = f"{coding.get('system', '')}|{coding.get('code', '')}"
        found = regions().by_code(code)
        if found is not None:
            return Area(found.code, region_name(code))
    text = _concept(site)
    named = regions().by_name(text.lower().replace(" ", "-"))
    return Area(named.code, region_name(named.code)) if named else Area(OTHER, text)


def _concept(concept: Any) -> str:
    """The text of a CodeableConcept, else what its first coding says."""
    if not isinstance(concept, Mapping):
        return ""
    if concept.get("text"):
        return str(concept["text"])
    for coding in concept.get("coding") or ():
        if coding.get("display") or coding.get("code"):
            return str(coding.get("display") or coding.get("code"))
    return ""


def _coded_title(concept: Any) -> str:
    """A treatment's name by a code of ours; the display beside another system's code is what a sender typed."""
    for coding in concept.get("coding") or () if isinstance(concept, Mapping) else ():
        if coding.get("system") == OWN_TREATMENTS and coding.get("code"):
            return str(coding["code"]).replace("-", " ").capitalize()
    return ""


def _moment(procedure: Json, zone: ZoneInfo) -> datetime | None:
    value = procedure.get("performedDateTime") or (procedure.get("performedPeriod") or {}).get("start")
    if not isinstance(value, str):
        return None
    try:
        return dates.span(value, zone).start
    except (ValueError, OverflowError):
        return None
