"""What a photo is decided as: itself, or each photo that a copy was made from."""

from __future__ import annotations

from dataclasses import replace

from consent.facts import PhotoFacts

Source = tuple[PhotoFacts, tuple[str, ...], frozenset[str | None]]
"""The photo that is decided; who is asked about it; and the DocumentReferences of the copies that lie between.

A plain tuple, because one is made for every decision."""

_NO_COPIES: frozenset[str | None] = frozenset()


def sources_of(photo: PhotoFacts) -> tuple[Source, ...]:
    """The photo itself, or each photo that a copy was made from, as if it were that one.

    Once a person has recorded the copy's own regions and labels, these are used.
    """
    if not photo.sources:
        return ((photo, photo.patients, _NO_COPIES),)
    found: list[Source] = []
    for origin, patients, copies in (each for source in photo.sources for each in sources_of(source)):
        as_copied = replace(origin, regions=photo.regions, labels=photo.labels) if photo.own_description else origin
        found.append((as_copied, patients, copies | {photo.document, *photo.formerly}))
    known = {patient for _, patients, _ in found for patient in patients}
    further = tuple(patient for patient in photo.patients if patient not in known)
    if further:
        # Somebody whom no source shows is linked to the copy itself: she, too, must permit.
        found.append((replace(photo, sources=()), further, _NO_COPIES))
    return tuple(found)


def patients_of(sources: tuple[Source, ...]) -> tuple[str, ...]:
    """Everybody who is asked."""
    if len(sources) == 1:
        return sources[0][1]
    return tuple(dict.fromkeys(patient for _, patients, _ in sources for patient in patients))
