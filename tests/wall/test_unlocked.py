"""Orthanc's way of sending is found where all that is known of it holds, and nowhere else."""

from __future__ import annotations

import ctypes

import pytest

from orthanc_plugin.wall import unlocked

pytestmark = pytest.mark.fast


class _Output(ctypes.Structure):
    """Not what the plugin has: larger, and its pointer elsewhere."""

    _fields_ = (("pointer", ctypes.c_void_p), ("borrowed", ctypes.c_bool))


class _Two:
    """As large as the plugin's, and what it was made with is kept by a reference to it."""

    __slots__ = ("borrowed", "pointer")

    def __init__(self, pointer: int, borrowed: bool) -> None:
        self.pointer, self.borrowed = pointer, borrowed


@pytest.mark.parametrize("other", [_Output, _Two])
def test_an_output_that_is_made_otherwise_is_not_used(other: type) -> None:
    assert unlocked.find(other) is None


def test_outside_of_orthanc_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlocked, "_pointer", lambda output: output.pointer)
    assert unlocked.find(_Two) is None


def test_what_looks_like_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that answers wrongly, or one of two, is not it."""
    monkeypatch.setattr(unlocked, "_pointer", lambda output: output.pointer)
    texts = {1: b"Internal error", 2: b"Something else"}
    kept = []

    def service(text: bytes, code: int) -> int:
        held = ctypes.c_char_p(text)

        def answer(_context: int, asked: int, parameters: int) -> int:
            question = unlocked._Question.from_address(parameters)
            assert (asked, question.error) == (17, -1)
            question.target[0] = held
            return code

        function = unlocked._InvokeService(answer)
        kept.append(function)
        return ctypes.cast(function, ctypes.c_void_p).value or 0

    right, wrong, failing = service(texts[1], 0), service(texts[2], 0), service(texts[1], 9)
    for found, one in (
        ([(8, right)], 8),
        ([(8, wrong)], None),
        ([(8, failing)], None),
        ([(8, right), (16, right)], None),
    ):
        monkeypatch.setattr(unlocked, "_candidates", lambda _memory, found=found: iter(found))
        context = unlocked.find(_Two)
        assert (None if context is None else context.address) == one
