"""Fuzzing an archive: for so many seconds, with what is looked at after each answer and at the end."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

from tests import counts
from tests.archive import Archive
from tests.census.scene import SHOWN, Caller, Scene, pid_of
from tests.matrix.wire import Got, Wire

SMALL_SECONDS, FULL_SECONDS = 4, 450
_FAULT = re.compile(r"(?:refused|not answered): fault .*")
_OWN_VERSION = re.compile(rb"Error 505: HTTP Version not supported\nBad HTTP version: \[[^\]]{0,20}\]")
"""What Orthanc's web server says before anything of ours is asked: the version that the caller sent."""

_TELLS = re.compile(rb"Traceback|File \"|line \d+|[A-Za-z]+Error\b|Exception|sqlite|psycopg|/tmp/", re.IGNORECASE)
_EVERY = 500
"""Requests between two looks at whether the archive is alive and well."""

Shot = tuple[bytes, Caller, str]
"""The bytes of a request, who sends it, and what to call it when it is reported."""


def fuzz(
    archive: Archive, scene: Scene, what: str, seed: int, shots: Callable[[Random], Iterator[Shot]]
) -> Counter[int]:
    """Send shots until the seconds are over; raise with what went wrong. Gives how often each status came."""
    name = f"fuzzing of {what}: seconds"
    asked = counts.count(name, small=SMALL_SECONDS, full=FULL_SECONDS)
    for caller in scene.callers:  # a password takes its time when it is checked first
        archive.ask("/system", headers=dict(caller.headers))
    started, random = time.monotonic(), Random(seed)
    statuses: Counter[int] = Counter()
    faults: list[str] = []
    pid, log = pid_of(archive), archive.folder / "orthanc" / "orthanc.log"
    with closing(Wire(archive.port)) as wire:
        for number, (request, caller, told) in enumerate(shots(random), start=1):
            got = _send(wire, request)
            statuses[got.status] += 1
            faults += [f"seed {seed}, request {number}, {told}: {fault}" for fault in _faults(scene, got, caller)]
            if number % _EVERY == 0:
                faults += _ailing(archive, scene, pid)
            if time.monotonic() - started > asked or len(faults) > 30:
                break
    faults += _ailing(archive, scene, pid)
    faults += sorted(set(_FAULT.findall(log.read_text("utf-8", errors="replace"))))[:10]
    counts.report(
        name, asked=asked, run=int(time.monotonic() - started), failures=len(faults), seed=seed, started=started
    )
    print(f"{what}: {statuses.total()} requests, {dict(statuses)}")
    assert not faults, "\n".join(faults[:30])
    return statuses


def _send(wire: Wire, request: bytes) -> Got:
    """The answer; where the server hangs up or waits for more than was sent, none."""
    try:
        return wire.send(request, without_body=request.startswith(b"HEAD "))
    except (EOFError, ConnectionError):
        return Got(0, b"", b"")
    except (TimeoutError, ValueError, IndexError):
        wire.close()
        return Got(0, b"", b"")


def _faults(scene: Scene, got: Got, caller: Caller) -> Iterator[str]:
    seen = scene.finder.seen(got.head, got.body)
    if seen.photos & caller.hidden:
        yield f"{got.status} with photos {sorted(seen.photos & caller.hidden)} in it: {got.body[:200]!r}"
    if got.status >= 500 and (got.body or _TELLS.search(got.head)) and not _OWN_VERSION.fullmatch(got.body):
        yield f"{got.status} says {got.body[:200]!r}"
    if got.status < 500 and _TELLS.search(got.body) and not seen.photos:
        yield f"{got.status} says {got.body[:200]!r}"


def _ailing(archive: Archive, scene: Scene, pid: str) -> Iterator[str]:
    """What is wrong with the archive itself."""
    if not Path(f"/proc/{pid}").exists() or pid_of(archive) != pid:
        yield "Orthanc ended"
        return
    photo = scene.photos[SHOWN]
    answer = archive.ask(f"/instances/{photo.ids.instance}/file", "clinician")
    if (answer.status, answer.body) != (200, photo.dicom):
        yield f"a permitted photo is answered with {answer.status}"
