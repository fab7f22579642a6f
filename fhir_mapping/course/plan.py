"""CarePlan: what a course is for, where, how often, with what, and the photos it was decided on (R4 CarePlan).

R4 lets ``activity.reference`` name requests alone; a session that took place is ``activity.outcomeReference`` ("such as
Procedure"). Plans of others that put a Procedure in ``activity.reference`` are read all the same, and so are sessions
that name their plan in ``Procedure.basedOn``.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from consent.wording import Wording, worded, worded_by
from fhir_mapping import references
from fhir_mapping.search.paths import listed
from fhir_mapping.treatment.elements import Json, concept, named, parts, place, places, site, text
from fhir_mapping.treatment.session import UNNAMED, Named, Place

AREA_EXTENSION = "urn:photospine:area"
"""Extension on CarePlan (valueCodeableConcept): an area that it is about; R4 has no element for it."""

_UNITS = ("d", "wk", "mo", "a")
_STATUSES = {
    "on-hold": worded("on-hold"),
    "completed": worded("completed"),
    "revoked": worded("revoked"),
    "entered-in-error": worded("entered-in-error"),
    "unknown": worded("unknown"),
}
OPEN = frozenset({"active", "on-hold", "draft"})
"""Statuses of a plan that another session may belong to."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A course as it is planned."""

    patient: str
    title: str = ""
    treatment: Named = UNNAMED
    goals: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    sessions: int | None = None
    """How many are planned."""

    every: int | None = None
    """Between two of them, in ``unit``."""

    unit: str = "wk"
    """UCUM: d, wk, mo, a."""

    products: tuple[Named, ...] = ()
    photos: tuple[str, ...] = ()
    """``DocumentReference/…`` that it was decided on: undecided."""

    done: tuple[str, ...] = ()
    """``Procedure/…`` that it names; others name it."""

    start: str = ""
    end: str = ""
    status: str = "active"
    author: str | None = None
    note: str = ""
    reference: str | None = None
    """``CarePlan/…`` where it is on record."""

    version: int = 0

    @property
    def rhythm(self) -> str:
        """``6 sessions, 5 weeks apart``."""
        said = []
        if self.sessions is not None:
            said.append(worded_by(self.sessions, "%(count)s session", "%(count)s sessions", count=self.sessions))
        if self.every is not None and self.unit in _UNITS:
            said.append(_apart(self.every, self.unit))
        if len(said) > 1:
            return Wording("%(sessions)s, %(apart)s", {"sessions": said[0], "apart": said[1]})
        return said[0] if said else ""

    @property
    def stands(self) -> str:
        """How it stands, in words, where another session cannot simply belong to it."""
        return "" if self.status in ("active", "draft") else _STATUSES.get(self.status, self.status)

    def after(self, day: date) -> date | None:
        """The day that the rhythm wants after one; None where it says none, or the calendar ends."""
        if self.every is None:
            return None
        try:
            if self.unit in ("d", "wk"):
                return day + timedelta(days=self.every * (7 if self.unit == "wk" else 1))
            months = day.year * 12 + day.month - 1 + self.every * (12 if self.unit == "a" else 1)
            year, month = divmod(months, 12)
            return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
        except (ValueError, OverflowError):
            return None


def _apart(every: int, unit: str) -> Wording:
    if unit == "d":
        return worded_by(every, "a day apart", "%(count)s days apart", count=every)
    if unit == "wk":
        return worded_by(every, "a week apart", "%(count)s weeks apart", count=every)
    if unit == "mo":
        return worded_by(every, "a month apart", "%(count)s months apart", count=every)
    return worded_by(every, "a year apart", "%(count)s years apart", count=every)


def care_plan(plan: Plan) -> dict[str, Any]:
    """The CarePlan."""
    made: dict[str, Any] = {
        "resourceType": "CarePlan",
        "status": plan.status,
        "intent": "plan",
        "subject": {"reference": f"Patient/{plan.patient}"},
    }
    if plan.goals:
        made["contained"] = [
            {
                "resourceType": "Goal",
                "id": f"goal-{number}",
                "lifecycleStatus": "active",
                "description": {"text": goal},
                "subject": {"reference": f"Patient/{plan.patient}"},
            }
            for number, goal in enumerate(plan.goals, start=1)
        ]
        made["goal"] = [{"reference": f"#goal-{number}"} for number in range(1, len(plan.goals) + 1)]
    if plan.places:
        made["extension"] = [{"url": AREA_EXTENSION, "valueCodeableConcept": site(each)} for each in plan.places]
    if plan.title:
        made["title"] = plan.title
    if plan.start or plan.end:
        made["period"] = {key: value for key, value in (("start", plan.start), ("end", plan.end)) if value}
    if plan.author is not None:
        made["author"] = {"reference": plan.author}
    if plan.photos:
        made["supportingInfo"] = [{"reference": each} for each in plan.photos]
    made["activity"] = list(_activities(plan))
    if plan.note:
        made["note"] = [{"text": plan.note}]
    return made


