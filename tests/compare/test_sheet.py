"""A comparison as a file: the same bytes each time, of the photos nothing but pixels, and every line readable."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

from dicom_bridge.compare.sheet import Form, Panel, Sheet, written


def _photo(colour: tuple[int, int, int], size: tuple[int, int] = (300, 400)) -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "SECRET-DESCRIPTION"
    Image.new("RGB", size, colour).save(out, "JPEG", quality=95, exif=exif, comment=b"SECRET-COMMENT")
    return out.getvalue()


def _sheet(foot: str = "For: the record") -> Sheet:
    before = Panel(_photo((200, 40, 40)), ("2 Sep 2025 · Session 1", "Face, frontal", "Fractional CO₂ laser " * 9))
    return Sheet("Face", (before, Panel(_photo((40, 40, 200), (500, 400)), ("12 May 2026", "Πρόσωπο"))), foot)


@pytest.mark.parametrize("form", list(Form))
def test_the_same_comparison_is_the_same_file_without_metadata(form: Form) -> None:
    made = written(_sheet(), form)
    assert made == written(_sheet(), form)
    assert made != written(_sheet("For: website"), form)
    assert b"SECRET" not in made
    if form is not Form.PDF:
        opened = Image.open(io.BytesIO(made))
        assert not opened.getexif()
        assert "comment" not in opened.info


@pytest.mark.parametrize("form", [Form.PNG, Form.JPEG])
def test_both_photos_stand_side_by_side_in_their_order(form: Form) -> None:
    opened = Image.open(io.BytesIO(written(_sheet(), form))).convert("RGB")
    left = opened.getpixel((200, opened.height // 2))
    right = opened.getpixel((opened.width - 200, opened.height // 2))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert left[0] > 150 > left[2]
    assert right[2] > 150 > right[0]


def test_a_pdf_is_one_page_with_both_photos_in_it() -> None:
    made = written(_sheet(), Form.PDF)
    assert len(re.findall(rb"/Type /Page\b", made)) == 1
    assert len(re.findall(rb"/Subtype /Image", made)) == 2
    longer = Sheet("Face", tuple(Panel(each.jpeg, each.lines * 6) for each in _sheet().panels), "For: the record")
    assert len(re.findall(rb"/Type /Page\b", written(longer, Form.PDF))) == 1
