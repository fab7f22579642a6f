"""A stream: each part read ahead, decided when its turn comes; nothing is written of one that may not leave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from mmap import mmap
from typing import Any

import pytest

from orthanc_plugin.wall import stream
from orthanc_plugin.wall.answer import Answer
from orthanc_plugin.wall.errors import Late, TooLarge, Withdrawn
from orthanc_plugin.wall.pool import Pool
from orthanc_plugin.wall.stream import Part, Stream

pytestmark = pytest.mark.fast


class _Output:
    """What was written, as bookworm's Orthanc can."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    def _note(self, name: str) -> Callable[..., None]:
        return lambda *values: self.written.append((name, *(bytes(v) if isinstance(v, mmap) else v for v in values)))

    def __getattr__(self, name: str) -> Any:
        if name in ("StartStreamAnswer", "SendStreamChunk"):
            raise AttributeError(name)
        return self._note(name)

    @property
    def sent(self) -> bytes:
        return b"".join(each[1] for each in self.written if each[0] in ("SendMultipartItem", "SendStreamChunk"))


class _Streaming(_Output):
    """What was written, as newer Orthancs can."""

    def __getattr__(self, name: str) -> Any:
        return self._note(name)


def _keep(_piece: object) -> None:
    """Memory that is not used again."""


def _part(body: bytes, leaves: bool = True) -> Part:
    return Part(lambda: (body,), lambda: leaves)


def test_parts_are_written_one_by_one() -> None:
    pool, output = Pool(2), _Output()
    Answer(stream=Stream(iter([_part(b"a"), _part(b"b")]), _keep)).write(output, pool)
    assert [each[-1] for each in output.written] == ["application/dicom", b"a", b"b"]
    pool.close()


@pytest.mark.parametrize("media", [None, "application/zip"])
@pytest.mark.parametrize("made", [_Output, _Streaming])
def test_what_was_withdrawn_before_the_first_byte_is_absent(media: str | None, made: type[_Output]) -> None:
    pool, output = Pool(2), made()
    Answer(stream=Stream(iter([_part(b"a", leaves=False), _part(b"b")]), _keep, media)).write(output, pool)
    assert output.written == [("SendHttpStatusCode", 404)]
    pool.close()


def test_multipart_ends_at_the_first_that_was_withdrawn() -> None:
    pool, output = Pool(2), _Output()
    Answer(stream=Stream(iter([_part(b"a"), _part(b"b", leaves=False), _part(b"c")]), _keep)).write(output, pool)
    assert output.sent == b"a"
    pool.close()


def test_an_archive_that_is_cut_short_fails_aloud_or_is_never_sent() -> None:
    pool = Pool(2)
    for output, sent in ((_Streaming(), b"a"), (_Output(), b"")):
        parts = iter([_part(b"a"), _part(b"b", leaves=False), _part(b"the end")])
        with pytest.raises(Withdrawn):
            Answer(stream=Stream(parts, _keep, "application/zip")).write(output, pool)
        assert output.sent == sent
        assert not any(name == "AnswerBuffer" for name, *_ in output.written)
    pool.close()


def test_what_cannot_be_streamed_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_BUFFERED", 3)
    pool, output = Pool(2), _Output()
    Answer(stream=Stream(iter([_part(b"a"), _part(b"bc")]), _keep, "application/zip")).write(output, pool)
    assert output.written == [("AnswerBuffer", b"abc", "application/zip")]
    with pytest.raises(TooLarge):
        Answer(stream=Stream(iter([_part(b"ab"), _part(b"cd")]), _keep, "application/zip")).write(output, pool)
    pool.close()


@pytest.mark.parametrize("decided", [0, 1])
def test_a_decision_that_comes_too_late_ends_a_stream(monkeypatch: pytest.MonkeyPatch, decided: int) -> None:
    """Reading a large file may take long; a decision never may, also where a database hangs in the middle."""
    monkeypatch.setattr(Pool.run, "__defaults__", (0.05,))
    pool, output, go = Pool(3), _Output(), threading.Event()

    def late() -> bool:
        return go.wait(10)

    parts = [_part(b"photo"), _part(b"photo"), _part(b"photo")]
    parts[decided] = Part(parts[decided].read, late)
    with pytest.raises(Late):
        Answer(stream=Stream(iter(parts), _keep)).write(output, pool)
    assert output.written.count(("SendMultipartItem", b"photo")) == decided
    assert bool(output.written) is bool(decided)
    go.set()
    pool.close()


def test_no_more_than_two_parts_are_read_before_they_are_sent() -> None:
    pool, output, read, most = Pool(2), _Output(), [0], [0]

    def body() -> tuple[bytes, ...]:
        read[0] += 1
        most[0] = max(most[0], read[0] - sum(name == "SendMultipartItem" for name, *_ in output.written))
        return (b"photo",)

    Answer(stream=Stream((Part(body, lambda: True) for _ in range(20)), _keep)).write(output, pool)
    assert (read[0], output.sent) == (20, b"photo" * 20)
    assert most[0] <= 3
    pool.close()
