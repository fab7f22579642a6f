"""What an answer of ours is, and how it is written to Orthanc's output: by the callback, never by a pool thread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orthanc_plugin.wall.host import Output
from orthanc_plugin.wall.pool import Pool
from orthanc_plugin.wall.stream import Stream

JSON = "application/json"
DICOM_JSON = "application/dicom+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, or a stream of photos."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: Stream | None = None
    """Sent instead of ``body``; its first photo is decided and read before any byte leaves."""

    def write(self, output: Output, pool: Pool) -> None:
        """Write it. An exception before the first byte is the caller's; a stream ends early, with what was sent."""
        if self.stream is not None:
            self.stream.write(output, pool, self.headers)
            return
        for name, value in self.headers.items():
            output.SetHttpHeader(name, value)
        if self.status == 200:
            output.AnswerBuffer(self.body, self.content_type)
        else:
            output.SendHttpStatusCode(self.status)


def json_answer(value: Any, content_type: str = JSON, headers: Mapping[str, str] | None = None) -> Answer:
    """A value as JSON."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(body=body, content_type=content_type, headers=headers or {})


#: What is not there, and what may not be seen: one and the same.
ABSENT = Answer(status=404)
REFUSED = Answer(status=403)
