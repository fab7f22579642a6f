"""``photospine advisory``: from a lot to every patient, treatment and photo, and what is done about each."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from consent.purposes import PATSFTY
from consent.store.engine import reading
from consent.types import Request
from fhir_mapping.advisory.asked import Question, question
from fhir_mapping.advisory.keeping import Advisories
from fhir_mapping.advisory.notice import LONGEST, Mark, Recognised, recognise
from fhir_mapping.advisory.opened import Opened
from fhir_mapping.advisory.report import Form, report
from fhir_mapping.resources.advisory import Step
from orthanc_plugin.assembly.commands import _batch
from orthanc_plugin.assembly.commands._common import (
    AsOption,
    JsonOption,
    SettingsOption,
    account_of,
    failing,
    new_file,
    os_user,
    require,
    show,
    taking,
)
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.open import Node, open_node
from orthanc_plugin.assembly.record import fhir_node
from orthanc_plugin.assembly.settings import load

LotsArgument = Annotated[list[str] | None, typer.Argument(help="Lot numbers, as printed.", metavar="[LOT]...")]
ExpiryOption = Annotated[str | None, typer.Option("--expiry", help="Their expiry: YYYY-MM or YYYY-MM-DD.")]
UdiOption = Annotated[str | None, typer.Option("--udi", help="A UDI as scanned or printed: GS1, HIBCC or ICCBBA.")]
ProductOption = Annotated[str | None, typer.Option("--product", help="A product's name, code or device identifier.")]
SinceOption = Annotated[str | None, typer.Option("--since", help="Used on this day or later.")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Used on this day or before.")]
IdArgument = Annotated[str, typer.Argument(help="The advisory's id.", metavar="ADVISORY")]


@dataclass(frozen=True, slots=True)
class _Named:
    """A batch as it was named in words of a command line."""

    lots: tuple[str, ...]
    expiry: str | None
    rest: Mapping[str, str | None]

    def question(self, expiries: Mapping[str, str | None] | None = None) -> Question:
        """What is asked; a lot without an expiry gets that of the notice."""
        with failing():
            pairs = [(each, self.expiry or (expiries or {}).get(each)) for each in self.lots]
            return question(pairs, **self.rest)


def _named(
    lots: LotsArgument = None,
    expiry: ExpiryOption = None,
    udi: UdiOption = None,
    product: ProductOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> _Named:
    rest = {"udi": udi, "product": product, "since": since, "until": until}
    return _Named(tuple(lots or ()), expiry, rest)


class _Asks(TyperGroup):
    """``photospine advisory LOT`` asks: what is no command's name is a lot."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["ask", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        cls=_Asks,
        no_args_is_help=True,
        help="Everybody and everything that a lot reached. 'photospine advisory LOT' asks; 'open' keeps the question.",
    )
    group.command("ask")(asking)
    group.command("notice")(noticing)
    group.command("open")(opening)
    group.command("list")(listing)
    group.command("show")(showing)
    group.command("done")(done)
    group.command("report")(reporting)
    group.command("close")(closing)
    app.add_typer(group, name="advisory")


