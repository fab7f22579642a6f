"""In which treatments products were used, and on whom.

What one treatment leads to is followed in both directions: an administration may be part of a Procedure, or a Procedure
of an administration (R4 Procedure.partOf, MedicationAdministration.partOf). A drug mixed from others is followed to
them (Medication.ingredient), and an implant is its own use (Device.patient).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from consent.directive import Span
from consent.regions import regions
from consent.site import Site
from consent.store.write import among
from fhir_mapping import dates
from fhir_mapping.advisory.batch import BEST, Product, Treatment
from fhir_mapping.projections.read import current
from fhir_mapping.tables import fhir_reference, fhir_resource

#: What can say that a product was used on somebody.
_USES = frozenset({"MedicationAdministration", "MedicationDispense", "DeviceUseStatement", "Procedure", "Observation"})

#: What says that it was not.
_VOID = frozenset({"entered-in-error", "not-done", "cancelled", "declined"})


def treatments_with(
    connection: Connection, site: Site, bearing: Iterable[Product]
) -> tuple[list[Treatment], list[str]]:
    """Every treatment that a product was used in, with the best fit, and uses without a patient."""
    found: dict[tuple[str, str], Treatment] = {}
    unplaced: set[str] = set()
    for product in sorted(bearing, key=lambda each: BEST[each.fit]):
        for use in _uses(connection, product):
            resource = current(connection, *_pair(use)) or {}
            for reference in _procedures(connection, use) or [use]:
                patient = _patient(connection, reference) or _patient(connection, use)
                if patient is None:
                    unplaced.add(use)
                    continue
                about = current(connection, *_pair(reference)) or {}
                key = (reference, product.reference)
                made = _treatment(reference, about, use, resource, product, patient, site)
                found[key] = _joined(found[key], made) if key in found else made
    return [found[key] for key in sorted(found)], sorted(unplaced)


def visits_of(connection: Connection, named: Collection[str]) -> set[str]:
    """The visits that treatments name."""
    found: set[str] = set()
    for kind in {_pair(each)[0] for each in named}:
        query = select(fhir_reference.c.target).where(
            fhir_reference.c.type == kind,
            among(connection, fhir_reference.c.id, {_pair(each)[1] for each in named if _pair(each)[0] == kind}),
            fhir_reference.c.path.in_(("encounter", "context")),
        )
        found.update(connection.execute(query).scalars())
    return found


def documents_of(connection: Connection, named: Collection[str]) -> set[str]:
    """The photos' documents that name one of the treatments themselves, an administration as well as a Procedure."""
    query = select(fhir_reference.c.id).where(
        among(connection, fhir_reference.c.target, named), fhir_reference.c.type == "DocumentReference"
    )
    return {f"DocumentReference/{each}" for each in connection.execute(query).scalars()}


def site_codes(connection: Connection, treatment: Treatment) -> set[str] | None:
    """Codes of the body sites treated; None where one is stated that the region tree does not know."""
    concepts: list[Any] = []
    for reference in (treatment.reference, *treatment.through):
        resource = current(connection, *_pair(reference)) or {}
        concepts += _listed(resource.get("bodySite")) + _listed((resource.get("dosage") or {}).get("site"))
    found: set[str] = set()
    for concept in concepts:
        codings = concept.get("coding") or ()
        codes = {f"{coding.get('system', '')}|{coding.get('code', '')}" for coding in codings}
        known = {code for code in codes if regions().by_code(code) is not None}
        if not known:
            return None
        found |= known
    return found


def _treatment(
    reference: str,
    about: Mapping[str, Any],
    use: str,
    resource: Mapping[str, Any],
    product: Product,
    patient: str,
    site: Site,
) -> Treatment:
    # A Procedure may be a course of months; what was given in it has its own hour. What was handed over came before.
    given = resource.get("resourceType") == "MedicationAdministration"
    times = [_time(each, site) for each in ((resource, about) if given else (about, resource))]
    time = next((each for each in times if each is not None), Span())
    sites = _names(about.get("bodySite")) + _names(resource.get("bodySite"))
    sites += _names((resource.get("dosage") or {}).get("site"))
    return Treatment(
        reference=reference,
        patient=patient,
        product=product.reference,
        fit=product.fit,
        at=time.start,
        until=time.end,
        void=next((str(each["status"]) for each in (about, resource) if each.get("status") in _VOID), None),
        through=(use,) if use != reference else (),
        sites=tuple(dict.fromkeys(sites)),
        doses=_doses(resource),
    )


