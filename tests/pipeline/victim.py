"""A process that kills itself at an arrow of the pipeline, as a power cut would: nothing is flushed or told."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event

from dicom_bridge.plan import Plan
from orthanc_plugin.assembly import worker
from orthanc_plugin.assembly.intake import open_archive, pipeline
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load


def dying(arrow: str, nth: int) -> Callable[[str], None]:
    """A hook that kills this process when the arrow is reached for the nth time."""
    seen = 0

    def at(here: str) -> None:
        nonlocal seen
        if here == arrow:
            seen += 1
            if seen == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    return at


def main(settings: str, role: str, arrow: str, nth: str, *words: str) -> None:
    """``ingest PLAN FILE…`` takes files in; ``worker`` does what a worker finds to do, and ends."""
    at = dying(arrow, int(nth))
    with (
        open_node(load(Path(settings)), "worker" if role == "worker" else "cli") as node,
        open_archive(node) as archive,
    ):
        if role == "ingest":
            plan, *files = words
            pipeline(node, archive, at).take(
                [Path(file).read_bytes() for file in files], Plan.loads(Path(plan).read_text("utf-8"))
            )
            return
        process = worker.worker_of(node, archive, at, Event())
        process.recover_open(timedelta(0))
        while process.one_job():
            pass
        process.look()


if __name__ == "__main__":
    main(*sys.argv[1:])
