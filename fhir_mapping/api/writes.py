"""Writing: create, update, transaction. The intent is durable before the commit, its outcome after it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from consent.audit.record import AuditRecord, Kind, of_request
from consent.errors import ConsentError
from consent.store.clock import now
from consent.store.engine import reading
from consent.store.engine import transaction as unit_of_work
from fhir_mapping import references
from fhir_mapping.api import access, cut, reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.reply import Reply
from fhir_mapping.api.sight import RequestSight
from fhir_mapping.errors import ConsentRefused, Forbidden, Invalid, Issue, Malformed, NotFound
from fhir_mapping.resources.task import refused_consent
from fhir_mapping.store.deletion import Deleted
from fhir_mapping.store.prepared import expected_version
from fhir_mapping.store.reader import Stored

T = TypeVar("T")
Work = Callable[[Connection], T]

_LOG = logging.getLogger(__name__)

_Told = tuple[Stored | Deleted, str]
"""What was done, and what of it is returned: ``representation``, ``minimal`` or ``OperationOutcome``."""


def create(node: Node, asked: Asked, kind: str, body: bytes, if_none_exist: str | None = None) -> Reply:
    """Keep a new resource under an id of ours; with If-None-Exist only where none has that identifier."""
    access.require_write(asked.request.requester, kind)
    identity = node.record.new_id()
    source = asked.request.requester.account
    # Who may write, and not read, is told that it is there, and not what it says.
    returns = asked.returns if access.reach(asked.request, kind) is access.Reach.ALL else "minimal"

    def prepare() -> Work[Stored]:
        ready = node.record.prepare(kind, body)

        def work(connection: Connection) -> Stored:
            there = None
            if if_none_exist is not None:
                there = node.record.unless_there(connection, kind, if_none_exist)
            if there is not None:
                return there
            return node.record.create(connection, kind, ready, source=source, id=identity)

        return work

    done = perform(node, _intent(node, asked, f"{kind}/{identity}", body), source, prepare)
    return _written(node, asked, done, asked.returns if done.created else returns)


def update(
    node: Node,
    asked: Asked,
    kind: str,
    identity: str,
    body: bytes,
    if_match: str | None = None,
    if_none_match: str | None = None,
) -> Reply:
    """Keep a new version, or the first one under an id that the sender chose."""
    access.require_write(asked.request.requester, kind)
    if not references.ID.fullmatch(identity):
        raise Malformed(Issue("value", "An id is 1 to 64 letters, digits, '-' and '.'.", f"{kind}.id"))
    expected = expected_version(if_match, if_none_match)
    source = asked.request.requester.account

    def prepare() -> Work[Stored]:
        ready = node.record.prepare(kind, body)
        return lambda connection: node.record.update(
            connection, kind, identity, ready, source=source, if_match=expected
        )

    done = perform(node, _intent(node, asked, f"{kind}/{identity}", body), source, prepare)
    return _written(node, asked, done, asked.returns)


def update_where(node: Node, asked: Asked, kind: str, condition: str, body: bytes, if_match: str | None) -> Reply:
    """Conditional update (R4), by identifier: what has it gets a new version; where nothing has it, it is created."""
    access.require_write(asked.request.requester, kind)
    expected = expected_version(if_match, None)
    source = asked.request.requester.account
    fresh = node.record.new_id()

    def prepare() -> Work[Stored]:
        ready = node.record.prepare(kind, body)
        return lambda connection: node.record.update_where(
            connection, kind, condition, ready, source=source, fresh=fresh, if_match=expected
        )

    done = perform(node, _intent(node, asked, f"{kind}?", body), source, prepare)
    return _written(node, asked, done, asked.returns)


def delete(node: Node, asked: Asked, kind: str, identity: str, if_match: str | None = None) -> Reply:
    """Delete a resource; what was deleted before is answered alike."""
    access.require_write(asked.request.requester, kind)
    expected = expected_version(if_match, None)
    source = asked.request.requester.account

    def work(connection: Connection) -> Reply:
        gone = node.record.delete(connection, kind, identity, source=source, if_match=expected)
        return reply.deleted(gone, asked.returns)

    return perform(node, _intent(node, asked, f"{kind}/{identity}", b""), source, lambda: work)


def delete_where(node: Node, asked: Asked, kind: str, condition: str) -> Reply:
    """Conditional delete (R4) of the one resource that has an identifier."""
    access.require_write(asked.request.requester, kind)
    source = asked.request.requester.account

    def work(connection: Connection) -> Reply:
        there = node.record.where(connection, kind, condition, kind)
        if there is None:
            raise NotFound
        return reply.deleted(node.record.delete(connection, kind, there, source=source), asked.returns)

    return perform(node, _intent(node, asked, f"{kind}?", b""), source, lambda: work)


def transaction(node: Node, asked: Asked, body: bytes) -> Reply:
    """Carry out a transaction Bundle, whole or not at all; a denial that is undone with it leaves a Task."""
    types = access.writable(asked.request.requester)
    if asked.scopes is not None:
        types = frozenset(each for each in types if asked.scopes.may_write(each))
    if not types:
        raise Forbidden(Issue("forbidden", "Writing needs the right 'record' or 'consent', and scopes that cover it."))
    source = asked.request.requester.account
    returns = asked.returns if asked.prefers else "minimal"

    def shown(done: Stored | Deleted) -> str:
        # Who may write, and not read, is told that it is there, and not what it says.
        found = isinstance(done, Stored) and not done.created
        readable = access.reach(asked.request, done.type) is access.Reach.ALL
        return "minimal" if found and not readable and returns == "representation" else returns

    def prepare() -> Work[list[Stored | Deleted]]:
        steps = node.record.prepare_steps(body, types)
        return lambda connection: node.record.carry_out(connection, steps, source=source)

    intent = _intent(node, asked, "Bundle", body)
    try:
        done = perform(node, intent, source, prepare)
    except Invalid as fault:
        for each in node.record.lost_denials(body, fault):
            _open_task(node, intent, source, each)
        raise
    return reply.transaction(node.base, _told(node, asked, [(each, shown(each)) for each in done]))


def _written(node: Node, asked: Asked, done: Stored, returns: str) -> Reply:
    ((told, how),) = _told(node, asked, [(done, returns)])
    assert isinstance(told, Stored)
    return reply.written(told, node.base, how)


def _told(node: Node, asked: Asked, done: Sequence[_Told]) -> list[_Told]:
    """What is told of what was done: a representation is what reading it would show.

    Where that cannot be found out just now the answer is the shortest: it was done all the same.
    """
    whole = [each for each, returns in done if returns == "representation" and isinstance(each, Stored)]
    if not whole:
        return list(done)
    try:
        with reading(node.engine) as connection:
            sight = RequestSight(connection, node.decisions, asked.request, asked.scopes)
            bodies = cut.shown(connection, sight, [(each.type, each.body) for each in whole], node.record.base)
    except (DBAPIError, ConsentError) as error:
        _LOG.warning("what was written cannot be shown now: %s", type(error).__name__)
        return [(each, "minimal" if returns == "representation" else returns) for each, returns in done]
    bare = iter(bodies)
    return [
        (replace(each, body=next(bare)), returns)
        if returns == "representation" and isinstance(each, Stored)
        else (each, returns)
        for each, returns in done
    ]


def perform(node: Node, intent: AuditRecord, source: str, prepare: Callable[[], Work[T]]) -> T:
    """Do the work of one write in one transaction, recorded before and after.

    A refused Consent that contains a denial leaves a Task, in a transaction of its own: the write itself is undone.

    Parameters
    ----------
    prepare
        Reads and checks what needs no database, before the transaction begins, and gives the work to be done in it.
    """
    try:
        with node.chain.written(intent):
            work = prepare()
            with unit_of_work(node.engine) as connection:
                return work(connection)
    except ConsentRefused as refusal:
        if refusal.has_denial:
            _open_task(node, intent, source, refusal)
        raise


def _open_task(node: Node, intent: AuditRecord, source: str, refusal: ConsentRefused) -> None:
    identity = node.record.new_id()
    about = AuditRecord(
        Kind.INTENT,
        node.door,
        "consent-refused",
        account=intent.account,
        subject=f"Task/{identity}",
        digest=hashlib.sha256(refusal.body).hexdigest(),
        details={"consent": intent.subject or ""},
    )
    with node.chain.written(about), unit_of_work(node.engine) as connection:
        patient = refusal.patient
        if patient is not None and not node.record.exists(connection, f"Patient/{patient}"):
            patient = None
        task = node.record.own("Task", refused_consent(patient, refusal.issues, refusal.body, now(connection)))
        node.record.create(connection, "Task", task, source=source, id=identity)


def _intent(node: Node, asked: Asked, subject: str, body: bytes) -> AuditRecord:
    digest = hashlib.sha256(body).hexdigest()
    return of_request(Kind.INTENT, node.door, asked.route, asked.request, subject=subject, digest=digest)
