"""What a visit's photos are asked for by: the number that a camera sends back, and a code for each shot.

Both follow from what they stand for, so nothing has to be kept, and a photo that comes back finds its visit whether
or not any other process has run meanwhile.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from dicom_bridge.protocols.protocol import Protocol, Shot

_PREFIX = "PS"
_LENGTH = 16
"""Characters of a Requested Procedure ID, an Accession Number and a Code Value (SH)."""


def request_id(visit: str) -> str:
    """The Requested Procedure ID (0040,1001) of ``Encounter/…`` or ``Appointment/…``."""
    return _named(_PREFIX, visit)


def is_request_id(text: str) -> bool:
    """Whether a text has the form of one."""
    return len(text) == _LENGTH and text.startswith(_PREFIX)


def shot_code(protocol: str, shot: str) -> str:
    """The Code Value (0008,0100) of a protocol's shot, by their names."""
    return _named("S", f"{protocol}/{shot}")


def shot_of(code: str, protocols: Iterable[Protocol]) -> Shot | None:
    """The shot with this code; None: no protocol of now has it."""
    return next(
        (shot for each in protocols for shot in each.shots if shot_code(each.name, shot.name) == code),
        None,
    )


def _named(prefix: str, about: str) -> str:
    """Capitals and digits that a person can read out, without 0, 1, 8 and 9."""
    digest = base64.b32encode(hashlib.sha256(about.encode()).digest()).decode("ascii")
    return prefix + digest[: _LENGTH - len(prefix)]
