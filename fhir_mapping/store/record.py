"""The clinical record: FHIR resources kept as received, each version, with their indexes and projections.

Everything that one write causes happens in the caller's transaction: the version, the index rows, and what decisions
read of it (:mod:`fhir_mapping.projections`). A refusal is an exception; the caller rolls back.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from sqlalchemy import Connection

from consent.site import Site
from consent.store import clock as database_clock
from consent.store.versions import lock
from fhir_mapping import references, text
from fhir_mapping.errors import ConsentRefused, Invalid, Issue, Malformed, NotAllowed, NotFound, VersionMismatch
from fhir_mapping.projections.project import project
from fhir_mapping.projections.written import Setting, Written
from fhir_mapping.search.values import indexed, parts, token
from fhir_mapping.store.deletion import Deleted, remove, require_unnamed
from fhir_mapping.store.draft import Draft, check_references, keep
from fhir_mapping.store.kinds import CLINICAL, KEPT, LASTING, ORDER
from fhir_mapping.store.prepared import Entry, Prepared, Step, entries_of, lost_denials, prepare, steps_of
from fhir_mapping.store.reader import RecordReader, Stored, served
from fhir_mapping.store.transactions import carry_out


@dataclass(frozen=True, slots=True)
class Made:
    """A resource to be kept with others."""

    ready: Prepared
    id: str | None = None
    """None: one is made."""

    new: bool = True
    """False: where it is there already, this is its next version."""


class RecordStore(RecordReader):
    """Writes resources, and reads them, on the connection that it is given.

    Parameters
    ----------
    site
        Settings of the site: time zone, and what Consents are read by.
    clock
        The time by the database (:func:`consent.store.clock.now`).
    ids
        Makes ids of new resources.
    base
        This server's FHIR address without a final slash; absolute references below it are local.
    """

    def __init__(
        self,
        site: Site,
        clock: Callable[[Connection], datetime] = database_clock.now,
        ids: Callable[[], str] = lambda: str(uuid.uuid4()),
        base: str | None = None,
    ) -> None:
        super().__init__(site, base)
        self.setting = Setting(site, base)
        self.clock = clock
        self._ids = ids

    # --- before a transaction: what needs no database ---------------------------------------------------------------

    def prepare(self, type: str, body: bytes | Mapping[str, Any]) -> Prepared:
        """Read and check a resource, so that a write transaction need not last as long as that.

        Raises
        ------
        Refused
            As :meth:`create` would.
        """
        if type not in KEPT:
            raise NotFound(Issue("not-supported", f"{type} is not kept here."))
        return prepare(self.setting, type, body)

    def own(self, type: str, resource: Mapping[str, Any]) -> Prepared:
        """A resource that this product has made of what was checked before; it is not checked once more.

        What comes from elsewhere, in part or whole, goes through :meth:`prepare`.
        """
        return Prepared(type, text.dump(resource), dict(resource), None)

    def prepare_transaction(
        self, bundle: bytes | Mapping[str, Any], types: Iterable[str] = CLINICAL
    ) -> tuple[Entry, ...]:
        """Read and check a transaction Bundle and every resource in it, likewise."""
        return entries_of(self.setting, bundle, frozenset(types) & KEPT)

    def prepare_steps(self, bundle: bytes, types: Iterable[str]) -> tuple[Step, ...]:
        """The same, with all that a client may ask of a transaction: also deletions, and conditions by identifier."""
        return steps_of(self.setting, bundle, frozenset(types) & KEPT)

    def carry_out(self, connection: Connection, steps: Sequence[Step], *, source: str) -> list[Stored | Deleted]:
        """Carry out what :meth:`prepare_steps` read, whole or not at all; one answer for each entry, in order."""
        return carry_out(self, connection, steps, source=source)

    def lost_denials(self, bundle: bytes, fault: Invalid) -> list[ConsentRefused]:
        """What a transaction that was refused whole denied beside its fault, so that a person can see to it."""
        return lost_denials(self.setting, bundle, fault)

    def _ready(self, type: str, body: bytes | Mapping[str, Any] | Prepared) -> Prepared:
        return body if isinstance(body, Prepared) else self.prepare(type, body)

    # --- writing ----------------------------------------------------------------------------------------------------

    def create(
        self,
        connection: Connection,
        type: str,
        body: bytes | Mapping[str, Any] | Prepared,
        *,
        source: str,
        id: str | None = None,
        arrived: bool = False,
    ) -> Stored:
        """Keep a new resource; with ``id`` under that id, which must be free.

        Parameters
        ----------
        source
            Who owns it where ``meta.source`` does not say: an account, a process or a system.
        arrived
            It came by synchronisation: a Consent that cannot be honoured holds its patient instead of being refused.

        Raises
        ------
        Refused
            See :mod:`fhir_mapping.errors`; nothing may be committed then.
        """
        draft = self.draft(self._ready(type, body), id if id is not None else self._ids(), source)
        draft.must_be_new = True
        return self.write(connection, [draft], arrived)[0]

    def update(
        self,
        connection: Connection,
        type: str,
        id: str,
        body: bytes | Mapping[str, Any] | Prepared,
        *,
        source: str,
        if_match: int | None = None,
        arrived: bool = False,
    ) -> Stored:
        """Keep a new version; where there is none yet, the first one under this id (R4 update as create).

        Parameters
        ----------
        if_match
            The version that the writer has read; 0: there is none.
        """
        draft = self.draft(self._ready(type, body), id, source)
        named = draft.resource.get("id")
        if named != id:
            raise Malformed(Issue("value", "The resource's id must be the id that is written to.", f"{type}.id"))
        draft.if_match = if_match
        return self.write(connection, [draft], arrived)[0]

    def update_where(
        self,
        connection: Connection,
        type: str,
        condition: str,
        body: bytes | Mapping[str, Any] | Prepared,
        *,
        source: str,
        fresh: str,
        if_match: int | None = None,
    ) -> Stored:
        """A new version of the one resource that a condition finds; where there is none, it is created (R4).

        Parameters
        ----------
        fresh
            The id of what is created, where the resource states none.
        """
        ready = self._ready(type, body)
        named = ready.resource.get("id")
        there = self.where(connection, type, condition, type)
        if there is not None and named not in (None, there):
            raise Malformed(Issue("value", "The resource's id is not that of the resource found.", f"{type}.id"))
        draft = self.draft(ready, there or named or fresh, source)
        draft.must_be_new = there is None  # what has this id, and not what the condition asks, is another one
        draft.if_match = if_match
        return self.write(connection, [draft], False)[0]

    def delete(
        self, connection: Connection, type: str, id: str, *, source: str, if_match: int | None = None
    ) -> Deleted:
        """Delete a resource; one that is deleted already stays as it is.

        Raises
        ------
        Refused
            It never was there, has another version, is of a type that lasts, or something names it.
        """
        if type in LASTING:
            raise NotAllowed(Issue("not-supported", f"A {type} is marked entered-in-error, and never deleted."))
        lock(connection)
        now = self.clock(connection)
        gone = remove(connection, self, self.setting, type, id, source=source, now=now, if_match=if_match)
        require_unnamed(connection, type, id)
        return gone

    def write_all(self, connection: Connection, made: Sequence[Made], *, source: str) -> list[Stored]:
        """Keep several resources by the statements of one; one answer for each, in order.

        Raises
        ------
        Refused
            See :mod:`fhir_mapping.errors`; nothing may be committed then.
        """
        drafts = []
        for each in made:
            draft = self.draft(each.ready, each.id if each.id is not None else self._ids(), source)
            draft.must_be_new = each.new
            drafts.append(draft)
        return self.write(connection, drafts, False)

    def transaction(
        self,
        connection: Connection,
        bundle: bytes | Mapping[str, Any] | tuple[Entry, ...],
        *,
        source: str,
    ) -> list[Stored]:
        """Carry out a transaction Bundle, whole or not at all; one answer for each entry, in order.

        Entries POST (also with ifNoneExist by identifier) and PUT by id are understood. References to an entry's
        fullUrl, also relative ones, and conditional ones by identifier are resolved in what is served.
        """
        entries = bundle if isinstance(bundle, tuple) else self.prepare_transaction(bundle)
        done = carry_out(self, connection, entries, source=source)
        return [each for each in done if isinstance(each, Stored)]

    def by_condition(self, connection: Connection, kind: str, condition: str, element: str) -> list[str]:
        """Ids of what a search by identifier finds: the search alone, or with its type, or with the whole address."""
        for before in (f"{self.base}/{kind}?", f"{kind}?", "?"):
            condition = condition.removeprefix(before)
        name, _, stated = condition.partition("=")
        value = unquote_plus(stated)
        system, code = token(value)
        if name != "identifier" or "&" in stated or not code or len(parts(value, ",")) > 1 or "\x00" in value:
            raise Invalid(Issue("not-supported", "A condition is one identifier and nothing else.", element))
        return self.by_identifier(connection, kind, code, system)

    def draft(self, ready: Prepared, identity: str, source: str) -> Draft:
        """A version on its way, under an id.

        Raises
        ------
        Malformed
            That is no id.
        """
        if not references.ID.fullmatch(identity):
            raise Malformed(Issue("value", "An id is 1 to 64 letters, digits, '-' and '.'.", f"{ready.type}.id"))
        return Draft(ready.type, identity, ready.body, ready.resource, indexed(ready.owner or source))

    def write(self, connection: Connection, drafts: Sequence[Draft], arrived: bool) -> list[Stored]:
        """Keep drafts: versions, indexes, and what decisions read of them; one answer for each, in order."""
        lock(connection)
        now = self.clock(connection)
        keep(connection, self, drafts, now)
        # A Consent that arrived is kept in any case: what it names in vain holds its patient.
        check_references(
            connection, self.setting, [each for each in drafts if not (arrived and each.type == "Consent")]
        )
        ordered = sorted(drafts, key=lambda each: ORDER[each.type])
        told = project(
            connection,
            self.setting,
            [
                Written(each.type, each.id, each.version, each.resource, each.previous, each.body, now, arrived)
                for each in ordered
            ],
        )
        notes = {id(draft): tuple(issues) for draft, issues in zip(ordered, told, strict=True)}
        return [
            Stored(
                draft.type,
                draft.id,
                draft.version,
                now,
                served(draft.body, draft.id, draft.version, now),
                created=draft.fresh,
                notes=notes[id(draft)],
            )
            for draft in drafts
        ]

    def new_id(self) -> str:
        """An id for a resource that is about to be created."""
        return self._ids()

    def unless_there(self, connection: Connection, type: str, condition: str) -> Stored | None:
        """What a conditional create (R4 If-None-Exist, by identifier) finds already there.

        Until the transaction ends nobody else writes, so that two who ask at once make one.

        Raises
        ------
        VersionMismatch
            Several match.
        """
        there = self.where(connection, type, condition, "If-None-Exist")
        return None if there is None else self.read(connection, type, there)

    def where(self, connection: Connection, type: str, condition: str, element: str) -> str | None:
        """The id of the one resource that a condition finds: a search by identifier. None: there is none.

        Raises
        ------
        VersionMismatch
            Several match.
        """
        lock(connection)
        matches = self.by_condition(connection, type, condition, element)
        if len(matches) > 1:
            raise VersionMismatch(Issue("multiple-matches", "Several resources have this identifier.", element))
        return matches[0] if matches else None