def _activities(plan: Plan) -> Iterable[dict[str, Any]]:
    detail: dict[str, Any] = {"kind": "ServiceRequest", "status": "in-progress"}
    if plan.treatment != UNNAMED:
        detail["code"] = concept(plan.treatment)
    repeat: dict[str, Any] = {} if plan.sessions is None else {"count": plan.sessions}
    if plan.every is not None:
        repeat |= {"frequency": 1, "period": plan.every, "periodUnit": plan.unit}
    if repeat:
        detail["scheduledTiming"] = {"repeat": repeat}
    if plan.products:
        detail["productCodeableConcept"] = concept(plan.products[0])
    outcomes = [{"reference": each} for each in plan.done]
    yield ({"outcomeReference": outcomes} if outcomes else {}) | {"detail": detail}
    for product in plan.products[1:]:
        yield {
            "detail": {
                "kind": "MedicationRequest",
                "status": "in-progress",
                "productCodeableConcept": concept(product),
            }
        }


def read(resource: Json, base: str | None, known: Mapping[str, Json] | None = None, *, version: int = 0) -> Plan:
    """A plan of whatever shape.

    Parameters
    ----------
    known
        What it names, by ``Type/id``: Goals, ServiceRequests, Medications; what is not there is told by its display.
    """
    around = known or {}
    details = [each for activity in parts(resource, "activity") for each in parts(activity, "detail")]
    requests = [
        around[each]
        for each in references.local_of(resource, base, "activity", "reference")
        if each.startswith("ServiceRequest/") and each in around
    ]
    treatment = next((name for each in (*details, *requests) if (name := named(each.get("code"))) != UNNAMED), UNNAMED)
    where = [place(each.get("valueCodeableConcept")) for each in parts(resource, "extension")
             if each.get("url") == AREA_EXTENSION]  # fmt: skip
    where += [each for request in requests for each in places(request.get("bodySite"))]
    count, every, unit = _rhythm([*details, *requests])
    subject = [each for each in references.local_of(resource, base, "subject") if each.startswith("Patient/")]
    done = [
        target
        for activity in parts(resource, "activity")
        for path in ("reference", "outcomeReference")
        for target in references.local_of(activity, base, path)
        if target.startswith("Procedure/")
    ]
    identity = text(resource, "id")
    period = resource.get("period")
    return Plan(
        patient=references.id_of(subject[0]) if subject else "",
        title=text(resource, "title") or next((said for each in parts(resource, "category")
                                               if (said := named(each).text)), ""),
        treatment=treatment,
        goals=tuple(_goals(resource, base, around)),
        places=tuple(dict.fromkeys(each for each in where if each is not None)),
        sessions=count,
        every=every,
        unit=unit,
        products=tuple(_products(details, base, around)),
        photos=_documents(resource, base),
        done=tuple(dict.fromkeys(done)),
        start=text(period, "start"),
        end=text(period, "end"),
        status=text(resource, "status"),
        author=next(iter(references.local_of(resource, base, "author")), None),
        note="\n".join(filter(None, (text(each, "text") for each in parts(resource, "note")))),
        reference=f"CarePlan/{identity}" if identity else None,
        version=version,
    )  # fmt: skip


def with_session(resource: Mapping[str, Any], procedure: str) -> list[dict[str, Any]]:
    """The activities of a plan with one more session that took place."""
    activities = [dict(each) for each in parts(resource, "activity")]
    done = {"reference": procedure}
    for each in activities:
        detail = each.get("detail")
        if isinstance(detail, Mapping) and detail.get("kind") in (None, "ServiceRequest"):
            each["outcomeReference"] = [*listed(each.get("outcomeReference")), done]
            return activities
    return [*activities, {"outcomeReference": [done]}]


def _documents(resource: Json, base: str | None) -> tuple[str, ...]:
    found = references.local_of(resource, base, "supportingInfo")
    return tuple(dict.fromkeys(each for each in found if each.startswith("DocumentReference/")))


def _goals(resource: Json, base: str | None, around: Mapping[str, Json]) -> Iterable[str]:
    contained = {text(each, "id"): each for each in parts(resource, "contained")}
    for goal in parts(resource, "goal"):
        said = text(goal, "reference")
        target = references.local(said, base)
        body = contained.get(said[1:]) if said.startswith("#") else around.get(target or "")
        words = named((body or {}).get("description")).text or text(goal, "display")
        if words:
            yield words


def _products(details: Sequence[Json], base: str | None, around: Mapping[str, Json]) -> Iterable[Named]:
    for detail in details:
        if "productCodeableConcept" in detail:
            yield named(detail["productCodeableConcept"])
        for target in references.local_of(detail, base, "productReference"):
            body = around.get(target, {})
            said = named(body.get("code"))
            yield said if said != UNNAMED else Named(text(detail.get("productReference"), "display"))


def _rhythm(sources: Sequence[Json]) -> tuple[int | None, int | None, str]:
    for source in sources:
        for member in ("scheduledTiming", "occurrenceTiming"):
            for repeat in parts(source, member, "repeat"):
                count, every = repeat.get("count"), repeat.get("period")
                unit = text(repeat, "periodUnit")
                whole = isinstance(every, (int, Decimal)) and not isinstance(every, bool) and every == int(every)
                return (
                    count if isinstance(count, int) and not isinstance(count, bool) else None,
                    int(every) if every is not None and whole and unit in _UNITS else None,
                    unit if unit in _UNITS else "wk",
                )
    return None, None, "wk"
