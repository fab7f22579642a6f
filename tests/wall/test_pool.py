"""The pool: large stacks, refusal when full, no result after the time."""

from __future__ import annotations

import json
import threading
import time
from queue import SimpleQueue

import pytest

from orthanc_plugin.wall.errors import Late, Overloaded
from orthanc_plugin.wall.pool import Pool

pytestmark = pytest.mark.fast


def test_an_exception_and_a_result_come_back() -> None:
    pool = Pool(2)
    assert pool.run(lambda: 7) == 7
    with pytest.raises(KeyError):
        pool.run(lambda: dict[str, int]()["x"])
    pool.close()


def test_work_inside_work_needs_no_second_place() -> None:
    pool = Pool(1, waiting=1)
    assert pool.run(lambda: pool.run(lambda: 3)) == 3
    pool.close()


def test_late_work_is_refused_and_a_full_pool_refuses_at_once() -> None:
    pool = Pool(1, waiting=1)
    go = threading.Event()
    with pytest.raises(Late):
        pool.run(go.wait, 0.05)
    started = time.monotonic()
    with pytest.raises(Overloaded):
        pool.run(lambda: 1)
    assert time.monotonic() - started < 1
    go.set()
    pool.close()


def test_the_stack_holds_deep_work() -> None:
    pool = Pool(1)
    assert pool.run(lambda: json.loads("[" * 900 + "]" * 900)) is not None
    pool.close()


def test_work_aside_has_a_large_stack_and_nobody_waits_for_it() -> None:
    pool = Pool(1)
    reached: SimpleQueue[int] = SimpleQueue()
    began = threading.Event()

    def deep(left: int) -> int:
        return 0 if left == 0 else 1 + deep(left - 1)

    def work() -> None:
        began.wait()
        reached.put(deep(900))

    pool.aside(work)
    assert pool.run(lambda: 1) == 1
    began.set()
    assert reached.get(timeout=10) == 900
    pool.close()
