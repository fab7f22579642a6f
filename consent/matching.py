"""Whether a rule matches a request and a photo: a Yes must cover the whole, a No need only touch a part.

Where a fact is missing, a permit that asks for it does not match, and a denial that asks for it does. Which purposes a
rule reaches is sorted beforehand (:mod:`consent.prepared`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from consent.directive import Actors, Data, Directive, Label, Reach, Region, Rule
from consent.facts import PhotoFacts, RequesterFacts
from consent.prepared import Prepared
from consent.purposes import HRESCH, PATRQT, SOCIAL
from consent.regions import regions
from consent.types import Laterality, Request, Requester

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_LADDER = {code: step for step, code in enumerate("ULMNRV")}


# Members of enumerations are looked up once: Python 3.11 takes longer for that than a whole comparison.
_BOTH, _LEFT, _RIGHT = Laterality.BOTH, Laterality.LEFT, Laterality.RIGHT
_PHOTO, _VISIT, _LINKED, _AUTHOR = Reach.PHOTO, Reach.VISIT, Reach.LINKED, Reach.AUTHOR


@dataclass(slots=True)
class Question:
    """One request for one photo (or one source of a copy) about one patient, with all that rules ask about it.

    Never changed once made; not frozen, because one is made for every decision and freezing doubles its price.
    """

    request: Request
    purpose: str
    """The request's purpose, or TREAT for the further patients of a photo that is asked for in an emergency."""

    publishing: bool
    photo: PhotoFacts
    copies: frozenset[str | None]
    """DocumentReferences of the copies that lie between the photo and what is asked for, where it is their source."""

    requester: RequesterFacts
    herself: bool
    """PATRQT: whether the requester is the patient; nothing else depends on it."""

    prepared: Prepared
    """The patient's Consents."""

    organization_parents: Mapping[str, str]
    now: datetime


def is_herself(requester: Requester, records: frozenset[str]) -> bool:
    """Whether the requester is the patient, by an account of hers or as staff with a record of her own."""
    if requester.own_patient is not None and requester.own_patient in records:
        return True
    kind, _, identity = (requester.reference or "").partition("/")
    return kind == "Patient" and identity in records


def permits(rule: Rule, directive: Directive, question: Question) -> bool:
    """Whether a permit for the purpose covers the question, its period left aside."""
    return _permits_actor(rule.actors, question) and _permits_photo(rule, directive, question)


def denies(rule: Rule, question: Question) -> bool:
    """Whether a denial of the purpose touches the question, its period left aside."""
    if rule.purposes is None and not reached_without_purpose(question):
        return False
    return _denies_actor(rule.actors, question) and _denies_photo(rule, question)


def reached_without_purpose(question: Question) -> bool:
    """A denial without a purpose leaves the patient her own view; a proxy's is reached."""
    return question.purpose != PATRQT or not question.herself


# --- actors ---------------------------------------------------------------------------------------------------------

_NONE: frozenset[str] = frozenset()


def _is_named(persons: frozenset[str], question: Question) -> bool:
    requester = question.request.requester
    if requester.reference in persons or not persons.isdisjoint(question.requester.belongs_to):
        return True
    return any(f"Patient/{record}" in persons for record in _own_records(requester, question.prepared.records))


def _own_records(requester: Requester, records: frozenset[str]) -> frozenset[str]:
    """The records of the requester as a patient: all that were merged, where it is she whom the question is about."""
    kind, _, identity = (requester.reference or "").partition("/")
    own = requester.own_patient or (identity if kind == "Patient" else None)
    if own is None:
        return _NONE
    return records if own in records else frozenset({own})


def _permits_actor(actors: Actors | None, question: Question) -> bool:
    if actors is None or not actors.persons:
        if question.purpose == PATRQT and not question.herself:
            return False  # a proxy needs a permit that names her
    elif not _is_named(actors.persons, question):
        return False
    if actors is not None and (actors.channels or actors.projects):
        request = question.request
        return (question.purpose == SOCIAL and request.channel in actors.channels) or (
            question.purpose == HRESCH and request.project in actors.projects
        )
    return question.purpose != SOCIAL  # a permit for SOCIAL holds for the channels it names


def _denies_actor(actors: Actors | None, question: Question) -> bool:
    if actors is None:
        return True
    request = question.request
    places, place = _NONE, None
    if question.purpose == SOCIAL:
        places, place = actors.channels, request.channel
    elif question.purpose == HRESCH:
        places, place = actors.projects, request.project
    if not actors.persons and not places:
        return True  # a channel or project is passed over where the purpose has none
    if actors.persons and (
        request.requester.reference is None
        or _is_named(actors.persons, question)
        or not actors.persons.isdisjoint(question.requester.may_belong_to)
    ):
        return True
    return bool(places) and (place is None or place in places)


