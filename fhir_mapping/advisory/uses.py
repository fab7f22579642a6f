"""From products to the resources that say somebody was given one.

A product is named by what gave it (``medicationReference``, ``device``, ``focalDevice``, ``usedReference``), or lies in
it (contained), or is an implant of which nothing says that it was put in (``Device.patient``), or an Observation tells
its lot. A drug mixed from others is followed to them (``Medication.ingredient``), a kit to its parts and back
(``Device.parent``), and what was handed over to what was used at home of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Select, exists, func, or_, select

from consent.store.write import among
from consent.wording import worded
from fhir_mapping.advisory.batch import Product
from fhir_mapping.advisory.stated import PRODUCTS, USES, State
from fhir_mapping.advisory.tables import advisory_dropped, advisory_lot
from fhir_mapping.tables import fhir_reference, fhir_resource
from fhir_mapping.treatment.elements import VOID

_REFERENCE = fhir_reference.c

#: By which an Observation says what it is about.
ABOUT = ("partOf", "focus")

#: By which a use names an Observation that tells more of it.
TOLD_BY = ("supportingInformation", "derivedFrom", "partOf", "reasonReference")

#: What says that an implant was put in.
_IMPLANTING = ("Procedure", "DeviceUseStatement")

#: Why a use is not one of the product for certain.
FORMER = worded("an earlier version names the product")
KIT = worded("a part of it, or what it is a part of, is named")

Uses = dict[str, dict[str, str]]
"""Use -> products used in it, by their references -> why that is not certain; empty: it is."""


def uses_of(connection: Connection, products: Collection[Product]) -> Uses:
    """The uses of products, by their references."""
    found: Uses = defaultdict(dict)
    if not products:
        return {}
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
            found[holder][product.reference] = ""
    panels = _panels(connection, observed)
    for panel, members in panels.items():
        observed[panel] = observed[panel].union(*(observed[each] for each in members))
    told: set[str] = set()
    for target, observation in about(connection, observed):
        told.add(observation)
        if kind_of(target) in PRODUCTS:
            drugs[target] |= observed[observation]
        else:
            _add(found, target, observed[observation], "")
    told |= {each for panel in told & set(panels) for each in panels[panel]}
    for observation in set(observed) - told - set(panels):
        _add(found, observation, observed[observation], "")
    _mix(connection, drugs)
    kits = _kits(connection, drugs)
    named = select(_REFERENCE.target, _REFERENCE.type, _REFERENCE.id).where(
        among(connection, _REFERENCE.target, {*drugs, *kits}), _REFERENCE.type.in_(USES)
    )
    naming: dict[str, set[str]] = defaultdict(set)
    for row in connection.execute(named):
        use = f"{row.type}/{row.id}"
        naming[row.target].add(use)
        _add(found, use, drugs.get(row.target, ()), "")
        _add(found, use, kits.get(row.target, ()), KIT)
    formerly = select(advisory_dropped).where(
        among(connection, advisory_dropped.c.target, {*drugs, *found}), advisory_dropped.c.type.in_(USES)
    )
    for row in connection.execute(formerly).all():
        _add(found, f"{row.type}/{row.id}", drugs.get(row.target) or set(found.get(row.target, ())), FORMER)
    for use in _implants(connection, {each for each in (*drugs, *kits) if kind_of(each) == "Device"}, naming):
        _add(found, use, drugs.get(use, ()), "")
        _add(found, use, kits.get(use, ()), KIT)
    _at_home(connection, found)
    return dict(found)


def told_of(connection: Connection, uses: Collection[str]) -> set[str]:
    """Those of the uses whose lot an Observation tells, of them or of their treatment."""
    if not uses:
        return set()
    procedures = procedures_of(connection, uses)
    candidates = {*uses, *(each for those in procedures.values() for each in those)}
    telling = select(advisory_lot.c.id).where(
        advisory_lot.c.type == "Observation",
        advisory_lot.c.id == _REFERENCE.id,
        advisory_lot.c.state == State.TOLD.value,
        advisory_lot.c.former.is_(False),
    )
    query = select(_REFERENCE.target).where(
        among(connection, _REFERENCE.target, candidates),
        _REFERENCE.type == "Observation",
        _REFERENCE.path.in_(ABOUT),
        telling.exists(),
    )
    told = set(connection.execute(query).scalars())
    for kind, ids in by_kind(uses):
        naming = select(_REFERENCE.id).where(
            _REFERENCE.type == kind,
            among(connection, _REFERENCE.id, ids),
            _REFERENCE.path.in_(TOLD_BY),
            _REFERENCE.target.startswith("Observation/"),
            exists().where(
                advisory_lot.c.type == "Observation",
                advisory_lot.c.id == func.substr(_REFERENCE.target, len("Observation/") + 1),
                advisory_lot.c.state == State.TOLD.value,
                advisory_lot.c.former.is_(False),
            ),
        )
        told |= {f"{kind}/{identity}" for identity in connection.execute(naming).scalars()}
    return {each for each in uses if each in told or not told.isdisjoint(procedures.get(each, ()))}


def about(connection: Connection, observations: Collection[str]) -> list[tuple[str, str]]:
    """What each Observation is about, use or product, whichever of the two names the other: target, Observation."""
    ids = {id_of(each) for each in observations}
    if not ids:
        return []
    wanted = set(PRODUCTS) | set(USES)
    out = select(_REFERENCE.id, _REFERENCE.target).where(
        _REFERENCE.type == "Observation", among(connection, _REFERENCE.id, ids), _REFERENCE.path.in_(ABOUT)
    )
    found = {(row.target, f"Observation/{row.id}") for row in connection.execute(out) if kind_of(row.target) in wanted}
    into = select(_REFERENCE.target, _REFERENCE.type, _REFERENCE.id).where(
        among(connection, _REFERENCE.target, observations),
        _REFERENCE.type.in_(USES),
        _REFERENCE.path.in_(TOLD_BY),
    )
    found |= {(f"{row.type}/{row.id}", row.target) for row in connection.execute(into) if row.type != "Observation"}
    return sorted(found)


def _panels(connection: Connection, observations: Collection[str]) -> dict[str, set[str]]:
    """The Observations that have these as members."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in connection.execute(_into(connection, observations, "Observation", ("hasMember",))):
        found[f"Observation/{row.id}"].add(row.target)
    return found


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


