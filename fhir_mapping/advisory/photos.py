"""The photos of the patients concerned, before and after, and what each may be shown for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from consent.allowed import allowed
from consent.codec import PhotoOutline, outline_from_json
from consent.decided import generic
from consent.purposes import Catalog
from consent.regions import regions
from consent.service import DecisionPoint
from consent.site import Site
from consent.store.load import SHOWN
from consent.store.tables import photo as photos
from consent.store.tables import photo_facts, photo_patient
from consent.store.write import among
from consent.types import Request
from fhir_mapping.advisory.batch import Astray, Photo, Treatment, When
from fhir_mapping.advisory.treatments import Kept, documents_of, moved_documents, site_codes, visits_of
from fhir_mapping.resources.kept import about_photos
from fhir_mapping.search.values import micros

_FAR = 1 << 62


@dataclass(frozen=True, slots=True)
class _Link:
    linked: bool
    moved: bool


def photos_of(
    point: DecisionPoint,
    connection: Connection,
    request: Request,
    site: Site,
    by_patient: Mapping[str, Sequence[Treatment]],
    groups: Mapping[str, Collection[str]],
    resources: Mapping[str, Kept],
) -> tuple[dict[str, tuple[Photo, ...]], tuple[Astray, ...]]:
    """Decide, record and describe them: by patient, those alone that the requester may see; and those gone astray.

    Parameters
    ----------
    by_patient
        Treatments of each patient.
    groups
        All records of each.
    resources
        The treatments and uses.
    """
    numbers = _numbers(connection, groups)
    everything = {number for each in numbers.values() for number in each}
    loaded = _outlines(connection, everything)
    named = {each.reference for mine in by_patient.values() for each in mine}
    named |= {use for mine in by_patient.values() for each in mine for use in each.through}
    visits = visits_of(connection, named)
    places = named | {visit for those in visits.values() for visit in those}
    around = _Around(visits, documents_of(connection, named), moved_documents(connection, places))
    links = {
        identity: _concerned(
            mine, {number: loaded[number] for number in numbers[identity] if number in loaded}, around, resources
        )
        for identity, mine in by_patient.items()
    }
    # What is not known to show another area is asked for, and no more: the record says what was named.
    astray = _astray(connection, by_patient, numbers, around)
    asked = {number for each in links.values() for number in each} | (everything - set(loaded)) | set(astray)
    released = point.photos(request, sorted(asked), route="advisory", fulfils=frozenset())
    allowed = allowed_for(connection, site, released.numbers)
    found: dict[str, tuple[Photo, ...]] = {}
    for identity, mine in by_patient.items():
        real = [each for each in mine if each.void is None]
        made = [
            Photo(
                number,
                loaded[number].photo,
                loaded[number].document or "",
                identity,
                _when(loaded[number], real),
                None if (taken := loaded[number].taken) is None else taken.start,
                link.linked,
                link.moved,
                allowed[number],
            )
            for number, link in links[identity].items()
            if number in allowed
        ]
        found[identity] = tuple(sorted(made, key=lambda each: (micros(each.taken, _FAR), each.number)))
    return found, tuple(sorted(each for number, each in astray.items() if number in allowed))


def allowed_for(connection: Connection, site: Site, numbers: Collection[int]) -> dict[int, tuple[str, ...]]:
    """For which purposes each photo may be shown now. Nothing is released by asking this."""
    if not numbers:
        return {}
    catalog = Catalog.of(site)
    found: dict[int, list[str]] = {number: [] for number in numbers}
    for (purpose, audience), shown in allowed(connection, numbers).items():
        asked = generic(purpose, audience)
        if catalog.is_duty(purpose) or asked.project is not None:
            continue
        for number in shown:
            found[number].append(purpose if asked.channel is None else f"{purpose}:{asked.channel}")
    return {number: tuple(names) for number, names in found.items()}


def _outlines(connection: Connection, numbers: Collection[int]) -> dict[int, PhotoOutline]:
    """What is known of those of the photos that a decision hears of."""
    query = (
        select(photos.c.photo, photo_facts.c.body)
        .join(photo_facts, photo_facts.c.photo == photos.c.photo)
        .where(among(connection, photos.c.photo, numbers), func.coalesce(photos.c.state, "").in_(SHOWN))
    )
    return {number: outline_from_json(body) for number, body in connection.execute(query).all()}


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands between treatments and photos, by treatment, use or visit."""

    visits: Mapping[str, Collection[str]]
    documents: Mapping[str, Collection[str]]
    moved: Mapping[str, Collection[str]]


