"""The parts of a ``multipart/related`` body, one after the other as it arrives (RFC 2046 section 5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dicom_bridge.errors import BridgeError

_HEAD = 8192
"""Bytes of a part's headers, at most."""


class BodyRefused(BridgeError):
    """A body is no ``multipart/related``, is cut off, or has a part that is too large."""


def parts(chunks: Iterable[bytes], boundary: str, most_bytes: int) -> Iterator[bytes]:
    """Each part's content, whole; what its headers say of it is the sender's affair.

    Parameters
    ----------
    most_bytes
        Of one part; no more of the body than that is held at any time.

    Raises
    ------
    BodyRefused
        As its name says; the parts before it were given already.
    """
    if not 0 < len(boundary) <= 70:
        raise BodyRefused("the body has no boundary")
    delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
    body = _Body(chunks, most_bytes + _HEAD)
    body.held += b"\r\n"  # the first delimiter may stand at the very beginning
    body.until(delimiter)
    while not body.starts_with(b"--"):
        body.until(b"\r\n")
        if not body.starts_with(b"\r\n"):  # a part may have no headers at all
            body.held[:0] = b"\r\n"
            if len(body.until(b"\r\n\r\n")) > _HEAD:
                raise BodyRefused("a part of the body has too many headers")
        else:
            del body.held[:2]
        yield body.until(delimiter)


class _Body:
    def __init__(self, chunks: Iterable[bytes], most_bytes: int) -> None:
        self._chunks, self._most = iter(chunks), most_bytes
        self.held = bytearray()

    def until(self, mark: bytes) -> bytes:
        """What stands before the mark; both are gone afterwards."""
        looked = 0
        while True:
            found = self.held.find(mark, looked)
            if found >= 0:
                before = bytes(memoryview(self.held)[:found])
                del self.held[: found + len(mark)]
                return before
            looked = max(0, len(self.held) - len(mark) + 1)
            self._more()

    def starts_with(self, mark: bytes) -> bool:
        """Whether what comes next is the mark."""
        while len(self.held) < len(mark):
            self._more()
        return self.held.startswith(mark)

    def _more(self) -> None:
        if len(self.held) > self._most:
            raise BodyRefused("a part of the body is too large")
        chunk = next(self._chunks, None)
        if chunk is None:
            raise BodyRefused("the body is cut off")
        self.held += chunk
