"""What clients say that they accept, and what is made of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthanc_plugin.wall.accept import STORED, Range, image, ranges, transfer_syntaxes

pytestmark = pytest.mark.fast

JPEG, EXPLICIT = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.1"
WHOLE = 'multipart/related; type="application/dicom"'


@pytest.mark.parametrize(
    ("accept", "syntaxes"),
    [
        ("*/*", (STORED,)),
        (WHOLE, (STORED,)),
        ("application/dicom", (STORED,)),
        (f"{WHOLE}; transfer-syntax=*", (STORED,)),
        (f"{WHOLE}; transfer-syntax={JPEG}", (JPEG,)),
        (f"{WHOLE};q=0.5;transfer-syntax={JPEG}, {WHOLE}; transfer-syntax={EXPLICIT}", (EXPLICIT, JPEG)),
        (f'{WHOLE}; transfer-syntax="{EXPLICIT}"; q=0.9, */*;q=0.1', (EXPLICIT, STORED)),
        (f"{WHOLE}; transfer-syntax={JPEG}; q=0", ()),
        (f"{WHOLE}; transfer-syntax={JPEG}; q=2", ()),
        ("multipart/related; type=application/dicom+json", ()),
        ('multipart/related; type="application/octet-stream"', ()),
        ("application/dicom+json", ()),
        ("text/html", ()),
        ("", ()),
        ("multipart/related", (STORED,)),
        ('multipart/related; type="application/dicom, x;y"', ()),
    ],
)
def test_transfer_syntaxes(accept: str, syntaxes: tuple[str, ...]) -> None:
    assert transfer_syntaxes(accept) == syntaxes


@pytest.mark.parametrize(
    ("accept", "made"),
    [
        ("*/*", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/*;q=0.5, image/png", "image/png"),
        ("image/webp, image/*", "image/jpeg"),
        ("image/gif", None),
        ("image/jpeg;q=0", None),
    ],
)
def test_images(accept: str, made: str | None) -> None:
    assert image(accept, ("image/jpeg", "image/png")) == made


@given(st.text(max_size=200) | st.text(alphabet='a/*;,"=q01.\\ ', max_size=200))
def test_any_text_is_read(accept: str) -> None:
    found = ranges(accept)
    assert all(0 < one.quality <= 1 and "/" in one.media for one in found)
    assert [one.quality for one in found] == sorted((one.quality for one in found), reverse=True)


def test_a_text_that_is_never_closed_is_read_once() -> None:
    """4096 characters of marks took a quarter of a second, of every other request's too."""
    began = time.process_time()
    assert ranges('"\\' * 2000) == []
    assert ranges('*/*, x/y; a="b, c/d') == [Range("*/*", {}, 1.0), Range("x/y", {"a": '"b, c/d'}, 1.0)]
    assert time.process_time() - began < 0.1
