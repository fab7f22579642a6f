"""Withdrawal: one transaction writes the denial and makes inactive every permit that it covers whole.

So removing the denial later opens nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from consent.codec import directive_from_json
from consent.directive import Directive, Reach, Rule
from consent.purposes import BTG, PATRQT, SOCIAL, TREAT, Catalog
from consent.site import Site
from consent.store.clock import now
from consent.store.tables import directive as directive_table
from consent.store.tables import photo, photo_patient
from consent.store.versions import group, lock
from consent.store.write import among
from consent.types import Effect
from fhir_mapping import text
from fhir_mapping.errors import Invalid, Issue
from fhir_mapping.resources.consent import denial
from fhir_mapping.store.reader import Stored
from fhir_mapping.store.record import RecordStore


@dataclass(frozen=True, slots=True)
class Wish:
    """What the patient no longer wants."""

    patient: str
    purposes: frozenset[str] = frozenset()
    """Codes of the catalogue; empty: everything that a denial without a purpose reaches."""

    channels: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()
    """Ids of DocumentReferences; empty: all photos."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a withdrawal wrote."""

    denial: Stored
    ended: tuple[Stored, ...]
    """The Consents that are inactive now."""


def withdraw(connection: Connection, record: RecordStore, wish: Wish, *, source: str) -> Withdrawn:
    """Carry out a withdrawal.

    Raises
    ------
    Invalid
        A purpose is not known, a photo is not hers, or the denial cannot be written; nothing may be committed then.
    """
    lock(connection)
    catalog = Catalog.of(record.site)
    for code in sorted(wish.purposes):
        if catalog.get(code) is None:
            raise Invalid(Issue("code-invalid", f"The purpose {code!r} is not known.", "Consent.provision.purpose"))
    for document in sorted(wish.documents - _hers(connection, wish)):
        said = f"DocumentReference/{document} is no photo of the patient: a denial would reach nothing."
        raise Invalid(Issue("business-rule", said, "Consent.provision.data"))
    body = denial(
        record.site,
        wish.patient,
        now(connection),
        purposes=wish.purposes,
        channels=wish.channels,
        documents=wish.documents,
    )
    written = record.create(connection, "Consent", body, source=source)
    ended = []
    for each in _standing(connection, wish.patient):
        if each.consent != written.id and covered(each, wish, record.site):
            former = record.read(connection, "Consent", each.consent)
            inactive = text.with_member(former.body, "status", "inactive")
            ended.append(record.update(connection, "Consent", each.consent, inactive, source=source))
    return Withdrawn(written, tuple(ended))


def covered(directive: Directive, wish: Wish, site: Site) -> bool:
    """Whether a withdrawal takes back every permit of a Consent, and its end would lift no denial that care reads."""
    rules = [rule for rule in (directive.root, *directive.nested) if rule is not None]
    permits = [rule for rule in rules if rule.effect is Effect.PERMIT]
    if directive.status != "active" or directive.opt_out or not permits:
        return False
    if any(rule.effect is Effect.DENY and (rule.purposes is None or TREAT in rule.purposes) for rule in rules):
        return False
    return all(_covers(wish, rule, site) for rule in rules)


def _covers(wish: Wish, rule: Rule, site: Site) -> bool:
    catalog = Catalog.of(site)
    # A permit without a purpose means TREAT; a denial without one is not narrowed by any wish.
    stated = rule.purposes if rule.purposes is not None else frozenset({TREAT})
    if not all(_reaches(wish.purposes, code, rule, catalog) for code in stated):
        return False
    # A channel narrows what is withdrawn of SOCIAL alone; a denial of anything else passes it over.
    if SOCIAL in stated and wish.channels:
        channels = frozenset() if rule.actors is None else rule.actors.channels
        if not channels or not channels <= wish.channels:
            return False
    if not wish.documents:
        return True
    named = rule.data or ()
    return bool(named) and all(
        each.reach is Reach.PHOTO and each.reference.rpartition("/")[2] in wish.documents for each in named
    )


def _reaches(denied: Collection[str], code: str, rule: Rule, catalog: Catalog) -> bool:
    """A denial reaches the purposes it names and their children; without a purpose all but duties and BTG.

    It leaves the patient her own PATRQT, and reaches that of proxies: a permit for these alone is covered.
    """
    if denied:
        return bool(set(catalog.line(code)) & set(denied))
    if code == PATRQT:
        persons = frozenset() if rule.actors is None else rule.actors.persons
        return bool(persons) and all(person.startswith("RelatedPerson/") for person in persons)
    return not catalog.is_duty(code) and code != BTG


def _hers(connection: Connection, wish: Wish) -> set[str]:
    """Those of the documents that are photos of the patient, by any record of hers."""
    query = (
        select(photo.c.document)
        .join(photo_patient, photo_patient.c.photo == photo.c.photo)
        .where(
            among(connection, photo.c.document, wish.documents),
            among(connection, photo_patient.c.patient, group(connection, [wish.patient])),
        )
    )
    return set(connection.execute(query).scalars())


def _standing(connection: Connection, patient: str) -> list[Directive]:
    """The Consents of every record of the person, by id."""
    rows = connection.execute(
        select(directive_table.c.body)
        .where(among(connection, directive_table.c.patient, group(connection, [patient])))
        .order_by(directive_table.c.consent)
    )
    return [directive_from_json(row.body) for row in rows]
