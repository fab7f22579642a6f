"""A process that corrects a photo and kills itself on the way."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from consent.store import photos
from consent.store.engine import reading
from dicom_bridge.proposing import By
from dicom_bridge.said import Said
from orthanc_plugin.assembly.intake import corrections, open_archive
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import load
from tests.pipeline.victim import dying


def main(settings: str, arrow: str, nth: str, sop: str, said: str) -> None:
    """Correct a photo; ``said`` is what is to be said of it, as JSON."""
    with open_node(load(Path(settings)), "cli") as node, open_archive(node) as archive:
        work = corrections(node, archive, dying(arrow, int(nth)))
        with reading(node.engine) as connection:
            photo = photos.by_sop(connection, sop)
            assert photo is not None
            proposal = work.propose(connection, photo, Said(**json.loads(said)), By("linker", "test", None, "Wrong."))
        work.carry_out(proposal)


if __name__ == "__main__":
    main(*sys.argv[1:])
