"""AuditEvent, read-only: the audit chains as FHIR tells them, newest first (:mod:`fhir_mapping.resources.audit_event`).

For compliance review, of everybody; for a patient, of what was shown of hers and written about her, with nothing of
anybody else. A page looks at a bounded number of records, however long the chains are: it may hold less than was asked
for, and its ``next`` link goes on from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, select

from consent.audit.back import Found, Place, name_of, named, newest_first
from consent.audit.read import Archive
from consent.audit.record import Kind, of_request, unpack
from consent.audit.seen import in_set
from consent.purposes import HCOMPL, PATRQT
from consent.store.clock import micros
from consent.store.engine import reading
from consent.store.tables import photo, photo_patient
from consent.store.versions import group
from consent.store.write import among
from fhir_mapping import dates, references
from fhir_mapping.api import access, reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.paging import DEFAULT_COUNT, MAX_COUNT, MAX_PARAMETERS
from fhir_mapping.api.reply import Reply
from fhir_mapping.errors import Forbidden, Issue, Malformed, NotFound, Refused
from fhir_mapping.resources.audit_event import About, audit_event, is_told, subject_of
from fhir_mapping.search.values import folded, parts, plain, token

TYPE = "AuditEvent"
PARAMETERS: Mapping[str, str] = {
    "_id": "token",
    "action": "token",
    "agent": "reference",
    "agent-name": "string",
    "date": "date",
    "entity": "reference",
    "outcome": "token",
    "patient": "reference",
    "subtype": "token",
    "type": "token",
}
"""Name and R4 type of what can be searched by; ``agent`` and ``entity`` also by ``:identifier``."""

BUDGET = 20_000
"""Records that one page looks at; one that names many photos counts for more."""

_STEP = 400
_PHOTOS_FOR_ONE = 200
_ID = re.compile(r"([0-9a-f]{24})\.([0-9]{1,18})")
_PAGE = re.compile(r"([0-9]{1,18})\.([0-9a-f]{24})\.([0-9]{1,18})")

Test = Callable[[dict[str, Any]], bool]
"""Whether an event matches."""


@dataclass(frozen=True, slots=True)
class _Search:
    tests: tuple[Test, ...] = ()
    asked: tuple[tuple[str, str], ...] = ()
    count: int = DEFAULT_COUNT
    before: Place | None = None
    since: int = 0
    until: int = (1 << 63) - 1
    patients: frozenset[str] | None = None
    """Only of these patients' records."""

    word: bytes = b""
    ignored: tuple[str, ...] = ()


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
            made = _events(node, connection, [found], _Search(patients=hers), own=hers is not None)
    _record(node, asked, f"{TYPE}/{identity}", len(made))
    if not made:
        raise NotFound
    return reply.resource(made[0][0])


def search(node: Node, asked: Asked, _kind: str, pairs: Sequence[tuple[str, str]]) -> Reply:
    """A page of the events that match, newest first."""
    hers = _hers(node, asked)
    wanted = _read(node, pairs, lenient=asked.lenient)
    with reading(node.engine) as connection:
        if wanted.patients is not None:
            wanted = replace(wanted, patients=frozenset(group(connection, wanted.patients)))
        if hers is not None:
            patients = hers if wanted.patients is None else hers & wanted.patients
            wanted = replace(wanted, patients=patients)
        events, last = _page(node, connection, wanted, own=hers is not None)
    _record(node, asked, TYPE, len(events), sorted({name for name, _ in wanted.asked}))
    entries = [(f"{TYPE}/{each['id']}", reply.resource(each).body, "match") for each in events]
    warnings = [
        Issue("not-supported", f"Search parameter {name[:60]!r} is not supported and was left out.", None, "warning")
        for name in wanted.ignored
    ]
    return reply.searchset(node.base, _links(node.base, wanted, last), None, entries, warnings)


def _page(
    node: Node, connection: Connection, wanted: _Search, *, own: bool
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
        made = _events(node, connection, waiting, wanted, own=own)
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
    node: Node, connection: Connection, found: Sequence[Found], wanted: _Search, *, own: bool
) -> list[tuple[dict[str, Any], Place]]:
    """The events of those records that match."""
    told = [(each, values) for each in found if (values := _values(each)) is not None and is_told(values)]
    if own:
        told = [(each, values) for each, values in told if _shown(values)]
    known = _Known(node, connection, told, wanted.patients)
    made: list[tuple[dict[str, Any], Place]] = []
    for each, values in told:
        about = known.about(each, values)
        if about is None:
            continue
        event = audit_event(
            values, f"{each.place.chain}.{each.place.sequence}", about, node.record.site, node.record.base or node.base
        )
        if all(test(event) for test in wanted.tests):
            made.append((event, each.place))
    return made


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


# --- parameters -------------------------------------------------------------------------------------------------------


def _read(node: Node, pairs: Sequence[tuple[str, str]], *, lenient: bool) -> _Search:
    if len(pairs) > MAX_PARAMETERS:
        raise Malformed(Issue("too-costly", f"A search takes up to {MAX_PARAMETERS} parameters."))
    wanted = _Search()
    for name, value in pairs:
        if name in ("_format", "_pretty", "_total"):
            continue
        if name == "_count":
            if not value.isascii() or not value.isdigit() or len(value) > 20:
                raise Malformed(Issue("value", "_count is a whole number."))
            wanted = replace(wanted, count=min(int(value), MAX_COUNT))
        elif name == "_page":
            match = _PAGE.fullmatch(value)
            if match is None:
                raise Malformed(Issue("value", "_page comes from the link of the page before."))
            wanted = replace(wanted, before=Place(int(match[1]), match[2], int(match[3])))
        elif name.partition(":")[0] not in PARAMETERS and lenient:
            wanted = replace(wanted, ignored=(*wanted.ignored, name))
        else:
            wanted = _narrowed(node, replace(wanted, asked=(*wanted.asked, (name, value))), name, value)
    return wanted


