"""``python -m benchmarks.generated``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.generated.making import SEED, make
from benchmarks.generated.size import Size


def main(arguments: list[str] | None = None) -> int:
    """Make a clinic."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generated", description="Make a clinic from a seed.")
    parser.add_argument("--photos", type=int, default=10_000, help="a multiple of 100")
    parser.add_argument("--database", required=True, help="sqlite:///FILE or postgresql+psycopg://…")
    parser.add_argument("--truth", type=Path, required=True, help="file for what is true of each lot")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(arguments)
    size = Size(options.photos)
    started = time.monotonic()

    def told(patients: int) -> None:
        print(f"{patients:,} of {size.patients:,} patients, {time.monotonic() - started:.0f} s", flush=True)

    make(options.database, options.truth, size, seed=options.seed, told=told).dispose()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
