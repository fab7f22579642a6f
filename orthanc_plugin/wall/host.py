# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the wall needs of Orthanc, as a Protocol without the SDK; :mod:`.plugin` fulfils it, and so do tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from mmap import mmap
from typing import Any, Protocol

LOOPBACK = "127.0.0.1"

Buffer = bytes | memoryview | mmap


class Method(IntEnum):
    """HTTP methods as Orthanc numbers them. HEAD and OPTIONS arrive as GET."""

    GET = 1
    POST = 2
    PUT = 3
    DELETE = 4


class Output(Protocol):
    """Where a callback writes its answer; alive only until the callback returns."""

    def AnswerBuffer(self, body: Buffer | str, content_type: str) -> None:
        """A whole answer with status 200."""

    def SendHttpStatusCode(self, status: int) -> None:
        """A status without a body."""

    def SetHttpHeader(self, name: str, value: str) -> None:
        """A header of the answer to come."""

    def StartMultipartAnswer(self, sub_type: str, content_type: str) -> None:
        """The head of ``multipart/<sub_type>``."""

    def SendMultipartItem(self, body: Buffer) -> None:
        """One part; raises when the client has gone."""


class StreamingOutput(Output, Protocol):
    """As newer Orthancs have it; the older one of bookworm has not."""

    def StartStreamAnswer(self, content_type: str) -> None:
        """The head of an answer whose length is not told."""

    def SendStreamChunk(self, body: Buffer) -> None:
        """The next bytes; raises when the client has gone."""


Filter = Callable[..., bool]
"""``(uri, method=, ip=, headers=, get=)``: True lets the request pass."""

Callback = Callable[..., None]
"""``(output, uri, method=, groups=, get=, headers=, body=)``"""


class Host(Protocol):
    """Orthanc, as the wall sees it."""

    def configuration(self) -> Mapping[str, Any]:
        """Orthanc's whole configuration."""

    def holds_up(self) -> bool:
        """Whether an answer holds up all others until its client has read it."""

    def on_request(self, decide: Filter) -> None:
        """Have every HTTP request asked for first."""

    def on_route(self, pattern: str, answer: Callback) -> None:
        """Answer all requests whose whole path matches the pattern, in Orthanc's stead."""

    def on_received(self, accept: Callable[[bytes], bool]) -> None:
        """Ask for every object before it is stored; False discards it."""

    def on_stored(self, tell: Callable[[str], None]) -> None:
        """Tell the Orthanc id of each object stored."""

    def get(self, path: str) -> bytes:
        """Orthanc's own answer to a GET, past all callbacks and the filter."""

    def get_after_plugins(self, path: str) -> bytes:
        """The answer to a GET past the filter, by whichever plugin answers it: Orthanc's DICOMweb."""

    def post(self, path: str, body: bytes) -> bytes:
        """Orthanc's own answer to a POST. Only where it lets go of Python's lock (see :mod:`.expected`)."""

    def put(self, path: str, body: bytes) -> bytes:
        """Orthanc's own answer to a PUT."""

    def dicom(self, orthanc_id: str) -> bytes:
        """The stored object, as it was stored."""

    def syntax(self, orthanc_id: str) -> str:
        """The Transfer Syntax UID in which it is stored."""

    def transcoded(self, dicom: bytes, syntax: str) -> bytes:
        """The object in another transfer syntax."""

    def tags(self, dicom: bytes) -> Mapping[str, Any]:
        """Short tags of a DICOM file: ``"0010,0020" -> text``, nothing else of it."""

    def log(self, text: str) -> None:
        """A line of Orthanc's log; never a name, a UID or a credential."""
