"""The close-out report as PDF: who is concerned and whom to call, set by set, and what was done."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from reportlab.lib import colors
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from fhir_mapping.advisory.batch import Fit, Patient, Product
from fhir_mapping.advisory.letters import fonts, markup
from fhir_mapping.advisory.opened import Opened
from fhir_mapping.advisory.said import ASTRAY, SETS, UNPLACED, astray_lines, contact_lines, in_set, local

_PAGE = landscape(A4)
_MARGIN = 14 * mm
_INK, _SOFT, _LINE = colors.HexColor("#1d1e20"), colors.HexColor("#595c60"), colors.HexColor("#d6d6d3")
_SHADES = {
    Fit.EXACT: colors.HexColor("#b3261e"),
    Fit.OTHER_EXPIRY: colors.HexColor("#9a5b00"),
    Fit.UNREADABLE: colors.HexColor("#4a5568"),
}
_WIDTHS = (62 * mm, 98 * mm, 48 * mm, 61 * mm)


_BORROWED = (
    "Chinese, Japanese and Korean letters are set in fonts of the program that shows this report. Where there are "
    "gaps, it has none: the CSV and the FHIR Bundle hold the names."
)
_LOST = "Letters that no font here has are shown as \ufffd: the CSV and the FHIR Bundle hold them."
_LONG = 1200  # characters of a cell that may not fit on a page


class _Writer:
    """Paragraphs in the report's fonts; remembers which letters could not be set in them."""

    def __init__(self) -> None:
        self.regular, self.bold = fonts()
        self.lost = self.borrowed = False
        base = {"alignment": TA_LEFT, "splitLongWords": True, "textColor": _INK}
        self.text = ParagraphStyle("text", fontName=self.regular, fontSize=8, leading=10.8, **base)
        self.soft = ParagraphStyle("soft", parent=self.text, textColor=_SOFT)
        self.strong = ParagraphStyle("strong", parent=self.text, fontName=self.bold, fontSize=9, leading=12)
        self.head = ParagraphStyle("head", parent=self.strong, fontSize=11, leading=15, spaceBefore=10, spaceAfter=4)
        self.title = ParagraphStyle("title", parent=self.strong, fontSize=17, leading=22)

    def say(self, value: str, style: ParagraphStyle | None = None) -> Paragraph:
        style = style or self.text
        marked = markup(value, style.fontName)
        self.lost = self.lost or marked.lost
        self.borrowed = self.borrowed or marked.borrowed
        return Paragraph(marked.text, style)


def pdf(opened: Opened, zone: ZoneInfo) -> bytes:
    """The report; the same state gives the same bytes.

    Parameters
    ----------
    zone
        The site's, in which times are told.
    """
    kept, answer, writer = opened.kept, opened.answer, _Writer()
    say = writer.say
    left = len(opened.left())
    state = "Closed" if kept.closed else f"Open, {left} left"
    flow: list[Any] = [
        say(f"Batch advisory: {kept.title}", writer.title),
        say(f"{kept.id} · opened {local(kept.opened, zone)} · last changed {local(opened.as_of, zone)}", writer.soft),
        Spacer(1, 3 * mm),
        _figures(opened, writer, state),
    ]
    if kept.question.title != ", ".join(kept.question.words):
        flow += [Spacer(1, 2 * mm), say("Asked for: " + ", ".join(kept.question.words), writer.soft)]
    if opened.changes.added or opened.changes.gone:
        flow.append(Spacer(1, 2 * mm))
        flow.append(say(f"Not taken in yet: {len(opened.changes.added)} found since it was opened, "
                        f"{len(opened.changes.gone)} no longer found.", writer.strong))  # fmt: skip
    products = {each.reference: each for each in answer.products}
    for fit in Fit:
        patients = in_set(answer.patients, fit)
        flow.append(
            say(f"{SETS[fit][0]} · {len(patients)}", ParagraphStyle(fit.value, writer.head, textColor=_SHADES[fit]))
        )
        flow.append(_table(patients, opened, products, writer, zone, fit) if patients else say("Nobody.", writer.soft))
    if answer.unplaced:
        flow += [say(UNPLACED, writer.head), say(", ".join(answer.unplaced))]
    if answer.astray:
        flow += [say(ASTRAY, writer.head), *map(say, astray_lines(answer.astray))]
    if kept.notice.strip():
        flow += [say("The notice", writer.head), *(say(each, writer.soft) for each in _lines(kept.notice))]
    if writer.borrowed:
        flow.append(say(_BORROWED, writer.strong))
    if writer.lost:
        flow.append(say(_LOST, writer.strong))
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=_PAGE, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
        title=f"Batch advisory: {kept.title}", author="Photospine", invariant=1,
    )  # fmt: skip

    def number(canvas: Any, page: Any) -> None:
        canvas.setFont(writer.regular, 7)
        canvas.setFillColor(_SOFT)
        canvas.drawString(_MARGIN, 8 * mm, f"{state} · {kept.id}")
        canvas.drawRightString(_PAGE[0] - _MARGIN, 8 * mm, f"Page {page.page}")

    document.build(flow, onFirstPage=number, onLaterPages=number)
    return out.getvalue()


