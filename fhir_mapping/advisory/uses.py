"""From products to the resources that say somebody was given one.

A product is named by what gave it (``medicationReference``, ``device``, ``focalDevice``, ``usedReference``), or lies in
it (contained), or is an implant (``Device.patient``), or an Observation tells its lot. A drug mixed from others is
followed to them (``Medication.ingredient``), and what was handed over to what was used at home of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Select, exists, func, or_, select

from consent.store.write import among
from fhir_mapping.advisory.batch import Product
from fhir_mapping.advisory.stated import PRODUCTS, USES, State
from fhir_mapping.advisory.tables import advisory_dropped, advisory_lot
from fhir_mapping.tables import fhir_reference, fhir_resource

_REFERENCE = fhir_reference.c

#: By which an Observation says what it is about.
_ABOUT = ("partOf", "focus")

#: By which a use names an Observation that tells more of it.
_TOLD_BY = ("supportingInformation", "derivedFrom", "partOf", "reasonReference")


def uses_of(connection: Connection, products: Iterable[Product]) -> dict[str, dict[str, bool]]:
    """Use -> products used in it, by their references -> whether an earlier version alone says so."""
    found: dict[str, dict[str, bool]] = defaultdict(dict)
    drugs: dict[str, set[str]] = defaultdict(set)
    observed: dict[str, set[str]] = defaultdict(set)
    for product in products:
        holder, _, part = product.reference.partition("#")
        kind = kind_of(holder)
        if kind == "Observation" and not part:
            observed[holder].add(product.reference)
        elif kind in PRODUCTS:
            drugs[holder].add(product.reference)
        else:
            found[holder][product.reference] = False
    for target, observation in about(connection, observed):
        if kind_of(target) in PRODUCTS:
            drugs[target] |= observed[observation]
        else:
            _add(found, target, observed[observation], False)
    told = {each for _, each in about(connection, observed)}
    for observation in set(observed) - told:
        _add(found, observation, observed[observation], False)
    _mix(connection, drugs)
    named = select(_REFERENCE.target, _REFERENCE.type, _REFERENCE.id).where(
        among(connection, _REFERENCE.target, drugs), _REFERENCE.type.in_(USES)
    )
    for row in connection.execute(named):
        _add(found, f"{row.type}/{row.id}", drugs[row.target], False)
    formerly = select(advisory_dropped).where(
        among(connection, advisory_dropped.c.target, {*drugs, *found}), advisory_dropped.c.type.in_(USES)
    )
    for row in connection.execute(formerly).all():
        _add(found, f"{row.type}/{row.id}", drugs.get(row.target) or set(found.get(row.target, ())), True)
    implants = select(fhir_resource.c.id).where(
        fhir_resource.c.type == "Device",
        among(connection, fhir_resource.c.id, {id_of(each) for each in drugs if kind_of(each) == "Device"}),
        fhir_resource.c.patient.is_not(None),
    )
    for identity in connection.execute(implants).scalars():
        _add(found, f"Device/{identity}", drugs[f"Device/{identity}"], False)
    _at_home(connection, found)
    return dict(found)


def without_told(connection: Connection, found: dict[str, dict[str, bool]]) -> dict[str, dict[str, bool]]:
    """Uses of products without a lot, but for those whose lot an Observation tells, of them or of their treatment."""
    procedures = procedures_of(connection, found)
    candidates = {*found, *(each for those in procedures.values() for each in those)}
    telling = select(advisory_lot.c.id).where(
        advisory_lot.c.type == "Observation",
        advisory_lot.c.id == _REFERENCE.id,
        advisory_lot.c.state == State.TOLD.value,
        advisory_lot.c.former.is_(False),
    )
    query = select(_REFERENCE.target).where(
        among(connection, _REFERENCE.target, candidates),
        _REFERENCE.type == "Observation",
        _REFERENCE.path.in_(_ABOUT),
        telling.exists(),
    )
    told = set(connection.execute(query).scalars())
    for kind, ids in by_kind(found):
        naming = select(_REFERENCE.id).where(
            _REFERENCE.type == kind,
            among(connection, _REFERENCE.id, ids),
            _REFERENCE.path.in_(_TOLD_BY),
            _REFERENCE.target.startswith("Observation/"),
            exists().where(
                advisory_lot.c.type == "Observation",
                advisory_lot.c.id == func.substr(_REFERENCE.target, len("Observation/") + 1),
                advisory_lot.c.state == State.TOLD.value,
                advisory_lot.c.former.is_(False),
            ),
        )
        told |= {f"{kind}/{identity}" for identity in connection.execute(naming).scalars()}
    return {
        use: products
        for use, products in found.items()
        if use not in told and not any(each in told for each in procedures.get(use, ()))
    }


def about(connection: Connection, observations: Collection[str]) -> list[tuple[str, str]]:
    """What each Observation is about, use or product, whichever of the two names the other: target, Observation."""
    ids = {id_of(each) for each in observations}
    if not ids:
        return []
    wanted = set(PRODUCTS) | set(USES)
    out = select(_REFERENCE.id, _REFERENCE.target).where(
        _REFERENCE.type == "Observation", among(connection, _REFERENCE.id, ids), _REFERENCE.path.in_(_ABOUT)
    )
    found = {(row.target, f"Observation/{row.id}") for row in connection.execute(out) if kind_of(row.target) in wanted}
    into = select(_REFERENCE.target, _REFERENCE.type, _REFERENCE.id).where(
        among(connection, _REFERENCE.target, observations),
        _REFERENCE.type.in_(USES),
        _REFERENCE.path.in_(_TOLD_BY),
    )
    found |= {(f"{row.type}/{row.id}", row.target) for row in connection.execute(into) if row.type != "Observation"}
    return sorted(found)


def procedures_of(connection: Connection, uses: Collection[str]) -> dict[str, set[str]]:
    """Use -> the Procedures that it is part of, or that are part of it; a Procedure is its own."""
    found: dict[str, set[str]] = defaultdict(set)
    for use in uses:
        if kind_of(use) == "Procedure":
            found[use].add(use)
    for kind, ids in by_kind(uses):
        if kind != "Procedure":
            out = select(_REFERENCE.id, _REFERENCE.target).where(
                _REFERENCE.type == kind,
                among(connection, _REFERENCE.id, ids),
                _REFERENCE.path.in_(("partOf", "derivedFrom") if kind == "DeviceUseStatement" else ("partOf",)),
            )
            for row in connection.execute(out):
                if kind_of(row.target) == "Procedure":
                    found[f"{kind}/{row.id}"].add(row.target)
    into = _into(connection, {each for each in uses if kind_of(each) != "Procedure"}, "Procedure", ("partOf",))
    for row in connection.execute(into):
        found[row.target].add(f"Procedure/{row.id}")
    return dict(found)


def kind_of(reference: str) -> str:
    """``Patient`` of ``Patient/x``."""
    return reference.partition("/")[0]


def id_of(reference: str) -> str:
    """``x`` of ``Patient/x``."""
    return reference.partition("/")[2]


def by_kind(named: Iterable[str]) -> Iterator[tuple[str, set[str]]]:
    """References as type and ids."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for each in named:
        kinds[kind_of(each)].add(id_of(each))
    yield from sorted(kinds.items())


