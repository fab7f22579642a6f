"""How long Orthanc takes until it answers, with the wall proved and without any wall; and how large the wall is."""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.bare import bare
from tests.archive import Archive

_BARE, _WALLED = 20492, 20493


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    rounds: int = parser.parse_args(arguments).rounds
    folder = Path(tempfile.mkdtemp(prefix="photospine-bench-"))
    try:
        archive = Archive(folder / "walled", _WALLED)
        walled, alone = [], []
        for _ in range(rounds):
            started = time.perf_counter()
            with bare(folder / "bare", _BARE):
                alone.append(time.perf_counter() - started)
            started = time.perf_counter()
            archive.process.start()
            walled.append(time.perf_counter() - started)
            archive.process.stop()
        packages = sum(each.stat().st_size for each in archive.process.wall.rglob("*") if each.is_file())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("## The start, and the wall's size\n")
    print(f"{rounds} starts of each, taking turns; behind the wall until its doors are proved shut.\n")
    print("| | median, s | slowest, s |\n|---|---:|---:|")
    print(f"| bare Orthanc | {statistics.median(alone):.2f} | {max(alone):.2f} |")
    print(f"| Orthanc with the wall | {statistics.median(walled):.2f} | {max(walled):.2f} |")
    print(f"\n**{statistics.median(walled):.2f} s until it is ready** (to reach: under 2).")
    print(f"\n**{packages / 1e6:.1f} MB of packages that the wall needs** (to reach: under 40).")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
