"""Errors of the wall. None of them ever reaches a caller: at the edge each is a refusal.

- WallError
  - ConfigurationError
  - Overloaded
  - Late
  - NotReady
  - Withdrawn
  - TooLarge
  - ClientGone
"""

from __future__ import annotations


class WallError(Exception):
    """Root of what can go wrong inside the wall. The text names no person and no photo."""


class ConfigurationError(WallError):
    """The section ``Photospine`` of Orthanc's configuration is missing or malformed; Orthanc refuses to start."""


class Overloaded(WallError):
    """Every thread is taken and the queue is full. The request is refused; asking again later is right."""


class Late(WallError):
    """The work did not end in time. The request is refused, whatever the work answers afterwards."""


class NotReady(WallError):
    """The database cannot be used, or has another schema. Everything but the canary is refused until it can."""


class Withdrawn(WallError):
    """A photo of an archive that is being sent may no longer leave: the archive ends there, incomplete."""


class TooLarge(WallError):
    """An archive exceeds what this Orthanc, which cannot stream it, may hold in memory. Asking for less is right."""


class ClientGone(WallError):
    """Orthanc could not send: the client has gone, or reads nothing any more. What was sent is all that it gets."""