def _astray(
    connection: Connection,
    by_patient: Mapping[str, Sequence[Treatment]],
    numbers: Mapping[str, Collection[int]],
    around: _Around,
) -> dict[int, Astray]:
    """Photos whose documents name a treatment of somebody else than whom they show."""
    owners: dict[str, set[str]] = {}
    naming: dict[str, set[str]] = {}
    for identity, mine in by_patient.items():
        for reference in {one for each in mine for one in (each.reference, *each.through)}:
            owners.setdefault(reference, set()).add(identity)
            for document in around.documents.get(reference, ()):
                naming.setdefault(document.partition("/")[2], set()).add(reference)
    rows = connection.execute(
        select(photos.c.photo, photos.c.document, photos.c.patient).where(among(connection, photos.c.document, naming))
    )
    found: dict[int, Astray] = {}
    for row in rows:
        for reference in sorted(naming[row.document]):
            if not any(row.photo in numbers.get(each, ()) for each in owners[reference]):
                found[row.photo] = Astray(reference, f"DocumentReference/{row.document}", row.patient or "")
    return found


def _numbers(connection: Connection, groups: Mapping[str, Collection[str]]) -> dict[str, list[int]]:
    """Numbers of all photos that show each patient, under whichever of her merged records they lie."""
    shown: dict[str, list[int]] = {}
    rows = connection.execute(
        select(photo_patient.c.patient, photo_patient.c.photo)
        .join(photos, photos.c.photo == photo_patient.c.photo)
        .where(among(connection, photo_patient.c.patient, {each for own in groups.values() for each in own}))
        .where(~about_photos(photos.c.document))
    )
    for patient, number in rows.all():
        shown.setdefault(patient, []).append(number)
    return {each: sorted({photo for record in own for photo in shown.get(record, ())}) for each, own in groups.items()}


def _concerned(
    treatments: Collection[Treatment], own: Mapping[int, PhotoOutline], around: _Around, resources: Mapping[str, Kept]
) -> dict[int, _Link]:
    """Those of a patient's photos that may show what was treated, and whether each is linked to a treatment."""
    named = {each.reference for each in treatments} | {use for each in treatments for use in each.through}
    reached = named | {visit for each in named for visit in around.visits.get(each, ())}
    documents = {each for one in named for each in around.documents.get(one, ())}
    moved = {each for one in reached for each in around.moved.get(one, ())}
    links = {}
    for number, facts in own.items():
        linked = not reached.isdisjoint(facts.links) or facts.document in documents
        links[number] = _Link(linked, not linked and facts.document in moved)
    areas = _areas(treatments, own.values(), resources)
    if areas is not None:
        areas |= {code for number, facts in own.items() if links[number].linked for code in facts.areas}
    return {
        number: link for number, link in links.items() if link.linked or link.moved or _same_area(own[number], areas)
    }


def _when(facts: PhotoOutline, treatments: Collection[Treatment]) -> When:
    """Before them all, or after one of them: what the record's times leave open is not known."""
    taken = facts.taken
    if taken is None:
        return When.UNKNOWN
    ends = [each.until for each in treatments if each.until is not None]
    if ends and taken.start is not None and taken.start >= min(ends):
        return When.AFTER
    starts = [each.at for each in treatments if each.at is not None]
    if starts and len(starts) == len(treatments) and taken.end is not None and taken.end <= min(starts):
        return When.BEFORE
    return When.UNKNOWN


def _areas(
    treatments: Collection[Treatment], own: Collection[PhotoOutline], resources: Mapping[str, Kept]
) -> set[str] | None:
    """Codes of what was treated, by the treatments or else by the photos linked to them; None: not known of each."""
    areas: set[str] = set()
    for treatment in treatments:
        codes = site_codes(treatment, resources)
        if codes is not None and not codes:
            mine = {treatment.reference, *treatment.through}
            codes = {code for photo in own if not mine.isdisjoint(photo.links) for code in photo.areas}
        if not codes:
            return None
        areas |= codes
    return areas


def _same_area(facts: PhotoOutline, areas: Set[str] | None) -> bool:
    """Whether a photo may show what was treated; unknown on either side counts as yes."""
    shown = facts.areas
    if areas is None or not shown:
        return True
    tree = regions()
    return not areas.isdisjoint(shown) or any(tree.overlap(code, area) for code in shown for area in areas)
