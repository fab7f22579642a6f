"""What something rests on, and what rests on it: a plan, a session, an outcome, a photo or what was made from it.

Photos are asked for at the decision point: one that the request may not see is as if absent, in both directions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from consent.service import DecisionPoint, for_one_patient
from consent.store.tables import photo
from consent.store.write import among
from consent.types import Obligation, Request
from fhir_mapping import references, text
from fhir_mapping.course.looked_at import shown_in
from fhir_mapping.course.views import View, view_of
from fhir_mapping.outcome.outcome import is_outcome
from fhir_mapping.projections.standing import formers, standing
from fhir_mapping.resources.alignment import is_alignment
from fhir_mapping.resources.appraisal import is_appraisal
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import CURRENT, fhir_reference, fhir_version
from fhir_mapping.treatment.elements import Json, named, parts
from fhir_mapping.treatment.elements import text as said
from fhir_mapping.treatment.session import UNNAMED, Named

FULFILS = frozenset({Obligation.WATERMARK})
DOCUMENT = "DocumentReference/"
POINTING = 2_000
"""References to the same things that are followed; where there are more, :attr:`Basis.more` says so."""

_DEEP = 5
_MADE_FROM = "relatesTo.target"
_KINDS = ("CarePlan", "DocumentReference", "MedicationAdministration", "Observation", "Procedure", "Provenance")


class How(StrEnum):
    """How one thing rests on another."""

    SHOWN = "shown"
    """A photo stood on the screen when it was decided (Provenance.entity)."""

    PLANNED_ON = "planned-on"
    """A plan was decided on a photo (CarePlan.supportingInfo)."""

    PLAN = "plan"
    """A session belongs to a plan (Procedure.basedOn, CarePlan.activity)."""

    JUDGED_ON = "judged-on"
    """An outcome, or a map of points, was made on a photo (Observation.derivedFrom)."""

    MADE_FROM = "made-from"
    """A photo was made from another (DocumentReference.relatesTo, ``transforms``)."""

    TAKEN_FOR = "taken-for"
    """A photo belongs to a treatment (DocumentReference.context.related)."""

    SESSION = "session"
    """An outcome judges a session (Observation.partOf)."""


@dataclass(frozen=True, slots=True)
class Link:
    """One step of it."""

    how: How
    upper: str
    """``Type/id`` of what rests on the other."""

    lower: str
    """``Type/id`` of what it rests on."""

    version: int | None = None
    """The version of ``lower`` that was shown, where that is kept."""

    through: str = ""
    """``Provenance/…`` that says so."""

    when: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """What one of them is called, in parts, so that it can be said in another language."""

    called: Named = UNNAMED
    view: View | None = None
    """Of a photo."""

    day: str = ""
    """FHIR date; empty where none is stated."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The answer."""

    about: str
    rests_on: tuple[Link, ...] = ()
    """From it downwards: also what its plan rests on."""

    carries: tuple[Link, ...] = ()
    """What rests on it."""

    names: Mapping[str, str] = field(default_factory=dict)
    """``Type/id`` -> what people call it, for it and all that the links name."""

    more: bool = False
    """Whether there is more than was followed."""

    patient: str = ""
    """Id of the patient whom it is about."""

    things: Mapping[str, Thing] = field(default_factory=dict)
    """The same as ``names``, in parts."""


