"""Advisories that are kept: opened once for a question, worked through patient by patient, looked at again, closed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from consent.audit.record import AuditRecord, Kind, of_request
from consent.store import clock
from consent.store.engine import reading, transaction
from consent.store.versions import lock
from consent.store.write import among
from consent.types import Request
from consent.wording import worded
from fhir_mapping.advisory.asked import Question, is_text
from fhir_mapping.advisory.batch import Advisory
from fhir_mapping.advisory.opened import Changes, Opened, in_order, items_of, what
from fhir_mapping.advisory.people import records_of
from fhir_mapping.advisory.question import ask, require
from fhir_mapping.advisory.treatments import kept
from fhir_mapping.api.node import Node
from fhir_mapping.errors import Invalid, Issue, NotFound, VersionMismatch
from fhir_mapping.resources import advisory as resources
from fhir_mapping.resources.advisory import Item, KeptAdvisory, Step, Taken
from fhir_mapping.resources.task import TASK_SYSTEM
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.record import Made
from fhir_mapping.tables import fhir_reference, fhir_resource, fhir_token

_LONGEST_NOTE = 4000
_LONGEST_NOTICE = 100_000
_BREAKS = "\f\v\x1c\x1d\x1e\x85"  # of pages and lines in what is pasted
MORE_FOUND = worded("more of the batch was found about her")
_STEP = 20  # Tasks that are written in one transaction


@dataclass(frozen=True, slots=True)
class _Task:
    """A patient's Task."""

    id: str
    version: int
    resource: Mapping[str, Any]