def _narrowed(node: Node, wanted: _Search, name: str, value: str) -> _Search:
    values = [each for each in parts(value, ",") if each]
    if not values or len(values) > 100:
        raise Malformed(Issue("value", f"Search parameter {name[:60]!r} has no value, or too many."))
    base = node.record.base
    if name == "date":
        return _dated(node, wanted, values)
    if name == "patient":
        ids = {_patient(each, base) for each in values}
        return replace(wanted, patients=frozenset(ids) if wanted.patients is None else wanted.patients & ids)
    test = _test(name, values, base)
    word = wanted.word
    if name == "agent:identifier" and len(values) == 1:
        account = token(values[0])[1]
        word = f'"account":{json.dumps(account, ensure_ascii=False)}'.encode()
    return replace(wanted, tests=(*wanted.tests, test), word=word)


def _patient(value: str, base: str | None) -> str:
    local = references.local(value, base)
    if references.ID.fullmatch(value):
        return value
    if local is None or not local.startswith("Patient/"):
        raise Malformed(Issue("value", "A patient is searched by id or as Patient/id."))
    return references.id_of(local)


def _test(name: str, values: Sequence[str], base: str | None) -> Test:
    if name == "_id":
        return lambda event: event["id"] in values
    if name in ("action", "outcome"):
        codes = {plain(each) for each in values}
        return lambda event: event[name] in codes
    if name in ("type", "subtype"):
        return _any_coding(name, [token(each) for each in values])
    if name == "agent-name":
        beginnings = tuple(folded(plain(each)) for each in values)
        return lambda event: any(folded(each.get("name", "")).startswith(beginnings) for each in event["agent"])
    if name in ("agent", "entity"):
        targets = {
            plain(each) if references.ID.fullmatch(plain(each)) else _local(plain(each), base) for each in values
        }
        part = "who" if name == "agent" else "what"
        return lambda event: any(_names(each.get(part, {}).get("reference", ""), targets) for each in event[name])
    if name in ("agent:identifier", "entity:identifier"):
        pairs = [token(each) for each in values]
        element, part = (name.partition(":")[0], "who" if name.startswith("agent") else "what")
        return lambda event: any(
            _is(each.get(part, {}).get("identifier", {}), "value", pairs) for each in event[element]
        )
    raise Malformed(
        Issue("not-supported", f"Search parameter {name[:60]!r} is not supported; known: {', '.join(PARAMETERS)}.")
    )


def _local(value: str, base: str | None) -> str:
    found = references.local(value, base)
    if found is None:
        raise Malformed(Issue("value", "A reference is searched by id, as Type/id, or by :identifier."))
    return found


def _names(reference: str, targets: Collection[str]) -> bool:
    """Whether a reference is one of these, ``Type/id`` or the id of any type."""
    return reference in targets or references.id_of(reference) in targets


def _any_coding(name: str, pairs: Sequence[tuple[str | None, str]]) -> Test:
    def test(event: dict[str, Any]) -> bool:
        stated = event.get(name, [])
        return any(_is(each, "code", pairs) for each in (stated if isinstance(stated, list) else [stated]))

    return test


def _is(element: Mapping[str, Any], member: str, pairs: Iterable[tuple[str | None, str]]) -> bool:
    return any(
        (system is None or system == element.get("system", "")) and (not value or value == element.get(member))
        for system, value in pairs
        if system or value
    )


def _dated(node: Node, wanted: _Search, values: Sequence[str]) -> _Search:
    if len(values) > 1:
        raise Malformed(Issue("not-supported", "A date here is one; give the parameter twice for a span."))
    value = plain(values[0])
    prefix, text = (value[:2], value[2:]) if value[:1].isalpha() else ("eq", value)
    try:
        span = dates.span(text, node.record.site.zone)
    except (ValueError, OverflowError):
        raise Malformed(Issue("value", "A date is searched as YYYY, YYYY-MM, YYYY-MM-DD or with a time.")) from None
    assert span.start is not None
    assert span.end is not None
    start, end = micros(span.start), micros(span.end)
    bounds = {
        "eq": (start, end),
        "ge": (start, None),
        "gt": (end, None),
        "sa": (end, None),
        "lt": (None, start),
        "eb": (None, start),
        "le": (None, end),
    }.get(prefix)
    if bounds is None:
        raise Malformed(Issue("not-supported", f"Date prefix {prefix!r} is not supported."))
    since, until = bounds
    return replace(
        wanted,
        since=wanted.since if since is None else max(wanted.since, since),
        until=wanted.until if until is None else min(wanted.until, until),
    )


def _links(base: str, wanted: _Search, last: Place | None) -> list[tuple[str, str]]:
    pairs = [*wanted.asked, ("_count", str(wanted.count))]

    def url(before: Place | None) -> str:
        place = [] if before is None else [("_page", f"{before.recorded}.{before.chain}.{before.sequence}")]
        return f"{base}/{TYPE}?{urlencode([*pairs, *place])}"

    links = [("self", url(wanted.before))]
    return links if last is None else [*links, ("next", url(last))]
