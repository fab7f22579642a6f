"""Transactions (R4 transaction): carried out whole, in the order that R4 gives: deletions, creations, changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from consent.store.versions import lock
from fhir_mapping import references, text
from fhir_mapping.errors import Invalid, Issue, Malformed, NotFound, Refused, VersionMismatch
from fhir_mapping.photo_names import PHOTOS
from fhir_mapping.store.deletion import Deleted, remove, require_unnamed
from fhir_mapping.store.draft import Draft
from fhir_mapping.store.kinds import KEPT
from fhir_mapping.store.prepared import Entry, Removal, Step
from fhir_mapping.store.reader import Stored

if TYPE_CHECKING:
    from fhir_mapping.store.record import RecordStore


def carry_out(
    store: RecordStore, connection: Connection, steps: Sequence[Step], *, source: str
) -> list[Stored | Deleted]:
    """Carry out the entries of a transaction; one answer for each, in order.

    References to an entry's fullUrl, also relative ones, and conditional ones by identifier are resolved in what is
    served. What is deleted may have been named by what is changed or deleted with it.

    Raises
    ------
    Refused
        Nothing may be committed then.
    """
    lock(connection)
    now = store.clock(connection)
    done: list[Stored | Deleted | None] = [
        _removed(store, connection, step, source, now) if isinstance(step, Removal) else None for step in steps
    ]
    seen = {f"{each.type}/{each.id}" for each in done if each is not None}
    if len(seen) < sum(each is not None for each in done):
        raise Invalid(Issue("duplicate", "Two entries delete the same resource.", "Bundle.entry"))
    drafts: dict[int, Draft] = {}
    targets: dict[str, str] = {}
    conditions: set[tuple[str, str]] = set()
    for number, entry in enumerate(steps):
        if isinstance(entry, Removal):
            continue
        draft, found = _entry(store, connection, entry, source)
        _once(entry, draft, conditions)
        if draft is not None:
            drafts[number] = draft
        done[number] = found
        named = draft if found is None else found
        if entry.url is not None and named is not None:
            if entry.url in targets:
                raise Invalid(Issue("duplicate", "Two entries have this fullUrl.", f"{entry.element}.fullUrl"))
            targets[entry.url] = f"{named.type}/{named.id}"
    for draft in drafts.values():
        if f"{draft.type}/{draft.id}" in seen:
            raise Invalid(Issue("duplicate", "Two entries write the same resource.", draft.element))
        seen.add(f"{draft.type}/{draft.id}")
        _resolve(store, connection, draft, targets)
    written = store.write(connection, list(drafts.values()), False)
    done_by = dict(zip(drafts, written, strict=True))
    for number, step in enumerate(steps):
        answer = done[number]
        if isinstance(step, Removal) and isinstance(answer, Deleted):
            require_unnamed(connection, answer.type, answer.id, f"{step.element}.request.url")
    return [done_by[number] if answer is None else answer for number, answer in enumerate(done)]


def _removed(store: RecordStore, connection: Connection, step: Removal, source: str, now: datetime) -> Deleted:
    at = f"{step.element}.request.url"
    identity = step.id
    try:
        if identity is None:
            identity = store.where(connection, step.type, step.where or "", at)
        if identity is None:
            raise NotFound
        return remove(
            connection, store, store.setting, step.type, identity, source=source, now=now, if_match=step.if_match
        )
    except (NotFound, VersionMismatch) as error:
        raise _placed(error, at) from None


def _placed(error: Refused, element: str) -> Refused:
    return type(error)([replace(each, element=element) for each in error.issues])


def _once(entry: Entry, draft: Draft | None, conditions: set[tuple[str, str]]) -> None:
    """Two entries that create what nothing has would make it twice."""
    condition = entry.if_none_exist if entry.where is None else entry.where
    if condition is None:
        return
    if draft is not None and (entry.ready.type, condition) in conditions:
        at = f"{entry.element}.request.{'url' if entry.where is not None else 'ifNoneExist'}"
        raise Invalid(Issue("duplicate", "Two entries would be created where there is none.", at))
    conditions.add((entry.ready.type, condition))


def _entry(store: RecordStore, connection: Connection, entry: Entry, source: str) -> tuple[Draft | None, Stored | None]:
    """What an entry asks to be written, or what it has found already there."""
    kind, identity, must_be_new = entry.ready.type, entry.id, entry.id is None
    if entry.if_none_exist is not None:
        there = store.where(connection, kind, entry.if_none_exist, f"{entry.element}.request.ifNoneExist")
        if there is not None:
            return None, store.read(connection, kind, there)
    if entry.where is not None:
        there = store.where(connection, kind, entry.where, f"{entry.element}.request.url")
        named = entry.ready.resource.get("id")
        if there is not None and named not in (None, there):
            said = "The resource's id is not that of the resource found."
            raise Malformed(Issue("value", said, f"{entry.element}.resource.id"))
        identity = there or named
        must_be_new = there is None
    draft = store.draft(entry.ready, identity if identity is not None else store.new_id(), source)
    draft.element, draft.url = entry.element, entry.url
    draft.must_be_new = must_be_new
    draft.if_match = entry.if_match
    return draft, None


def _resolve(store: RecordStore, connection: Connection, draft: Draft, targets: Mapping[str, str]) -> None:
    """Put real ids in place of fullUrls and conditional references."""
    wanted = dict(targets)
    for found in references.found(draft.resource):
        whole = references.within(found.text, draft.url)
        if whole is not None and whole in targets:
            wanted[found.text] = targets[whole]
        if found.text in wanted or "?" not in found.text:
            continue
        kind, _, condition = found.text.partition("?")
        at = draft.at(f"{found.element}.reference")
        if kind in PHOTOS:  # whether it finds one would tell whether there is one
            raise Invalid(Issue("not-supported", "A photo is named by its id here, and by no condition.", at))
        if kind not in KEPT:
            raise Invalid(Issue("not-found", "The reference names nothing that is kept here.", at))
        matches = store.by_condition(connection, kind, condition, at)
        if len(matches) != 1:
            raise Invalid(Issue("not-found", "The conditional reference does not name one resource.", at))
        wanted[found.text] = f"{kind}/{matches[0]}"
    replaced = text.replace_references(draft.body, wanted)
    if replaced != draft.body:
        draft.received = draft.body
        draft.body = replaced
        draft.resource = text.kept(replaced)
