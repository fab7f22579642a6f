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

    def attempt(self, name: str, address: str) -> int:
        """Begin an attempt: seconds until one is looked at again, or 0. It counts as failed until it has succeeded, so
        that of many at once no more are looked at than of many in a row."""
        with self._lock:
            count, until = self._failures.get((name, address), (0, 0.0))
            left = until - self._clock()
            if count > _FREE and left > 0:
                return int(left) + 1
            count += 1
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(count - _FREE - 1, 10)) if count > _FREE else 0.0
            self._failures[(name, address)] = (count, self._clock() + wait)
            self._failures.move_to_end((name, address))
            while len(self._failures) > _REMEMBERED:
                self._failures.popitem(last=False)
        return 0

    def succeeded(self, name: str, address: str) -> None:
        """The right password was given: forget the failures."""
        with self._lock:
            self._failures.pop((name, address), None)