@taking(_named)
def asking(
    named: _Named,
    as_account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Name every patient, treatment and photo that a batch may concern, in three sets; none is left out in silence.

    The account needs the purpose PATSFTY. The question and the photos named are recorded.
    """
    asked = named.question()
    with _asking(settings, as_account) as (node, advisories, request):
        found = advisories.ask(request, asked)
        zone = node.site.zone
    if as_json:
        typer.echo(json.dumps(_plain(dataclasses.asdict(found)), ensure_ascii=False))
    else:
        for line in _batch.lines(found, zone):
            typer.echo(line)


def noticing(
    file: Annotated[Path, typer.Argument(help="The notice's text; '-' reads standard input.", allow_dash=True)],
    as_account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Name the lots, expiries and products that a notice's text names, with their places. Nothing is asked yet."""
    with _asking(settings, as_account) as (node, _, _):
        text = _text_of(file)
        with reading(node.engine) as connection:
            found = recognise(connection, text)
    rows = [dataclasses.asdict(each) | {"line": text.count("\n", 0, each.start) + 1} for each in found]
    lines = [_recognised(each, row["line"]) for each, row in zip(found, rows, strict=True)]
    lots = [each.value for each in found if each.mark is Mark.LOT]
    lots += [lot for each in found if each.mark is Mark.RANGE for lot in each.within]
    if lots:
        quoted = " ".join(shlex.quote(each) for each in dict.fromkeys(lots))
        command = f"photospine advisory open {quoted} --notice {shlex.quote(str(file))}"
        lines += ["", f"Confirm those that are meant:  {command}"]
    show(rows, as_json, "\n".join(lines) or "No lot, expiry or product is recognised in it.")


@taking(_named)
def opening(
    named: _Named,
    notice: Annotated[Path | None, typer.Option("--notice", help="The notice's text, kept with it.")] = None,
    as_account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Keep the question, and open a Task for each patient who has none yet. The same question is one advisory."""
    with _asking(settings, as_account) as (node, advisories, request):
        text = "" if notice is None else _text_of(notice)
        expiries: dict[str, str | None] = {}
        if text and named.expiry is None:
            with reading(node.engine) as connection:
                for each in recognise(connection, text):
                    if each.mark is Mark.LOT:
                        expiries.setdefault(each.value, each.expiry)
        asked = named.question(expiries)
        opened = advisories.open(request, asked, text)
        _show(opened, node, as_json)


def listing(as_account: AsOption = None, as_json: JsonOption = False, settings: SettingsOption = None) -> None:
    """List the advisories that are kept."""
    with _asking(settings, as_account) as (node, advisories, request):
        found = advisories.listed(request)
        zone = node.site.zone
    rows = [
        {"advisory": each.id, "title": each.title, "opened": each.opened.isoformat(), "closed": each.closed}
        for each in found
    ]
    lines = [
        f"{each.id}  {each.opened.astimezone(zone):%Y-%m-%d %H:%M}  {'closed' if each.closed else 'open'}  {each.title}"
        for each in found
    ]
    show(rows, as_json, "\n".join(lines) or "no advisories")


def showing(
    advisory: IdArgument, as_account: AsOption = None, as_json: JsonOption = False, settings: SettingsOption = None
) -> None:
    """Ask again what an advisory asked: who is concerned now, what has changed, and what was done about each."""
    with _asking(settings, as_account) as (node, advisories, request):
        _show(advisories.show(request, advisory), node, as_json)


def done(
    advisory: IdArgument,
    patient: Annotated[str, typer.Option("--patient", help="The patient's id.")],
    step: Annotated[Step, typer.Option("--step", help="What was done.")],
    note: Annotated[str, typer.Option("--note", help="What was said or found.")] = "",
    medium: Annotated[str, typer.Option("--by", help="Of a contact: phone, letter, in person ...")] = "",
    as_account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Write down what was done about a patient: who and when is kept with it."""
    with _asking(settings, as_account) as (_, advisories, request):
        taken = advisories.note(request, advisory, patient.removeprefix("Patient/"), step, note, medium)
    rows = [_plain(dataclasses.asdict(each)) for each in taken]
    show(rows, as_json, "\n".join(f"{each.step.value}  {each.by}  {each.text}" for each in taken))


def reporting(
    advisory: IdArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="A new file: .pdf, .csv or .json (a FHIR Bundle).")],
    as_account: AsOption = None,
    settings: SettingsOption = None,
) -> None:
    """Write the close-out report. The same state of the record gives the same bytes; that it left is recorded."""
    with _asking(settings, as_account) as (node, advisories, request):
        try:
            form = Form(output.suffix.removeprefix(".").lower())
        except ValueError:
            raise AssemblyError(f"{output.name} is none of .pdf, .csv and .json") from None
        with new_file(output) as file:
            body = report(advisories.show(request, advisory), form, node.site.zone)
            advisories.recorded(request, advisory, form.value, body)
            file.write(body)
    typer.echo(f"{output}  {len(body)} bytes")


def closing(
    advisory: IdArgument, as_account: AsOption = None, as_json: JsonOption = False, settings: SettingsOption = None
) -> None:
    """Close an advisory, once every patient is attested."""
    with _asking(settings, as_account) as (node, advisories, request):
        _show(advisories.close(request, advisory), node, as_json)


@contextmanager
def _asking(settings: Path | None, as_account: str | None) -> Iterator[tuple[Node, Advisories, Request]]:
    with failing(), open_node(load(settings)) as node:
        who = account_of(node, as_account)
        require(who, purpose=PATSFTY)
        fhir = fhir_node(node, node.point, lambda _header, _address: None)
        yield node, Advisories(fhir, os_user()), Request(who, PATSFTY)


def _text_of(file: Path) -> str:
    """A notice's text; read no further than its limit.

    Raises
    ------
    AssemblyError
        It is no file, or no text.
    """
    try:
        if str(file) == "-":
            return typer.get_text_stream("stdin").read(LONGEST + 1)
        with file.open(encoding="utf-8-sig") as stream:
            return stream.read(LONGEST + 1)
    except FileNotFoundError:
        raise AssemblyError(f"{file}: there is no such file") from None
    except (OSError, UnicodeDecodeError):
        raise AssemblyError(f"{file} cannot be read as a text: copy the notice's words into a .txt file") from None


def _recognised(found: Recognised, line: int) -> str:
    known = "" if found.mark is not Mark.LOT else "on record" if found.on_record else "not on record"
    if found.mark is Mark.RANGE:
        known = f"{len(found.within)} lots" if found.within else "what lies between cannot be counted"
    parts = (
        f"line {line:>4}",
        f"{found.mark.value:<14}",
        found.value,
        found.expiry and f"expiry {found.expiry}",
        known,
    )
    return "  ".join(each for each in parts if each)


def _show(opened: Opened, node: Node, as_json: bool) -> None:
    if as_json:
        said = {
            "advisory": opened.kept.id,
            "closed": opened.kept.closed,
            "answer": _plain(dataclasses.asdict(opened.answer)),
            "added": [dataclasses.asdict(each) for each in opened.changes.added],
            "gone": [dataclasses.asdict(each) for each in opened.changes.gone],
            "steps": {who: [_plain(dataclasses.asdict(each)) for each in taken] for who, taken in opened.steps.items()},
        }
        typer.echo(json.dumps(said, ensure_ascii=False))
        return
    for line in _batch.opened_lines(opened, node.site.zone):
        typer.echo(line)


def _plain(value: Any) -> Any:
    """Dataclasses as JSON holds them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
