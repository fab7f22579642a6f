"""A batch advisory as it is kept: a Task for the advisory, one for each patient, and Communications (R4).

The advisory's Task holds the question (``input``) and what was found when it was opened last (``output``). A patient's
Task is part of it (``partOf``) and for her; each step that was taken is an Annotation in its ``output``: who, when, and
what was said.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from consent.wording import worded
from fhir_mapping import dates
from fhir_mapping.advisory.asked import Question, of_plain
from fhir_mapping.resources.task import TASK_SYSTEM

ADVISORY = "batch-advisory"
PATIENT = "batch-advisory-patient"

_QUESTION, _NOTICE, _FOUND = "question", "notice", "found"


class Step(StrEnum):
    """What is done about a patient, in this order."""

    FOUND = "found"
    """Something was found about her that had not been known when others of these were done: they are to be done anew.

    Nobody says so; it is written where an advisory takes in what has changed.
    """

    CONTACTED = "contacted"
    REVIEWED = "reviewed"
    ATTESTED = "attested"

    @property
    def words(self) -> str:
        """The same, for pages to say in their language."""
        return _STEPS[self]


_STEPS = {
    Step.FOUND: worded("found"),
    Step.CONTACTED: worded("contacted"),
    Step.REVIEWED: worded("reviewed"),
    Step.ATTESTED: worded("attested"),
}


#: What people do.
WORK = (Step.CONTACTED, Step.REVIEWED, Step.ATTESTED)


@dataclass(frozen=True, slots=True)
class Taken:
    """One step that somebody took."""

    step: Step
    by: str
    """Account."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """What was found, as it is compared later."""

    patient: str
    treatment: str
    product: str
    fit: str


@dataclass(frozen=True, slots=True)
class KeptAdvisory:
    """The advisory's Task, read."""

    id: str
    question: Question
    title: str
    opened: datetime
    changed: datetime
    closed: bool
    notice: str
    found: tuple[Item, ...]


def advisory_id(question: Question) -> str:
    """The same for the same question: it is opened once."""
    return f"advisory-{question.key}"


def patient_task_id(advisory: str, patient: str) -> str:
    """The same for the same patient of an advisory."""
    return f"{advisory[:41]}-{hashlib.sha256(patient.encode()).hexdigest()[:16]}"


def advisory_task(
    question: Question, notice: str, found: Sequence[Item], opened: datetime, now: datetime, *, closed: bool = False
) -> dict[str, Any]:
    """The Task of an advisory."""
    listed = json.dumps([[each.patient, each.treatment, each.product, each.fit] for each in sorted(found)])
    held = gzip.compress(listed.encode(), mtime=0)
    inputs = [{"type": {"text": _QUESTION}, "valueString": json.dumps(question.plain(), sort_keys=True)}]
    if notice.strip():
        inputs.append({"type": {"text": _NOTICE}, "valueString": notice})
    return {
        "resourceType": "Task",
        "id": advisory_id(question),
        "status": "completed" if closed else "in-progress",
        "intent": "order",
        "priority": "urgent",
        "code": _code(ADVISORY, "A batch advisory"),
        "description": question.title,
        "authoredOn": dates.instant(opened),
        "lastModified": dates.instant(now),
        "input": inputs,
        "output": [
            {
                "type": {"text": _FOUND},
                "valueAttachment": {"contentType": "application/gzip", "data": base64.b64encode(held).decode()},
            }
        ],
    }


def read_advisory(task: Mapping[str, Any]) -> KeptAdvisory:
    """The same, read back."""
    said = {each["type"].get("text"): each for each in [*task.get("input", ()), *task.get("output", ())]}
    held = gzip.decompress(base64.b64decode(said[_FOUND]["valueAttachment"]["data"]))
    return KeptAdvisory(
        id=str(task["id"]),
        question=of_plain(json.loads(said[_QUESTION]["valueString"])),
        title=str(task["description"]),
        opened=datetime.fromisoformat(task["authoredOn"]),
        changed=datetime.fromisoformat(task["lastModified"]),
        closed=task["status"] == "completed",
        notice=said[_NOTICE]["valueString"] if _NOTICE in said else "",
        found=tuple(Item(*each) for each in json.loads(held)),
    )


def patient_task(advisory: str, title: str, patient: str, now: datetime) -> dict[str, Any]:
    """The Task of one patient, nothing done yet."""
    return {
        "resourceType": "Task",
        "id": patient_task_id(advisory, patient),
        "partOf": [{"reference": f"Task/{advisory}"}],
        "status": "requested",
        "intent": "order",
        "priority": "urgent",
        "code": _code(PATIENT, "A patient of a batch advisory"),
        "description": f"Contact the patient, review the treatment, attest the outcome: {title}",
        "for": {"reference": f"Patient/{patient}"},
        "authoredOn": dates.instant(now),
        "lastModified": dates.instant(now),
    }


def with_step(task: Mapping[str, Any], taken: Taken, communication: str | None) -> dict[str, Any]:
    """A patient's Task once a step was taken."""
    outputs = [
        *task.get("output", ()),
        {
            "type": _code(taken.step.value, taken.step.value.capitalize()),
            "valueAnnotation": {"authorString": taken.by, "time": dates.instant(taken.at), "text": taken.text or "-"},
        },
    ]
    if communication is not None:
        outputs.append({"type": {"text": "communication"}, "valueReference": {"reference": communication}})
    last = state_of(steps_of({"output": outputs}))
    return dict(task) | {
        "status": "completed" if last is Step.ATTESTED else "in-progress",
        "businessStatus": {"text": (last or Step.FOUND).value},
        "lastModified": dates.instant(taken.at),
        "output": outputs,
    }


def steps_of(task: Mapping[str, Any]) -> tuple[Taken, ...]:
    """The steps that were taken, in order."""
    return tuple(
        Taken(
            Step(each["type"]["coding"][0]["code"]),
            str(each["valueAnnotation"]["authorString"]),
            datetime.fromisoformat(each["valueAnnotation"]["time"]),
            str(each["valueAnnotation"]["text"]),
        )
        for each in task.get("output", ())
        if "valueAnnotation" in each
    )


def state_of(taken: Sequence[Taken]) -> Step | None:
    """The furthest step since something was found last; None: nothing was done since."""
    since = max((at for at, each in enumerate(taken) if each.step is Step.FOUND), default=-1)
    return max((each.step for each in taken[since + 1 :]), key=list(Step).index, default=None)


def communication(patient: str, task: str, sender: str | None, medium: str, text: str, now: datetime) -> dict[str, Any]:
    """That a patient was told, and what."""
    made: dict[str, Any] = {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/communication-category",
                                  "code": "alert", "display": "Alert"}]}],
        "subject": {"reference": f"Patient/{patient}"},
        "about": [{"reference": f"Task/{task}"}],
        "sent": dates.instant(now),
        "recipient": [{"reference": f"Patient/{patient}"}],
        "payload": [{"contentString": text}],
    }  # fmt: skip
    if medium:
        made["medium"] = [{"text": medium}]
    if sender is not None:
        made["sender"] = {"reference": sender}
    return made


def _code(code: str, text: str) -> dict[str, Any]:
    return {"coding": [{"system": TASK_SYSTEM, "code": code}], "text": text}