def _mix(connection: Connection, drugs: dict[str, set[str]]) -> None:
    """Add the drugs that others were mixed into, however often."""
    pending = set(drugs)
    while pending:
        query = _into(connection, pending, "Medication", ("ingredient.itemReference",))
        pending = set()
        for row in connection.execute(query):
            mixed = f"Medication/{row.id}"
            if not drugs[row.target] <= drugs.get(mixed, set()):
                drugs[mixed] |= drugs[row.target]
                pending.add(mixed)


def _at_home(connection: Connection, found: dict[str, dict[str, bool]]) -> None:
    """Add what was used at home of what was handed over, unless it names a product of its own."""
    handed = {use for use in found if kind_of(use) == "MedicationDispense"}
    if not handed:
        return
    rows = connection.execute(_into(connection, handed, "MedicationStatement", ("derivedFrom", "partOf"))).all()
    own = select(_REFERENCE.id).where(
        _REFERENCE.type == "MedicationStatement",
        among(connection, _REFERENCE.id, {row.id for row in rows}),
        _REFERENCE.path == "medicationReference",
    )
    named = set(connection.execute(own).scalars())
    for row in rows:
        if row.id not in named:
            for product, former in found[row.target].items():
                _add(found, f"MedicationStatement/{row.id}", {product}, former)


def _into(connection: Connection, targets: Collection[str], kind: str, paths: tuple[str, ...]) -> Select[Any]:
    return select(_REFERENCE.target, _REFERENCE.id).where(
        among(connection, _REFERENCE.target, targets),
        _REFERENCE.type == kind,
        or_(*(_REFERENCE.path == path for path in paths)),
    )


def _add(found: dict[str, dict[str, bool]], use: str, products: Iterable[str], former: bool) -> None:
    mine = found.setdefault(use, {})
    for product in products:
        mine[product] = mine.get(product, True) and former