# --- photos ---------------------------------------------------------------------------------------------------------


def _permits_photo(rule: Rule, directive: Directive, question: Question) -> bool:
    photo = question.photo
    if question.publishing and not _known_when_signed(directive, photo):
        return False
    if rule.data is not None and not any(_reaches(entry, photo) for entry in rule.data):
        return False
    if rule.data_period is not None and (photo.taken is None or not rule.data_period.covers(photo.taken)):
        return False
    if rule.regions is not None and not _covers_regions(rule.regions, photo.regions):
        return False
    return rule.labels is None or _covers_labels(rule.labels, photo.labels)


def _denies_photo(rule: Rule, question: Question) -> bool:
    photo = question.photo
    if rule.data is not None and not any(
        _reaches(entry, photo)
        or _was_made_by(entry, photo)
        or (entry.reach is _PHOTO and (entry.reference in question.copies or _was_named_so(entry, photo)))
        for entry in rule.data
    ):
        return False
    if rule.data_period is not None and photo.taken is not None and not rule.data_period.touches(photo.taken):
        return False
    if rule.regions is not None and photo.regions and not _touches_regions(rule.regions, photo.regions):
        return False
    return rule.labels is None or _touches_labels(rule.labels, photo.labels)


def _known_when_signed(directive: Directive, photo: PhotoFacts) -> bool:
    """Publishing permits are snapshots: nobody agrees to publish a photo that she could not have seen."""
    known, until = photo.known_since.get(directive.patient), directive.seen_until
    return known is not None and until is not None and known < until


def _reaches(entry: Data, photo: PhotoFacts) -> bool:
    reach = entry.reach
    if reach is _PHOTO:
        return entry.reference == photo.document or _was_hers_then(entry, photo)
    if reach is _VISIT:
        return entry.reference == photo.imaging_study
    if reach is _LINKED:
        return entry.reference in photo.links or entry.reference == photo.encounter
    return reach is _AUTHOR and entry.reference == photo.author


def _was_named_so(entry: Data, photo: PhotoFacts) -> bool:
    """Whether the photo stands in the place of the one that is named: a No to that one is a No to this."""
    return entry.reference in photo.formerly


def _was_hers_then(entry: Data, photo: PhotoFacts) -> bool:
    """The same, where that one showed the same patients: a Yes to somebody else's photo is none to this."""
    return entry.reference in photo.formerly_hers


def _was_made_by(entry: Data, photo: PhotoFacts) -> bool:
    """Denials by author also reach the photographer's photos, and those whose author or photographer is unknown."""
    return entry.reach is _AUTHOR and (
        entry.reference == photo.photographer or photo.author is None or photo.photographer is None
    )


def _covers_regions(stated: tuple[Region, ...], shown: tuple[Region, ...]) -> bool:
    if not shown:
        return False
    tree = regions()
    for region in shown:
        sides = set()
        for rule in stated:
            if rule.code == region.code or tree.includes(rule.code, region.code):
                sides.add(rule.laterality)
        if not (_BOTH in sides or region.laterality in sides or sides >= _EACH_SIDE):
            return False
    return True


_EACH_SIDE = {_LEFT, _RIGHT}


def _touches_regions(stated: tuple[Region, ...], shown: tuple[Region, ...]) -> bool:
    tree = regions()
    return any(
        (tree.overlap(rule.code, region.code) or tree.by_code(region.code) is None)  # what it shows is not known here
        and (_BOTH in (rule.laterality, region.laterality) or rule.laterality == region.laterality)
        for rule in stated
        for region in shown
    )


def _confidentiality(labels: tuple[Label, ...]) -> int:
    """The photo's step on the ladder U L M N R V; a step that is not known here is the highest."""
    steps = [_LADDER.get(label.code, _HIGHEST) for label in labels if label.system == CONFIDENTIALITY]
    if steps:
        return max(steps)
    return _LADDER["R"] if labels else _LADDER["N"]


_HIGHEST = _LADDER["V"]


def _covers_labels(stated: tuple[Label, ...], borne: tuple[Label, ...]) -> bool:
    ladder = [_LADDER[label.code] for label in stated if label.system == CONFIDENTIALITY and label.code in _LADDER]
    if not ladder or max(ladder) < _confidentiality(borne):
        return False
    return all(label.system == CONFIDENTIALITY or label in stated for label in borne)


def _touches_labels(stated: tuple[Label, ...], borne: tuple[Label, ...]) -> bool:
    step = _confidentiality(borne)
    return any(
        step >= _LADDER.get(label.code, len(_LADDER)) if label.system == CONFIDENTIALITY else label in borne
        for label in stated
    )
