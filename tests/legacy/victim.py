"""An import that kills itself at some step of one of its batches, as a power cut would."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

from dicom_bridge.legacy.patterns import pattern
from dicom_bridge.legacy.survey import Wishes
from dicom_bridge.plan import Plan
from orthanc_plugin.assembly import legacy
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load

LANES = 4
PATTERN = "{patient}/{date:%Y-%m-%d}/{region}_{view} {}.jpg"


def main(settings: str, place: str, step: str) -> None:
    """Import a folder, and die at the step of this number, whichever batch takes it."""
    seen = itertools.count(1)

    def at(_: object) -> None:
        if next(seen) == int(step):
            os.kill(os.getpid(), signal.SIGKILL)

    with open_node(load(Path(settings)), "import") as node:
        told = legacy.Told(at=at)
        wishes = Wishes((pattern(PATTERN),))
        found = legacy.survey(node, legacy.files_below(node, [Path(place)]), wishes, LANES, told)
        legacy.carry_out(node, found, Plan("clinician", "test", "", "", "", "", ""), LANES, told)


if __name__ == "__main__":
    main(*sys.argv[1:])
