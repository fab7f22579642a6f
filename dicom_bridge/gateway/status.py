"""Status codes of the services (PS3.7 Annex C; PS3.4 Tables B.2-1, C.4-1, C.4-2, C.4-3; PS3.4 Annex J)."""

from __future__ import annotations

SUCCESS = 0x0000
PENDING = 0xFF00
PENDING_SOME_KEYS_UNSUPPORTED = 0xFF01
"""C-FIND: matches go on; an optional key was given that is not supported for matching."""

CANCEL = 0xFE00
"""C-FIND, C-MOVE, C-GET: ended, since the caller asked for it."""

SOME_FAILED = 0xB000
"""C-MOVE, C-GET: all sub-operations were tried, and one or more failed or warned."""

OUT_OF_RESOURCES = 0xA700
"""C-STORE, C-FIND: cannot be carried out now; to be tried again later."""

CANNOT_COUNT = 0xA701
"""C-MOVE, C-GET: more objects match than are sent at a time."""

CANNOT_SEND = 0xA702
"""C-MOVE, C-GET: no sub-operation could be carried out."""

DESTINATION_UNKNOWN = 0xA801
"""C-MOVE: no destination has this AE title."""

IDENTIFIER_MISMATCH = 0xA900
"""C-FIND, C-MOVE, C-GET: the identifier does not fit the SOP Class; C-STORE: nor does the data set."""

CANNOT_UNDERSTAND = 0xC000
"""C-STORE: the data set cannot be read; C-FIND, C-MOVE, C-GET: unable to process."""

NO_SUCH_INSTANCE = 0x0112
"""PS3.7 C.5.11; PS3.3 C.14.1.1: also the failure reason of storage commitment for what is not there."""

INVALID_ARGUMENT = 0x0115
"""N-ACTION: the action information cannot be read (PS3.7 C.5.2)."""

CLASS_INSTANCE_CONFLICT = 0x0119
"""Storage commitment: the object is there, and is of another SOP Class."""

SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
NOT_AUTHORIZED = 0x0124


def warns(status: int) -> bool:
    """Whether a C-STORE response is a warning (PS3.7 C.3, PS3.4 B.2.3)."""
    return status >> 12 == 0xB or status in (0x0001, 0x0107, 0x0116)
