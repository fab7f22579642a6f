"""The form of consent: what can be chosen of a patient's photos, what was sent, and what the page sealed of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Any

from consent.directive import Region
from consent.types import Laterality
from fhir_mapping.signing.preview import Change
from fhir_mapping.signing.wishes import Answer, Photos, Use, Wishes
from fhir_mapping.signing.words import Called
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.record import OTHER, Photo, view_name
from orthanc_plugin.workspace.words import day

_YEARS = ("1", "2", "5")


class Unclear(Exception):
    """What was sent is no signing. The text says what is missing."""


@dataclass(frozen=True, slots=True)
class Choosable:
    """What a signing can be about: her photos, their areas and their visits."""

    photos: tuple[Photo, ...]
    areas: tuple[tuple[str, Region, int], ...]
    """Key in the form, region, photos."""

    visits: tuple[tuple[str, str, int], ...]
    """Encounter id, its day, photos."""

    @property
    def numbers(self) -> list[int]:
        """The photos that are counted."""
        return [photo.number for photo in self.photos]

    def called(self, patient: str, zone: tzinfo) -> Called:
        """What the text calls them."""
        return Called(
            patient,
            {identity: name for identity, name, _ in self.visits},
            {photo.key: _photo_name(photo, zone) for photo in self.photos},
        )


def choosable(photos: Iterable[Photo], zone: tzinfo) -> Choosable:
    """What can be chosen of these photos."""
    hers = tuple(photos)
    areas: dict[str, tuple[Region, int]] = {}
    visits: dict[str, tuple[str, int]] = {}
    for photo in hers:
        if photo.area.code != OTHER:
            region = Region(photo.area.code, Laterality(photo.side) if photo.side else Laterality.BOTH)
            key = f"{region.code} {region.laterality.value}"
            areas[key] = (region, areas.get(key, (region, 0))[1] + 1)
        if photo.visit is not None and photo.at is not None:
            name = day(photo.at, zone)
            visits[photo.visit] = (visits.get(photo.visit, (name, 0))[0], visits.get(photo.visit, (name, 0))[1] + 1)
    return Choosable(
        hers,
        tuple((key, region, count) for key, (region, count) in areas.items()),
        tuple((identity, name, count) for identity, (name, count) in visits.items()),
    )


def read(sent: Sequence[tuple[str, str]], patient: str, uses: Iterable[Use], offered: Choosable, today: date) -> Wishes:
    """What a form says.

    Raises
    ------
    Unclear
        It says nothing, or names what was not offered.
    """
    single = dict(sent)
    answers = {use: Answer(single[f"use:{use.key}"]) for use in uses if single.get(f"use:{use.key}") in ("yes", "no")}
    if not answers:
        raise Unclear(_("Please say Yes or No to at least one use."))
    return Wishes(patient, answers, _photos(sent, single.get("scope", "all"), offered), _until(single, today))


def _photos(sent: Sequence[tuple[str, str]], scope: str, offered: Choosable) -> Photos:
    chosen = {
        name: list(dict.fromkeys(value for key, value in sent if key == name)) for name in ("area", "visit", "photo")
    }
    areas = {key: region for key, region, _ in offered.areas}
    visits = {identity for identity, _, _ in offered.visits}
    documents = {photo.key for photo in offered.photos}
    if scope == "all":
        return Photos()
    known = {"areas": ("area", areas), "visits": ("visit", visits), "photos": ("photo", documents)}.get(scope)
    if known is None or not chosen[known[0]] or any(each not in known[1] for each in chosen[known[0]]):
        raise Unclear(_("Please choose which photos it is about."))
    if scope == "areas":
        return Photos(areas=tuple(areas[each] for each in chosen["area"]))
    return Photos(visits=tuple(chosen["visit"])) if scope == "visits" else Photos(documents=tuple(chosen["photo"]))


def _until(single: Mapping[str, str], today: date) -> date | None:
    choice = single.get("until", "")
    if choice == "":
        return None
    if choice in _YEARS:
        year = today.year + int(choice)
        return today.replace(year=year, day=min(today.day, 28)) if today.month == 2 else today.replace(year=year)
    try:
        until = date.fromisoformat(single.get("until-day", ""))
    except ValueError:
        raise Unclear(_("Please say until which day it holds.")) from None
    if until < today:
        raise Unclear(_("That day is over already. Please choose a later one."))
    return until


# --- what the page sealed ---------------------------------------------------------------------------------------------


def state(wishes: Wishes, by: str, lines: Sequence[str], change: Change) -> dict[str, Any]:
    """The wishes as the page that was shown holds them, with a digest of all that it said."""
    return {
        "patient": wishes.patient,
        "by": by,
        "answers": {use.key: answer.value for use, answer in wishes.answers.items()},
        "areas": [[each.code, each.laterality.value] for each in wishes.photos.areas],
        "visits": list(wishes.photos.visits),
        "documents": list(wishes.photos.documents),
        "until": wishes.until.isoformat() if wishes.until is not None else None,
        "said": digest(lines, change),
    }


def wishes_of(kept: Mapping[str, Any], uses: Iterable[Use]) -> Wishes:
    """The wishes of a state that this server sealed."""
    known = {use.key: use for use in uses}
    return Wishes(
        kept["patient"],
        {known[key]: Answer(value) for key, value in kept["answers"].items() if key in known},
        Photos(
            tuple(Region(code, Laterality(side)) for code, side in kept["areas"]),
            tuple(kept["visits"]),
            tuple(kept["documents"]),
        ),
        date.fromisoformat(kept["until"]) if kept["until"] else None,
    )


def digest(lines: Sequence[str], change: Change) -> str:
    """SHA-256 of what is shown before signing: the text, and what changes."""
    table = [[use.key, sorted(change.before[use]), sorted(change.after[use])] for use in sorted(change.before)]
    return hashlib.sha256(json.dumps([list(lines), table]).encode()).hexdigest()


def _photo_name(photo: Photo, zone: tzinfo) -> str:
    return f"{view_name(photo)}, {day(photo.at, zone)}" if photo.at is not None else view_name(photo)
