"""Errors of the bridge.

- BridgeError
  - FileRefused        a file is not taken in
  - DescriptionRefused a fact of the record does not fit into the object
  - ObjectRefused      a DICOM object cannot be read
  - UnknownCode        a region, view or expression that the vocabulary does not hold
"""

from __future__ import annotations


class BridgeError(Exception):
    """Root of what can go wrong between a file and its object."""

    sha256: str | None = None
    """Of the file that it is about, where it is about one of several."""


class FileRefused(BridgeError):
    """A file is not taken in, and nothing was kept of it. ``field`` names what is wrong with it.

    The text says what to do; it holds nothing of the file's contents.
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field


class DescriptionRefused(BridgeError):
    """A fact of the record does not fit into its DICOM attribute, which the text names. Mend the record, then again."""


class ObjectRefused(BridgeError):
    """Bytes are no DICOM object, or one that exceeds a limit. The sender has to send another one."""


class UnknownCode(BridgeError):
    """No entry of the vocabulary has this name or code. The text lists what is known."""
