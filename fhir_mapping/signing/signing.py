"""A signing, carried out: one transaction writes the Consents, the Yes in the place of what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from consent.codec import directive_from_json
from consent.directive import Directive, Rule
from consent.purposes import TREAT, Catalog
from consent.site import Site
from consent.store.tables import directive as directive_table
from consent.store.versions import group, lock
from consent.store.write import among
from fhir_mapping.signing.build import Signed, consents
from fhir_mapping.signing.wishes import Answer, Wishes
from fhir_mapping.store.reader import Stored
from fhir_mapping.store.record import RecordStore


def sign(
    connection: Connection, record: RecordStore, wishes: Wishes, signed: Signed, *, source: str
) -> tuple[Stored, ...]:
    """Write what was signed.

    Raises
    ------
    fhir_mapping.errors.Refused
        A Consent cannot be written so; nothing may be committed then.
    """
    lock(connection)
    made: list[dict[str, Any]] = consents(
        record.site, wishes, signed, replaced(connection, record.site, wishes, signed)
    )
    return tuple(record.create(connection, "Consent", each, source=source) for each in made)


def replaced(connection: Connection, site: Site, wishes: Wishes, signed: Signed) -> Sequence[str]:
    """The Consents whose place a Yes takes: those that stand and say something of its purposes.

    What she signed herself only she replaces, so it stays where somebody else signs for her; one that is dated later
    stays, too.
    """
    purposes = {use.purpose for use in wishes.said(Answer.YES)}
    hers = group(connection, [wishes.patient])
    rows = connection.execute(
        select(directive_table.c.body)
        .where(among(connection, directive_table.c.patient, hers))
        .order_by(directive_table.c.consent)
    )
    found = [directive_from_json(row.body) for row in rows]
    herself = signed.by in {f"Patient/{each}" for each in hers}
    return [
        each.consent
        for each in found
        if each.status == "active"
        and (each.signed is None or each.signed.start is None or each.signed.start < signed.at)
        and (herself or not any(who.startswith("Patient/") for who in each.performers))
        and _speaks_of(each, purposes, site)
    ]


def _speaks_of(directive: Directive, purposes: set[str], site: Site) -> bool:
    rules = [*directive.nested, *([directive.root] if directive.root is not None else [])]
    return directive.opt_out or any(_names(rule, purposes, site) for rule in rules)


def _names(rule: Rule, purposes: set[str], site: Site) -> bool:
    if rule.purposes is None:  # a permit means TREAT, a denial nearly everything
        return TREAT in purposes or rule.effect.value == "deny"
    return any(rule.purposes.intersection(Catalog.of(site).line(code)) for code in purposes)
