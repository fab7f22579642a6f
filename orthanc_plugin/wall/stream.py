"""Photos one after the other: each read while the one before is being sent, and decided when its turn has come.

No more than two are in memory at one time, however many are asked for. Bookworm's Orthanc cannot stream what is not
``multipart``; there a whole archive of a bounded size is written to a file without a name first, and a few at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import cast

from orthanc_plugin.wall.errors import Overloaded, TooLarge, Withdrawn
from orthanc_plugin.wall.host import Buffer, Output, StreamingOutput
from orthanc_plugin.wall.pool import Call, Pool

PATIENCE = 30.0
"""Seconds that the callback waits for the bytes of one part of a stream; for its decision, no longer than ever."""

MOST_BUFFERED = 256 << 20
"""Bytes of an archive where it cannot be streamed."""

_PLACES = BoundedSemaphore(8)
"""For such archives: each is kept from its first photo to its last byte sent, however slowly that is read."""

_WAIT = 5.0
"""Seconds that the callback waits for one of these places, in a thread that Orthanc has few of."""

Pieces = tuple[Buffer, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One photo, or what stands around photos."""

    read: Callable[[], Pieces]
    """Reads what is sent; parts are read in their order, one at a time."""

    leaves: Callable[[], bool]
    """Whether it may leave now."""

    at_hand: Callable[[], bool | None] = lambda: None
    """As ``leaves``, in Orthanc's own thread, where all that it needs is remembered; else None."""

    ready: Callable[[], Pieces | None] = lambda: None
    """As ``read``, in Orthanc's own thread, where nothing need be asked or copied; else None."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer of several parts."""

    parts: Iterator[Part]
    give: Callable[[Buffer], None]
    """Takes back the memory of a piece that was sent."""

    media: str | None = None
    """The type of the whole; None: ``multipart/related; type="application/dicom"``, each part of one piece."""

    folder: Path | None = None
    """Where a whole that cannot be streamed is written; None: where temporary files are."""

    def write(self, output: Output, pool: Pool, headers: Mapping[str, str]) -> None:
        """Write it.

        Raises
        ------
        Withdrawn
            A photo may no longer leave. A multipart answer simply ends, since each of its parts is whole.
        TooLarge
            It cannot be streamed here and has more than :data:`MOST_BUFFERED` bytes.
        """
        pieces = self._pieces(pool)
        try:
            first = next(pieces)
        except Withdrawn:
            output.SendHttpStatusCode(404)
            return
        if self.media is None:
            self._multipart(output, headers, first, pieces)
        elif hasattr(output, "StartStreamAnswer"):
            self._streamed(cast(StreamingOutput, output), headers, first, pieces)
        elif _PLACES.acquire(timeout=_WAIT):
            try:
                self._written(output, headers, first, pieces)
            finally:
                _PLACES.release()
        else:
            raise Overloaded("too many other archives are being made or sent")

    def _multipart(self, output: Output, headers: Mapping[str, str], first: Pieces, others: Iterator[Pieces]) -> None:
        _head(output, headers)
        output.StartMultipartAnswer("related", "application/dicom")
        with contextlib.suppress(Withdrawn):
            for (body,) in itertools.chain([first], others):
                output.SendMultipartItem(body)

    def _streamed(
        self, output: StreamingOutput, headers: Mapping[str, str], first: Pieces, others: Iterator[Pieces]
    ) -> None:
        assert self.media is not None
        _head(output, headers)
        output.StartStreamAnswer(self.media)
        for pieces in itertools.chain([first], others):
            for piece in pieces:
                output.SendStreamChunk(piece)

    def _written(self, output: Output, headers: Mapping[str, str], first: Pieces, others: Iterator[Pieces]) -> None:
        assert self.media is not None
        with tempfile.TemporaryFile(dir=self.folder) as file:
            for pieces in itertools.chain([first], others):
                if file.tell() + sum(map(len, pieces)) > MOST_BUFFERED:
                    raise TooLarge("an archive that cannot be streamed here")
                for piece in pieces:
                    file.write(piece)
            file.flush()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
                _head(output, headers)
                output.AnswerBuffer(whole, self.media)

    def _pieces(self, pool: Pool) -> Iterator[Pieces]:
        """What may be sent, part by part.

        Raises
        ------
        Withdrawn
            The next part may not leave any more.
        """
        coming = self._begin(pool)
        while coming is not None:
            part, reading = coming
            pieces = reading.wait(PATIENCE) if isinstance(reading, Call) else reading
            coming = self._begin(pool)
            if not (pool.here(part.at_hand) or pool.run(part.leaves)):
                raise Withdrawn("a photo was withdrawn while it waited for its turn")
            yield pieces
            for piece in pieces:
                self.give(piece)

    def _begin(self, pool: Pool) -> tuple[Part, Pieces | Call[Pieces]] | None:
        part = next(self.parts, None)
        return None if part is None else (part, pool.here(part.ready) or pool.begin(part.read))


def _head(output: Output, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        output.SetHttpHeader(name, value)
