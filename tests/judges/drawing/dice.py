"""Drawing by lot from a seed: the same seed draws the same."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A seeded source of choices."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def chance(self, percent: float) -> bool:
        """True so many times in a hundred."""
        return self._random.random() * 100 < percent

    def one(self, *options: T) -> T:
        """One of the options; what is written twice comes twice as often."""
        return options[int(self._random.random() * len(options))]

    def some(self, options: Sequence[T], most: int) -> list[T]:
        """One to ``most`` different ones of the options."""
        number = min(int(self._random.random() * most) + 1, len(options))
        return self._random.sample(options, number)

    def few(self, options: Sequence[T], percent: float) -> list[T]:
        """Each of the options so many times in a hundred."""
        return [option for option in options if self.chance(percent)]

    def number(self, lowest: int, highest: int) -> int:
        """A whole number, both ends included."""
        return lowest + int(self._random.random() * (highest - lowest + 1))
