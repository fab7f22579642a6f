"""``photospine advisory``: from a lot to every patient, treatment and photo."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consent.purposes import PATSFTY
from consent.store.engine import reading
from consent.types import Request
from fhir_mapping.advisory.batch import Advisory, Fit, Patient
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
    Fit.UNREADABLE: "Lots written otherwise, or that cannot be read: look at each",
}


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
                lot,
                expiry,
                door=CLI,
                os_user=os_user(),
            )
        zone = node.site.zone
    if as_json:
        typer.echo(json.dumps(_plain(dataclasses.asdict(found)), ensure_ascii=False))
    else:
        _print(found, zone)


def _print(found: Advisory, zone: ZoneInfo) -> None:
    console = Console()
    if not found.products:
        console.print(Text(f"No product on record bears the lot {found.lot}, nor one that reads alike."))
    for fit in Fit:
        products = [each for each in found.products if each.fit is fit]
        if not products:
            continue
        console.print(Text(_TITLES[fit], style="bold"))
        for product in products:
            batch = f"lot {product.lot or '(none)'}  expiry {product.expiry or '(none)'}"
            console.print(Text(f"  {product.reference}  {product.name}  {batch}"))
        patients = [each for each in found.patients if any(t.fit is fit for t in each.treatments)]
        if patients:
            console.print(_table(patients, fit, zone))
        else:
            console.print(Text("  Given to nobody on record."))
    if found.unplaced:
        console.print(Text("Used, but no patient on record: " + ", ".join(found.unplaced), style="bold"))
    photos = sum(len(each.photos) for each in found.patients)
    treatments = sum(len(each.treatments) for each in found.patients)
    console.print(Text(f"{len(found.patients)} patients, {treatments} treatments, {photos} photos"))
    if found.photos_refused:
        console.print(Text(f"{found.photos_refused} photos may not be named to this account."))


def _table(patients: list[Patient], fit: Fit, zone: ZoneInfo) -> Table:
    table = Table(show_lines=True)
    for column in ("Patient", "Treatments", "Photos before", "Photos after", "Photos, time unknown"):
        table.add_column(column, overflow="fold")
    for patient in patients:
        treatments = [
            " ".join(
                part
                for part in (
                    _local(each.at, zone),
                    each.reference,
                    *each.through,
                    ", ".join(each.sites),
                    ", ".join(each.doses),
                )
                if part
            )
            for each in patient.treatments
            if each.fit is fit
        ]
        columns = []
        for when in ("before", "after", "unknown"):
            columns.append(
                "\n".join(
                    f"{_local(each.taken, zone)} {each.document}{'' if each.linked else ' (same area)'}"
                    f" [{', '.join(each.allowed) or 'nothing'}]"
                    for each in patient.photos
                    if each.when == when
                )
            )
        who = "\n".join(part for part in (patient.name, f"Patient/{patient.id}", patient.birth or "") if part)
        table.add_row(*(Text(cell) for cell in (who, "\n".join(treatments), *columns)))
    return table


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    return "" if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _plain(value: Any) -> Any:
    """Dataclasses as JSON holds them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
