"""Worlds of every kind that the page on consent names, from a seed: the same seed gives the same world.

A world has a theme of a few purposes, so that Consents and requests meet often; everything else is drawn freely. Half
of the worlds are asked at an instant at which something begins or ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.judges.drawing import corrected, names, others, people
from tests.judges.drawing.consents import consents
from tests.judges.drawing.dice import Dice
from tests.judges.drawing.photos import photos
from tests.judges.drawing.requests import request
from tests.judges.moments import BEGINNING, END, majority, stretch, window

REQUESTS = 12
USUAL = ("2026-06-15T12:00:00+03:00", "2026-06-15T12:00:00+03:00", "2026-06-20T00:00:00+03:00", "2026-07-01T09:30:00Z")
LEAP = timedelta(microseconds=1)


def generate(seed: int) -> dict[str, Any]:
    """The world of a seed."""
    dice = Dice(seed)
    focus = dice.one(*names.FOCUSES)
    site = people.site(dice, focus)
    purposes: tuple[str, ...] = dice.one(*names.AT_HOME.get(focus, names.THEMES))
    own = [purpose["code"] for purpose in site["purposes"]]
    if own and dice.chance(25):
        purposes = (dice.one(*own), *purposes)
    theme = names.Theme(purposes, focus)
    zone = ZoneInfo(site["time_zone"])
    world: dict[str, Any] = {
        "site": site,
        "patients": {name: people.patient(dice, theme) for name in names.PATIENTS},
        "merged": [dice.one(["p", "r"], ["p", "q"], ["q", "r"], ["p", "q", "r"])]
        if dice.chance(theme.often("people", 15))
        else [],
        "exists": names.EXISTING,
        "members": people.memberships(dice),
        "part_of": people.parts(dice),
        "consents": consents(dice, theme, zone),
    }
    world["photos"] = photos(dice, theme, list(_signings(world, zone)))
    world["now"] = dice.one(*USUAL)
    instants = list(transitions(world, zone))
    if instants and dice.chance(50):
        world["now"] = (dice.one(*instants) + dice.one(-LEAP, 0 * LEAP, LEAP)).isoformat()
    world["requests"] = [request(dice, theme, world) for _ in range(REQUESTS)]
    others.add(Dice(seed), world)
    corrected.add(Dice(seed), world)
    return world


def transitions(world: dict[str, Any], zone: ZoneInfo) -> Iterator[datetime]:
    """The instants at which a signature, a period or an age begins or ends."""
    found = []
    for written in world["consents"]:
        body = written["body"]
        root = body.get("provision", {})
        stated = [one.get("period") for one in (root, *root.get("provision", []))]
        for span in [*(window(one, zone) for one in stated if one and _is_read(one, zone))]:
            found += [span.first, span.after]
        if "dateTime" in body and _is_read({"start": body["dateTime"]}, zone):
            found += [stretch(body["dateTime"], zone).first]
    for patient in world["patients"].values():
        grown = majority(patient["birth"], world["site"]["majority_age"], zone)
        found += [] if grown is None else [grown.first, grown.after]
        for one in patient["representatives"]:
            found += [window(one["period"], zone).after]
    yield from (each for each in found if BEGINNING < each < END and 2020 < each.year < 2028)


def _signings(world: dict[str, Any], zone: ZoneInfo) -> Iterator[str]:
    """The instants about the beginnings and ends of signatures."""
    for written in world["consents"]:
        date = written["body"].get("dateTime")
        if date is not None and _is_read({"start": date}, zone):
            signed = stretch(date, zone)
            yield from (each.isoformat() for each in (signed.first, signed.after, signed.after - LEAP))


def _is_read(period: dict[str, str], zone: ZoneInfo) -> bool:
    try:
        window(period, zone)
    except ValueError:
        return False
    return True
