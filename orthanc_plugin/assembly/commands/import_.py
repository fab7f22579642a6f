"""``photospine import``: photos from before, from folders, ZIPs, lists and DICOM dumps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from consent.types import Laterality, Right
from dicom_bridge.errors import UnknownCode
from dicom_bridge.legacy import report
from dicom_bridge.legacy.dating import Source
from dicom_bridge.legacy.importing import Done
from dicom_bridge.legacy.manifest import Manifest, read_manifest
from dicom_bridge.legacy.patterns import pattern
from dicom_bridge.legacy.survey import Candidate, Wishes
from dicom_bridge.legacy.words import Words, read_words
from dicom_bridge.plan import Plan
from orthanc_plugin.assembly import legacy
from orthanc_plugin.assembly.commands._common import (
    AsOption,
    JsonOption,
    SettingsOption,
    account_of,
    failing,
    os_user,
    require,
)
from orthanc_plugin.assembly.commands._words import EXPRESSION, REGION, SIDE, VIEW, require_text
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.open import Node, open_node
from orthanc_plugin.assembly.settings import load

ROLE = "import"
"""Its audit chain is held as long as it lasts: an import makes many records."""

_MOST_LANES = 16
_LISTED = 20
"""Reasons and gaps that are listed; the report has all."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_)


def import_(
    sources: Annotated[list[Path], typer.Argument(help="Folders, ZIPs or files.", show_default=False)],
    patterns: Annotated[
        list[str] | None,
        typer.Option("--pattern", help="How paths are read: '{patient}/{date:%Y-%m-%d}/{region}_{view}.jpg'."),
    ] = None,
    manifest: Annotated[Path | None, typer.Option(help="CSV that says of each file what it is.")] = None,
    date_format: Annotated[str | None, typer.Option(help="How the manifest's dates are written: %d.%m.%Y")] = None,
    words: Annotated[Path | None, typer.Option(help="TOML of your own words for regions, sides and views.")] = None,
    patient: Annotated[str | None, typer.Option(help="The patient of every file that says no other.")] = None,
    region: Annotated[str | None, REGION] = None,
    laterality: Annotated[Laterality | None, SIDE] = None,
    view: Annotated[str | None, VIEW] = None,
    expression: Annotated[str | None, EXPRESSION] = None,
    least: Annotated[
        Source, typer.Option("--least", help="The worst source of a date that is believed.")
    ] = Source.FOLDER_NAME,
    alike: Annotated[
        bool, typer.Option("--alike", help="Also tell of pictures of one patient that are nearly the same.")
    ] = False,
    known_since: Annotated[
        str | None, typer.Option(help="The day since which the source system has had these photos: 2019-03-05.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Where a line for each file is written: .csv or .json.")
    ] = None,
    lanes: Annotated[int, typer.Option(min=1, max=_MOST_LANES, help="Batches that are on their way at a time.")] = 4,
    account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Import photos from before. Begun again, it goes on where it ended: nothing is lost, and nothing there twice.

    What nobody knows for certain stays unknown; a file whose patient is not certain stays where it is, and the report
    says why.
    """
    if report_file is not None and report_file.suffix.lower() not in (".csv", ".json"):
        raise typer.BadParameter("name a file that ends with .csv or .json", param_hint="--report")
    with failing(), open_node(load(settings), ROLE) as node:
        if report_file is not None:
            _require_writable(report_file)
        require_text({"--as": account, "--patient": patient})
        who = account_of(node, account)
        require(who, right=Right.CAPTURE)
        require(who, right=Right.RECORD)
        every = {"patient": patient, "region": region, "view": view, "expression": expression}
        wishes = Wishes(
            tuple(pattern(each) for each in patterns or ()),
            Manifest() if manifest is None else read_manifest(_bytes("--manifest", manifest), date_format),
            Words() if words is None else read_words(_bytes("--words", words)),
            {name: word for name, word in every.items() if word is not None}
            | ({} if laterality is None else {"side": laterality.value}),
            least,
            alike,
        )
        _require_words(wishes)
        base = Plan(who.account, os_user(), "", "", "", "", "", known_since=_day(known_since))
        found, done = _run(node, sources, manifest, wishes, None if dry_run else base, lanes)
    rows = report.lines(found, done)
    if report_file is not None:
        with failing():
            _write(report_file, rows, wishes.manifest)
    if as_json:
        typer.echo(report.as_json(rows, wishes.manifest))
        return
    for line in _told(report.sums(rows, wishes.manifest)):
        typer.echo(line)


def _run(
    node: Node, sources: Sequence[Path], manifest: Path | None, wishes: Wishes, base: Plan | None, lanes: int
) -> tuple[list[Candidate], list[Done] | None]:
    files = [each for each in legacy.files_below(node, sources) if manifest is None or each.name != manifest.name]
    with _progress() as progress:
        lines = Lines(quiet=not progress.disable)
        bars: list[TaskID] = []

        def begin(what: str, many: int) -> None:
            bars.append(progress.add_task(what, total=many))
            lines.begin(what, many)

        def advance(_: object) -> None:
            progress.advance(bars[-1])
            lines.advance()

        told = legacy.Told(
            looking=lambda many: begin("looked at", many),
            looked=advance,
            taking=lambda many: begin("imported", many),
            taken=advance,
        )
        found = legacy.survey(node, files, wishes, lanes, told)
        return found, None if base is None else legacy.carry_out(node, found, base, lanes, told)


@dataclass(slots=True)
class Lines:
    """How far it is, in a line now and then, for a log where no bar can be."""

    quiet: bool
    every: float = 30.0
    clock: Callable[[], float] = time.monotonic
    say: Callable[[str], None] = lambda text: typer.echo(text, err=True)
    _what: str = ""
    _many: int = 0
    _done: int = 0
    _began: float = 0.0
    _said: float = 0.0

    def begin(self, what: str, many: int) -> None:
        """Begin with so many."""
        self._what, self._many, self._done = what, many, 0
        self._began = self._said = self.clock()

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        now = self.clock()
        if self.quiet or (now - self._said < self.every and self._done < self._many):
            return
        self._said = now
        rate = self._done / max(now - self._began, 0.001)
        left = timedelta(seconds=round((self._many - self._done) / rate))
        self.say(f"{self._done} of {self._many} {self._what}, {rate:.1f} a second, {left} left")


class _Rate(ProgressColumn):
    """Files a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0.0:.1f} a second")


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _require_words(wishes: Wishes) -> None:
    """The words of options are known; those of paths and lists may be anything."""
    checks = {"region": wishes.words.region, "view": wishes.words.view, "expression": wishes.words.expression}
    for name, check in checks.items():
        if name in wishes.every:
            try:
                check(wishes.every[name])
            except UnknownCode as error:
                raise AssemblyError(f"--{name}: {error}") from None


