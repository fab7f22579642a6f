"""A comparison that leaves the house: one picture, or a PDF of one page, with what is to be read beside the photos.

The bytes follow from what goes in alone. Nothing of the photos' files is carried over but their pixels.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image, ImageDraw, ImageFont
from reportlab.lib import colors
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import KeepInFrame, Paragraph

from fhir_mapping.advisory.letters import font_files, fonts, markup, visual_words

_HIGH = 1500
"""Pixels that each photo is high in a picture."""

_MARGIN, _GAP, _LINE = 48, 24, 44
_TEXT, _SMALL = 30, 24
_INK, _SOFT = (29, 30, 32), (89, 92, 96)
_QUALITY = 92
_EDGE, _BETWEEN, _WORDS = 14 * mm, 6 * mm, 34 * mm


class Form(StrEnum):
    """What it is written as, by the ending of its name."""

    PNG = "png"
    JPEG = "jpg"
    PDF = "pdf"


TYPES = {Form.PNG: "image/png", Form.JPEG: "image/jpeg", Form.PDF: "application/pdf"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One photo, and what is written under it; the first line is its heading."""

    jpeg: bytes
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """All of it."""

    title: str
    panels: tuple[Panel, ...]
    foot: str


def written(sheet: Sheet, form: Form) -> bytes:
    """The file."""
    return _document(sheet) if form is Form.PDF else _picture(sheet, form)


def _picture(sheet: Sheet, form: Form) -> bytes:
    photos = [_high(each.jpeg) for each in sheet.panels]
    width = sum(each.width for each in photos) + _GAP * (len(photos) - 1) + 2 * _MARGIN
    below = max(len(each.lines) for each in sheet.panels) * _LINE
    height = 2 * _MARGIN + _LINE + _GAP + _HIGH + _GAP + below + _LINE
    made = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(made)
    regular, bold, small = _faces()
    draw.text((_MARGIN, _MARGIN), _fitted(sheet.title, bold, width - 2 * _MARGIN), _INK, bold)
    left, top = _MARGIN, _MARGIN + _LINE + _GAP
    for photo, panel in zip(photos, sheet.panels, strict=True):
        made.paste(photo, (left, top))
        for place, line in enumerate(panel.lines):
            face = regular if place else bold
            at = (left, top + _HIGH + _GAP + place * _LINE)
            draw.text(at, _fitted(line, face, photo.width), _SOFT if place else _INK, face)
        left += photo.width + _GAP
    draw.text((_MARGIN, height - _MARGIN - _SMALL), _fitted(sheet.foot, small, width - 2 * _MARGIN), _SOFT, small)
    out = io.BytesIO()
    if form is Form.PNG:
        made.save(out, "PNG", optimize=False)
    else:
        made.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()


def _high(jpeg: bytes) -> Image.Image:
    """A photo at the height that all have."""
    with Image.open(io.BytesIO(jpeg)) as opened:
        picture = opened.convert("RGB")
    width = max(1, round(picture.width * _HIGH / picture.height))
    return picture.resize((width, _HIGH), Image.Resampling.LANCZOS)


_Face = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _faces() -> tuple[_Face, _Face, _Face]:
    files = font_files()
    if files is None:
        return ImageFont.load_default(_TEXT), ImageFont.load_default(_TEXT), ImageFont.load_default(_SMALL)
    regular, bold = files
    return (
        ImageFont.truetype(str(regular), _TEXT),
        ImageFont.truetype(str(bold), _TEXT),
        ImageFont.truetype(str(regular), _SMALL),
    )


def _fitted(text: str, face: _Face, most: int) -> str:
    """As much of a line as there is room for, in the order in which it is drawn."""
    whole = visual_words(text)
    kept = whole
    while kept and face.getlength(kept) > most:
        kept = kept[:-2].rstrip() + "…" if len(kept) > len("…") + 1 else ""
    return kept


def _document(sheet: Sheet) -> bytes:
    """A4, lying; the date that a PDF bears is the same always."""
    out = io.BytesIO()
    width, height = landscape(A4)
    canvas = Canvas(out, pagesize=(width, height), invariant=1)
    canvas.setTitle(sheet.title)
    regular, bold = fonts()
    text = ParagraphStyle("text", fontName=regular, fontSize=9.5, leading=13, alignment=TA_LEFT)
    soft = ParagraphStyle("soft", parent=text, fontSize=8.5, leading=12, textColor=colors.HexColor("#595c60"))
    head = ParagraphStyle("head", parent=text, fontName=bold, fontSize=11)
    title = ParagraphStyle("title", parent=head, fontSize=16, leading=20)
    inside = width - 2 * _EDGE
    _put(canvas, [(sheet.title, title)], _EDGE, height - _EDGE - 12 * mm, inside, 12 * mm)
    each = (inside - _BETWEEN * (len(sheet.panels) - 1)) / len(sheet.panels)
    top, bottom = height - _EDGE - 14 * mm, _EDGE + _WORDS
    for place, panel in enumerate(sheet.panels):
        left = _EDGE + place * (each + _BETWEEN)
        photo = ImageReader(io.BytesIO(panel.jpeg))
        canvas.drawImage(photo, left, bottom, each, top - bottom, preserveAspectRatio=True, anchor="sw", mask=None)
        lines = [(line, soft if at else head) for at, line in enumerate(panel.lines)]
        _put(canvas, lines, left, _EDGE + 6 * mm, each, _WORDS - 9 * mm)
    _put(canvas, [(sheet.foot, soft)], _EDGE, _EDGE - 4 * mm, inside, 6 * mm)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _put(
    canvas: Canvas, lines: Sequence[tuple[str, ParagraphStyle]], left: float, bottom: float, width: float, height: float
) -> None:
    """Lines in a box, smaller where there is too little room."""
    made = [Paragraph(markup(line, style.fontName).text, style) for line, style in lines if line]
    if not made:
        return
    frame = KeepInFrame(width, height, made, mode="shrink")
    _, high = frame.wrapOn(canvas, width, height)
    frame.drawOn(canvas, left, bottom + height - high)
