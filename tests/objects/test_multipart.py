"""A body of several objects is taken apart alike, however it arrives, and no more of it is held than one part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_bridge.multipart import BodyRefused, parts

pytestmark = pytest.mark.fast

_PART = st.binary(max_size=60).filter(lambda data: b"\r\n--b" not in data)


def _body(contents: list[bytes], head: bytes = b"Content-Type: application/dicom\r\n\r\n") -> bytes:
    return b"".join(b"--b\r\n" + head + each + b"\r\n" for each in contents) + b"--b--\r\n"


def _pieces(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@given(st.lists(_PART, max_size=4), st.integers(1, 70), st.sampled_from([b"", b"a preamble\r\n"]))
def test_parts_come_out_as_they_went_in(contents: list[bytes], size: int, preamble: bytes) -> None:
    assert list(parts(_pieces(preamble + _body(contents), size), "b", 100)) == contents


@given(_PART, st.integers(1, 70))
def test_a_part_without_headers(content: bytes, size: int) -> None:
    assert list(parts(_pieces(_body([content], b"\r\n"), size), "b", 100)) == [content]


@given(st.binary(max_size=200), st.integers(1, 70))
def test_any_bytes_are_parts_or_refused(body: bytes, size: int) -> None:
    try:
        list(parts(_pieces(body, size), "b", 100))
    except BodyRefused:
        return


@pytest.mark.parametrize(
    ("body", "boundary", "said"),
    [
        (_body([b"x"])[:-6], "b", "cut off"),
        (_body([b"x"]), "other", "cut off"),
        (_body([b"x"]), "", "boundary"),
        (_body([b"x" * 20_000]), "b", "too large"),
        (_body([b"x"], b"A: " + b"x" * 8200 + b"\r\n\r\n"), "b", "headers"),
    ],
)
def test_what_is_no_body_of_parts(body: bytes, boundary: str, said: str) -> None:
    with pytest.raises(BodyRefused, match=said):
        list(parts(_pieces(body, 1000), boundary, 1000))
