"""``photospine advisory``: from a lot to every patient, treatment and photo."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from consent.purposes import PATSFTY
from consent.store.engine import reading
from consent.types import Request
from fhir_mapping.advisory.asked import question
from fhir_mapping.advisory.batch import Advisory, Fit, Patient, When
from fhir_mapping.advisory.question import ask
from orthanc_plugin.assembly.commands._common import (
    AsOption,
    JsonOption,
    SettingsOption,
    account_of,
    failing,
    os_user,
    require,
)
from orthanc_plugin.assembly.open import CLI, open_node
from orthanc_plugin.assembly.settings import load

_TITLES = {
    Fit.EXACT: "Exactly this batch",
    Fit.OTHER_EXPIRY: "The same lot with another expiry",
    Fit.UNREADABLE: "Lots written otherwise or corrected, or that cannot be read: look at each",
}
_PHOTOS = {When.BEFORE: "photo before", When.AFTER: "photo after", When.UNKNOWN: "photo"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("advisory")(advisory)


def advisory(
    lot: Annotated[str, typer.Argument(help="The lot number, as printed.")],
    as_account: AsOption = None,
    expiry: Annotated[str | None, typer.Option("--expiry", help="The expiry: YYYY-MM or YYYY-MM-DD.")] = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Name every patient, treatment and photo that a batch may concern, in three sets; none is left out in silence.

    The account needs the purpose PATSFTY. The question and the photos named are recorded.
    """
    with failing(), open_node(load(settings)) as node:
        who = account_of(node, as_account)
        require(who, purpose=PATSFTY)
        with reading(node.engine) as connection:
            found = ask(
                node.point,
                connection,
                node.chain,
                Request(who, PATSFTY),
                node.site,
                question([(lot, expiry)]),
                door=CLI,
                os_user=os_user(),
            )
        zone = node.site.zone
    if as_json:
        typer.echo(json.dumps(_plain(dataclasses.asdict(found)), ensure_ascii=False))
    else:
        for line in _lines(found, zone):
            typer.echo(line)


def _lines(found: Advisory, zone: ZoneInfo) -> Iterator[str]:
    """The answer for people: a treatment or a photo a line, whole, so that it can be searched and copied."""
    if not found.products:
        yield f"No product on record fits {found.question.title}, nor reads alike."
    for fit in Fit:
        products = [each for each in found.products if each.fit is fit]
        if not products:
            continue
        yield typer.style(_TITLES[fit], bold=True)
        for product in products:
            batch = f"lot {product.lot or '(none)'}, expiry {product.expiry or '(none)'}"
            why = f" ({product.why})" if product.why else ""
            yield f"  {product.name or '(no name)'}, {batch}{why}  {product.reference}"
        patients = [each for each in found.patients if any(t.fit is fit for t in each.treatments)]
        if not patients:
            yield "  Given to nobody on record."
        for patient in patients:
            yield from _patient(patient, fit, zone)
        yield ""
    if found.unplaced:
        yield typer.style("Used, but no patient on record", bold=True)
        yield from (f"  {reference}" for reference in found.unplaced)
        yield ""
    photos = sum(len(each.photos) for each in found.patients)
    treatments = sum(len(each.treatments) for each in found.patients)
    yield f"{len(found.patients)} patients, {treatments} treatments, {photos} photos"
    if found.photos_refused:
        yield f"{found.photos_refused} photos may not be named to this account."


def _patient(patient: Patient, fit: Fit, zone: ZoneInfo) -> Iterator[str]:
    born = f", born {patient.birth}" if patient.birth else ""
    yield f"\n  {typer.style(patient.name, bold=True)}{born}  Patient/{patient.id}"
    for each in patient.treatments:
        if each.fit is fit:
            void = f"{each.void}: not counted as a treatment" if each.void else ""
            what = (each.reference, void, ", ".join(each.sites), ", ".join(each.doses), *each.through)
            yield _row("treatment", each.at, zone, what)
    for when in When:
        for photo in patient.photos:
            if photo.when is when:
                link = "" if photo.linked else "the same area, linked to no such treatment"
                shown = f"may be shown for {', '.join(photo.allowed) or 'nothing'}"
                yield _row(_PHOTOS[when], photo.taken, zone, (photo.document, shown, link))


def _row(title: str, moment: datetime | None, zone: ZoneInfo, parts: Iterable[str]) -> str:
    return "  ".join(part for part in (f"    {title:<14}{_local(moment, zone):<16}", *parts) if part)


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    return "time not known" if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _plain(value: Any) -> Any:
    """Dataclasses as JSON holds them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
