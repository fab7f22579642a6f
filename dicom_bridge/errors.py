"""Errors of the bridge.

- BridgeError
  - FileRefused        a file is not taken in
  - DescriptionRefused a fact of the record does not fit into the object
  - ObjectRefused      a DICOM object cannot be read
  - UnknownCode        a region, view or expression that the vocabulary does not hold
  - PhotoKnown         pipeline: a file is a photo already, of another visit or view
  - RecordRefused      brought: what comes with a photo does not fit it
  - AnnouncedAlready   ledger: another process announced one of the photos
  - LedgerRefused      ledger: a row would go back, is missing, or was given up
  - SpoolRefused       spool: an original is gone or damaged
  - BodyRefused        multipart: a body of several objects cannot be taken apart
  - ArchiveUnavailable archive: Orthanc does not answer, or not as it should
  - OriginalDiffers    archive: another file is attached to the object than it was made from
  - ObjectDiscarded    archive: Orthanc did not keep the object
  - NotRendered        compare.renditions: the stored object cannot be shown as a picture

What a module alone raises stands beside the code that raises it. A question that cannot be read is a ValueError
(``query``): inside Orthanc nothing of the bridge but its index is loaded.
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
