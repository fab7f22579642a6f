"""``photospine gaps``: the photos that are due, overdue or lost, and how near the clinic comes to its protocols."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from consent.purposes import TREAT
from consent.store.engine import reading
from consent.types import Request
from dicom_bridge.gaps.convergence import Month
from dicom_bridge.gaps.gap import Gap
from dicom_bridge.gaps.report import Hers, Report
from dicom_bridge.protocols.reading import all_protocols
from fhir_mapping.errors import Issue, NotFound
from orthanc_plugin.assembly.commands._common import AsOption, JsonOption, SettingsOption, account_of, failing, require
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.gaps import desk
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.record import record_store
from orthanc_plugin.assembly.settings import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gaps")(show)


def show(
    patient: Annotated[
        str | None, typer.Option("--patient", help="One patient: id or identifier. Else all who are due.")
    ] = None,
    clinic: Annotated[bool, typer.Option("--clinic", help="The index of the months alone.")] = False,
    lost: Annotated[bool, typer.Option("--all", help="Also what cannot be mended any more.")] = False,
    as_account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Tell which photos are missing, late or not comparable, today's visitors first.

    The account needs the purpose TREAT. The answer rests on the photos that it may see; it is recorded.
    """
    with failing(), open_node(load(settings)) as node:
        who = account_of(node, as_account)
        require(who, purpose=TREAT)
        if patient is not None and clinic:
            raise AssemblyError("--patient and --clinic do not go together: ask for one of them")
        request, asks = Request(who, TREAT), desk(node)
        if patient is None:
            report = asks.of_clinic(request, "gaps")
        else:
            with reading(node.engine) as connection:
                found = record_store(node).find(connection, "Patient", patient)
            report = asks.of_patient(request, found, "gaps")
        refused = all_protocols(node.settings.protocols).refused
    if report is None:
        raise typer.Exit(_not_seen())
    for line in refused:
        typer.echo(line, err=True)
    if as_json:
        typer.echo(json.dumps(_plain(report, lost=lost, clinic=clinic), ensure_ascii=False))
        return
    for line in _months(report.months) if clinic else _lines(report, lost=lost):
        typer.echo(line)
    if report.more:
        typer.echo("There is more on record than was looked at: who was treated longest ago is left out.")


def _not_seen() -> int:
    typer.echo(str(NotFound(Issue("not-found", "There is nothing of that name, or it may not be seen."))), err=True)
    return 1


def _lines(report: Report, *, lost: bool) -> Iterator[str]:
    shown = [(each, each.gaps if lost else each.open) for each in report.people]
    for each, gaps in shown:
        if gaps:
            yield typer.style(f"Patient/{each.patient}{_visit(each)}", bold=True)
            yield from (f"  {gap.state.value:8}{gap.treatment}: {gap.text}" for gap in gaps)
    if not any(gaps for _, gaps in shown):
        yield "Nothing is missing that could still be photographed." if not lost else "Nothing is missing."


def _visit(hers: Hers) -> str:
    return "" if hers.arrival is None else f"  ({hers.arrival.presence.value} today)"


def _months(months: tuple[Month, ...]) -> Iterator[str]:
    if not months:
        yield "No photo was asked for yet."
        return
    yield "month    index  asked  there  in time  in time and comparable"
    for each in months:
        yield (
            f"{each.first:%Y-%m}  {each.index:5.2f}  {each.asked:5}  {each.there:5}  {each.in_time:7}  {each.good:5}"
        )


def _plain(report: Report, *, lost: bool, clinic: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "today": report.today.isoformat(),
        "months": [
            {
                "month": f"{each.first:%Y-%m}",
                "index": round(each.index, 4),
                "asked": each.asked,
                "there": each.there,
                "inTime": each.in_time,
                "good": each.good,
            }
            for each in report.months
        ],
        "more": report.more,
        "record": report.record,
    }
    if not clinic:
        made["patients"] = [
            {
                "patient": each.patient,
                "visit": None if each.arrival is None else each.arrival.reference,
                "presence": None if each.arrival is None else each.arrival.presence.value,
                "gaps": [_gap(gap) for gap in (each.gaps if lost else each.open)],
            }
            for each in report.people
            if (each.gaps if lost else each.open)
        ]
    return made


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "kind": gap.kind.value,
        "state": gap.state.value,
        "severity": gap.severity.value,
        "treatment": gap.treatment,
        "protocol": gap.protocol,
        "course": gap.course,
        "session": gap.session,
        "time": gap.time,
        "shots": [each.name for each in gap.shots],
        "due": gap.due.isoformat(),
        "since": gap.since.isoformat(),
        "until": None if gap.until is None else gap.until.isoformat(),
        "text": gap.text,
    }
