"""From a batch to every patient, treatment and photo.

The record is read as it stands; photos are decided by the requester's own purpose (PATSFTY), as at any door. However
many are concerned, it is a fixed number of statements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from consent.audit.chain import Chain
from consent.audit.record import Kind, of_request
from consent.purposes import PATSFTY
from consent.service import DecisionPoint
from consent.site import Site
from consent.types import Request
from fhir_mapping.advisory.asked import Question
from fhir_mapping.advisory.batch import BEST, Advisory, Contact, Fit, Patient, Photo, Product, Treatment
from fhir_mapping.advisory.people import contacts_of, death_of, name_of, records_of
from fhir_mapping.advisory.photos import photos_of
from fhir_mapping.advisory.products import lotless, names_like, names_of, products
from fhir_mapping.advisory.stated import PRODUCTS, device_names
from fhir_mapping.advisory.treatments import Kept, kept, treatments_with, within
from fhir_mapping.advisory.uses import id_of, kind_of, told_of, uses_of
from fhir_mapping.errors import Forbidden, Issue
from fhir_mapping.search.values import micros

_FAR = 1 << 62


def ask(
    point: DecisionPoint,
    connection: Connection,
    chain: Chain,
    request: Request,
    site: Site,
    question: Question,
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
    """
    require(request)
    resources: dict[str, Kept] = {}
    bearing, treatments, unplaced = _reached(connection, site, question, resources)
    records = records_of(connection, {each.patient for each in treatments})
    by_patient: dict[str, list[Treatment]] = defaultdict(list)
    for treatment in treatments:
        by_patient[records[treatment.patient].survivor].append(treatment)
    chain.append(
        [
            of_request(
                Kind.READ,
                door,
                "advisory",
                request,
                subject="advisory",
                os_user=os_user,
                details=question.plain() | {"patients": sorted(by_patient), "treatments": len(treatments)},
            )
        ]
    )
    groups = {identity: records[mine[0].patient].all for identity, mine in by_patient.items()}
    shown, astray = photos_of(point, connection, request, site, by_patient, groups, resources)
    people = kept(connection, {f"Patient/{each}" for group in groups.values() for each in group})
    contacts = contacts_of(connection, site, groups, {id_of(each): kept.resource for each, kept in people.items()})
    patients = [
        _patient(identity, mine, people, groups[identity], contacts.get(identity, ()), shown)
        for identity, mine in by_patient.items()
    ]
    patients.sort(key=lambda each: (BEST[each.fit], each.id))
    return Advisory(question, tuple(bearing), tuple(patients), tuple(unplaced), astray)


def require(request: Request) -> None:
    """Let nobody go on but who works for patient safety, for everybody.

    Raises
    ------
    Forbidden
    """
    if request.purpose != PATSFTY or PATSFTY not in request.requester.purposes:
        raise Forbidden(Issue("forbidden", "A batch question is asked for PATSFTY, by an account that holds it."))
    if request.requester.confined_to is not None:
        raise Forbidden(
            Issue("forbidden", "A batch question is about everybody; the account is confined to a patient.")
        )


def _reached(
    connection: Connection, site: Site, question: Question, resources: dict[str, Kept]
) -> tuple[list[Product], list[Treatment], list[str]]:
    """The products that may be of the batch, and what they were used in."""
    stating = products(connection, question)
    uses = uses_of(connection, stating)
    sure = {each.reference for each in stating if each.fit is not Fit.UNREADABLE}
    holders = {(kind_of(each), id_of(each.partition("#")[0])) for each in sure}
    # An Observation names no product; what it is about does.
    holders |= {(kind_of(use), id_of(use)) for use, mine in uses.items() if sure & set(mine)}
    names = names_of(connection, holders) or names_of(
        connection, {(kind_of(each.reference), id_of(each.reference.partition("#")[0])) for each in stating}
    )
    unnamed = (not names and question.product is None) or any(
        each.reference in sure and not each.name and kind_of(each.reference) != "Observation" for each in stating
    )
    names |= _asked_names(connection, question)
    known = {each.reference for each in stating}
    without = [each for each in lotless(connection, question, names, unnamed=unnamed) if each.reference not in known]
    untold = {use: mine for use, mine in uses_of(connection, without).items() if use not in uses}
    told = told_of(connection, untold)
    untold = {use: mine for use, mine in untold.items() if use not in told}
    uses |= untold
    # A use by a code alone whose lot is told elsewhere is nothing to look at.
    without = [
        each for each in without if kind_of(each.reference) in PRODUCTS or each.reference.partition("#")[0] in untold
    ]
    bearing = sorted([*stating, *without], key=lambda each: each.reference)
    found, unplaced = treatments_with(connection, site, bearing, uses, resources)
    return bearing, [each for each in found if within(each, question, site)], unplaced


def _asked_names(connection: Connection, question: Question) -> set[str]:
    """What the question itself calls the product: nobody may have written its lot down."""
    if question.product is not None:
        return names_like(connection, question.product)
    return {each for wanted in question.lots if wanted.device for each in device_names(wanted.device)}


def _patient(
    identity: str,
    treatments: list[Treatment],
    people: Mapping[str, Kept],
    group: Collection[str],
    contacts: Sequence[Contact],
    shown: Mapping[str, tuple[Photo, ...]],
) -> Patient:
    resource = people[f"Patient/{identity}"].resource if f"Patient/{identity}" in people else {}
    mine = [replace(each, patient=identity) for each in treatments]
    return Patient(
        id=identity,
        name=name_of(resource),
        birth=resource.get("birthDate"),
        died=death_of(resource),
        fit=min((each.fit for each in mine), key=BEST.__getitem__),
        records=tuple(sorted(set(group) - {identity})),
        contacts=tuple(contacts),
        treatments=tuple(sorted(mine, key=lambda each: (micros(each.at, _FAR), each.reference, each.product))),
        photos=shown.get(identity, ()),
    )
