"""``$basis`` and ``$treatment``: what something rests on, and all that was done, given and set around it, in one step.

Both answer for photos and for what belongs to them. A photo that the request may not see is as if absent: as what is
asked about, and in what is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from consent.service import for_one_patient
from consent.store.engine import reading
from consent.store.tables import photo
from consent.store.write import among
from fhir_mapping import references, text
from fhir_mapping.api import access, cut, reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.reply import Reply
from fhir_mapping.api.sight import RequestSight
from fhir_mapping.course.basis import DOCUMENT, Link, basis
from fhir_mapping.errors import NotFound
from fhir_mapping.outcome.outcome import is_outcome
from fhir_mapping.store.reader import Stored
from fhir_mapping.tables import fhir_resource
from fhir_mapping.treatment.read import treatments
from fhir_mapping.treatment.surroundings import POINTING, Surroundings

_NAMED = ("Medication", "Device", "Practitioner", "CarePlan", "BodyStructure", "ServiceRequest")

_MORE = "0c6d2c1e-5f0a-4d0e-9f55-7e0c2a1f4b10"  # names the entry below within its Bundle
_LEFT_OUT: dict[str, Any] = {
    "resourceType": "OperationOutcome",
    "id": _MORE,
    "issue": [
        {
            "severity": "warning",
            "code": "incomplete",
            "diagnostics": f"This is a part: more than {POINTING} references lead here. Ask for one Procedure instead.",
        }
    ],
}

Work = Callable[[Node, Asked, str, str], Reply]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on an instance, asked by GET."""

    name: str
    types: tuple[str, ...]
    documentation: str
    work: Work

    @property
    def definition(self) -> str:
        """OperationDefinition's address."""
        return f"urn:photospine:operation:{self.name}"


def offered(kind: str) -> list[Operation]:
    """The operations of a type."""
    return [each for each in OPERATIONS if kind in each.types]


def statements(kind: str) -> list[dict[str, Any]]:
    """What the CapabilityStatement says of them."""
    return [
        {"name": each.name, "definition": each.definition, "documentation": each.documentation}
        for each in offered(kind)
    ]


def what_it_rests_on(node: Node, asked: Asked, kind: str, identity: str) -> Reply:
    """``$basis``, as R4 Parameters."""
    about = f"{kind}/{identity}"
    with reading(node.engine) as connection:
        readable = _readable(connection, asked, kind, identity)
        found = basis(node.decisions, connection, node.record, asked.request, about, route=asked.route)
    if found is None or not readable:
        raise NotFound
    parameters: list[dict[str, Any]] = [{"name": "about", "valueReference": {"reference": about}}]
    parameters += [_link("rests-on", each) for each in found.rests_on]
    parameters += [_link("carries", each) for each in found.carries]
    parameters += [{"name": "more", "valueBoolean": True}] if found.more else []
    return reply.resource({"resourceType": "Parameters", "parameter": parameters})


def everything_around(node: Node, asked: Asked, kind: str, identity: str) -> Reply:
    """``$treatment``: a Bundle of the treatments that it belongs to, with products, machines, settings and photos."""
    about = f"{kind}/{identity}"
    with reading(node.engine) as connection:
        readable = _readable(connection, asked, kind, identity)
        around = Surroundings(connection, node.record.base, [about])
        wanted = _belonging(around)
        documents = {each for some in around.documents.values() for each in some}
        documents |= {about} if kind == "DocumentReference" else set()
        condition = among(connection, photo.c.document, {references.id_of(each) for each in documents})
        question = for_one_patient(connection, asked.request, condition)
        sight = RequestSight(connection, node.decisions, question, asked.scopes)
        rows = connection.execute(
            select(photo.c.photo, photo.c.document).where(condition, sight.may.clause(photo.c.photo))
        ).all()
        seen = {f"{DOCUMENT}{row.document}" for row in rows}
        shown = {each for centre in wanted for each in around.documents.get(centre, ())} & seen
        shown |= {about} & seen
        stored = _stored(connection, node, asked, wanted | shown) if readable else []
        bodies = cut.shown(connection, sight, [(each.type, each.body) for each in stored], node.record.base)
    absent = not readable or (kind == "DocumentReference" and about not in seen) or about not in around.resources
    numbers = [] if absent else [row.photo for row in rows if f"{DOCUMENT}{row.document}" in shown]
    node.decisions.record_set(question, asked.route, numbers, len(documents) - len(rows), details={"subject": about})
    if absent:
        raise NotFound
    entries = [(each.reference, body) for each, body in zip(stored, bodies, strict=True)]
    if around.more:
        entries.append((f"OperationOutcome/{_MORE}", text.dump(_LEFT_OUT)))
    return reply.collection(node.base, entries)


def _belonging(around: Surroundings) -> set[str]:
    """What the treatments are made of, and what these name."""
    found: set[str] = set()
    for treated in treatments(around, others=is_outcome):
        found |= {treated.reference, *treated.uses, *treated.observed, *treated.session.plans}
    for _ in range(2):  # a mixed drug, and what it was mixed of
        for reference in sorted(found):
            for each in references.found(around.resources.get(reference, {})):
                target = references.local(each.text, around.base)
                if target is not None and target.partition("/")[0] in _NAMED:
                    found.add(target)
    return {each for each in found if each in around.resources}


def _stored(connection: Connection, node: Node, asked: Asked, wanted: set[str]) -> list[Stored]:
    """As kept, by type and id; what the request may not read is left out."""
    by_type: dict[str, list[str]] = {}
    for reference in sorted(wanted):
        by_type.setdefault(reference.partition("/")[0], []).append(references.id_of(reference))
    made: list[Stored] = []
    for kind, ids in by_type.items():
        if kind != "DocumentReference":
            may = access.condition(asked.request, kind)
            query = select(fhir_resource.c.id).where(
                fhir_resource.c.type == kind, among(connection, fhir_resource.c.id, ids), may
            )
            ids = sorted(connection.execute(query).scalars())
        made += node.record.read_many(connection, kind, ids)
    return made


def _readable(connection: Connection, asked: Asked, kind: str, identity: str) -> bool:
    """Whether the request reads the record at all, and what it asks about where that is no photo."""
    if kind == "DocumentReference":
        access.condition(asked.request, "Procedure")
        return True
    return access.readable(connection, asked.request, kind, identity)


def _link(name: str, link: Link) -> dict[str, Any]:
    version = f"/_history/{link.version}" if link.version is not None else ""
    made: list[Mapping[str, Any]] = [
        {"name": "how", "valueCode": link.how.value},
        {"name": "of", "valueReference": {"reference": link.upper}},
        {"name": "on", "valueReference": {"reference": f"{link.lower}{version}"}},
    ]
    for part, value in (("when", link.when), ("by", link.by)):
        if value:
            made.append({"name": part, "valueString": value})
    if link.through:
        made.append({"name": "through", "valueReference": {"reference": link.through}})
    return {"name": name, "part": made}


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "basis",
        ("DocumentReference", "Procedure", "CarePlan", "Observation"),
        "What it rests on, and what rests on it: photos shown when it was decided, plans, sessions, outcomes.",
        what_it_rests_on,
    ),
    Operation(
        "treatment",
        ("DocumentReference", "Procedure", "MedicationAdministration", "Medication", "Device", "Encounter", "CarePlan"),
        "The treatments that it belongs to, with products, lots, machines, settings, points and photos, as one Bundle.",
        everything_around,
    ),
)
