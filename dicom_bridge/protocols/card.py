"""A protocol as a card: one page, A4, that hangs beside the camera."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from reportlab.graphics.shapes import Drawing, Path
from reportlab.lib import colors
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import KeepInFrame, Paragraph, Spacer, Table, TableStyle

from consent.regions import BodyRegion
from consent.wording import worded
from dicom_bridge.protocols.pictogram import SIZE, pictogram
from dicom_bridge.protocols.protocol import Protocol, Shot
from dicom_bridge.protocols.words import (
    BACKGROUND,
    LIGHTING,
    TARGET,
    area_words,
    due_words,
    for_words,
    name_words,
    scale_words,
    shot_words,
)
from fhir_mapping.advisory.letters import fonts, markup

_MARGIN = 13 * mm
_WIDTH, _HEIGHT = A4[0] - 2 * _MARGIN, A4[1] - 2 * _MARGIN
_INK, _SOFT, _LINE = colors.HexColor("#1d1e20"), colors.HexColor("#595c60"), colors.HexColor("#c9c9c5")
_TINT, _ACCENT = colors.HexColor("#f4f4f2"), colors.HexColor("#0b5563")
_FEW, _MANY = 6, 8
"""Shots from which on four of them, or five, stand beside each other."""


def _drawing(shot: Shot, side: float) -> Any:
    """The pictogram of a shot, in a square of this side."""
    scale = side / SIZE
    drawing = Drawing(side, side)
    for stroke in pictogram(shot):
        path = Path(
            strokeColor=_ACCENT if stroke.strong else _INK,
            strokeWidth=(2 if stroke.strong else 1.2) * scale,
            strokeLineCap=1,
            strokeLineJoin=1,
            fillColor=_INK if stroke.filled else None,
        )
        for word, numbers in stroke.steps:
            at = [(SIZE - each if place % 2 else each) * scale for place, each in enumerate(numbers)]
            {"M": path.moveTo, "L": path.lineTo, "C": path.curveTo}[word](*at)
        drawing.add(path)
    return drawing


class _Writer:
    """Paragraphs in fonts that hold the site's letters, in the language of whoever asks."""

    def __init__(self, said: Callable[[str], str], area: Callable[[BodyRegion], str]) -> None:
        self.said, self.area = said, area
        regular, bold = fonts()
        base = {"alignment": TA_LEFT, "splitLongWords": True, "textColor": _INK}
        self.text = ParagraphStyle("text", fontName=regular, fontSize=9.2, leading=11.8, **base)
        self.soft = ParagraphStyle("soft", parent=self.text, fontSize=8, leading=10.2, textColor=_SOFT)
        self.strong = ParagraphStyle("strong", parent=self.text, fontName=bold)
        self.head = ParagraphStyle("head", parent=self.strong, fontSize=11.5, leading=16, textColor=_ACCENT)
        self.title = ParagraphStyle("title", parent=self.strong, fontSize=22, leading=27)

    def say(self, value: str, style: ParagraphStyle | None = None) -> Any:
        style = style or self.text
        return Paragraph(markup(self.said(value), style.fontName).text, style)

    def sentence(self, value: str) -> Any:
        """What stands alone begins with a capital."""
        said = self.said(value)
        return self.say(said[:1].upper() + said[1:])


def card(protocol: Protocol, said: Callable[[str], str] = str, area: Callable[[BodyRegion], str] = area_words) -> bytes:
    """The card as PDF, one page; the same protocol gives the same bytes.

    Parameters
    ----------
    said
        How a text is said; English, where nothing else is told.
    area
        How an area is called within a sentence.
    """
    writer = _Writer(said, area)
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    canvas.setTitle(said(worded("%(title)s: photographs", title=protocol.title)))
    canvas.setAuthor("Photospine")
    frame = KeepInFrame(_WIDTH, _HEIGHT, _flow(protocol, writer), mode="shrink")
    _, height = frame.wrapOn(canvas, _WIDTH, _HEIGHT)
    frame.drawOn(canvas, _MARGIN, A4[1] - _MARGIN - height)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _flow(protocol: Protocol, writer: _Writer) -> list[Any]:
    say = writer.say
    values = {"areas": for_words(protocol, writer.area), "name": protocol.name, "version": protocol.version}
    about = worded("For: %(areas)s · %(name)s, Photospine's version %(version)s", **values)
    if protocol.own:
        about = worded("For: %(areas)s · %(name)s, this clinic's version %(version)s", **values)
    flow: list[Any] = [
        say(protocol.title, writer.title),
        say(about, writer.soft),
        Spacer(1, 4 * mm),
        _grid(protocol.required, worded("Take each of these"), protocol, writer),
    ]
    optional = [each for each in protocol.shots if not each.required]
    if optional:
        flow += [Spacer(1, 3 * mm), _grid(optional, worded("And where it helps"), protocol, writer)]
    flow += [Spacer(1, 4 * mm), _below(protocol, writer), Spacer(1, 3 * mm)]
    for each in protocol.sources:
        source = f"{each.citation}{f'. {each.url}' if each.url else ''}"
        flow.append(say(worded("After: %(source)s", source=source), writer.soft))
    return flow


