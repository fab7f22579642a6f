"""In which treatments products were used, and on whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from consent.directive import Span
from consent.regions import regions
from consent.site import Site
from consent.store.write import among
from fhir_mapping import dates, text
from fhir_mapping.advisory.asked import Question
from fhir_mapping.advisory.batch import Fit, Product, Treatment
from fhir_mapping.advisory.tables import advisory_dropped
from fhir_mapping.advisory.uses import by_kind, procedures_of
from fhir_mapping.tables import CURRENT, fhir_reference, fhir_resource, fhir_version
from fhir_mapping.treatment.elements import VOID, place

#: Where the time of a use stands (R4), an instant or a period.
_MOMENTS = (
    "performedDateTime",
    "effectiveDateTime",
    "effectiveInstant",
    "whenHandedOver",
    "whenPrepared",
    "timingDateTime",
    "recordedOn",
    "dateAsserted",
)
#: What takes place at a time.
_OVER = frozenset({"Procedure", "MedicationAdministration", "Observation"})
_PERIODS = ("performedPeriod", "effectivePeriod", "timingPeriod")


@dataclass(frozen=True, slots=True)
class Kept:
    """A resource as it stands, and whom it is about."""

    resource: Mapping[str, Any]
    patient: str | None


def kept(connection: Connection, named: Iterable[str]) -> dict[str, Kept]:
    """The resources with these references, a statement for each type; unknown ones are left out."""
    found: dict[str, Kept] = {}
    for kind, ids in by_kind(named):
        query = (
            select(fhir_version.c.id, fhir_version.c.body, fhir_resource.c.patient)
            .select_from(CURRENT)
            .where(fhir_version.c.type == kind, among(connection, fhir_version.c.id, ids))
        )
        for row in connection.execute(query):
            found[f"{kind}/{row.id}"] = Kept(text.kept(bytes(row.body)), row.patient)
    return found


def treatments_with(
    connection: Connection,
    site: Site,
    products: Iterable[Product],
    uses: Mapping[str, Mapping[str, str]],
    resources: dict[str, Kept],
) -> tuple[list[Treatment], list[str]]:
    """Every treatment that a product was used in, and uses without a patient.

    Parameters
    ----------
    uses
        As :func:`fhir_mapping.advisory.uses.uses_of` gives them.
    resources
        Is added to: the uses and treatments.
    """
    known = {each.reference: each for each in products}
    procedures = procedures_of(connection, uses)
    observations = {each for mine in uses.values() for each in mine if each.startswith("Observation/")}
    resources |= kept(connection, {*uses, *observations, *(each for those in procedures.values() for each in those)})
    found: dict[tuple[str, str], Treatment] = {}
    unplaced: set[str] = set()
    nothing = Kept({}, None)
    for use in sorted(uses):
        mine = resources.get(use, nothing)
        for product, why in sorted(uses[use].items()):
            # What names somebody else than what it belongs to may be right: both are looked at.
            placed = [(each, resources.get(each, nothing)) for each in sorted(procedures.get(use, ()))] or [(use, mine)]
            patients = {about.patient or mine.patient for _, about in placed}
            for other in (use, product):
                told = resources.get(other, nothing)
                if told.patient is not None and told.patient not in patients:
                    placed.append((other, told))
                    patients.add(told.patient)
            for reference, about in placed:
                patient = about.patient or mine.patient
                if patient is None:
                    unplaced.add(use)
                    continue
                made = _treatment(reference, about.resource, use, mine.resource, known[product], patient, site)
                if why:
                    made = replace(made, fit=Fit.UNREADABLE, why=why)
                key = (reference, product)
                found[key] = _joined(found[key], made) if key in found else made
    return [found[key] for key in sorted(found)], sorted(unplaced)


def within(treatment: Treatment, question: Question, site: Site) -> bool:
    """Whether a treatment may lie in the time asked for; one whose time is not known may."""
    if question.since is None and question.until is None:
        return True
    first = dates.span(question.since, site.zone).start if question.since else None
    last = dates.span(question.until, site.zone).end if question.until else None
    if last is not None and treatment.at is not None and treatment.at >= last:
        return False
    return not (first is not None and treatment.over is not None and treatment.over <= first)


def visits_of(connection: Connection, named: Collection[str]) -> dict[str, set[str]]:
    """Treatment or use -> the visits that it names."""
    found: dict[str, set[str]] = defaultdict(set)
    for kind, ids in by_kind(named):
        query = select(fhir_reference.c.id, fhir_reference.c.target).where(
            fhir_reference.c.type == kind,
            among(connection, fhir_reference.c.id, ids),
            fhir_reference.c.path.in_(("encounter", "context")),
        )
        for row in connection.execute(query):
            found[f"{kind}/{row.id}"].add(row.target)
    return found


def documents_of(connection: Connection, named: Collection[str]) -> dict[str, set[str]]:
    """Treatment, use or visit -> the photos' documents that name it themselves."""
    found: dict[str, set[str]] = defaultdict(set)
    query = select(fhir_reference.c.target, fhir_reference.c.id).where(
        among(connection, fhir_reference.c.target, named), fhir_reference.c.type == "DocumentReference"
    )
    for row in connection.execute(query):
        found[row.target].add(f"DocumentReference/{row.id}")
    return found


