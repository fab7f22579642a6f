"""Objects that are no photos, and questions about them, put into a world that is drawn otherwise."""

from __future__ import annotations

from typing import Any

from tests.judges import worlds as build
from tests.judges.drawing.dice import Dice
from tests.judges.drawing.requests import REQUESTABLE

NAME, COPY = "ct", "of-ct"


def add(dice: Dice, world: dict[str, Any], *, copies: bool = True) -> None:
    """One such object, and a copy of it; every sixth question or so is about one."""
    world["site"]["other_objects"] = dice.one("refuse", "clinical", "clinical")
    nobody: dict[str, Any] = {"patients": [], "known_since": {}}
    linked: dict[str, Any] = {} if dice.chance(50) else {"encounter": None, "imaging_study": None, "links": []}
    world["photos"][NAME] = build.photo(NAME, other=True, **nobody, **linked)
    if copies:
        world["photos"][COPY] = build.photo(COPY, sources=[NAME], **nobody)
    for asked in world["requests"]:
        if dice.chance(50):
            asked["account"]["rights"] = ["archive"]
        if dice.chance(16):
            asked["photo"] = COPY if copies and dice.chance(15) else NAME
            purpose = dice.one("TREAT", "TREAT", "TREAT", *REQUESTABLE)
            asked["purpose"] = purpose
            if dice.chance(90):
                asked["account"]["purposes"] = sorted({*asked["account"]["purposes"], purpose})