def _grid(shots: Sequence[Shot], title: str, protocol: Protocol, writer: _Writer) -> Any:
    columns = 3 if len(shots) <= _FEW else 4 if len(shots) <= _MANY else 5
    width = _WIDTH / columns
    cells = [_cell(each, protocol, writer, min(width - 8 * mm, 34 * mm)) for each in shots]
    rows: list[list[Any]] = [cells[at : at + columns] for at in range(0, len(cells), columns)]
    rows[-1] += [""] * (columns - len(rows[-1]))
    table = Table([[writer.say(title, writer.head), *[""] * (columns - 1)], *rows], colWidths=[width] * columns)
    table.setStyle(
        TableStyle(
            [
                ("SPAN", (0, 0), (-1, 0)),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, 0), 0),
                *(
                    ("BOX", (at % columns, at // columns + 1), (at % columns, at // columns + 1), 0.5, _LINE)
                    for at in range(len(cells))
                ),
            ]
        )
    )
    return table


def _cell(shot: Shot, protocol: Protocol, writer: _Writer, side: float) -> list[Any]:
    number = protocol.shots.index(shot) + 1
    usual = protocol.shots[0]
    made = [
        _drawing(shot, side),
        Spacer(1, 1 * mm),
        writer.say(f"{number}  {writer.said(name_words(shot.name))}", writer.strong),
        writer.say(shot_words(shot)),
        writer.say(scale_words(shot), writer.soft),
    ]
    if shot.note:
        made.append(writer.say(shot.note))
    if shot.lighting is not usual.lighting:
        made.append(writer.say(worded("Light: %(light)s", light=LIGHTING[shot.lighting]), writer.soft))
    if shot.background is not usual.background:
        made.append(
            writer.say(worded("Background: %(background)s", background=BACKGROUND[shot.background]), writer.soft)
        )
    if shot.target is not usual.target:
        target = TARGET[shot.target] if shot.target else worded("none")
        made.append(writer.say(worded("Target: %(target)s", target=target), writer.soft))
    return made


def _below(protocol: Protocol, writer: _Writer) -> Any:
    """How it is always done, beside when."""
    say, first = writer.say, protocol.shots[0]
    how = [say(worded("Always the same"), writer.head)]
    for word, value in (
        (worded("Patient"), protocol.posture),
        (worded("Camera"), protocol.lens),
        (worded("Light"), LIGHTING[first.lighting]),
        (worded("Background"), BACKGROUND[first.background]),
        *(((worded("Target"), TARGET[first.target]),) if first.target is not None else ()),
    ):
        how += [say(word, writer.soft), writer.sentence(value)]
    when = [say(worded("When"), writer.head)]
    for time in protocol.times:
        numbers = worded("all of the first box")
        if set(time.shots) != set(protocol.required):
            numbers = worded("shots %(numbers)s", numbers=[str(protocol.shots.index(each) + 1) for each in time.shots])
        when += [say(name_words(time.name), writer.strong), writer.sentence(due_words(time)), say(numbers, writer.soft)]
    table = Table([[how, when]], colWidths=[_WIDTH * 0.56, _WIDTH * 0.44])
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("BACKGROUND", (0, 0), (-1, -1), _TINT),
                ("TOPPADDING", (0, 0), (-1, -1), 6),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 8),
                ("LEFTPADDING", (0, 0), (-1, -1), 8),
            ]
        )
    )
    return table
