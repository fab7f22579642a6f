"""From a lot to every patient, treatment and photo.

The record is read as it stands; photos are decided by the requester's own purpose (PATSFTY), as at any door.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from zoneinfo import ZoneInfo

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
from consent.store.tables import patient as people
from consent.store.tables import photo_patient
from consent.store.write import among
from consent.types import Request, Requester
from fhir_mapping import dates
from fhir_mapping.advisory.batch import BEST, Advisory, Patient, Photo, Treatment, When
from fhir_mapping.advisory.products import products
from fhir_mapping.advisory.treatments import documents_of, site_codes, treatments_with, visits_of
from fhir_mapping.errors import Forbidden, Invalid, Issue
from fhir_mapping.projections.read import current
from fhir_mapping.search.values import micros


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
        The request is for another purpose, or the account does not hold it, or is confined to a patient.
    Invalid
        The lot has no letter and no digit, or the expiry is no FHIR date.
    """
    if request.purpose != PATSFTY or PATSFTY not in request.requester.purposes:
        raise Forbidden(Issue("forbidden", "A batch question is asked for PATSFTY, by an account that holds it."))
    if request.requester.confined_to is not None:
        raise Forbidden(
            Issue("forbidden", "A batch question is about everybody; the account is confined to a patient.")
        )
    _check(lot, expiry)
    bearing = products(connection, lot, expiry)
    treatments, unplaced = treatments_with(connection, site, bearing)
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
                details={
                    "lot": lot[:200],
                    **({} if expiry is None else {"expiry": expiry}),
                    "patients": sorted(by_patient),
                    "treatments": len(treatments),
                },
            )
        ]
    )
    everything = {number for each in numbers.values() for number in each}
    loaded = {
        each.number: each.facts.photo
        for each in Loader(connection, request.requester).photos(everything)
        if each.number is not None and each.facts.photo is not None
    }
    links: dict[str, dict[int, bool]] = {}
    for identity, mine in by_patient.items():
        own = {number: loaded[number] for number in numbers[identity] if number in loaded}
        links[identity] = _concerned(connection, mine, own)
    # What is not known to show another area is asked for, and no more: the record says what was named.
    asked = {number for each in links.values() for number in each} | (everything - set(loaded))
    released = point.photos(request, sorted(asked), route="advisory", fulfils=frozenset())
    allowed = _allowed(connection, site, released.numbers)
    patients = [
        _patient(connection, identity, mine, links[identity], loaded, allowed)
        for identity, mine in sorted(by_patient.items())
    ]
    patients.sort(key=lambda each: (BEST[each.fit], each.id))
    return Advisory(lot, expiry, tuple(bearing), tuple(patients), tuple(unplaced), released.refused)


def _check(lot: str, expiry: str | None) -> None:
    """A question that no record could answer is refused: its answer would read as if nobody were concerned."""
    if not any(each.isalnum() for each in lot):
        raise Invalid(Issue("value", "A batch question names a lot."))
    if expiry is not None:
        try:
            if "T" in expiry:
                raise ValueError(expiry)
            dates.span(expiry, ZoneInfo("UTC"))
        except ValueError:
            raise Invalid(Issue("value", "The expiry is a date: YYYY-MM or YYYY-MM-DD.")) from None


def _photos_of(connection: Connection, patients: Collection[str]) -> dict[str, list[int]]:
    """Numbers of all photos that show each patient, under whichever of her merged records they lie."""
    asked, other = people.alias(), people.alias()
    merged = connection.execute(
        select(asked.c.patient.label("asked"), other.c.patient)
        .join(other, other.c.survivor == asked.c.survivor)
        .where(among(connection, asked.c.patient, patients))
    )
    records: dict[str, set[str]] = {each: {each} for each in patients}
    for row in merged:
        records[row.asked].add(row.patient)
    shown: dict[str, list[int]] = {}
    rows = connection.execute(
        select(photo_patient.c.patient, photo_patient.c.photo).where(
            among(connection, photo_patient.c.patient, {each for own in records.values() for each in own})
        )
    )
    for row in rows:
        shown.setdefault(row.patient, []).append(row.photo)
    return {each: sorted({photo for record in own for photo in shown.get(record, ())}) for each, own in records.items()}