class Advisories:
    """Batch questions, and the advisories that were opened for them.

    Parameters
    ----------
    os_user
        Who sits at the machine, where that is known; for the audit.
    """

    def __init__(self, node: Node, os_user: str | None = None) -> None:
        self._node = node
        self._os_user = os_user

    def ask(self, request: Request, question: Question) -> Advisory:
        """Answer a question; see :func:`fhir_mapping.advisory.question.ask`."""
        node = self._node
        with reading(node.engine) as connection:
            return ask(
                node.decisions,
                connection,
                node.chain,
                request,
                node.record.site,
                question,
                door=node.door,
                os_user=self._os_user,
            )

    def open(self, request: Request, question: Question, notice: str = "") -> Opened:
        """Keep a question, what is found now, and a Task for each patient who has none yet.

        Raises
        ------
        Forbidden, Invalid
        """
        require(request)
        notice = "".join("\n" if each in _BREAKS else each for each in notice if each in _BREAKS or is_text(each))
        if len(notice) > _LONGEST_NOTICE:
            raise Invalid(
                Issue("too-long", worded("A notice is a text of %(most)s characters at most.", most=_LONGEST_NOTICE))
            )
        answer = self.ask(request, question)
        identity = resources.advisory_id(question)
        items = items_of(answer)
        intent = self._entry(
            Kind.INTENT, request, "advisory open", f"Task/{identity}", {"patients": len(answer.patients)}
        )
        with self._node.chain.written(intent):
            more = self._keep(question, notice, items)
            ids = [each.id for each in answer.patients]
            for start in range(0, len(ids), _STEP):
                self._keep_patients(request, question, ids[start : start + _STEP], more)
        return self._whole(identity, answer)

    def listed(self, request: Request) -> list[KeptAdvisory]:
        """All advisories that are kept, the newest first; the reading is recorded."""
        require(request)
        query = select(fhir_token.c.id).where(
            fhir_token.c.type == "Task", fhir_token.c.name == "code", fhir_token.c.value == resources.ADVISORY
        )
        with reading(self._node.engine) as connection:
            ids = connection.execute(query).scalars().all()
            found = [
                resources.read_advisory(dict(each.resource) | {"id": reference.partition("/")[2]})
                for reference, each in kept(connection, {f"Task/{each}" for each in ids}).items()
            ]
        details = {"found": len(found)}
        self._node.chain.append([self._entry(Kind.READ, request, "advisory list", "advisory", details)])
        return sorted(found, key=lambda each: (each.opened, each.id), reverse=True)

    def show(self, request: Request, identity: str) -> Opened:
        """Ask again what an advisory asked, and tell what has changed since it was opened last.

        Raises
        ------
        NotFound
        """
        require(request)
        with reading(self._node.engine) as connection:
            found = self._read(connection, identity)
        if found is None:
            raise NotFound
        return self._whole(identity, self.ask(request, found.question))

    def note(
        self,
        request: Request,
        identity: str,
        patient: str,
        step: Step,
        said: str,
        medium: str = "",
        *,
        seen: int | None = None,
    ) -> tuple[Taken, ...]:
        """Write down that a step was taken about a patient; a contact is a Communication as well.

        Parameters
        ----------
        seen
            As :meth:`Opened.seen` told it: nothing is written if something was done about her since. None: then too.

        Raises
        ------
        NotFound
            No such advisory, or the patient is not of it.
        Invalid
            What is attested was not reviewed, the advisory is closed, or the text is too long.
        VersionMismatch
            Somebody has done something about her meanwhile; the text says who and what.
        """
        require(request)
        said = said.strip()
        if step not in resources.WORK:
            raise Invalid(Issue("value", worded("What is done is contacted, reviewed or attested.")))
        if not is_text(said) or not is_text(medium):
            raise Invalid(Issue("value", worded("The note holds a character that FHIR does not allow.")))
        if len(said) > _LONGEST_NOTE or len(medium) > 200:
            raise Invalid(Issue("too-long", worded("A note has %(most)s characters at most.", most=_LONGEST_NOTE)))
        details = {"patient": patient, "step": step.value}
        with self._written(request, "advisory done", identity, details) as connection:
            advisory, tasks = self._read(connection, identity), self._tasks(connection, identity)
            group = sorted(
                records_of(connection, {patient})[patient].all & set(tasks), key=lambda each: each != patient
            )
            if advisory is None or not group:
                raise NotFound
            if advisory.closed:
                raise Invalid(Issue("business-rule", worded("The advisory is closed. Open it again to go on.")))
            before = in_order(one for each in group for one in resources.steps_of(tasks[each].resource))
            if seen is not None and seen != sum(tasks[each].version for each in group):
                raise VersionMismatch(Issue("conflict", _meanwhile(before)))
            since = before[1 + max((at for at, each in enumerate(before) if each.step is Step.FOUND), default=-1) :]
            if step is Step.ATTESTED and not any(each.step is Step.REVIEWED for each in since):
                raise Invalid(Issue("business-rule", worded("What is attested has been reviewed before.")))
            task_id, task = tasks[group[0]].id, tasks[group[0]].resource
            record, now, who = self._node.record, clock.now(connection), request.requester
            told = None
            made: list[Made] = []
            if step is Step.CONTACTED:
                own = resources.communication(patient, task_id, who.reference, medium.strip(), said or "-", now)
                told = record.new_id()
                made.append(Made(record.prepare("Communication", own), told))
            after = resources.with_step(
                dict(task) | {"id": task_id},
                Taken(step, who.account, now, said),
                None if told is None else f"Communication/{told}",
            )
            made.append(Made(record.prepare("Task", after), task_id, new=False))
            record.write_all(connection, made, source=SOURCE)
            return resources.steps_of(after)

    def close(self, request: Request, identity: str) -> Opened:
        """Close an advisory whose every patient is attested.

        Raises
        ------
        NotFound
        Invalid
            Somebody is left, or something was found since; the text says how many.
        VersionMismatch
            It was changed meanwhile.
        """
        whole = self.show(request, identity)
        left = whole.left()
        if left:
            every = len(whole.answer.patients)
            told = worded("%(left)s of %(every)s patients are left.", left=len(left), every=every)
            raise Invalid(Issue("business-rule", told))
        if whole.changes.added:
            told = worded(
                "%(number)s treatments were found since it was opened: take them in first.",
                number=len(whole.changes.added),
            )
            raise Invalid(Issue("business-rule", told))
        with self._written(request, "advisory close", identity, {}) as connection:
            now, was = clock.now(connection), whole.kept
            if self._read(connection, identity) != was:
                raise VersionMismatch(Issue("conflict", worded("Somebody has changed it meanwhile: look at it again.")))
            task = resources.advisory_task(was.question, was.notice, was.found, was.opened, now, closed=True)
            ready = self._node.record.own("Task", task)
            self._node.record.update(connection, "Task", identity, ready, source=SOURCE)
        return self._whole(identity, whole.answer)

    def recorded(self, request: Request, identity: str, form: str, body: bytes) -> None:
        """Record that a close-out report leaves, before it does."""
        digest = hashlib.sha256(body).hexdigest()
        details = {"form": form, "sha256": digest, "bytes": len(body)}
        self._node.chain.append([self._entry(Kind.READ, request, "advisory report", f"Task/{identity}", details)])

    def _keep(self, question: Question, notice: str, items: tuple[Item, ...]) -> frozenset[str]:
        """Write the advisory's own Task, unless it says the same already; tells of whom something is new."""
        identity = resources.advisory_id(question)
        with transaction(self._node.engine) as connection:
            lock(connection)
            before = self._read(connection, identity)
            said = notice if before is None or notice.strip() else before.notice
            if before is not None and (before.found, before.notice, before.closed) == (items, said, False):
                return frozenset()
            now = clock.now(connection)
            opened = now if before is None else before.opened
            made = self._node.record.own("Task", resources.advisory_task(question, said, items, opened, now))
            self._node.record.update(connection, "Task", identity, made, source=SOURCE)
        known = set() if before is None else {what(each) for each in before.found}
        return frozenset(each.patient for each in items if what(each) not in known)

    def _keep_patients(
        self, request: Request, question: Question, patients: Sequence[str], more: frozenset[str]
    ) -> None:
        """Write the Tasks of those patients who have none yet; few at a time, so that nobody else waits.

        Where something was done about one of ``more`` already, her Task says that it is to be done anew.
        """
        identity = resources.advisory_id(question)
        with transaction(self._node.engine) as connection:
            lock(connection)
            now, record = clock.now(connection), self._node.record
            made = [resources.patient_task(identity, question.title, each, now) for each in patients]
            there = kept(connection, [f"Task/{each['id']}" for each in made])
            written: list[Made] = []
            for patient, task in zip(patients, made, strict=True):
                known = there.get(f"Task/{task['id']}")
                if known is None:
                    written.append(Made(record.own("Task", task), task["id"]))
                elif patient in more and resources.state_of(resources.steps_of(known.resource)) is not None:
                    found = Taken(Step.FOUND, request.requester.account, now, str(MORE_FOUND))
                    after = resources.with_step(dict(known.resource) | {"id": task["id"]}, found, None)
                    written.append(Made(record.prepare("Task", after), task["id"], new=False))
            if written:
                record.write_all(connection, written, source=SOURCE)

    # --- the parts ----------------------------------------------------------------------------------------------------

    def _whole(self, identity: str, answer: Advisory) -> Opened:
        record = self._node.record
        with reading(self._node.engine) as connection:
            found = self._read(connection, identity)
            if found is None:
                raise NotFound
            tasks = self._tasks(connection, identity)
            ids = sorted([identity, *(each.id for each in tasks.values())])
            stored = record.read_many(connection, "Task", ids)
            told = self._told(connection, ids)
            stored += record.read_many(connection, "Communication", sorted(told))
        was, now = set(found.found), set(items_of(answer))
        steps = {patient: resources.steps_of(each.resource) for patient, each in sorted(tasks.items())}
        return Opened(
            kept=found,
            answer=answer,
            changes=Changes(tuple(sorted(now - was)), tuple(sorted(was - now))),
            steps=steps,
            stored=tuple(sorted(stored, key=lambda each: each.reference)),
            versions={patient: each.version for patient, each in tasks.items()},
        )

    def _read(self, connection: Connection, identity: str) -> KeptAdvisory | None:
        found = kept(connection, [f"Task/{identity}"]).get(f"Task/{identity}")
        if found is None or not _is(found.resource, resources.ADVISORY):
            return None
        return resources.read_advisory(dict(found.resource) | {"id": identity})

    def _tasks(self, connection: Connection, identity: str) -> dict[str, _Task]:
        """Patient -> her Task."""
        query = select(fhir_reference.c.id).where(
            fhir_reference.c.target == f"Task/{identity}",
            fhir_reference.c.type == "Task",
            fhir_reference.c.path == "partOf",
        )
        ids = list(connection.execute(query).scalars())
        found = kept(connection, {f"Task/{each}" for each in ids})
        versions = select(fhir_resource.c.id, fhir_resource.c.version).where(
            fhir_resource.c.type == "Task", among(connection, fhir_resource.c.id, ids)
        )
        return {
            each.patient: _Task(row.id, row.version, each.resource)
            for row in connection.execute(versions)
            if (each := found[f"Task/{row.id}"]).patient is not None and _is(each.resource, resources.PATIENT)
        }

    @staticmethod
    def _told(connection: Connection, tasks: list[str]) -> set[str]:
        query = select(fhir_reference.c.id).where(
            among(connection, fhir_reference.c.target, {f"Task/{each}" for each in tasks}),
            fhir_reference.c.type == "Communication",
            fhir_reference.c.path == "about",
        )
        return set(connection.execute(query).scalars())

    @contextmanager
    def _written(self, request: Request, route: str, identity: str, details: Mapping[str, Any]) -> Iterator[Connection]:
        """A transaction that is recorded before and after."""
        intent = self._entry(Kind.INTENT, request, route, f"Task/{identity}", details)
        with self._node.chain.written(intent), transaction(self._node.engine) as connection:
            lock(connection)
            yield connection

    def _entry(self, kind: Kind, request: Request, route: str, subject: str, details: Mapping[str, Any]) -> AuditRecord:
        return of_request(
            kind, self._node.door, route, request, subject=subject, os_user=self._os_user, details=dict(details)
        )


def _meanwhile(taken: Sequence[Taken]) -> str:
    if not taken:
        return worded("Somebody was faster. Nothing was written; look at it and say it again.")
    return worded(
        "Somebody was faster: %(step)s, by %(by)s. Nothing was written; look at it and say it again.",
        step=taken[-1].step.words,
        by=taken[-1].by,
    )


def _is(task: Mapping[str, Any], code: str) -> bool:
    codings = (task.get("code") or {}).get("coding") or ()
    return any(each.get("system") == TASK_SYSTEM and each.get("code") == code for each in codings)
