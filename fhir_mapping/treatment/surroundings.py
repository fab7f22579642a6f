"""What the record holds around a photo, a treatment, a product or a visit, in a number of statements that is fixed.

References are followed from both ends and in the shapes that records write: an administration part of a Procedure, a
Procedure part of an administration, a use that names the visit alone. Hubs are not crossed: from a Procedure its
products and machines are read, and not what else was done with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, and_, exists, or_, select

from consent.store.write import among
from fhir_mapping import references, text
from fhir_mapping.tables import CURRENT, fhir_reference, fhir_token, fhir_version
from fhir_mapping.treatment import elements
from fhir_mapping.treatment.settings import SETTINGS

ROUNDS = 7
"""Of two statements each: from a lot to uses, treatments, their parts, and what these name."""

POINTING = 4_000
"""References to the same things that are followed; of a lot or a machine that has more, a part is told, and that it is
one (:attr:`Surroundings.more`)."""

USES = frozenset({"MedicationAdministration", "MedicationDispense", "MedicationStatement", "DeviceUseStatement"})
CENTRES = USES | {"Procedure"}
_FOLLOWED = CENTRES | {"Observation"}
_NAMED = frozenset(
    {"Medication", "Device", "Practitioner", "PractitionerRole", "BodyStructure", "CarePlan", "ServiceRequest"}
)
_POINTING = tuple(sorted(_FOLLOWED | {"CarePlan", "DocumentReference"}))
_OF_VISIT = ("context", "encounter")

#: Of what was observed at a visit and is part of nothing, settings alone are a treatment's: not each pulse and weight.
_HOLDS_SETTINGS = exists().where(
    fhir_token.c.type == fhir_reference.c.type,
    fhir_token.c.id == fhir_reference.c.id,
    fhir_token.c.name.in_(("code", "component-code")),
    fhir_token.c.system == SETTINGS,
)


class Surroundings:
    """Resources around some, parsed, with what names what."""

    def __init__(
        self, connection: Connection, base: str | None, anchors: Collection[str], *, most: int = POINTING
    ) -> None:
        """Read.

        Parameters
        ----------
        base
            This server's FHIR address; absolute references below it are local.
        anchors
            ``Type/id``. Whether they may be seen was asked before.
        most
            References to the same things that are followed.
        """
        self._connection, self._base, self._most = connection, base, most
        self.anchors = frozenset(anchors)
        self.resources: dict[str, Mapping[str, Any]] = {}
        self.documents: dict[str, set[str]] = {}
        """``Type/id`` -> the DocumentReferences that name it: photos, undecided."""

        self.by_visit = False
        """Whether the treatments were found by the photo's visit alone: it is linked to none itself."""

        self.more = False
        """Whether there was more than was followed."""

        self.statements = 0
        self._seen: set[str] = set()
        self._followed: set[str] = set()
        self._open: set[str] = set()
        """Visits whose treatments are followed: what led to them names no other."""

        frontier, follow = set(self.anchors), set(self.anchors)
        for _ in range(ROUNDS):
            if not frontier and not follow:
                break
            frontier, follow = self._round(frontier, follow)

    def targets(self, resource: Mapping[str, Any], *path: str) -> list[str]:
        """``Type/id`` of the references at a path that are to this server."""
        return references.local_of(resource, self._base, *path)

    def target(self, reference: Any) -> str | None:
        """``Type/id`` of one Reference, where it is to this server."""
        return next(iter(references.local_of({"x": reference}, self._base, "x")), None)

    def get(self, reference: Any, container: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What a Reference names: on record, or contained in the resource that names it."""
        said = elements.text(reference, "reference")
        if said.startswith("#"):
            inside = elements.parts(container, "contained")
            return next((each for each in inside if each.get("id") == said[1:]), None)
        return self.resources.get(self.target(reference) or "")

    @property
    def base(self) -> str | None:
        """This server's FHIR address."""
        return self._base

    def _round(self, frontier: set[str], follow: set[str]) -> tuple[set[str], set[str]]:
        fetched = self._fetch(frontier - self._seen)
        self._seen |= frontier
        self._followed |= follow
        named, onward = set[str](), set[str]()
        for reference in fetched:
            self._outward(reference, named, onward)
        self._inward(follow, named, onward)
        for anchor in self.anchors & follow:
            if anchor.startswith("DocumentReference/") and anchor in self.resources:
                self._by_visit_where_unlinked(anchor, onward)
        return named - self._seen, onward - self._followed

    def _outward(self, reference: str, named: set[str], onward: set[str]) -> None:
        """What a resource names."""
        kind = reference.partition("/")[0]
        alone = kind in USES and "partOf" not in self.resources[reference]
        for found in references.found(self.resources[reference]):
            target = references.local(found.text, self._base)
            if target is None:
                continue
            to = target.partition("/")[0]
            if to == "DocumentReference" and kind in _FOLLOWED:
                self.documents.setdefault(reference, set()).add(target)
            elif kind in ("DocumentReference", "CarePlan") and reference not in self.anchors:
                continue
            elif to in _FOLLOWED and kind != "Medication":
                named.add(target)
                # The course that a session is part of is named; its other sessions are not asked for.
                if not (kind == "Procedure" and to == "Procedure"):
                    onward.add(target)
            elif to in _NAMED:
                named.add(target)
            if to == "Encounter" and (kind == "Procedure" or alone):
                onward.add(target)
                self._open.update([target] if alone else ())

    def _inward(self, follow: set[str], named: set[str], onward: set[str]) -> None:
        """What names a resource."""
        for row in self._pointing(follow):
            source, target = f"{row.type}/{row.id}", row.target
            if row.type == "DocumentReference":
                if not target.startswith("Encounter/"):
                    self.documents.setdefault(target, set()).add(source)
                continue
            if target.startswith("Encounter/"):
                if row.path in _OF_VISIT:
                    named.add(source)
                    if target in self._open or target in self.anchors:
                        onward.add(source)
                continue
            if row.type == "Procedure" and target.startswith("Procedure/") and target not in self.anchors:
                continue
            named.add(source)
            if row.type in _FOLLOWED or row.type == "Medication":
                onward.add(source)

    def _by_visit_where_unlinked(self, anchor: str, onward: set[str]) -> None:
        document = self.resources[anchor]
        direct = {each.partition("/")[0] for each in self.targets(document, "context", "related")}
        if not direct & CENTRES and not any(each.partition("/")[0] in CENTRES for each in onward):
            visits = [each for each in self.targets(document, "context", "encounter") if each.startswith("Encounter/")]
            self.by_visit = self.by_visit or bool(visits)
            onward.update(visits)
            self._open.update(visits)

    def _pointing(self, wanted: Iterable[str]) -> list[Any]:
        targets = set(wanted)
        if not targets:
            return []
        kinds = {*_POINTING, *({"Medication"} if any(each.startswith("Medication/") for each in targets) else ())}
        query = (
            select(fhir_reference.c.type, fhir_reference.c.id, fhir_reference.c.path, fhir_reference.c.target)
            .where(
                among(self._connection, fhir_reference.c.target, targets),
                fhir_reference.c.type.in_(sorted(kinds)),
                or_(
                    fhir_reference.c.type != "Observation",
                    ~fhir_reference.c.target.startswith("Encounter/", autoescape=True),
                    _HOLDS_SETTINGS,
                ),
            )
            .order_by(fhir_reference.c.target, fhir_reference.c.type, fhir_reference.c.id, fhir_reference.c.path)
            .limit(self._most + 1)
        )
        self.statements += 1
        rows = list(self._connection.execute(query))
        self.more = self.more or len(rows) > self._most
        return rows[: self._most]

    def _fetch(self, wanted: Collection[str]) -> list[str]:
        """Read the bodies of what is on record; the references of those that were there."""
        by_type: dict[str, set[str]] = {}
        for reference in wanted:
            kind, _, identity = reference.partition("/")
            by_type.setdefault(kind, set()).add(identity)
        if not by_type:
            return []
        version = fhir_version.c
        conditions = [
            and_(version.type == kind, among(self._connection, version.id, ids)) for kind, ids in by_type.items()
        ]
        self.statements += 1
        found = []
        query = select(version.type, version.id, version.body).select_from(CURRENT).where(or_(*conditions))
        for row in self._connection.execute(query):
            reference = f"{row.type}/{row.id}"
            self.resources[reference] = text.kept(bytes(row.body))
            found.append(reference)
        return sorted(found)
