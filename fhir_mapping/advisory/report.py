"""The close-out report of an advisory: who was concerned, what was done, when and by whom.

The same state gives the same bytes, in every process: what a report says comes from the record alone, its time is that
of the last thing done, and everything is in a fixed order.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import reportlab
from reportlab.lib import colors
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import KeepTogether, LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from fhir_mapping import dates
from fhir_mapping.advisory.batch import Fit, Patient, When
from fhir_mapping.advisory.keeping import Opened
from fhir_mapping.resources.advisory import Step
from fhir_mapping.resources.task import TASK_SYSTEM

TITLES = {
    Fit.EXACT: "Exactly this batch",
    Fit.OTHER_EXPIRY: "The same lot with another expiry",
    Fit.UNREADABLE: "Lots written otherwise or corrected, or that cannot be read",
}


class Form(StrEnum):
    """What a report is written as."""

    PDF = "pdf"
    CSV = "csv"
    BUNDLE = "json"


MEDIA_TYPES = {Form.PDF: "application/pdf", Form.CSV: "text/csv", Form.BUNDLE: "application/fhir+json"}


def report(opened: Opened, form: Form, zone: ZoneInfo) -> bytes:
    """The report in one of its forms.

    Parameters
    ----------
    zone
        The site's, in which times are told.
    """
    if form is Form.PDF:
        return _pdf(opened, zone)
    return _csv(opened, zone) if form is Form.CSV else _bundle(opened)


# --- CSV: a treatment a row (RFC 4180) --------------------------------------------------------------------------------

_COLUMNS = (
    "set", "why", "patient", "name", "birth date", "contact", "treatment", "time", "sites", "doses", "product", "lot",
    "expiry", "photos before", "photos after", "photos", "contacted", "reviewed", "attested", "notes",
)  # fmt: skip


def _csv(opened: Opened, zone: ZoneInfo) -> bytes:
    products = {each.reference: each for each in opened.answer.products}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for patient in opened.answer.patients:
        taken = opened.taken(patient)
        steps = {each.step: f"{_time(each.at, zone)} {each.by}" for each in taken}
        contact = "; ".join(_contacts(patient))
        photos = {when: [each.document for each in patient.photos if each.when is when] for when in When}
        for each in patient.treatments:
            product = products[each.product]
            row = (
                each.fit.value, product.why, patient.id, patient.name, patient.birth or "", contact,
                each.reference + (f" ({each.void})" if each.void else ""), _time(each.at, zone), "; ".join(each.sites),
                "; ".join(each.doses), product.name, product.lot or "", product.expiry or "",
                " ".join(photos[When.BEFORE]), " ".join(photos[When.AFTER]), " ".join(photos[When.UNKNOWN]),
                *(steps.get(step, "") for step in Step),
                "; ".join(f"{one.step.value}: {one.text}" for one in taken if one.text != "-"),
            )  # fmt: skip
            writer.writerow([_harmless(value) for value in row])
    return out.getvalue().encode("utf-8-sig")


def _harmless(value: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


# --- Bundle -----------------------------------------------------------------------------------------------------------


def _bundle(opened: Opened) -> bytes:
    """The Tasks and Communications as they are kept (R4 Bundle, collection)."""
    kept = opened.kept
    made = {
        "resourceType": "Bundle",
        "identifier": {"system": TASK_SYSTEM, "value": kept.id},
        "type": "collection",
        "timestamp": dates.instant(opened.as_of),
        "entry": [
            {"fullUrl": f"urn:photospine:{each.type}:{each.id}", "resource": json.loads(each.body)}
            for each in opened.stored
        ],
    }
    return json.dumps(made, ensure_ascii=False, sort_keys=True, indent=1).encode()


# --- PDF --------------------------------------------------------------------------------------------------------------

_FONTS = (
    (Path("/usr/share/fonts/truetype/dejavu"), "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    (Path(reportlab.__file__).parent / "fonts", "Vera.ttf", "VeraBd.ttf"),
)


def _pdf(opened: Opened, zone: ZoneInfo) -> bytes:
    regular, bold = _fonts()
    text = ParagraphStyle("text", fontName=regular, fontSize=8, leading=10.5, alignment=TA_LEFT, splitLongWords=True)
    soft = ParagraphStyle("soft", parent=text, textColor=colors.HexColor("#595c60"))
    head = ParagraphStyle("head", parent=text, fontName=bold, fontSize=11, leading=15, spaceBefore=8, spaceAfter=4)
    title = ParagraphStyle("title", parent=text, fontName=bold, fontSize=16, leading=20, spaceAfter=4)

    def say(value: str, style: ParagraphStyle = text) -> Paragraph:
        return Paragraph(escape(value).replace("\n", "<br/>"), style)

    kept, answer = opened.kept, opened.answer
    left = opened.left()
    state = f"{'closed' if kept.closed else 'open'} · state of {_time(opened.as_of, zone)}"
    flow: list[Any] = [
        say("Batch advisory", title),
        say(kept.title, head),
        say(f"Opened {_time(kept.opened, zone)} · {state}", soft),
        say(f"{len(answer.patients)} patients, {len(answer.patients) - len(left)} attested, {len(left)} left.", text),
        Spacer(1, 4 * mm),
    ]  # fmt: skip
    products = {each.reference: each for each in answer.products}
    for fit in Fit:
        patients = [each for each in answer.patients if each.fit is fit]
        flow.append(say(f"{TITLES[fit]}: {len(patients)} patients", head))
        rows: list[list[Any]] = [[say(each, soft) for each in ("Patient", "Treatments", "Photos", "What was done")]]
        for patient in patients:
            rows.append(
                [
                    say("\n".join((patient.name or "(no name)", f"born {patient.birth or 'unknown'}", patient.id,
                                   *_contacts(patient)))),
                    say("\n".join(_treatments(patient, products, zone))),
                    say("\n".join(_photos(patient))),
                    say("\n".join(f"{one.step.value} {_time(one.at, zone)}, {one.by}"
                                  + (f": {one.text}" if one.text != "-" else "") for one in opened.taken(patient))
                        or "nothing yet"),
                ]
            )  # fmt: skip
        if len(rows) > 1:
            table = LongTable(rows, colWidths=[58 * mm, 92 * mm, 52 * mm, 65 * mm], repeatRows=1, splitInRow=1)
            table.setStyle(
                TableStyle(
                    [
                        ("VALIGN", (0, 0), (-1, -1), "TOP"),
                        ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor("#d6d6d3")),
                        ("LEFTPADDING", (0, 0), (-1, -1), 2),
                    ]
                )
            )
            flow.append(table)
        else:
            flow.append(KeepTogether([say("Nobody on record.", soft)]))
    if answer.unplaced:
        flow += [say("Used, but no patient on record", head), say(", ".join(answer.unplaced))]
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=landscape(A4), leftMargin=14 * mm, rightMargin=14 * mm, topMargin=14 * mm, bottomMargin=14 * mm,
        title=f"Batch advisory: {kept.title}", author="Photospine", invariant=1,
    )  # fmt: skip

    def number(canvas: Any, page: Any) -> None:
        canvas.setFont(regular, 7)
        canvas.drawRightString(landscape(A4)[0] - 14 * mm, 8 * mm, f"{kept.id} · page {page.page}")

    document.build(flow, onFirstPage=number, onLaterPages=number)
    return out.getvalue()


def _fonts() -> tuple[str, str]:
    """Fonts with Greek and Cyrillic letters, where the distribution's are installed."""
    for folder, *files in _FONTS:
        if all((folder / each).is_file() for each in files):
            for each in files:
                if each not in pdfmetrics.getRegisteredFontNames():
                    pdfmetrics.registerFont(TTFont(each, str(folder / each)))
            return files[0], files[1]
    return "Helvetica", "Helvetica-Bold"


def _treatments(patient: Patient, products: Any, zone: ZoneInfo) -> Iterator[str]:
    for each in patient.treatments:
        product = products[each.product]
        parts = (
            _time(each.at, zone),
            product.name,
            f"lot {product.lot or '(none)'}",
            f"expiry {product.expiry}" if product.expiry else "",
            f"({product.why})" if product.why else "",
            ", ".join(each.sites),
            ", ".join(each.doses),
            each.void or "",
            each.reference,
        )
        yield " · ".join(filter(None, parts))


def _photos(patient: Patient) -> Iterator[str]:
    for each in patient.photos:
        yield f"{each.when.value}: {each.document.rpartition('/')[2]} ({', '.join(each.allowed) or 'nothing'})"


def _contacts(patient: Patient) -> list[str]:
    return [
        " ".join(filter(None, (f"{each.who}:" if each.who else "", ", ".join((*each.telecom, *each.address)))))
        for each in patient.contacts
    ]


def _time(moment: datetime | None, zone: ZoneInfo) -> str:
    return "time not known" if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")
