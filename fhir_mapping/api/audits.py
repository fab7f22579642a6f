"""AuditEvent, read-only: the audit chains as FHIR tells them, newest first (:mod:`fhir_mapping.resources.audit_event`).

For compliance review, of everybody; for a patient, of what was shown of hers and written about her, with nothing of
anybody else. A page looks at a bounded number of records, however long the chains are: it may hold less than was asked
for, and its ``next`` link goes on from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from consent.audit.back import Found, Place, name_of, named, newest_first
from consent.audit.read import Archive
from consent.audit.record import Kind, of_request, unpack
from consent.audit.seen import in_set
from consent.purposes import HCOMPL, PATRQT
from consent.store.engine import reading
from consent.store.tables import photo, photo_patient
from consent.store.versions import group
from consent.store.write import among
from fhir_mapping import photo_names, references
from fhir_mapping.api import access, audit_search, cut, reply
from fhir_mapping.api.audit_search import TYPE, Search
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.reply import Reply
from fhir_mapping.api.sight import RequestSight
from fhir_mapping.errors import Forbidden, Issue, NotFound, Refused
from fhir_mapping.pruning import SUBSETTED
from fhir_mapping.resources.audit_event import About, audit_event, is_told, subject_of

BUDGET = 20_000
"""Records that one page looks at; one that names many photos counts for more."""

_STEP = 400
_PHOTOS_FOR_ONE = 200
_ID = re.compile(r"([0-9a-f]{24})\.([0-9]{1,18})")


def read(node: Node, asked: Asked, _kind: str, identity: str) -> Reply:
    """One event."""
    hers = _hers(node, asked)
    archive = _archive(node)
    match = _ID.fullmatch(identity)
    chain = None if match is None else named(archive, match[1])
    row = None if match is None or chain is None else archive.row(chain, int(match[2]))
    made: list[tuple[dict[str, Any], Place]] = []
    if chain is not None and row is not None:
        found = Found(Place(row.recorded, name_of(chain), row.sequence), chain, row)
        with reading(node.engine) as connection:
            made = _events(node, connection, [found], Search(patients=hers), _seeing(node, connection, asked, hers))
    _record(node, asked, f"{TYPE}/{identity}", len(made))
    if not made:
        raise NotFound
    return reply.resource(made[0][0])


def search(node: Node, asked: Asked, _kind: str, pairs: Sequence[tuple[str, str]]) -> Reply:
    """A page of the events that match, newest first."""
    hers = _hers(node, asked)
    wanted = audit_search.read(node, pairs, lenient=asked.lenient)
    with reading(node.engine) as connection:
        if wanted.patients is not None:
            wanted = replace(wanted, patients=frozenset(group(connection, wanted.patients)))
        if hers is not None:
            patients = hers if wanted.patients is None else hers & wanted.patients
            wanted = replace(wanted, patients=patients)
        events, last = _page(node, connection, wanted, _seeing(node, connection, asked, hers))
    _record(node, asked, TYPE, len(events), sorted({name for name, _ in wanted.asked}))
    entries = [(f"{TYPE}/{each['id']}", reply.resource(each).body, "match") for each in events]
    warnings = [
        Issue("not-supported", f"Search parameter {name[:60]!r} is not supported and was left out.", None, "warning")
        for name in wanted.ignored
    ]
    return reply.searchset(node.base, audit_search.links(node.base, wanted, last), None, entries, warnings)


def _page(
    node: Node, connection: Connection, wanted: Search, seeing: RequestSight | None
) -> tuple[list[dict[str, Any]], Place | None]:
    """The events of a page, and the place that the next one goes on behind; None: there is no next."""
    events: list[dict[str, Any]] = []
    waiting: list[Found] = []
    spent, last = 0, wanted.before
    through = newest_first(
        _archive(node), before=wanted.before, since=wanted.since, until=wanted.until, word=wanted.word
    )

    def settle() -> Place | None:
        """Tell those that wait; the place of the last that the page has room for, where it has no more."""
        made = _events(node, connection, waiting, wanted, seeing)
        waiting.clear()
        room = wanted.count - len(events)
        events.extend(event for event, _ in made[:room])
        return made[room - 1][1] if len(made) >= room > 0 else None

    for found in through:
        if wanted.count == 0:
            break
        if found.row is None:
            spent += found.looked_at
        else:
            waiting.append(found)
            spent += _cost(found)
        last = found.place
        if len(waiting) >= _STEP or spent > BUDGET:
            full = settle()
            if full is not None or spent > BUDGET:
                return events, full or last
    full = settle()
    return events, full


def _cost(found: Found) -> int:
    """A record of many photos is long to read."""
    assert found.row is not None
    return 1 + len(found.row.body) // 2000


def _events(
    node: Node, connection: Connection, found: Sequence[Found], wanted: Search, seeing: RequestSight | None
) -> list[tuple[dict[str, Any], Place]]:
    """The events of those records that match.

    Parameters
    ----------
    seeing
        Of a patient, what she sees; None: compliance, who is told of refusals too.
    """
    told = [(each, values) for each in found if (values := _values(each)) is not None and is_told(values)]
    if seeing is not None:
        told = [(each, values) for each, values in told if _shown(values)]
    known = _Known(node, connection, told, wanted.patients)
    events: list[dict[str, Any]] = []
    places: list[Place] = []
    base = node.record.base or node.base
    for each, values in told:
        about = known.about(each, values)
        if about is not None:
            identity = f"{each.place.chain}.{each.place.sequence}"
            events.append(audit_event(values, identity, about, node.record.site, base))
            places.append(each.place)
    if seeing is not None:
        events = _without_unseen(connection, seeing, events, base)
    made = zip(events, places, strict=True)
    return [(event, place) for event, place in made if all(test(event) for test in wanted.tests)]


def _without_unseen(
    connection: Connection, seeing: RequestSight, events: Sequence[dict[str, Any]], base: str
) -> list[dict[str, Any]]:
    """The events without the names of photos that may not be seen: "a photo" was shown, and not which."""
    named = [list(photo_names.found(event, base)) for event in events]
    hidden = cut.unseen(connection, seeing, [naming for each in named for naming in each])
    made = []
    for event, each in zip(events, named, strict=True):
        places = {naming.path[1] for naming in each if naming in hidden and naming.path[0] == "entity"}
        if places:
            entities = [
                entity | {"what": {"display": "a photo"}} if number in places else entity
                for number, entity in enumerate(event["entity"])
            ]
            event = event | {"meta": event["meta"] | {"tag": [SUBSETTED]}, "entity": entities}
        made.append(event)
    return made


def _seeing(node: Node, connection: Connection, asked: Asked, hers: frozenset[str] | None) -> RequestSight | None:
    return None if hers is None else RequestSight(connection, node.decisions, asked.request, asked.scopes)


class _Known:
    """What the record says of the patients and photos that some audit records are about, in a few statements."""

    def __init__(
        self,
        node: Node,
        connection: Connection,
        told: Sequence[tuple[Found, Mapping[str, Any]]],
        patients: frozenset[str] | None,
    ) -> None:
        self._patients = patients
        self._few = {id(values): _few_photos(values) for _, values in told}
        numbers = {number for each in self._few.values() for number in each}
        self._shows: dict[int, set[str]] = {}
        for row in connection.execute(
            select(photo_patient.c.photo, photo_patient.c.patient).where(
                among(connection, photo_patient.c.photo, numbers)
            )
        ):
            self._shows.setdefault(row.photo, set()).add(row.patient)
        self._documents: dict[int, str] = {
            row.photo: row.document
            for row in connection.execute(
                select(photo.c.photo, photo.c.document).where(among(connection, photo.c.photo, numbers))
            )
            if row.document is not None
        }
        subjects = {subject for _, values in told if (subject := subject_of(values)) is not None}
        self._compartments = node.record.patients_of(connection, subjects)
        self._theirs: frozenset[int] = frozenset()
        if patients is not None:
            query = select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, patients))
            self._theirs = frozenset(connection.execute(query).scalars())

    def about(self, found: Found, values: Mapping[str, Any]) -> About | None:
        """Whom a record is about; None where it is about none of the patients that are asked for."""
        numbers = self._few[id(values)]
        patients = {patient for number in numbers for patient in self._shows.get(number, ())}
        subject = subject_of(values)
        if subject is not None:
            compartment = self._compartments.get(subject)
            if subject.startswith("Patient/"):
                compartment = references.id_of(subject)
            patients |= {compartment} if compartment is not None else set()
        for stated in (values.get("patient"), values.get("emergency_patient")):
            patients |= {stated} if isinstance(stated, str) and references.ID.fullmatch(stated) else set()
        if self._patients is not None:
            if not patients & self._patients:
                assert found.row is not None
                if numbers or not in_set(found.row.body, self._theirs):
                    return None
                patients |= self._patients
            patients &= self._patients
        number = values.get("number")
        return About(sorted(patients), self._documents.get(number) if isinstance(number, int) else None)


def _few_photos(values: Mapping[str, Any]) -> tuple[int, ...]:
    """The numbers of the photos that a record names, where they are few."""
    number = values.get("number")
    if isinstance(number, int):
        return (number,)
    if "photos" not in values or int(values.get("released", 0)) > _PHOTOS_FOR_ONE:
        return ()
    try:
        return unpack(values["photos"])
    except ValueError:
        return ()


def _shown(values: Mapping[str, Any]) -> bool:
    """Whether something was shown or written; a patient is told of these. Why others were refused is not hers."""
    kind = values["kind"]
    if kind == Kind.DECISION:
        return values.get("effect") == "permit"
    if kind == Kind.SET:
        return bool(values.get("released"))
    if kind == Kind.READ:
        return bool(values.get("details", {}).get("found", 1)) and subject_of(values) is not None
    return kind == Kind.DONE and values.get("outcome") == "done"


def _values(found: Found) -> dict[str, Any] | None:
    assert found.row is not None
    try:
        values = json.loads(found.row.body)
    except (ValueError, RecursionError):
        return None  # 'audit verify' names it
    whole = isinstance(values, dict) and all(name in values for name in ("kind", "at", "chain", "sequence"))
    return values if whole else None


def _hers(node: Node, asked: Asked) -> frozenset[str] | None:
    """Whose records the request may read of; None: everybody's.

    Raises
    ------
    Forbidden
    """
    who, purpose = asked.request.requester, asked.request.purpose
    if purpose in who.purposes:
        if purpose == HCOMPL and who.confined_to is None:
            return None
        own = access.own_patients(who)
        if purpose == PATRQT and own and not (who.reference or "").startswith("RelatedPerson/"):
            with reading(node.engine) as connection:
                return frozenset(group(connection, own))
    raise Forbidden(Issue("forbidden", f"This purpose does not read {TYPE}."))


def _archive(node: Node) -> Archive:
    if node.archive is None:
        raise Refused(Issue("not-supported", "The audit is not read here."))
    return node.archive


def _record(node: Node, asked: Asked, subject: str, found: int, names: Sequence[str] = ()) -> None:
    details: dict[str, object] = {"found": found}
    if names:
        details["by"] = list(names)
    node.chain.append([of_request(Kind.READ, node.door, asked.route, asked.request, subject=subject, details=details)])
