"""The pairs of an export as PDF: a page each, both photos equally high, and not a word that tells who they are."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from consent.wording import Wording, worded
from dicom_bridge.compare.renditions import Rendition, render
from dicom_bridge.publish.pair import Half, Pair
from fhir_mapping.advisory.letters import fonts

_PAGE = landscape(A4)
_MARGIN, _GAP = 14 * mm, 6 * mm
_HEAD, _FOOT = 22 * mm, 20 * mm
_INK, _SOFT = colors.HexColor("#1d1e20"), colors.HexColor("#595c60")
_WIDTH = 1200
"""Pixels of a photo on a page: 225 an inch."""


@dataclass(frozen=True, slots=True)
class Row:
    """A pair, and its pictures as they stand on a page."""

    pair: Pair
    before: Rendition
    after: Rendition


def on_page(jpeg: bytes) -> Rendition:
    """A picture as it stands on a page.

    Raises
    ------
    dicom_bridge.compare.renditions.NotRendered
    """
    return render(jpeg, width=_WIDTH, shown=False)


def sheet(rows: Sequence[Row], title: str, say: Callable[[Wording], str] = str) -> bytes:
    """The PDF.

    Parameters
    ----------
    title
        What the purpose is called.
    say
        Says a text in the language that the rest is in.
    """
    regular, bold = fonts()
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=_PAGE, invariant=1)
    canvas.setTitle(title)
    canvas.setAuthor("Photospine")
    for place, row in enumerate(rows, 1):
        _page(canvas, row, regular, bold, say)
        canvas.setFont(regular, 8)
        canvas.setFillColor(_SOFT)
        canvas.drawString(_MARGIN, 8 * mm, title)
        canvas.drawRightString(
            _PAGE[0] - _MARGIN, 8 * mm, say(worded("%(place)s of %(all)s", place=place, all=len(rows)))
        )
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _page(canvas: Any, row: Row, regular: str, bold: str, say: Callable[[Wording], str]) -> None:
    pair, top = row.pair, _PAGE[1] - _MARGIN
    canvas.setFillColor(_INK)
    canvas.setFont(bold, 17)
    canvas.drawString(_MARGIN, top - 12, pair.title or pair.area)
    canvas.setFillColor(_SOFT)
    canvas.setFont(regular, 10)
    canvas.drawString(_MARGIN, top - 28, " · ".join(filter(None, (pair.area if pair.title else "", pair.view))))
    pictures = (row.before, row.after)
    room = _PAGE[0] - 2 * _MARGIN - _GAP
    height = min(
        _PAGE[1] - 2 * _MARGIN - _HEAD - _FOOT + 8 * mm, room / sum(each.width / each.height for each in pictures)
    )
    widths = [height * each.width / each.height for each in pictures]
    at = (_PAGE[0] - sum(widths) - _GAP) / 2
    base = top - _HEAD - height
    for half, picture, width in zip(pair.halves, pictures, widths, strict=True):
        canvas.drawImage(ImageReader(io.BytesIO(picture.jpeg)), at, base, width, height)
        _caption(canvas, half, at, base - 14, regular, bold, say)
        at += width + _GAP


def _caption(
    canvas: Any, half: Half, at: float, base: float, regular: str, bold: str, say: Callable[[Wording], str]
) -> None:
    canvas.setFillColor(_INK)
    canvas.setFont(bold, 11)
    canvas.drawString(at, base, half.when)
    if half.session is not None:
        canvas.setFillColor(_SOFT)
        canvas.setFont(regular, 9)
        canvas.drawString(at, base - 12, say(worded("Session %(number)s", number=half.session)))
