"""From a lot to every patient, treatment and photo.

The record is read as it stands; photos are decided by the requester's own purpose (PATSFTY), as at any door. What one
treatment leads to is followed in both directions: an administration may be part of a Procedure, or a Procedure of an
administration (R4 Procedure.partOf, MedicationAdministration.partOf).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from consent.audit.chain import Chain
from consent.audit.record import Kind, of_request
from consent.decision import decide
from consent.facts import PhotoFacts
from consent.purposes import HRESCH, PATRQT, PATSFTY, SOCIAL, Catalog
from consent.regions import regions
from consent.service import DecisionPoint
from consent.site import Site
from consent.store.load import Loader
from consent.store.tables import photo_patient
from consent.store.write import among
from consent.types import Request, Requester
from fhir_mapping import dates, references
from fhir_mapping.advisory.batch import Advisory, Fit, Patient, Photo, Product, Treatment, When
from fhir_mapping.advisory.products import products
from fhir_mapping.errors import Forbidden, Issue
from fhir_mapping.projections.read import current
from fhir_mapping.search.values import micros
from fhir_mapping.tables import fhir_reference

_BEST = {Fit.EXACT: 0, Fit.OTHER_EXPIRY: 1, Fit.UNREADABLE: 2}

#: What can say that a product was used on somebody.
_USES = frozenset({"MedicationAdministration", "MedicationDispense", "DeviceUseStatement", "Procedure", "Observation"})


def ask(
    point: DecisionPoint,
    connection: Connection,
    chain: Chain,
    request: Request,
    site: Site,
    lot: str,
    expiry: str | None = None,
    *,
    door: str = "cli",
    os_user: str | None = None,
) -> Advisory:
    """Answer a batch question; the reading is recorded before this returns.

    Parameters
    ----------
    connection
        In one snapshot (:func:`consent.store.engine.reading`).
    request
        For PATSFTY.

    Raises
    ------
    Forbidden
        The request is for another purpose, or the account does not hold it.
    """
    if request.purpose != PATSFTY or PATSFTY not in request.requester.purposes:
        raise Forbidden(Issue("forbidden", "A batch question is asked for PATSFTY, by an account that holds it."))
    bearing = products(connection, lot, expiry)
    treatments, unplaced = _treatments(connection, site, bearing)
    by_patient: dict[str, list[Treatment]] = {}
    for treatment in treatments:
        by_patient.setdefault(treatment.patient, []).append(treatment)
    numbers = _photos_of(connection, by_patient)
    chain.append(
        [
            of_request(
                Kind.READ,
                door,
                "advisory",
                request,
                subject="advisory",
                os_user=os_user,
                details={"lot": lot[:200], "patients": sorted(by_patient), "treatments": len(treatments)},
            )
        ]
    )
    everything = [number for each in numbers.values() for number in each]
    released = point.photos(request, everything, route="advisory", fulfils=frozenset())
    allowed = _allowed(connection, site, released.numbers)
    loaded = {
        each.number: each.facts.photo
        for each in Loader(connection, request.requester).photos(released.numbers)
        if each.number is not None and each.facts.photo is not None
    }
    patients = [
        _patient(connection, identity, mine, [n for n in numbers[identity] if n in loaded], loaded, allowed)
        for identity, mine in sorted(by_patient.items())
    ]
    patients.sort(key=lambda each: (_BEST[each.fit], each.id))
    return Advisory(lot, expiry, tuple(bearing), tuple(patients), tuple(unplaced), released.refused)


def _treatments(connection: Connection, site: Site, bearing: Iterable[Product]) -> tuple[list[Treatment], list[str]]:
    """Every treatment that a product was used in, with the best fit, and uses without a patient."""
    found: dict[tuple[str, str], Treatment] = {}
    unplaced: set[str] = set()
    for product in sorted(bearing, key=lambda each: _BEST[each.fit]):
        for use in _uses(connection, product):
            resource = current(connection, *_pair(use)) or {}
            for reference in _procedures(connection, use) or [use]:
                about = current(connection, *_pair(reference)) or {}
                patient = _patient_of(about) or _patient_of(resource)
                if patient is None:
                    unplaced.add(use)
                    continue
                key = (reference, product.reference)
                old = found.get(key)
                through = tuple(sorted({*(old.through if old else ()), *([use] if use != reference else [])}))
                sites = _names(about.get("bodySite")) + _names((resource.get("dosage") or {}).get("site"))
                doses = _doses(resource)
                found[key] = Treatment(
                    reference=reference,
                    patient=patient,
                    product=product.reference,
                    fit=product.fit,
                    at=_time(about, site) or _time(resource, site),
                    through=through,
                    sites=tuple(dict.fromkeys((*(old.sites if old else ()), *sites))),
                    doses=(*(old.doses if old else ()), *doses),
                )
    return [found[key] for key in sorted(found)], sorted(unplaced)


def _uses(connection: Connection, product: Product) -> list[str]:
    """Resources that say the product was used: those that name it, or hold it."""
    holder, _, contained = product.reference.partition("#")
    if contained:
        return [holder]
    query = select(fhir_reference.c.type, fhir_reference.c.id).where(
        fhir_reference.c.target == holder, fhir_reference.c.type.in_(sorted(_USES))
    )
    return sorted({f"{row.type}/{row.id}" for row in connection.execute(query)})


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


def _photos_of(connection: Connection, patients: Collection[str]) -> dict[str, list[int]]:
    """Numbers of all photos that show each patient."""
    found: dict[str, list[int]] = {each: [] for each in patients}
    rows = connection.execute(
        select(photo_patient.c.patient, photo_patient.c.photo)
        .where(among(connection, photo_patient.c.patient, patients))
        .order_by(photo_patient.c.photo)
    )
    for row in rows:
        found[row.patient].append(row.photo)
    return found


def _patient(
    connection: Connection,
    identity: str,
    treatments: list[Treatment],
    numbers: list[int],
    loaded: Mapping[int, PhotoFacts],
    allowed: Mapping[int, tuple[str, ...]],
) -> Patient:
    resource = current(connection, "Patient", identity) or {}
    firsts = [each.at for each in treatments if each.at is not None]
    first = min(firsts) if firsts else None
    named = {each.reference for each in treatments} | {use for each in treatments for use in each.through}
    visits = {
        reference
        for each in named
        for reference in references.of(current(connection, *_pair(each)) or {}, "encounter")
        + references.of(current(connection, *_pair(each)) or {}, "context")
    }
    links = {number: bool(loaded[number].links & (named | visits)) for number in numbers}
    areas = {region.code for number in numbers if links[number] for region in loaded[number].regions}
    areas |= {code for each in treatments for code in _codes(connection, each)}
    photos = [
        _photo(number, identity, loaded[number], first, links[number], allowed.get(number, ()))
        for number in numbers
        if links[number] or _same_area(loaded[number], areas)
    ]
    far = micros(None, 1 << 62)
    photos.sort(key=lambda each: (far if each.taken is None else micros(each.taken, far), each.number))
    return Patient(
        id=identity,
        name=_name(resource),
        birth=resource.get("birthDate"),
        fit=min((each.fit for each in treatments), key=_BEST.__getitem__),
        treatments=tuple(sorted(treatments, key=lambda each: (micros(each.at, far), each.reference))),
        photos=tuple(photos),
    )


def _photo(
    number: int, patient: str, facts: PhotoFacts, first: datetime | None, linked: bool, allowed: tuple[str, ...]
) -> Photo:
    when = When.UNKNOWN
    if first is not None and facts.taken is not None:
        if facts.taken.end is not None and facts.taken.end <= first:
            when = When.BEFORE
        elif facts.taken.start is not None and facts.taken.start >= first:
            when = When.AFTER
    taken = None if facts.taken is None else facts.taken.start
    return Photo(number, facts.photo, facts.document or "", patient, when, taken, linked, allowed)


def _same_area(facts: PhotoFacts, areas: Collection[str]) -> bool:
    """Whether a photo may show what was treated; unknown on either side counts as yes."""
    if not areas or not facts.regions:
        return True
    tree = regions()
    return any(region.code == area or tree.overlap(region.code, area) for region in facts.regions for area in areas)


def _allowed(connection: Connection, site: Site, numbers: Collection[int]) -> dict[int, tuple[str, ...]]:
    """For which purposes each photo may be shown now. Nothing is released by asking this."""
    catalog = Catalog.of(site)
    asked: list[tuple[str, Request]] = []
    for code in catalog.codes():
        purpose = catalog.get(code)
        if purpose is None or not purpose.requestable or catalog.is_duty(code) or code in ("BTG", PATRQT):
            continue
        nobody = Requester("", (code,))
        if code == SOCIAL:
            asked += [(f"{code}:{each}", Request(nobody, code, channel=each)) for each in sorted(site.channels)]
        elif code == HRESCH:
            asked += [(code, Request(nobody, code))]
        else:
            asked.append((code, Request(nobody, code)))
    found: dict[int, list[str]] = {number: [] for number in numbers}
    for name, request in asked:
        for each in Loader(connection, request.requester).photos(numbers):
            if each.number is not None and decide(request, each.facts, each.now).permitted:
                found[each.number].append(name)
    return {number: tuple(names) for number, names in found.items()}


def _codes(connection: Connection, treatment: Treatment) -> set[str]:
    """Codes of the body sites treated that the region tree knows."""
    concepts: list[Any] = []
    for reference in (treatment.reference, *treatment.through):
        resource = current(connection, *_pair(reference)) or {}
        concepts += _listed(resource.get("bodySite")) + _listed((resource.get("dosage") or {}).get("site"))
    codes = {
        f"{coding.get('system', '')}|{coding.get('code', '')}"
        for concept in concepts
        for coding in concept.get("coding") or ()
    }
    return {code for code in codes if regions().by_code(code) is not None}


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


def _time(resource: Mapping[str, Any], site: Site) -> datetime | None:
    for member in ("performedDateTime", "effectiveDateTime", "effectiveInstant", "whenHandedOver", "recordedOn"):
        if isinstance(resource.get(member), str):
            return dates.span(resource[member], site.zone).start
    for member in ("performedPeriod", "effectivePeriod", "timingPeriod"):
        if isinstance(resource.get(member), Mapping):
            return dates.period(resource[member], site.zone).start
    return None


def _patient_of(resource: Mapping[str, Any]) -> str | None:
    found = [
        references.id_of(each)
        for member in ("subject", "patient")
        for each in references.of(resource, member)
        if references.target_type(each) == "Patient"
    ]
    return found[0] if found else None


def _name(resource: Mapping[str, Any]) -> str:
    for name in resource.get("name") or ():
        if name.get("text"):
            return str(name["text"])
        parts = [*(name.get("given") or ()), name.get("family")]
        joined = " ".join(str(each) for each in parts if each)
        if joined:
            return joined
    return ""


def _pair(reference: str) -> tuple[str, str]:
    kind, _, identity = reference.partition("/")
    return kind, identity


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
