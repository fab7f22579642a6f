"""Which products on record bear a lot."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from fhir_mapping import text
from fhir_mapping.advisory.batch import BEST, Fit, Product
from fhir_mapping.projections.read import current
from fhir_mapping.search.index import ILLEGIBLE, lots_of
from fhir_mapping.search.values import folded, indexed, lot_key
from fhir_mapping.tables import fhir_resource, fhir_token, fhir_version

_NAMES = ("lot-number", "contained-lot")

_WILD = re.compile(r"[?*_]")
_WORD = re.compile(r"[^\W_]+")
_MAX_WORDS = 40


def products(connection: Connection, lot: str, expiry: str | None) -> list[Product]:
    """All products that may be of the batch, each with how well it fits.

    Parameters
    ----------
    lot
        As printed; spaces around it do not matter.
    expiry
        FHIR date, or None where the advisory names none.
    """
    lot = lot.strip()
    found: dict[str, Product] = {}
    bare: set[str] = set()
    for kind, identity in _candidates(connection, lot):
        for reference, product in _bearers(f"{kind}/{identity}", current(connection, kind, identity) or {}):
            fits = [(fit, *each) for each in lots_of(product) if (fit := _fit(*each, lot, expiry)) is not None]
            if fits:
                fit, stated, until = min(fits, key=lambda each: BEST[each[0]])
                found[reference] = Product(reference, fit, name_of(product), stated, until)
                if not isinstance(product.get("batch"), Mapping):
                    bare.add(reference)
    for reference, product in _former(connection):
        if reference not in found or found[reference].lot is None:
            for stated, until in lots_of(product):
                if stated is not None and stated.strip() == lot:
                    found[reference] = Product(reference, Fit.UNREADABLE, name_of(product), stated, until, former=True)
    exact = {folded(each.name) for each in found.values() if each.fit is not Fit.UNREADABLE}
    return [each for _, each in sorted(found.items()) if _concerned(each, exact, each.reference in bare)]


def _concerned(product: Product, exact: Collection[str], bare: bool) -> bool:
    """Whether a product without a lot may be of the batch: only names tell such products apart.

    One that has a batch on record is left out if it is called otherwise than those that fit for certain. One that has
    none, as most machines, counts if it is called the same.
    """
    if product.lot is not None:
        return True
    name = folded(product.name)
    if bare:
        return name != "" and name in exact
    return not exact or "" in exact or name == "" or name in exact


def name_of(product: Mapping[str, Any]) -> str:
    """What a product is called: by its code's text or display, or the device's name."""
    for concept in (product.get("code"), product.get("type")):
        if isinstance(concept, Mapping):
            displays = [str(each.get("display") or each.get("code")) for each in concept.get("coding") or ()]
            found = [*([str(concept["text"])] if concept.get("text") else []), *displays]
            if found:
                return found[0]
    names = [str(each.get("name")) for each in product.get("deviceName") or () if each.get("name")]
    return names[0] if names else ""


def _candidates(connection: Connection, lot: str) -> list[tuple[str, str]]:
    """Resources whose lot is the one asked for, reads alike, or is missing or not legible."""
    token = fhir_token.c
    alike = select(token.type, token.id).where(
        token.name.in_([f"{name}-key" for name in _NAMES]), token.value.contains(lot_key(lot), autoescape=True)
    )
    same = select(token.type, token.id).where(token.name.in_(_NAMES), token.value == indexed(lot))
    unclear = select(token.type, token.id).where(token.name.in_([f"{name}-unclear" for name in _NAMES]))
    found: set[tuple[str, str]] = set()
    for query in (alike, same, unclear):
        found |= {(row.type, row.id) for row in connection.execute(query)}
    return sorted(found)


def _former(connection: Connection) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Earlier versions of products; a clinic has few, and the index holds the current ones alone."""
    query = (
        select(fhir_version.c.type, fhir_version.c.id, fhir_version.c.body)
        .join(fhir_resource, (fhir_resource.c.type == fhir_version.c.type) & (fhir_resource.c.id == fhir_version.c.id))
        .where(fhir_version.c.type.in_(("Medication", "Device")), fhir_version.c.version != fhir_resource.c.version)
        .order_by(fhir_version.c.type, fhir_version.c.id, fhir_version.c.version)
    )
    for row in connection.execute(query):
        yield f"{row.type}/{row.id}", text.kept(bytes(row.body))


def _bearers(reference: str, resource: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if resource.get("resourceType") in ("Medication", "Device"):
        yield reference, resource
    for contained in resource.get("contained") or ():
        if contained.get("resourceType") in ("Medication", "Device"):
            yield f"{reference}#{contained.get('id')}", contained


def _fit(stated: str | None, stated_expiry: str | None, lot: str, expiry: str | None) -> Fit | None:
    if stated is None:
        return Fit.UNREADABLE
    if stated.strip() == lot:
        same = expiry is None or (stated_expiry is not None and _same_date(stated_expiry, expiry))
        return Fit.EXACT if same else Fit.OTHER_EXPIRY
    if lot_key(lot) in _keys(stated) or folded(stated) in ILLEGIBLE or _matches_wild(stated, lot):
        return Fit.UNREADABLE
    return None


def _keys(stated: str) -> set[str]:
    """How a lot reads, whole and by words: ``Lot C3709C3, exp 12/2023``, or two lots in one field."""
    words = _WORD.findall(folded(stated))[:_MAX_WORDS]
    runs = {"".join(words[first:last]) for first in range(len(words)) for last in range(first + 1, len(words) + 1)}
    return {lot_key(stated)} | {lot_key(run) for run in runs}


def _matches_wild(stated: str, lot: str) -> bool:
    """Whether a lot with illegible places, ``LOT-00?1``, could be this one."""
    if not _WILD.search(stated) or len(stated) > 100:
        return False
    pieces = re.split(r"([?*_])", stated.strip())
    pattern = "".join(
        ".*" if piece == "*" else "." if piece in ("?", "_") else re.escape(piece) for piece in _collapsed(pieces)
    )
    return re.fullmatch(pattern, lot, re.IGNORECASE) is not None


def _collapsed(pieces: list[str]) -> list[str]:
    """Several stars in a row as one, so that matching stays cheap."""
    kept: list[str] = []
    for piece in pieces:
        if piece and not (piece == "*" and kept and kept[-1] == "*"):
            kept.append(piece)
    return kept if kept.count("*") <= 3 else []


def _same_date(stated: str, asked: str) -> bool:
    """Two dates as far as both go: 2027-01 and 2027-01-31 are the same expiry."""
    length = min(len(stated[:10]), len(asked[:10]))
    return length >= 4 and stated[:length] == asked[:length]
