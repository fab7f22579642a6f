"""Slows down whoever guesses passwords: after a few failures in a row a name from one address has to wait."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

_FREE = 5  # failures before the first wait
_FIRST_WAIT = 15.0  # seconds, doubled with each further failure
_LONGEST_WAIT = 900.0
_REMEMBERED = 10_000  # pairs of name and address


class Throttle:
    """Counts failures per account name and address. ``clock`` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, name: str, address: str) -> int:
        """Seconds until another attempt is looked at; 0: now."""
        with self._lock:
            count, until = self._failures.get((name, address), (0, 0.0))
            left = until - self._clock()
        return 0 if count <= _FREE or left <= 0 else int(left) + 1

    def failed(self, name: str, address: str) -> None:
        """An attempt failed."""
        with self._lock:
            count = self._failures.pop((name, address), (0, 0.0))[0] + 1
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(count - _FREE - 1, 10)) if count > _FREE else 0.0
            self._failures[(name, address)] = (count, self._clock() + wait)
            while len(self._failures) > _REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """The right password was given: forget the failures."""
        with self._lock:
            self._failures.pop((name, address), None)
