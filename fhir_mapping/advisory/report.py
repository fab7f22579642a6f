"""The close-out report of an advisory: who was concerned, what was done, when and by whom.

The same state gives the same bytes, in every process: what a report says comes from the record alone, its time is that
of the last thing done, and everything is in a fixed order. The PDF's part is in :mod:`fhir_mapping.advisory.page`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from enum import StrEnum
from zoneinfo import ZoneInfo

from fhir_mapping import dates
from fhir_mapping.advisory.batch import When
from fhir_mapping.advisory.opened import Opened
from fhir_mapping.advisory.page import pdf
from fhir_mapping.advisory.parameters import parameters
from fhir_mapping.advisory.said import contact_lines, local
from fhir_mapping.resources.advisory import WORK
from fhir_mapping.resources.task import TASK_SYSTEM

#: Where a cell may begin, and what begins a formula there (OWASP, CSV Injection).
_FORMULA = re.compile(r"((?:^|[;,\t\r\n|])[\s\"']*)([=+\-@\uff1d\uff0b\uff0d\uff20])")


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
        return pdf(opened, zone)
    return _csv(opened, zone) if form is Form.CSV else _bundle(opened)


# --- CSV: a treatment a row (RFC 4180) --------------------------------------------------------------------------------

_COLUMNS = (
    "set", "why", "patient", "name", "birth date", "contact", "treatment", "time", "sites", "doses", "product", "lot",
    "expiry", "photos before", "photos after", "photos", "contacted", "reviewed", "attested", "notes",
)  # fmt: skip


def _csv(opened: Opened, zone: ZoneInfo) -> bytes:
    products = {each.reference: each for each in opened.answer.products}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(_COLUMNS)
    for patient in opened.answer.patients:
        taken = opened.taken(patient)
        steps = {each.step: f"{local(each.at, zone)} {each.by}" for each in taken}
        contact = "; ".join(contact_lines(patient))
        photos = {when: [each.document for each in patient.photos if each.when is when] for when in When}
        for each in patient.treatments:
            product = products[each.product]
            row = (
                each.fit.value, each.why or product.why, patient.id, patient.name, patient.birth or "", contact,
                each.reference + (f" ({each.void})" if each.void else ""), local(each.at, zone), "; ".join(each.sites),
                "; ".join(each.doses), product.name, product.lot or "", product.expiry or "",
                " ".join(photos[When.BEFORE]), " ".join(photos[When.AFTER]), " ".join(photos[When.UNKNOWN]),
                *(steps.get(step, "") for step in WORK),
                "; ".join(f"{one.step.value}: {one.text}" for one in taken if one.text != "-"),
            )  # fmt: skip
            writer.writerow([_harmless(value) for value in row])
    return out.getvalue().encode("utf-8-sig")


def _harmless(value: str) -> str:
    """A text that no spreadsheet takes for a formula, not even one that takes a semicolon for the end of a cell."""
    return _FORMULA.sub(r"\1'\2", value)


# --- Bundle -----------------------------------------------------------------------------------------------------------


def _bundle(opened: Opened) -> bytes:
    """The answer as Parameters, and the Tasks and Communications as they are kept (R4 Bundle, collection)."""
    kept = opened.kept
    answer = {"fullUrl": f"urn:photospine:Parameters:{kept.id}", "resource": parameters(opened.answer, opened)}
    made = {
        "resourceType": "Bundle",
        "identifier": {"system": TASK_SYSTEM, "value": kept.id},
        "type": "collection",
        "timestamp": dates.instant(opened.as_of),
        "entry": [
            answer,
            *(
                {"fullUrl": f"urn:photospine:{each.type}:{each.id}", "resource": json.loads(each.body)}
                for each in opened.stored
            ),
        ],
    }
    return json.dumps(made, ensure_ascii=False, sort_keys=True, indent=1).encode()