def _joined(one: Treatment, other: Treatment) -> Treatment:
    """A treatment in which the product was used several times; it took place unless all of them are void."""
    if one.void is None or other.void is None:
        real = [each for each in (one, other) if each.void is None]
    else:
        real = [one, other]
    first = min(real, key=lambda each: (each.at is None, each.at.timestamp() if each.at else 0.0))
    return Treatment(
        reference=one.reference,
        patient=one.patient,
        product=one.product,
        fit=one.fit,
        at=first.at,
        until=first.until,
        void=first.void,
        through=tuple(sorted({*one.through, *other.through})),
        sites=tuple(dict.fromkeys((*one.sites, *other.sites))),
        doses=(*one.doses, *other.doses),
    )


def _uses(connection: Connection, product: Product) -> list[str]:
    """Resources that say the product was used: those that name it, hold it, or name a drug mixed with it."""
    holder, _, contained = product.reference.partition("#")
    if contained and _pair(holder)[0] not in ("Medication", "Device"):
        return [holder]
    found: set[str] = set()
    drugs, pending = {holder}, [holder]
    while pending:
        here = pending.pop()
        kind = _pair(here)[0]
        if kind == "Device" and _patient(connection, here) is not None:
            found.add(here)
        query = select(fhir_reference.c.type, fhir_reference.c.id, fhir_reference.c.path).where(
            fhir_reference.c.target == here, fhir_reference.c.type.in_(sorted(_USES | {"Medication"}))
        )
        for row in connection.execute(query):
            reference = f"{row.type}/{row.id}"
            if row.type != "Medication":
                found.add(reference)
            elif row.path == "ingredient.itemReference" and reference not in drugs:
                drugs.add(reference)
                pending.append(reference)
    return sorted(found)


def _procedures(connection: Connection, use: str) -> list[str]:
    """The Procedures that a use is part of, or that are part of it."""
    kind, identity = _pair(use)
    if kind == "Procedure":
        return [use]
    out = select(fhir_reference.c.target).where(
        fhir_reference.c.type == kind, fhir_reference.c.id == identity, fhir_reference.c.path == "partOf"
    )
    into = select(fhir_reference.c.id).where(
        fhir_reference.c.target == use, fhir_reference.c.type == "Procedure", fhir_reference.c.path == "partOf"
    )
    found = {each for each in connection.execute(out).scalars() if each.startswith("Procedure/")}
    return sorted(found | {f"Procedure/{each}" for each in connection.execute(into).scalars()})


def _patient(connection: Connection, reference: str) -> str | None:
    """Whom a resource is about, where that is somebody on this record."""
    kind, identity = _pair(reference)
    query = select(fhir_resource.c.patient).where(fhir_resource.c.type == kind, fhir_resource.c.id == identity)
    return connection.execute(query).scalar_one_or_none()


def _doses(resource: Mapping[str, Any]) -> tuple[str, ...]:
    dose = (resource.get("dosage") or {}).get("dose") if resource.get("resourceType") != "Procedure" else None
    if not isinstance(dose, Mapping) or "value" not in dose:
        return ()
    unit = dose.get("unit") or dose.get("code") or ""
    return (f"{dose['value']} {unit}".strip(),)


def _names(value: Any) -> tuple[str, ...]:
    """Concepts as people read them."""
    made = []
    for concept in _listed(value):
        displays = [str(each.get("display") or each.get("code")) for each in concept.get("coding") or ()]
        made += [str(concept["text"])] if concept.get("text") else displays[:1]
    return tuple(made)


def _time(resource: Mapping[str, Any], site: Site) -> Span | None:
    """When it took place, or of a period when it began; what is told to the day alone may be any time of that day."""
    for member in ("performedDateTime", "effectiveDateTime", "effectiveInstant", "whenHandedOver", "recordedOn"):
        if isinstance(resource.get(member), str):
            return dates.span(resource[member], site.zone)
    for member in ("performedPeriod", "effectivePeriod", "timingPeriod"):
        if isinstance(resource.get(member), Mapping):
            begun = resource[member].get("start")
            if isinstance(begun, str):
                return dates.span(begun, site.zone)
            return Span(None, dates.period(resource[member], site.zone).end)
    return None


def _pair(reference: str) -> tuple[str, str]:
    kind, _, identity = reference.partition("/")
    return kind, identity


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
