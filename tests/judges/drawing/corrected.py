"""Photos that stand in the place of others, put into a world that is drawn otherwise."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.judges.drawing import names
from tests.judges.drawing.dice import Dice

_OFTEN = 60


def add(dice: Dice, world: dict[str, Any], *, others: bool = True) -> None:
    """What some photos took the place of, the last one first, and which of them showed the same patients.

    Parameters
    ----------
    others
        Whether some of them were other patients'.
    """
    # Mostly such as somebody has spoken about.
    said = sorted(set(re.findall(r"DocumentReference/\w+", json.dumps([each["body"] for each in world["consents"]]))))
    for name in names.PHOTOS:
        others_than = tuple(f"DocumentReference/{one}" for one in names.PHOTOS if one != name)
        if dice.chance(_OFTEN):
            spoken_of = tuple(one for one in said if one in others_than)
            former = dice.some(spoken_of or others_than, 2)
            hers = former[: dice.one(0, 1, 2)] if others else former
            world["photos"][name] |= {"formerly": former, "formerly_hers": hers}
