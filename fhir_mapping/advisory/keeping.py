"""Advisories that are kept: opened once for a question, worked through patient by patient, looked at again, closed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from consent.audit.record import AuditRecord, Kind, of_request
from consent.store import clock
from consent.store.engine import reading, transaction
from consent.store.versions import lock
from consent.store.write import among
from consent.types import Request
from fhir_mapping.advisory.asked import Question, is_text
from fhir_mapping.advisory.batch import Advisory, Patient
from fhir_mapping.advisory.question import ask, require
from fhir_mapping.advisory.treatments import kept
from fhir_mapping.api.node import Node
from fhir_mapping.errors import Invalid, Issue, NotFound
from fhir_mapping.resources import advisory as resources
from fhir_mapping.resources.advisory import Item, KeptAdvisory, Step, Taken
from fhir_mapping.resources.task import TASK_SYSTEM
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.reader import Stored
from fhir_mapping.store.record import Made
from fhir_mapping.tables import fhir_reference, fhir_token

_LONGEST_NOTE = 4000
_LONGEST_NOTICE = 100_000
_STEP = 20  # Tasks that are written in one transaction


@dataclass(frozen=True, slots=True)
class Changes:
    """How the record differs from what was found when the advisory was opened last."""

    added: tuple[Item, ...] = ()
    gone: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """An advisory with its answer of now, and what was done about each patient."""

    kept: KeptAdvisory
    answer: Advisory
    changes: Changes
    steps: Mapping[str, tuple[Taken, ...]]
    """By patient, those too who are no longer found."""

    stored: tuple[Stored, ...]
    """The Tasks and Communications, by reference."""

    @property
    def as_of(self) -> datetime:
        """When the last of them was written."""
        return max(each.updated for each in self.stored)

    def taken(self, patient: Patient) -> tuple[Taken, ...]:
        """What was done about a patient, under whichever of her records, in order of time."""
        mine = [one for each in (patient.id, *patient.records) for one in self.steps.get(each, ())]
        return tuple(sorted(mine, key=lambda one: one.at))

    def state(self, patient: Patient) -> Step | None:
        """The furthest step that was taken about a patient; None: nothing was done yet."""
        return max((one.step for one in self.taken(patient)), key=list(Step).index, default=None)

    def left(self) -> list[str]:
        """Patients about whom nothing was attested yet."""
        return [each.id for each in self.answer.patients if self.state(each) is not Step.ATTESTED]


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
        if len(notice) > _LONGEST_NOTICE or not is_text(notice):
            raise Invalid(Issue("too-long", f"A notice is a text of {_LONGEST_NOTICE} characters at most."))
        answer = self.ask(request, question)
        identity = resources.advisory_id(question)
        items = items_of(answer)
        intent = self._entry(
            Kind.INTENT, request, "advisory open", f"Task/{identity}", {"patients": len(answer.patients)}
        )
        with self._node.chain.written(intent):
            self._keep(question, notice, items)
            ids = [each.id for each in answer.patients]
            for start in range(0, len(ids), _STEP):
                self._keep_patients(question, ids[start : start + _STEP])
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
        self, request: Request, identity: str, patient: str, step: Step, said: str, medium: str = ""
    ) -> tuple[Taken, ...]:
        """Write down that a step was taken about a patient; a contact is a Communication as well.

        Raises
        ------
        NotFound
            No such advisory, or the patient is not of it.
        Invalid
            What is attested was not reviewed, or the text is too long.
        """
        require(request)
        said = said.strip()
        if len(said) > _LONGEST_NOTE or len(medium) > 200:
            raise Invalid(Issue("too-long", f"A note has {_LONGEST_NOTE} characters at most."))
        details = {"patient": patient, "step": step.value}
        with self._written(request, "advisory done", identity, details) as connection:
            found = self._tasks(connection, identity).get(patient)
            if found is None:
                raise NotFound
            task_id, task = found
            before = resources.steps_of(task)
            if step is Step.ATTESTED and not any(each.step is Step.REVIEWED for each in before):
                raise Invalid(Issue("business-rule", "What is attested has been reviewed before."))
            record, now, who = self._node.record, clock.now(connection), request.requester
            told = None
            made: list[Made] = []
            if step is Step.CONTACTED:
                own = resources.communication(patient, task_id, who.reference, medium.strip(), said or "-", now)
                told = record.new_id()
                made.append(Made(record.prepare("Communication", own), told))
            after = resources.with_step(
                task | {"id": task_id},
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
            Somebody is left; the text says how many.
        """
        whole = self.show(request, identity)
        left = whole.left()
        if left:
            raise Invalid(Issue("business-rule", f"{len(left)} of {len(whole.answer.patients)} patients are left."))
        with self._written(request, "advisory close", identity, {}) as connection:
            now, was = clock.now(connection), whole.kept
            task = resources.advisory_task(was.question, was.notice, was.found, was.opened, now, closed=True)
            ready = self._node.record.own("Task", task)
            self._node.record.update(connection, "Task", identity, ready, source=SOURCE)
        return self._whole(identity, whole.answer)

    def recorded(self, request: Request, identity: str, form: str, body: bytes) -> None:
        """Record that a close-out report leaves, before it does."""
        digest = hashlib.sha256(body).hexdigest()
        details = {"form": form, "sha256": digest, "bytes": len(body)}
        self._node.chain.append([self._entry(Kind.READ, request, "advisory report", f"Task/{identity}", details)])

    def _keep(self, question: Question, notice: str, items: tuple[Item, ...]) -> None:
        """Write the advisory's own Task, unless it says the same already."""
        identity = resources.advisory_id(question)
        with transaction(self._node.engine) as connection:
            lock(connection)
            before = self._read(connection, identity)
            if before is not None and before.found == items and not before.closed:
                return
            now = clock.now(connection)
            opened = now if before is None else before.opened
            said = notice if before is None or notice.strip() else before.notice
            made = self._node.record.own("Task", resources.advisory_task(question, said, items, opened, now))
            self._node.record.update(connection, "Task", identity, made, source=SOURCE)

    def _keep_patients(self, question: Question, patients: Sequence[str]) -> None:
        """Write the Tasks of those patients who have none yet; few at a time, so that nobody else waits."""
        identity = resources.advisory_id(question)
        with transaction(self._node.engine) as connection:
            lock(connection)
            now = clock.now(connection)
            made = [resources.patient_task(identity, question.title, each, now) for each in patients]
            there = kept(connection, [f"Task/{each['id']}" for each in made])
            record = self._node.record
            new = [Made(record.own("Task", each), each["id"]) for each in made if f"Task/{each['id']}" not in there]
            if new:
                record.write_all(connection, new, source=SOURCE)

    # --- the parts ----------------------------------------------------------------------------------------------------

    def _whole(self, identity: str, answer: Advisory) -> Opened:
        record = self._node.record
        with reading(self._node.engine) as connection:
            found = self._read(connection, identity)
            if found is None:
                raise NotFound
            tasks = self._tasks(connection, identity)
            ids = sorted([identity, *(task_id for task_id, _ in tasks.values())])
            stored = record.read_many(connection, "Task", ids)
            told = self._told(connection, ids)
            stored += record.read_many(connection, "Communication", sorted(told))
        was, now = set(found.found), set(items_of(answer))
        steps = {patient: resources.steps_of(task) for patient, (_, task) in sorted(tasks.items())}
        return Opened(
            kept=found,
            answer=answer,
            changes=Changes(tuple(sorted(now - was)), tuple(sorted(was - now))),
            steps=steps,
            stored=tuple(sorted(stored, key=lambda each: each.reference)),
        )

    def _read(self, connection: Connection, identity: str) -> KeptAdvisory | None:
        found = kept(connection, [f"Task/{identity}"]).get(f"Task/{identity}")
        if found is None or not _is(found.resource, resources.ADVISORY):
            return None
        return resources.read_advisory(dict(found.resource) | {"id": identity})

    def _tasks(self, connection: Connection, identity: str) -> dict[str, tuple[str, dict[str, Any]]]:
        """Patient -> the id of her Task, and the Task."""
        query = select(fhir_reference.c.id).where(
            fhir_reference.c.target == f"Task/{identity}",
            fhir_reference.c.type == "Task",
            fhir_reference.c.path == "partOf",
        )
        found = kept(connection, {f"Task/{each}" for each in connection.execute(query).scalars()})
        return {
            each.patient: (reference.partition("/")[2], dict(each.resource))
            for reference, each in found.items()
            if each.patient is not None and _is(each.resource, resources.PATIENT)
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


def items_of(answer: Advisory) -> tuple[Item, ...]:
    """What was found, as it is kept and compared."""
    found = {
        Item(patient.id, each.reference, each.product, each.fit.value)
        for patient in answer.patients
        for each in patient.treatments
    }
    return tuple(sorted(found))


def _is(task: Mapping[str, Any], code: str) -> bool:
    codings = (task.get("code") or {}).get("coding") or ()
    return any(each.get("system") == TASK_SYSTEM and each.get("code") == code for each in codings)