def _concerned(
    connection: Connection, treatments: Collection[Treatment], photos: Mapping[int, PhotoFacts]
) -> dict[int, bool]:
    """Those of a patient's photos that may show what was treated, and whether each is linked to a treatment."""
    named = {each.reference for each in treatments} | {use for each in treatments for use in each.through}
    reached = named | visits_of(connection, named)
    documents = documents_of(connection, named)
    links = {number: bool(facts.links & reached) or facts.document in documents for number, facts in photos.items()}
    areas = _areas(connection, treatments, photos.values())
    if areas is not None:
        areas |= {region.code for number, facts in photos.items() if links[number] for region in facts.regions}
    return {number: linked for number, linked in links.items() if linked or _same_area(photos[number], areas)}


def _patient(
    connection: Connection,
    identity: str,
    treatments: list[Treatment],
    links: Mapping[int, bool],
    loaded: Mapping[int, PhotoFacts],
    allowed: Mapping[int, tuple[str, ...]],
) -> Patient:
    """The answer about a patient: of the photos those that were released, which :func:`_allowed` tells of."""
    resource = current(connection, "Patient", identity) or {}
    photos = [
        _photo(number, identity, loaded[number], treatments, linked, allowed[number])
        for number, linked in links.items()
        if number in allowed
    ]
    far = micros(None, 1 << 62)
    photos.sort(key=lambda each: (far if each.taken is None else micros(each.taken, far), each.number))
    return Patient(
        id=identity,
        name=_name(resource),
        birth=resource.get("birthDate"),
        fit=min((each.fit for each in treatments), key=BEST.__getitem__),
        treatments=tuple(sorted(treatments, key=lambda each: (micros(each.at, far), each.reference))),
        photos=tuple(photos),
    )


def _photo(
    number: int,
    patient: str,
    facts: PhotoFacts,
    treatments: Collection[Treatment],
    linked: bool,
    allowed: tuple[str, ...],
) -> Photo:
    when = _when(facts, [each for each in treatments if each.void is None])
    taken = None if facts.taken is None else facts.taken.start
    return Photo(number, facts.photo, facts.document or "", patient, when, taken, linked, allowed)


def _when(facts: PhotoFacts, treatments: Collection[Treatment]) -> When:
    """Before them all, or after one of them: what the record's times leave open is not known."""
    taken = facts.taken
    if taken is None:
        return When.UNKNOWN
    ends = [each.until for each in treatments if each.until is not None]
    if ends and taken.start is not None and taken.start >= min(ends):
        return When.AFTER
    starts = [each.at for each in treatments if each.at is not None]
    if starts and len(starts) == len(treatments) and taken.end is not None and taken.end <= min(starts):
        return When.BEFORE
    return When.UNKNOWN


def _areas(
    connection: Connection, treatments: Collection[Treatment], photos: Collection[PhotoFacts]
) -> set[str] | None:
    """Codes of what was treated, by the treatments or else by the photos linked to them; None: not known of each."""
    areas: set[str] = set()
    for treatment in treatments:
        codes = site_codes(connection, treatment)
        if codes is not None and not codes:
            own = {treatment.reference, *treatment.through}
            codes = {region.code for photo in photos if photo.links & own for region in photo.regions}
        if not codes:
            return None
        areas |= codes
    return areas


def _same_area(facts: PhotoFacts, areas: Collection[str] | None) -> bool:
    """Whether a photo may show what was treated; unknown on either side counts as yes."""
    if areas is None or not facts.regions:
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


def _name(resource: Mapping[str, Any]) -> str:
    for name in resource.get("name") or ():
        if name.get("text"):
            return str(name["text"])
        parts = [*(name.get("given") or ()), name.get("family")]
        joined = " ".join(str(each) for each in parts if each)
        if joined:
            return joined
    return ""
