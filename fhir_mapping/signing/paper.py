"""The paper of a signing, as PDF: the text as it was shown, who signed it, and the signature as it was drawn."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from reportlab.graphics.shapes import Drawing, PolyLine
from reportlab.lib import colors
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

from fhir_mapping.advisory.letters import fonts, markup

WIDTH, HEIGHT = 1000, 400
"""The field that is drawn in, in its own units."""

_MOST_POINTS = 6000
_LEAST_LENGTH = 150
"""In the field's units: less is a touch, not a signature."""

_INK, _SOFT = colors.HexColor("#1b1c1d"), colors.HexColor("#595c60")

Stroke = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Paper:
    """What is written on it."""

    title: str
    about: tuple[str, ...]
    """Whom it is about, and where: a line each."""

    lines: tuple[str, ...]
    """The text that was shown."""

    signed: str
    """Who signed: ``Signed by Anna``."""

    when: str
    strokes: tuple[Stroke, ...] = ()
    """The signature as it was drawn."""

    witnessed: str = ""
    """Who was there, where a name was typed because nothing could be drawn."""

    language: str = "en"
    """BCP 47."""


def strokes_of(drawn: str) -> tuple[Stroke, ...]:
    """The strokes that a form sends: JSON, a list of x, y, x, y, … for each; empty where it is no signature."""
    try:
        sent = json.loads(drawn)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(sent, list):
        return ()
    made: list[Stroke] = []
    for each in sent:
        if not isinstance(each, list) or len(each) % 2 or not all(type(number) is int for number in each):
            return ()
        points = tuple(zip(each[::2], each[1::2], strict=True))
        if not all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points):
            return ()
        made.append(points)
    if sum(len(each) for each in made) > _MOST_POINTS:
        return ()
    length = sum(abs(x - u) + abs(y - v) for each in made for (x, y), (u, v) in pairwise(each))
    return tuple(made) if length >= _LEAST_LENGTH else ()


def pdf(paper: Paper) -> bytes:
    """The paper; the same gives the same bytes."""
    regular, bold = fonts()
    text = ParagraphStyle(
        "text", fontName=regular, fontSize=11, leading=16, alignment=TA_LEFT, textColor=_INK, splitLongWords=True
    )
    soft = ParagraphStyle("soft", parent=text, fontSize=9.5, leading=14, textColor=_SOFT)
    title = ParagraphStyle("title", parent=text, fontName=bold, fontSize=19, leading=25)

    def say(value: str, style: ParagraphStyle = text) -> Any:
        return Paragraph(markup(value, style.fontName).text, style)

    flow: list[Any] = [say(paper.title, title), *(say(line, soft) for line in paper.about), Spacer(1, 6 * mm)]
    for line in paper.lines:
        flow += [say(line), Spacer(1, 2.4 * mm)]
    flow.append(Spacer(1, 6 * mm))
    if paper.strokes:
        flow.append(_drawing(paper.strokes))
    flow += [say(paper.signed), say(paper.when, soft)]
    if paper.witnessed:
        flow.append(say(paper.witnessed, soft))
    out = io.BytesIO()
    SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=22 * mm,
        rightMargin=22 * mm,
        topMargin=20 * mm,
        bottomMargin=20 * mm,
        title=paper.title,
        author="Photospine",
        lang=paper.language,
        invariant=1,
    ).build(flow)
    return out.getvalue()


def _drawing(strokes: Sequence[Stroke]) -> Drawing:
    width = 90 * mm
    scale = width / WIDTH
    drawing = Drawing(width, HEIGHT * scale)
    for stroke in strokes:
        points = [number for x, y in stroke for number in (x * scale, (HEIGHT - y) * scale)]
        drawing.add(PolyLine(points, strokeColor=_INK, strokeWidth=1.3, strokeLineCap=1, strokeLineJoin=1))
    return drawing
