"""Threads with stacks of their own: Orthanc's have 100 KiB, on which one deeply nested JSON text ends the process.

A callback of Orthanc gives its work to a thread of the pool and waits. Only the callback touches what Orthanc handed
it, so work that answers too late has nothing left that it could write to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar, cast

from orthanc_plugin.wall.errors import Late, Overloaded

STACK_BYTES = 8 << 20
THREADS = 16
WAITING = 64
"""How many pieces of work may be under way or waiting at one time; one more is refused."""

PATIENCE = 2.0
"""Seconds that a callback waits for its answer."""

T = TypeVar("T")


class Call(Generic[T]):
    """One piece of work. The lock is held until it has ended: cheaper than a condition, and one object less."""

    __slots__ = ("ended", "failure", "result", "work")

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.ended = threading.Lock()
        self.ended.acquire()
        self.result: T | None = None
        self.failure: BaseException | None = None

    def wait(self, patience: float) -> T:
        """The result, once.

        Raises
        ------
        Late
            It did not end within ``patience`` seconds; its result is thrown away.
        """
        if not self.ended.acquire(timeout=patience):
            raise Late(f"no answer within {patience:g} s")
        if self.failure is not None:
            raise self.failure
        return cast(T, self.result)


class Pool:
    """A fixed number of threads, made at once, so that no later thread has the small stack."""

    def __init__(self, threads: int = THREADS, waiting: int = WAITING) -> None:
        self._queue: SimpleQueue[Call[Any] | None] = SimpleQueue()
        self._places = threading.Semaphore(waiting)
        self._here = threading.Semaphore(threads)
        self._mine: set[int] = set()
        self._making = threading.Lock()
        former = threading.stack_size(STACK_BYTES)
        try:
            self._threads = [
                threading.Thread(target=self._serve, name=f"photospine-wall-{number}", daemon=True)
                for number in range(threads)
            ]
            for thread in self._threads:
                thread.start()
        finally:
            threading.stack_size(former)

    def run(self, work: Callable[[], T], patience: float = PATIENCE) -> T:
        """Have a thread do the work, and wait.

        Raises
        ------
        Overloaded
            There is no place for it.
        Late
            It did not end within ``patience`` seconds; its result is thrown away.
        """
        if self.mine():  # a callback inside our own work: the stack is large already
            return work()
        return self.begin(work).wait(patience)

    def begin(self, work: Callable[[], T]) -> Call[T]:
        """Have a thread do the work, and go on.

        Raises
        ------
        Overloaded
            There is no place for it.
        """
        if not self._places.acquire(blocking=False):
            raise Overloaded("every thread is taken")
        call: Call[T] = Call(work)
        self._queue.put(call)
        return call

    def mine(self) -> bool:
        """Whether this is a thread of the pool: then Orthanc asks within our own work."""
        return threading.get_ident() in self._mine

    def here(self, work: Callable[[], T | None]) -> T | None:
        """Do work that hardly waits in the caller's own thread, which saves two changes of thread; None: by a thread.

        For work that is known to need little of Orthanc's stack. Only so many are done at a time as there are threads
        here, so that a disk that stands still cannot take all of Orthanc's.

        Raises
        ------
        Late
            It did not end in time; its result is thrown away.
        """
        if not self._here.acquire(blocking=False):
            return None
        try:
            started = time.monotonic()
            result = work()
            if time.monotonic() - started > PATIENCE:
                raise Late(f"no answer within {PATIENCE:g} s")
            return result
        finally:
            self._here.release()

    def aside(self, work: Callable[[], None]) -> None:
        """Begin work that nobody waits for, on a thread of its own with a large stack. It ends with the process."""
        with self._making:
            former = threading.stack_size(STACK_BYTES)
            try:
                threading.Thread(target=work, name="photospine-wall-aside", daemon=True).start()
            finally:
                threading.stack_size(former)

    def close(self) -> None:
        """Let the threads end once their work is done (tests; Orthanc simply ends)."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        self._mine.add(threading.get_ident())
        while (call := self._queue.get()) is not None:
            try:
                call.result = call.work()
            except BaseException as failure:  # noqa: BLE001  # handed to the caller, who refuses
                call.failure = failure
            finally:
                call.ended.release()
                self._places.release()
            del call
