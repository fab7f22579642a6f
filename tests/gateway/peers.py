"""Receivers of other makers: dcmtk's storescp, and one of pynetdicom whose answers a test decides."""

from __future__ import annotations

import io
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import PresentationContext, build_context, build_role

from dicom_bridge.query.classes import PHOTO_CLASSES
from tests.ports import free_port

STUDY_FIND, STUDY_MOVE, STUDY_GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
PATIENT_FIND, PATIENT_MOVE, PATIENT_GET = (f"1.2.840.10008.5.1.4.1.2.1.{number}" for number in (1, 2, 3))
COMMITMENT = "1.2.840.10008.1.20.1"
JPEG, EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


@contextmanager
def storescp(folder: Path, *words: str) -> Iterator[int]:
    """dcmtk's receiver, which writes what it gets to a folder; its port."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.parent / f"storescp-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(["storescp", "-v", "-od", str(folder), *words, str(port)], stdout=out, stderr=out)
    try:
        time.sleep(0.3)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@dataclass(slots=True)
class Received:
    """What a receiver of ours has got."""

    port: int
    sops: list[str] = field(default_factory=list)
    originators: list[tuple[str, int]] = field(default_factory=list)
    reports: list[Dataset] = field(default_factory=list)


@contextmanager
def receiver(
    answer: Callable[[str], int] = lambda _: 0,
    *,
    syntaxes: tuple[str, ...] = (JPEG, EXPLICIT, IMPLICIT),
    title: str = "ARCHIVE",
) -> Iterator[Received]:
    """A receiver whose status for each SOP Instance UID a test decides."""
    port = free_port()
    made = Received(port)

    def stored(event: Any) -> int:
        request = event.request
        made.sops.append(str(request.AffectedSOPInstanceUID))
        made.originators.append(
            (str(request.MoveOriginatorApplicationEntityTitle), int(request.MoveOriginatorMessageID or 0))
        )
        return answer(made.sops[-1])

    def reported(event: Any) -> tuple[int, None]:
        made.reports.append(event.event_information)
        return 0, None

    ae = AE(title)
    for each in PHOTO_CLASSES:
        ae.add_supported_context(each, list(syntaxes))
    ae.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)  # the other side is the SCP
    handlers: Any = [(evt.EVT_C_STORE, stored), (evt.EVT_N_EVENT_REPORT, reported)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield made
    finally:
        server.shutdown()


def storage(*syntaxes: str) -> tuple[list[PresentationContext], list[Any]]:
    """Contexts and roles of a C-GET's caller, who receives the photos by the same association."""
    classes = sorted(PHOTO_CLASSES)
    return (
        [build_context(each, list(syntaxes)) for each in classes],
        [build_role(each, scp_role=True) for each in classes],
    )


def statuses(answers: Any) -> list[tuple[int, tuple[int | None, ...]]]:
    """Status and counts (remaining, completed, failed, warned) of each response."""
    names = ("Remaining", "Completed", "Failed", "Warning")
    return [(each.Status, tuple(each.get(f"NumberOf{name}Suboperations") for name in names)) for each, _ in answers]


def files(folder: Path) -> dict[str, Dataset]:
    """The DICOM files of a folder, by SOP Instance UID."""
    read = [dcmread(io.BytesIO(file.read_bytes())) for file in folder.iterdir() if file.is_file()]
    return {str(each.SOPInstanceUID): each for each in read}


class Pause:
    """Holds a receiver back until a test lets it go on."""

    def __init__(self, after: int) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        self._after, self._seen = after, 0

    def __call__(self, _: str) -> int:
        self._seen += 1
        if self._seen == self._after:
            self.reached.set()
            assert self.go.wait(20)
        return 0