def _implants(connection: Connection, devices: Collection[str], naming: Mapping[str, Collection[str]]) -> list[str]:
    """The devices that are somebody's, but for those whose implantation is on record: that tells when and where."""
    if not devices:
        return []
    columns = fhir_resource.c
    query = select(columns.id, columns.patient).where(
        columns.type == "Device", among(connection, columns.id, set(map(id_of, devices))), columns.patient.is_not(None)
    )
    whose = {f"Device/{row.id}": row.patient for row in connection.execute(query)}
    uses = {use for each in whose for use in naming.get(each, ()) if kind_of(use) in _IMPLANTING}
    about: dict[str, str] = {}
    for kind, ids in by_kind(uses):
        stating = select(columns.id, columns.patient).where(
            columns.type == kind, among(connection, columns.id, ids), columns.status.not_in(sorted(VOID))
        )
        about |= {f"{kind}/{row.id}": row.patient for row in connection.execute(stating)}
    return [
        device
        for device, patient in whose.items()
        if not any(about.get(use) == patient for use in naming.get(device, ()))
    ]


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


def _kits(connection: Connection, drugs: dict[str, set[str]]) -> dict[str, set[str]]:
    """The Devices that these are parts of, and those that are parts of them, however deep; not their neighbours."""
    found: dict[str, set[str]] = defaultdict(set)
    of_devices = {each: mine for each, mine in drugs.items() if kind_of(each) == "Device"}
    for upwards in (True, False):
        pending = dict(of_devices)
        seen = set(pending)
        while pending:
            if upwards:
                query = select(_REFERENCE.id, _REFERENCE.target).where(
                    _REFERENCE.type == "Device",
                    among(connection, _REFERENCE.id, set(map(id_of, pending))),
                    _REFERENCE.path == "parent",
                )
                steps = [(f"Device/{row.id}", row.target) for row in connection.execute(query)]
            else:
                rows = connection.execute(_into(connection, pending, "Device", ("parent",)))
                steps = [(row.target, f"Device/{row.id}") for row in rows]
            following: dict[str, set[str]] = {}
            for each, other in steps:
                found[other] |= pending[each]
                if other not in seen:
                    following[other] = following.get(other, set()) | pending[each]
            seen |= set(following)
            pending = following
    return found


def _at_home(connection: Connection, found: Uses) -> None:
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
            for product, why in found[row.target].items():
                _add(found, f"MedicationStatement/{row.id}", {product}, why)


def _into(connection: Connection, targets: Collection[str], kind: str, paths: tuple[str, ...]) -> Select[Any]:
    return select(_REFERENCE.target, _REFERENCE.id).where(
        among(connection, _REFERENCE.target, targets),
        _REFERENCE.type == kind,
        or_(*(_REFERENCE.path == path for path in paths)),
    )


def _add(found: Uses, use: str, products: Iterable[str], why: str) -> None:
    for product in products:
        mine = found.setdefault(use, {})
        mine[product] = why and mine.get(product, why)
