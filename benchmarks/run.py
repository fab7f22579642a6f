"""``make bench``: every measurement, each a process of its own, into ``benchmarks/RESULTS.md``.

A measurement is a module of this folder with ``main() -> int`` that prints Markdown. Ratios count: both sides of each
are alive in one run and take turns, because machines are noisy. What stays out of reach, and why, is written by hand in
``out_of_reach.md`` and ends the page.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from benchmarks.machine import ROOT, commit, describe

MEASUREMENTS = (
    "decision",
    "sets",
    "wrap",
    "start",
    "wall",
    "retrieve",
    "small",
    "qido",
    "dimse",
    "batch",
    "portfolio",
    "judging",
    "workspace",
    "convergence",
    "importing",
)


def main() -> int:
    """Run every measurement and write the page; 1 where one of them could not be taken."""
    pages, failed = [], 0
    for name in MEASUREMENTS:
        print(f"{name} …", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        failed += done.returncode != 0
        print(done.stdout if done.returncode == 0 else done.stdout + done.stderr, flush=True)
        pages.append(done.stdout.strip() if done.returncode == 0 else f"## {name}\n\nnot measured: it failed")
    head = f"# Results\n\n`make bench` at commit {commit()}, {datetime.now(UTC):%Y-%m-%d}, on {describe()}.\n"
    pages.append((ROOT / "benchmarks" / "out_of_reach.md").read_text("utf-8").strip())
    (ROOT / "benchmarks" / "RESULTS.md").write_text(head + "\n" + "\n\n".join(pages) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
