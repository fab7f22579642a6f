"""A stream: each part decided in time, and read; nothing is written of one that is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orthanc_plugin.wall.answer import Answer, Part
from orthanc_plugin.wall.errors import Late
from orthanc_plugin.wall.pool import Pool

pytestmark = pytest.mark.fast


class _Output:
    """What was written."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.written.append((name, *values))


def test_parts_are_written_one_by_one_and_none_is_absent() -> None:
    pool, output = Pool(2), _Output()
    Answer(parts=iter([lambda: b"a", lambda: b"b"])).write(output, pool)
    assert [each[-1] for each in output.written] == ["application/dicom", b"a", b"b"]
    Answer(parts=iter(())).write(nothing := _Output(), pool)
    assert nothing.written == [("SendHttpStatusCode", 404)]
    pool.close()


@pytest.mark.parametrize("decided", [0, 1])
def test_a_decision_that_comes_too_late_ends_a_stream(monkeypatch: pytest.MonkeyPatch, decided: int) -> None:
    """Reading a large file may take long; a decision never may, also where a database hangs in the middle."""
    monkeypatch.setattr(Pool.run, "__defaults__", (0.05,))
    pool, output, go = Pool(2), _Output(), threading.Event()

    def parts() -> Iterator[Part]:
        for number in range(3):
            if number == decided:
                go.wait(10)
            yield lambda: b"photo"

    with pytest.raises(Late):
        Answer(parts=parts()).write(output, pool)
    assert output.written.count(("SendMultipartItem", b"photo")) == decided
    assert bool(output.written) is bool(decided)
    go.set()
    pool.close()
