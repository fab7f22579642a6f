"""``make test-full``: every test at full counts, file by file, resumable; writes ``benchmarks/ACCEPTANCE.md``.

As many files run at once as the machine has processors, the longest of the last run first; a file's seconds are those
of a busy machine. A file that passed at this commit is not run again, so that a run that was interrupted goes on where
it stopped. ``--keep COMMIT`` also keeps what passed at an earlier commit, for a change that the other files have
nothing to do with; the table then says of each file at which commit it ran. ``--known`` runs nothing and writes what is
known. What a counted test was asked and what it ran comes from :mod:`tests.counts`; a count that was not reached stands
in the table as it is, and what was skipped stands in a list of its own, with its reason. Where files or folders are
named, only what lies there is run, and what the table on record tells of the others stays, with the commit at which
they ran.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, commit, describe

_STATE = ROOT / ".run" / "acceptance"
_TABLE = ROOT / "benchmarks" / "ACCEPTANCE.md"

_FAILED = "**failed**"

DID_NOT_RUN = "did not run"
"""The outcome of a file that was not asked for."""


@dataclass(slots=True)
class Outcome:
    """One test file at full counts."""

    file: str
    passed: bool
    summary: str
    seconds: float
    counted: list[dict[str, Any]] = field(default_factory=list)
    not_run: dict[str, int] = field(default_factory=dict)
    """Why tests were skipped, and how many for each reason."""

    commit: str = ""
    """At which it ran."""


def main() -> int:
    """Run what is left to run, write the table; 0 when all passed."""
    asking = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asking.add_argument("--keep", metavar="COMMIT", action="append", default=[], help="keep what passed at COMMIT too")
    asking.add_argument("--known", action="store_true", help="run nothing, write what is known")
    asking.add_argument("only", nargs="*", metavar="FILE", help="run what lies there, write what is known of the rest")
    options = asking.parse_args()
    chosen = [Path(each) for each in options.only or ["tests"]]
    if absent := [str(each) for each in chosen if not (ROOT / each).exists()]:
        asking.error(f"{', '.join(absent)}: no such file or folder")
    at = commit()
    kept = [at, *options.keep]
    (_STATE / at).mkdir(parents=True, exist_ok=True)
    files = longest_first(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py"))

    def outcome_of(numbered: tuple[int, str]) -> Outcome:
        number, file = numbered
        for known in filter(None, (_known(each, file) for each in kept)):
            return known
        if options.known or not any(Path(file).is_relative_to(each) for each in chosen):
            return Outcome(file, True, DID_NOT_RUN, 0.0, not_run={"it did not run at these commits": 1})
        print(f"[{number}/{len(files)}] {file}", flush=True)
        return _run(at, file)

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        outcomes = sorted(workers.map(outcome_of, enumerate(files, start=1)), key=lambda each: each.file)
    written = table(at, outcomes, _recorded())
    _TABLE.write_text(written, encoding="utf-8")
    failed = sum(1 for row in _rows(written.splitlines(), "Files") if row[1].startswith(_FAILED))
    skipped = sum(1 for outcome in outcomes if outcome.not_run)
    print(f"{len(outcomes) - failed} passed, {failed} failed, {skipped} with tests that were not run")
    return 1 if failed else 0


def longest_first(files: Iterable[str]) -> list[str]:
    """The files by the seconds that the table on record tells, those that it does not know first."""
    rows = [_cells(line) for line in _recorded() if line.startswith("| tests/")]
    seconds = {row[0]: float(row[2]) for row in rows if len(row) > 2 and row[2].replace(".", "", 1).isdigit()}
    return sorted(files, key=lambda each: (-seconds.get(each, float("inf")), each))


def _state_file(at: str, file: str) -> Path:
    return _STATE / at / (file.replace("/", "__") + ".json")


def _known(at: str, file: str) -> Outcome | None:
    """The outcome of an earlier run at a commit, if it passed and nothing was left out."""
    state = _state_file(at, file)
    if not state.exists():
        return None
    outcome = Outcome(**json.loads(state.read_text("utf-8")))
    outcome.commit = at
    return outcome if outcome.passed and not outcome.not_run else None


def _run(at: str, file: str) -> Outcome:
    report = _state_file(at, file).with_suffix(".counts")
    report.unlink(missing_ok=True)
    environment = {**os.environ, "PHOTOSPINE_TEST_FULL": "1", "PHOTOSPINE_TEST_REPORT": str(report)}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "--no-header", file],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    outcome = Outcome(
        file=file,
        passed=done.returncode in (0, 5),  # 5: nothing in the file was selected
        summary=lines[-1].strip("= ") if lines else done.stderr[-200:],
        seconds=round(time.monotonic() - started, 1),
        counted=[json.loads(line) for line in report.read_text("utf-8").splitlines()] if report.exists() else [],
        not_run=skipped(lines),
        commit=at,
    )
    if not outcome.passed:
        print(done.stdout[-6000:], flush=True)
    _state_file(at, file).write_text(
        json.dumps({name: getattr(outcome, name) for name in Outcome.__slots__}), encoding="utf-8"
    )
    return outcome


def skipped(lines: Iterable[str]) -> dict[str, int]:
    """How many tests were skipped for which reason, from pytest's lines ``SKIPPED [3] tests/x.py:12: reason``."""
    found: Counter[str] = Counter()
    for line in lines:
        if line.startswith("SKIPPED ["):
            number, _, rest = line.removeprefix("SKIPPED [").partition("] ")
            found[rest.partition(": ")[2] or rest] += int(number)
    return dict(found)