def basis(
    point: DecisionPoint,
    connection: Connection,
    reader: RecordReader,
    request: Request,
    about: str,
    *,
    route: str,
) -> Basis | None:
    """What it rests on and what rests on it; recorded before this returns.

    Parameters
    ----------
    connection
        In one snapshot.
    about
        ``DocumentReference/…``, ``Procedure/…``, ``CarePlan/…`` or ``Observation/…``. That the request may read the
        type was asked before; whether it may see a photo is asked here.

    Returns
    -------
    None where there is nothing of that name, or it is a photo that the request may not see.
    """
    links, known, more = _links(connection, reader.base, about)
    documents = {each for link in links for each in (link.upper, link.lower) if each.startswith(DOCUMENT)}
    documents |= {about} if about.startswith(DOCUMENT) else set()
    condition = among(connection, photo.c.document, {references.id_of(each) for each in documents})
    question = for_one_patient(connection, request, condition)
    may = point.permitted(connection, question, fulfils=FULFILS)
    rows = connection.execute(select(photo.c.photo, photo.c.document).where(condition, may.clause(photo.c.photo))).all()
    seen = {f"{DOCUMENT}{row.document}" for row in rows}
    absent = about not in known or (about.startswith(DOCUMENT) and about not in seen)
    found = _told(about, [link for link in links if not {link.upper, link.lower} & (documents - seen)])
    shown = set() if absent else {about, *(end for link in found for end in (link.upper, link.lower))}
    numbers = [row.photo for row in rows if f"{DOCUMENT}{row.document}" in shown]
    point.record_set(question, route, numbers, len(documents - seen), details={"subject": about})
    if absent:
        return None
    carries = tuple(link for link in found if link.lower == about)
    below = tuple(link for link in found if link.lower != about)
    things = {each: _thing(known.get(each, {}), each) for each in sorted(shown)}
    names = {each: _name(thing, each) for each, thing in things.items()}
    patients = references.local_of(known.get(about, {}), reader.base, "subject")
    patient = next((references.id_of(each) for each in patients if each.startswith("Patient/")), "")
    return Basis(about, below, carries, names, more, patient, things)


def _told(about: str, links: Sequence[Link]) -> list[Link]:
    """What rests on it, and from it downwards: a copy's photo, that photo's session, its plan, the plan's photos."""
    found, reached = [link for link in links if link.lower == about], {about}
    for _ in range(_DEEP):
        found += [link for link in links if link.upper in reached and link not in found]
        reached |= {link.lower for link in found if link.upper in reached}
    return found


def _thing(resource: Json, reference: str) -> Thing:
    """Of a photo its view, of a session its treatment; with its day, where one is stated."""
    called = named(resource.get("code"))
    if said(resource, "title"):
        called = Named(said(resource, "title"))
    view = view_of(resource) if reference.startswith(DOCUMENT) else None
    stated = next(
        filter(
            None,
            (
                *(said(resource, member) for member in ("performedDateTime", "effectiveDateTime")),
                *(said(resource.get(member), "start") for member in ("performedPeriod", "period")),
                said(resource.get("effectivePeriod"), "end"),
                *(said(each, "start") for each in parts(resource, "context", "period")),
            ),
        ),
        "",
    )
    return Thing(called, view, stated[:10])


def _name(thing: Thing, reference: str) -> str:
    """What people call it."""
    kind = reference.partition("/")[0]
    words = {"Procedure": "Session", "CarePlan": "Plan", "Observation": "Outcome"}.get(kind, kind)
    title = thing.called.text if thing.view is None else thing.view.name
    return ", ".join(filter(None, (title or words, thing.day)))


def _links(connection: Connection, base: str | None, about: str) -> tuple[list[Link], Mapping[str, Json], bool]:
    """Every link around it, undecided, and whether there are more; two rounds reach the photos of a session's plan."""
    more = False
    known: dict[str, Mapping[str, Any]] = {}
    frontier = {about}
    pointed = {about} | (formers(connection, about) if about.startswith(DOCUMENT) else frozenset())
    for _ in range(3):
        found = _fetch(connection, frontier - set(known)) if frontier - set(known) else {}
        known |= found
        pointing = _pointing(connection, pointed)
        more = more or len(pointing) > POINTING
        pointing = pointing[:POINTING]
        onward = {
            target
            for resource in found.values()
            for each in references.found(resource)
            if (target := references.local(each.text, base)) is not None
            and target.startswith(("Procedure/", "CarePlan/", *((DOCUMENT,) if each.path == _MADE_FROM else ())))
        }
        near = {f"{row.type}/{row.id}" for row in pointing}
        # What rests on a photo or session is named; of what it rests on, sessions and plans alone are followed.
        frontier = near | onward
        pointed = onward | {each for each in near if each.startswith("CarePlan/") and about.startswith("Procedure/")}
        pointed -= {about}
    known |= _fetch(connection, frontier - set(known)) if frontier - set(known) else {}
    made = [link for reference, resource in sorted(known.items()) for link in _stated(reference, resource, base)]
    stand = standing(connection, {end for link in made for end in (link.upper, link.lower) if end.startswith(DOCUMENT)})
    made = list(dict.fromkeys(_now(link, stand) for link in made))
    pictured = {end for link in made for end in (link.upper, link.lower) if end.startswith(DOCUMENT)}
    known |= _fetch(connection, pictured - set(known)) if pictured - set(known) else {}
    return made, known, more