def _day(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise AssemblyError("--known-since: write a day, 2019-03-05") from None


def _bytes(option: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "its name cannot be one of a file"
        raise AssemblyError(f"{option}: {said}") from None


def _require_writable(file: Path) -> None:
    """Know before the work that its report can be written.

    Raises
    ------
    AssemblyError
    """
    try:
        at = file if file.exists() else file.parent
        fit = not file.is_dir() and file.parent.is_dir() and os.access(at, os.W_OK)
    except OSError:  # a name that is too long, a folder that may not be entered
        fit = False
    if not fit:
        raise AssemblyError(f"--report: {file} cannot be written; name a file in a folder that is there")


def _write(file: Path, rows: Sequence[dict[str, Any]], manifest: Manifest) -> None:
    """Write the report for its owner alone: it names patients."""
    text = report.as_csv(rows) if file.suffix.lower() == ".csv" else report.as_json(rows, manifest)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as target:
            target.write(text)
    except OSError as error:
        raise AssemblyError(f"--report: {error.strerror}") from None


def _told(sums: dict[str, Any]) -> Iterator[str]:
    for result, many in sums["results"].items():
        yield f"{many:>8}  {result}"
    if sums["visits"]:
        yield f"{sums['patients']} patients, {sums['visits']} visits, {sums['visits_made']} of these by photos alone"
    for title, name in (("dates", "dates"), ("not known", "unknown"), ("left, and why", "left")):
        if sums[name]:
            yield f"{title}:"
            for what, many in list(sums[name].items())[:_LISTED]:
                yield f"{many:>8}  {what}"
    if sums["alike"]:
        yield f"{sums['alike']:>8}  nearly the same picture as another one of the same patient; the report says which"
    for each in sums["manifest"][:_LISTED]:
        yield f"manifest, line {each['line']}: {each['why']}"
