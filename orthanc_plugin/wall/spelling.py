"""How this Orthanc gives us the arguments of a query: percent-decoded, or as they came.

From 1.9.8 to 1.12.9 Orthanc left the decoding to its web server, whose newer versions no longer did it; so it depends
on both, and no version number tells. The canary asks for ``spelling=%41`` and so finds out, once for each process,
before the port is announced.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_plus

ASKED = "%41"
"""What the launcher sends for ``spelling``."""

_DECODED = "A"


class Spelling:
    """Reads arguments as whoever sent them meant them."""

    def __init__(self) -> None:
        self._raw: bool | None = None

    def learn(self, seen: str) -> None:
        """What came of ``spelling``; the first that tells anything counts, so that nobody changes it later."""
        if self._raw is None and seen in (ASKED, _DECODED):
            self._raw = seen == ASKED

    def read(self, arguments: Mapping[str, str] | None) -> Mapping[str, str]:
        """The arguments, decoded."""
        if not arguments:
            return {}
        if not self._raw:
            return arguments
        return {unquote_plus(name): unquote_plus(value) for name, value in arguments.items()}