def _figures(opened: Opened, writer: _Writer, state: str) -> Any:
    """What there is to know at a glance, in a row of boxes."""
    answer = opened.answer
    attested = len(answer.patients) - len(opened.left())
    boxes = [
        (state, "state"),
        (f"{attested} of {len(answer.patients)}", "patients attested"),
        *((str(len(in_set(answer.patients, fit))), SETS[fit][0].casefold()) for fit in Fit),
        (str(sum(len(each.treatments) for each in answer.patients)), "treatments"),
        (str(sum(len(each.photos) for each in answer.patients)), "photos"),
    ]
    rows = [
        [writer.say(value, ParagraphStyle("figure", writer.strong, fontSize=13, leading=17)) for value, _ in boxes],
        [writer.say(name, writer.soft) for _, name in boxes],
    ]
    table = LongTable(rows, colWidths=[269 * mm / len(boxes)] * len(boxes))
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("BACKGROUND", (0, 0), (-1, -1), colors.HexColor("#f4f4f2")),
                ("TOPPADDING", (0, 1), (-1, 1), 0),
            ]
        )
    )
    return table


def _table(
    patients: list[Patient],
    opened: Opened,
    products: Mapping[str, Product],
    writer: _Writer,
    zone: ZoneInfo,
    fit: Fit,
) -> Any:
    say = writer.say
    rows: list[list[Any]] = [[say(each, writer.soft) for each in ("Patient", "Given", "Photos", "What was done")]]
    for patient in patients:
        who = [f"born {patient.birth or 'unknown'}" + (f", {patient.died}" if patient.died else ""), patient.id]
        done = [
            f"{one.step.value.capitalize()} {local(one.at, zone)}, {one.by}"
            + (f": {one.text}" if one.text != "-" else "")
            for one in opened.taken(patient)
        ]
        contacts = contact_lines(patient) or ["no contact on record"]
        rows.append(
            [
                [
                    say(patient.name or "(no name)", writer.strong),
                    say("\n".join(who), writer.soft),
                    *map(say, contacts),
                ],
                [say(*each) for each in _treatments(patient, products, zone, writer)],
                [say(each) for each in _photos(patient)] or [say("none of what was treated", writer.soft)],
                [say(each) for each in done] or [say("nothing yet", writer.soft)],
            ]
        )
    tall = any(sum(len(each.text) + 60 for each in cell) > _LONG for row in rows[1:] for cell in row)
    table = LongTable(rows, colWidths=_WIDTHS, repeatRows=1, splitInRow=int(tall))
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
                ("LINEBEFORE", (0, 1), (0, -1), 2, _SHADES[fit]),
                ("LEFTPADDING", (0, 0), (-1, -1), 5),
                ("TOPPADDING", (0, 1), (-1, -1), 5),
                ("BOTTOMPADDING", (0, 1), (-1, -1), 6),
            ]
        )
    )
    return table


def _treatments(
    patient: Patient, products: Mapping[str, Product], zone: ZoneInfo, writer: _Writer
) -> Iterator[tuple[str, ParagraphStyle]]:
    for each in patient.treatments:
        product = products[each.product]
        given = (local(each.at, zone), product.name, ", ".join(each.doses), ", ".join(each.sites))
        batch = (
            f"lot {product.lot or '(none)'}",
            f"expiry {product.expiry}" if product.expiry else "",
            each.why or product.why,
            f"{each.void}: not counted" if each.void else "",
            each.reference,
        )
        yield " · ".join(filter(None, given)), writer.text
        yield " · ".join(filter(None, batch)), writer.soft


def _photos(patient: Patient) -> Iterator[str]:
    for each in patient.photos:
        yield f"{each.when.value}: {each.document.rpartition('/')[2]} ({', '.join(each.allowed) or 'nothing'})"


def _lines(text: str) -> list[str]:
    return [each for each in text.splitlines() if each.strip()]
