"""What an answer of ours is, and how it is written to Orthanc's output: by the callback, never by a pool thread."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orthanc_plugin.wall.host import Output
from orthanc_plugin.wall.pool import Pool

STREAM_PATIENCE = 30.0
"""Seconds that the callback waits for the bytes of one part of a stream; for its decision, no longer than ever."""

Part = Callable[[], bytes]
"""Reads one part that was permitted."""

JSON = "application/json"
DICOM_JSON = "application/dicom+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, or a stream of DICOM parts."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: Iterator[Part] | None = None
    """``multipart/related; type="application/dicom"``: DICOM files; the first is made before any byte leaves."""

    def write(self, output: Output, pool: Pool) -> None:
        """Write it. An exception before the first byte is the caller's; a stream ends early, with what was sent."""
        body = None
        if self.parts is not None:
            body = _next(self.parts, pool)
            if body is None:
                output.SendHttpStatusCode(404)
                return
        for name, value in self.headers.items():
            output.SetHttpHeader(name, value)
        if self.parts is not None:
            output.StartMultipartAnswer("related", "application/dicom")
            while body is not None:
                output.SendMultipartItem(body)
                body = _next(self.parts, pool)
        elif self.status == 200:
            output.AnswerBuffer(self.body, self.content_type)
        else:
            output.SendHttpStatusCode(self.status)


def _next(parts: Iterator[Part], pool: Pool) -> bytes | None:
    """The next part: decided, then read; None after the last."""
    part = pool.run(lambda: next(parts, None))
    return None if part is None else pool.run(part, STREAM_PATIENCE)


def json_answer(value: Any, content_type: str = JSON, headers: Mapping[str, str] | None = None) -> Answer:
    """A value as JSON."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(body=body, content_type=content_type, headers=headers or {})


#: What is not there, and what may not be seen: one and the same.
ABSENT = Answer(status=404)
REFUSED = Answer(status=403)
