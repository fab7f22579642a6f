"""What sessions and outcomes name of photos, and the same without those that may not be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fhir_mapping.course.shots import Seen
from fhir_mapping.outcome.outcome import Outcome
from fhir_mapping.treatment.read import Treated
from fhir_mapping.treatment.session import PointMap


def maps_of(treated: Treated | None) -> tuple[PointMap, ...]:
    """The injection points of a session."""
    return treated.session.maps if treated is not None else ()


def ends_of(outcomes: Sequence[Outcome]) -> set[str]:
    """The photos that outcomes were judged on."""
    return {each for noted in outcomes for each in (noted.before, noted.after) if each is not None}


def judged_within(outcome: Outcome, seen: Seen) -> Outcome:
    """An outcome that names no photo but those; of one that was corrected, the one in its place."""
    return replace(outcome, before=_within(outcome.before, seen), after=_within(outcome.after, seen))


def within(treated: Treated, seen: Seen) -> Treated:
    """A session that names no photo but those; of one that was corrected, the one in its place."""
    session = treated.session
    return replace(
        treated,
        photos=tuple(dict.fromkeys(each for one in treated.photos if (each := _within(one, seen)) is not None)),
        session=replace(
            session,
            given=tuple(replace(used, maps=_maps(used.maps, seen)) for used in session.given),
            implants=tuple(replace(used, maps=_maps(used.maps, seen)) for used in session.implants),
        ),
    )


def _maps(maps: Sequence[PointMap], seen: Seen) -> tuple[PointMap, ...]:
    return tuple(replace(each, photo=now) for each in maps if (now := _within(each.photo, seen)) is not None)


def _within(reference: str | None, seen: Seen) -> str | None:
    now = seen.now(reference) if reference is not None else None
    return now if now in seen.visible else None