def moved_documents(connection: Connection, named: Collection[str]) -> dict[str, set[str]]:
    """Treatment, use or visit -> the photos' documents that named it once, and what has taken their place."""
    found: dict[str, set[str]] = defaultdict(set)
    query = select(advisory_dropped.c.target, advisory_dropped.c.id).where(
        among(connection, advisory_dropped.c.target, named), advisory_dropped.c.type == "DocumentReference"
    )
    former: dict[str, set[str]] = defaultdict(set)
    for row in connection.execute(query):
        found[row.target].add(f"DocumentReference/{row.id}")
    for target, ids in documents_of(connection, named).items():
        for each in ids:
            former[each].add(target)
    for target, those in found.items():
        for each in those:
            former[each].add(target)
    replaced = select(fhir_reference.c.target, fhir_reference.c.id).where(
        among(connection, fhir_reference.c.target, former),
        fhir_reference.c.type == "DocumentReference",
        fhir_reference.c.path == "relatesTo.target",
    )
    for row in connection.execute(replaced):
        for target in former[row.target]:
            found[target].add(f"DocumentReference/{row.id}")
    return found


def site_codes(treatment: Treatment, resources: Mapping[str, Kept]) -> set[str] | None:
    """Codes of the body sites treated; None where one is stated that the region tree does not know."""
    concepts: list[Any] = []
    for reference in (treatment.reference, *treatment.through):
        resource = resources[reference].resource if reference in resources else {}
        concepts += _listed(resource.get("bodySite"))
        concepts += [each.get("site") for each in _dosages(resource) if isinstance(each.get("site"), Mapping)]
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
    concepts = _listed(about.get("bodySite")) + _listed(resource.get("bodySite"))
    for dosage in _dosages(resource):
        concepts += _listed(dosage.get("site"))
    return Treatment(
        reference=reference,
        patient=patient,
        product=product.reference,
        fit=product.fit,
        at=time.start,
        until=time.end,
        over=_over(resource if given or not about else about, site),
        void=next((str(each["status"]) for each in (about, resource) if each.get("status") in VOID), None),
        through=(use,) if use != reference else (),
        sites=tuple(dict.fromkeys(_names(concepts))),
        places=tuple(dict.fromkeys(filter(None, map(place, concepts)))),
        doses=_doses(resource),
    )


def _joined(one: Treatment, other: Treatment) -> Treatment:
    """A treatment in which the product was used several times; it took place unless all of them are void."""
    if one.void is None or other.void is None:
        real = [each for each in (one, other) if each.void is None]
    else:
        real = [one, other]
    first = min(real, key=lambda each: (each.at is None, each.at.timestamp() if each.at else 0.0))
    now = one if other.why else other
    return Treatment(
        reference=one.reference,
        patient=one.patient,
        product=one.product,
        fit=now.fit,
        at=first.at,
        until=first.until,
        over=None if any(each.over is None for each in real) else max(each.over for each in real if each.over),
        void=first.void,
        through=tuple(sorted({*one.through, *other.through})),
        sites=tuple(dict.fromkeys((*one.sites, *other.sites))),
        places=tuple(dict.fromkeys((*one.places, *other.places))),
        doses=(*one.doses, *other.doses),
        why=now.why,
    )


def _dosages(resource: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """``dosage`` of an administration or a statement, ``dosageInstruction`` of a dispense."""
    listed = _listed(resource.get("dosage")) + _listed(resource.get("dosageInstruction"))
    return [each for each in listed if isinstance(each, Mapping)]


def _doses(resource: Mapping[str, Any]) -> tuple[str, ...]:
    if resource.get("resourceType") == "Procedure":
        return ()
    quantities = [each.get("dose") for each in _dosages(resource)]
    quantities += [rate.get("doseQuantity") for each in _dosages(resource) for rate in _listed(each.get("doseAndRate"))]
    quantities.append(resource.get("quantity"))
    found = []
    for dose in quantities:
        if isinstance(dose, Mapping) and "value" in dose:
            found.append(f"{dose['value']} {dose.get('unit') or dose.get('code') or ''}".strip())
    return tuple(found)


def _names(value: Any) -> tuple[str, ...]:
    """Concepts as people read them."""
    made = []
    for concept in _listed(value):
        displays = [str(each.get("display") or each.get("code")) for each in concept.get("coding") or ()]
        made += [str(concept["text"])] if concept.get("text") else displays[:1]
    return tuple(made)


def _time(resource: Mapping[str, Any], site: Site) -> Span | None:
    """When it took place, or of a period when it began; what is told to the day alone may be any time of that day."""
    for member in _MOMENTS:
        if isinstance(resource.get(member), str):
            return dates.span(resource[member], site.zone)
    for member in _PERIODS:
        if isinstance(resource.get(member), Mapping):
            begun = resource[member].get("start")
            if isinstance(begun, str):
                return dates.span(begun, site.zone)
            return Span(None, dates.period(resource[member], site.zone).end)
    return None


def _over(resource: Mapping[str, Any], site: Site) -> datetime | None:
    """When it was over for certain. What was handed over, is taken or lies in the body may be used still."""
    if resource.get("resourceType") not in _OVER:
        return None
    for member in _PERIODS:
        if isinstance(resource.get(member), Mapping):
            return dates.period(resource[member], site.zone).end
    time = _time(resource, site)
    return None if time is None else time.end


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
