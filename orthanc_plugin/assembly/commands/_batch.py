"""A batch question's answer for people: a treatment or a photo a line, whole, so that it can be searched and copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import typer

from fhir_mapping.advisory.batch import Advisory, Fit, Patient, When
from fhir_mapping.advisory.opened import Opened
from fhir_mapping.advisory.said import ASTRAY, SETS, UNPLACED, astray_lines, local

_PHOTOS = {When.BEFORE: "photo before", When.AFTER: "photo after", When.UNKNOWN: "photo"}


def lines(found: Advisory, zone: ZoneInfo) -> Iterator[str]:
    """The three sets."""
    if not found.products:
        yield f"No product on record fits {found.question.title}, nor reads alike."
    if found.question.product is None and not any(each.fit is not Fit.UNREADABLE for each in found.products):
        yield "Uses written down without any lot are told by their product alone: name it too, with --product."
    for fit in Fit:
        products = [each for each in found.products if each.fit is fit]
        patients = [each for each in found.patients if any(t.fit is fit for t in each.treatments)]
        if not products and not patients:
            continue
        yield typer.style(SETS[fit][0], bold=True)
        yield f"  {SETS[fit][1]}"
        for product in products:
            batch = f"lot {product.lot or '(none)'}, expiry {product.expiry or '(none)'}"
            why = f" ({product.why})" if product.why else ""
            yield f"  {product.name or '(no name)'}, {batch}{why}  {product.reference}"
        if not patients:
            yield "  Given to nobody on record."
        for patient in patients:
            yield from _patient(patient, fit, zone)
        yield ""
    for title, others in ((UNPLACED, found.unplaced), (ASTRAY, astray_lines(found.astray))):
        if others:
            yield typer.style(title, bold=True)
            yield from (f"  {each}" for each in others)
            yield ""
    photos = sum(len(each.photos) for each in found.patients)
    treatments = sum(len(each.treatments) for each in found.patients)
    yield f"{len(found.patients)} patients, {treatments} treatments, {photos} photos"


def opened_lines(opened: Opened, zone: ZoneInfo) -> Iterator[str]:
    """The three sets, what has changed, and what was done."""
    yield from lines(opened.answer, zone)
    for title, items in (("Found since it was opened", opened.changes.added), ("No longer found", opened.changes.gone)):
        if items:
            yield ""
            yield typer.style(title, bold=True)
            yield from (f"  Patient/{each.patient}  {each.treatment}  {each.product}  {each.fit}" for each in items)
    yield ""
    yield typer.style("What was done", bold=True)
    for patient in opened.answer.patients:
        state = opened.state(patient)
        yield f"  {patient.name or '(no name)'}  Patient/{patient.id}: {state.value if state else 'nothing yet'}"
        for each in opened.taken(patient):
            yield f"    {each.step.value:<10}{local(each.at, zone)}  {each.by}  {each.text}"
    kept = opened.kept
    yield f"{kept.id}: {'closed' if kept.closed else 'open'}, {len(opened.left())} patients left"


def _patient(patient: Patient, fit: Fit, zone: ZoneInfo) -> Iterator[str]:
    born = f", born {patient.birth}" if patient.birth else ""
    merged = f" (also {', '.join(patient.records)})" if patient.records else ""
    yield f"\n  {typer.style(patient.name, bold=True)}{born}  Patient/{patient.id}{merged}"
    for contact in patient.contacts:
        yield "  ".join(filter(None, ("    contact       ", contact.who, *contact.telecom, *contact.address)))
    for each in patient.treatments:
        if each.fit is fit:
            void = f"{each.void}: not counted as a treatment" if each.void else ""
            what = (each.reference, void, each.why, ", ".join(each.sites), ", ".join(each.doses), *each.through)
            yield _row("treatment", each.at, zone, what)
    for when in When:
        for photo in patient.photos:
            if photo.when is when:
                link = "" if photo.linked else "the same area, linked to no such treatment"
                link = "moved from such a treatment" if photo.moved else link
                shown = f"may be shown for {', '.join(photo.allowed) or 'nothing'}"
                yield _row(_PHOTOS[when], photo.taken, zone, (photo.document, shown, link))


def _row(title: str, moment: datetime | None, zone: ZoneInfo, parts: Iterable[str]) -> str:
    return "  ".join(part for part in (f"    {title:<14}{local(moment, zone):<16}", *parts) if part)
