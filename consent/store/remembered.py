"""The values that a process used last, each with the version that it was read in."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """The values used last, each with its version."""

    def __init__(self, most: int) -> None:
        """Remember up to so many."""
        self.most = most
        self._values: OrderedDict[Key, tuple[int, Value]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key, version: int) -> Value | None:
        """The value, where it has this version."""
        found = self._values.get(key)
        return found[1] if found is not None and found[0] == version else None

    def put(self, key: Key, version: int, value: Value) -> None:
        """Keep a value, whatever there was before; the one used longest ago makes room."""
        with self._lock:
            self._values[key] = (version, value)
            self._values.move_to_end(key)
            while len(self._values) > self.most:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._values.clear()
