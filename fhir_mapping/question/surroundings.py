"""What the record holds around some treatments and visits, read in a few statements however many they are.

A treatment is a Procedure. What was given, set or noted in it names it by ``partOf``, or is named by it (R4
Procedure.partOf takes an administration). What belongs to no Procedure belongs to its visit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from consent.store.write import among
from fhir_mapping import references, text
from fhir_mapping.outcome.outcome import is_outcome
from fhir_mapping.question import elements
from fhir_mapping.question.elements import Json
from fhir_mapping.question.facets import Facet, Value, value
from fhir_mapping.question.judgement import judged
from fhir_mapping.search.paths import listed
from fhir_mapping.tables import CURRENT, fhir_reference, fhir_version

#: What says that a product was given, handed over or used.
USES = frozenset({"MedicationAdministration", "MedicationDispense", "MedicationStatement", "DeviceUseStatement"})

PARTS = USES | {"Observation"}
PRODUCTS = frozenset({"Medication", "Device"})

#: Where a use names its visit, and where it names its treatment.
VISIT_PATHS = ("context", "encounter")
PART_PATHS = ("partOf", "derivedFrom")
JUDGED_PATHS = ("focus", "derivedFrom")
PLANNED_PATHS = ("activity.outcomeReference", "activity.reference")
"""Where a plan names its sessions: R4 lets the former name a Procedure."""
_DEEPEST = 4
"""Drugs mixed of drugs."""


class Surroundings:
    """Procedures, and what belongs to each."""

    def __init__(
        self, connection: Connection, base: str | None, wanted: Collection[str], documents: Collection[str]
    ) -> None:
        """Read.

        Parameters
        ----------
        wanted
            ``Procedure/…`` and ``Encounter/…``.
        documents
            ``DocumentReference/…`` whose judgements are asked for, and the uses that they name themselves.
        """
        self._connection, self._base = connection, base
        procedures = {each for each in wanted if each.startswith("Procedure/")}
        visits = {each for each in wanted if each.startswith("Encounter/")}
        self._parts: dict[str, set[str]] = defaultdict(set)
        self.plans: dict[str, set[str]] = defaultdict(set)
        self.judgements: dict[str, set[str]] = defaultdict(set)
        self._around(procedures, visits, documents)
        self._bodies: dict[str, Json] = {}
        around = (*self._parts.values(), *self.judgements.values())
        self._read(procedures.union(*around))
        for _ in range(_DEEPEST):
            if not self._read({each for body in self._bodies.values() for each in self._products(body)}):
                break
        self._known: dict[str, frozenset[Value]] = {}

    def values(self, reference: str) -> frozenset[Value]:
        """What a treatment, or a visit by itself, says of its photos."""
        if reference not in self._known:
            self._known[reference] = frozenset(self._values(reference))
        return self._known[reference]

    def outcomes(self, document: str) -> Iterator[Value]:
        """What the judgements of a photo say."""
        for each in self.judgements.get(document, ()):
            body = self._bodies.get(each)
            if body is not None and not elements.is_void(body):
                yield from judged(body, self._base)

    # --- what one treatment says ------------------------------------------------------------------------------------

    def _values(self, reference: str) -> Iterator[Value]:
        own = self._bodies.get(reference)
        if reference.startswith("Procedure/"):
            if own is None or elements.is_void(own):
                return
            yield from elements.procedure(own)
            yield from self._performers(own)
            yield from self._used(own)
        for part in self._parts.get(reference, ()):
            body = self._bodies.get(part)
            if body is None or elements.is_void(body):
                continue
            if body.get("resourceType") == "Observation":
                if not is_outcome(body):  # what was measured of the patient is no setting of a machine
                    yield from elements.observed(body)
            else:
                yield from self._used(body)

    def _performers(self, body: Json) -> Iterator[Value]:
        for actor in references.local_of(body, self._base, "performer", "actor"):
            yield value(Facet.CLINICIAN, "", actor)

    def _used(self, body: Json) -> Iterator[Value]:
        """The products of a use: named, contained, or told by a code alone."""
        yield from elements.concept(Facet.PRODUCT, body.get("medicationCodeableConcept"))
        for concept in listed(body.get("usedCode")):
            yield from elements.concept(Facet.PRODUCT, concept)
        inside = elements.contained(body)
        pending = [self._named(node, inside) for node in elements.named_products(body)]
        # What is contained and named by nobody is all the same what was used.
        pending += [each for each in inside.values() if each.get("resourceType") in PRODUCTS]
        for _ in range(_DEEPEST):
            following: list[Json | None] = []
            for each in pending:
                if each is not None:
                    yield from elements.product(each)
                    following += [self._named(node, inside) for node in elements.named_products(each)]
            pending = following

    def _named(self, node: Mapping[str, Any], inside: Mapping[str, Json]) -> Json | None:
        said = node.get("reference")
        if not isinstance(said, str):
            return None
        return inside.get(said) or self._bodies.get(references.local(said, self._base) or "")

    # --- reading ----------------------------------------------------------------------------------------------------

    def _around(self, procedures: set[str], visits: set[str], documents: Collection[str]) -> None:
        for kind, identity, path, target in self._naming(procedures | visits | set(documents)):
            this = f"{kind}/{identity}"
            if kind in PARTS and path in (
                PART_PATHS if target in procedures else VISIT_PATHS if target in visits else ()
            ):
                self._parts[target].add(this)
            elif kind == "Observation" and target.startswith("DocumentReference/") and path in JUDGED_PATHS:
                self.judgements[target].add(this)
            elif kind == "CarePlan" and path in PLANNED_PATHS:
                self.plans[target].add(this)
        for this, path, target in self._named_by(procedures | set(documents)):
            kind = target.partition("/")[0]
            if kind in PARTS and (path == "partOf" or this in documents):
                self._parts[this].add(target)
            elif (path, kind) in (("partOf", "Procedure"), ("basedOn", "CarePlan")):
                self.plans[this].add(target)
        self._parts_of_parts()
        self._without_treated(visits)

    def _parts_of_parts(self) -> None:
        """Observations are part of an administration as well as of its Procedure."""
        holders: dict[str, set[str]] = defaultdict(set)
        for holder, parts in self._parts.items():
            for part in parts:
                holders[part].add(holder)
        for kind, identity, path, target in self._naming(set(holders)):
            if kind in PARTS and path in PART_PATHS:
                for holder in holders[target]:
                    self._parts[holder].add(f"{kind}/{identity}")

    def _without_treated(self, visits: set[str]) -> None:
        """What belongs to a Procedure does not belong to all of its visit; nor does an Observation that names none."""
        held = {each for visit in visits for each in self._parts.get(visit, ())}
        inside = {each for each, path, target in self._named_by(held) if _is_of_treatment(path, target)}
        naming = list(self._naming(held))
        inside |= {target for kind, _, path, target in naming if kind == "Procedure" and path == "partOf"}
        inside |= {f"{kind}/{one}" for kind, one, path, target in naming if path in PART_PATHS and target in inside}
        for visit in visits:
            uses = {each for each in self._parts.get(visit, set()) - inside if not each.startswith("Observation/")}
            noted = {f"{kind}/{each}" for kind, each, path, _ in self._naming(uses) if path in PART_PATHS}
            self._parts[visit] = uses | {each for each in noted if each.partition("/")[0] in PARTS}

    def _naming(self, targets: Collection[str]) -> Iterator[tuple[str, str, str, str]]:
        """Type, id and path of what names the targets, and the target."""
        if targets:
            columns = (fhir_reference.c.type, fhir_reference.c.id, fhir_reference.c.path, fhir_reference.c.target)
            query = select(*columns).where(
                among(self._connection, fhir_reference.c.target, targets),
                fhir_reference.c.type.in_(sorted(PARTS | {"CarePlan", "Procedure"})),
            )
            yield from (tuple(row) for row in self._connection.execute(query).all())

    def _named_by(self, who: Collection[str]) -> Iterator[tuple[str, str, str]]:
        """What resources name: the resource, the path and the target."""
        kinds, ids = _apart(who)
        if ids:
            columns = (fhir_reference.c.type, fhir_reference.c.id, fhir_reference.c.path, fhir_reference.c.target)
            query = select(*columns).where(
                fhir_reference.c.type.in_(kinds), among(self._connection, fhir_reference.c.id, ids)
            )
            for row in self._connection.execute(query).all():
                if (this := f"{row.type}/{row.id}") in who:
                    yield this, row.path, row.target

    def _read(self, wanted: Iterable[str]) -> bool:
        """Read those that are not there yet; whether there were any."""
        missing = {each for each in wanted if each not in self._bodies}
        if not missing:
            return False
        kinds, ids = _apart(missing)
        query = select(fhir_version.c.type, fhir_version.c.id, fhir_version.c.body).select_from(CURRENT)
        query = query.where(fhir_version.c.type.in_(kinds), among(self._connection, fhir_version.c.id, ids))
        for row in self._connection.execute(query):
            if (this := f"{row.type}/{row.id}") in missing:
                self._bodies[this] = text.kept(bytes(row.body))
        return bool(missing & self._bodies.keys())

    def _products(self, body: Json) -> Iterator[str]:
        for node in elements.named_products(body):
            said = node.get("reference")
            target = references.local(said, self._base) if isinstance(said, str) else None
            if target is not None and target.partition("/")[0] in PRODUCTS:
                yield target


def _apart(who: Collection[str]) -> tuple[list[str], set[str]]:
    """Types and ids of references: together they find some more than those that are named."""
    pairs = [each.partition("/") for each in who]
    return sorted({each[0] for each in pairs}), {each[2] for each in pairs}


def _is_of_treatment(path: str, target: str) -> bool:
    return path in PART_PATHS and target.startswith("Procedure/")