def _now(link: Link, stand: Mapping[str, str]) -> Link:
    """The link to what stands now in the place of a photo that was corrected; no version of that one was shown."""
    if link.lower not in stand and link.upper not in stand:
        return link
    version = None if link.lower in stand else link.version
    upper, lower = (stand.get(end, end) for end in (link.upper, link.lower))
    return replace(link, upper=upper, lower=lower, version=version)


def _stated(reference: str, resource: Json, base: str | None) -> Iterable[Link]:
    """The links that one resource states."""
    kind = reference.partition("/")[0]

    def local(*path: str) -> list[str]:
        return references.local_of(resource, base, *path)

    if kind == "Provenance":
        when = said(resource, "recorded")
        by = next((said(who, "display") or said(who, "reference") for who in parts(resource, "agent", "who")), "")
        for target in local("target"):
            for document, version in shown_in(resource, base):
                if not target.startswith(DOCUMENT):
                    yield Link(How.SHOWN, target, document, version, reference, when, by)
    elif kind == "CarePlan":
        when = said(resource, "created") or said(resource.get("period"), "start")
        yield from (
            Link(How.PLANNED_ON, reference, each, when=when)
            for each in local("supportingInfo")
            if each.startswith(DOCUMENT)
        )
        for activity in parts(resource, "activity"):
            for path in ("reference", "outcomeReference"):
                for each in references.local_of(activity, base, path):
                    if each.startswith("Procedure/"):
                        yield Link(How.PLAN, each, reference)
    elif kind == "Procedure":
        yield from (Link(How.PLAN, reference, each) for each in local("basedOn") if each.startswith("CarePlan/"))
    elif kind == "Observation" and not is_appraisal(resource) and not is_alignment(resource):
        when = said(resource, "effectiveDateTime") or said(resource.get("effectivePeriod"), "end")
        by = named(resource.get("code")).text
        yield from (
            Link(How.JUDGED_ON, reference, each, when=when, by=by)
            for each in local("derivedFrom")
            if each.startswith(DOCUMENT)
        )
        if is_outcome(resource):  # settings and points are part of a session, and judge nothing
            yield from (Link(How.SESSION, reference, each) for each in local("partOf") if each.startswith("Procedure/"))
    elif kind == "DocumentReference":
        yield from (
            Link(How.TAKEN_FOR, reference, each)
            for each in local("context", "related")
            if each.startswith(("Procedure/", "MedicationAdministration/"))
        )
        for relation in parts(resource, "relatesTo"):
            if relation.get("code") == "transforms":
                for each in references.local_of(relation, base, "target"):
                    yield Link(How.MADE_FROM, reference, each)


def _pointing(connection: Connection, targets: Collection[str]) -> list[Any]:
    if not targets:
        return []
    return list(
        connection.execute(
            select(fhir_reference.c.type, fhir_reference.c.id)
            .distinct()
            .where(among(connection, fhir_reference.c.target, targets), fhir_reference.c.type.in_(_KINDS))
            .order_by(fhir_reference.c.type, fhir_reference.c.id)
            .limit(POINTING + 1)
        )
    )


def _fetch(connection: Connection, wanted: Collection[str]) -> dict[str, dict[str, Any]]:
    by_type: dict[str, set[str]] = {}
    for reference in wanted:
        by_type.setdefault(reference.partition("/")[0], set()).add(references.id_of(reference))
    version = fhir_version.c
    conditions = [and_(version.type == kind, among(connection, version.id, ids)) for kind, ids in by_type.items()]
    query = select(version.type, version.id, version.body).select_from(CURRENT).where(or_(*conditions))
    return {f"{row.type}/{row.id}": text.kept(bytes(row.body)) for row in connection.execute(query)}