def _recorded() -> list[str]:
    """The lines of the table on record."""
    return _TABLE.read_text("utf-8").splitlines() if _TABLE.exists() else []


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]


def table(at: str, outcomes: Sequence[Outcome], recorded: Sequence[str]) -> str:
    """The document: what ran, and of the files that did not what the lines on record tell of an earlier run."""
    sections = {section: _rows(recorded, section) for section in ("Counted tests", "Files", "Not run")}
    known = {row[0]: row for row in sections["Files"] if row[1] != DID_NOT_RUN}
    earlier = {each.file for each in outcomes if each.summary == DID_NOT_RUN and each.file in known}
    counted = [row for row in sections["Counted tests"] if row[-1] in earlier]
    missed = [row for row in sections["Not run"] if row[0] in earlier]
    for outcome in outcomes:
        if outcome.file in earlier:
            continue
        counted += [_counted(row, outcome.file) for row in _together(outcome.counted)]
        missed += [[outcome.file, str(number), reason] for reason, number in outcome.not_run.items()]
    counted.sort(key=lambda row: row[-1])
    missed.sort(key=lambda row: row[0])
    lines = [
        "# Acceptance",
        "",
        f"`make test-full` at commit {at}, {datetime.now(UTC):%Y-%m-%d}, on {describe()}; the table of files tells "
        "which ran at an earlier one.",
        "",
        "## Counted tests",
        "",
        "| test | count asked | count run | failures | seed | seconds | measured | file |",
        "|---|---:|---:|---:|---:|---:|---|---|",
    ]
    lines += [_line(row) for row in counted]
    lines += ["", "## Files", "", "| file | outcome | seconds | commit |", "|---|---|---:|---|"]
    for outcome in outcomes:
        verdict = outcome.summary if outcome.passed else f"{_FAILED}: {outcome.summary}"
        row = [outcome.file, verdict, str(outcome.seconds), outcome.commit]
        lines.append(_line(known[outcome.file] if outcome.file in earlier else row))
    if missed:
        lines += ["", "## Not run", "", "| file | tests | why |", "|---|---:|---|"]
        lines += [_line(row) for row in missed]
    return "\n".join(lines) + "\n"


def _rows(recorded: Sequence[str], section: str) -> list[list[str]]:
    """The rows of a section's table."""
    if f"## {section}" not in recorded:
        return []
    begin = recorded.index(f"## {section}") + 1
    after = [number for number, line in enumerate(recorded) if number >= begin and line.startswith("## ")]
    lines = [line for line in recorded[begin : after[0] if after else None] if line.startswith("|")]
    return [_cells(line) for line in lines[2:]]


def _together(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What ran as tests of its own, each one of a number, is one row with their sums."""
    found: dict[Any, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        key = (row["name"], row["seed"], row["measured"]) if row["asked"] == 1 else number
        before = found.setdefault(key, {**row, "asked": 0, "run": 0, "failures": 0, "seconds": 0.0})
        for name in ("asked", "run", "failures"):
            before[name] += row[name]
        before["seconds"] = round(before["seconds"] + row["seconds"], 1)
    return list(found.values())


def _counted(row: Mapping[str, Any], file: str) -> list[str]:
    seed = "" if row["seed"] is None else str(row["seed"])
    told = [f"{row['asked']:,}", f"{row['run']:,}", str(row["failures"]), seed, str(row["seconds"])]
    return [str(row["name"]), *told, str(row["measured"]), file]


def _line(cells: Sequence[str]) -> str:
    escaped = [re.sub(r"(?<!\\)\|", r"\|", cell) for cell in cells]
    return f"| {' | '.join(escaped)} |"


if __name__ == "__main__":
    raise SystemExit(main())
