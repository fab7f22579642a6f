"""Whether the gateway stands: an association is asked for that must be refused (PS3.8 9.3.2, 9.3.4)."""

from __future__ import annotations

import socket
import ssl
import struct
from enum import Enum

from orthanc_plugin.assembly.settings import Settings

_SECONDS = 5.0
_STRANGER = "PHOTOSPINE-KNOCK"
"""The AE title of nobody: it may call from nowhere."""

_REJECTED = b"\x03"
_CONTEXT, _VERIFICATION, _IMPLICIT = b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.1.1", b"1.2.840.10008.1.2"


class Heard(Enum):
    """What was answered."""

    NOTHING = "nobody answers"
    REFUSED = "it stands"
    SOMETHING_ELSE = "something else answers"


def knock(settings: Settings) -> Heard:
    """Ask a node's gateway to let a stranger in."""
    host = "127.0.0.1" if settings.dimse_host in ("0.0.0.0", "") else settings.dimse_host  # noqa: S104  # compared
    try:
        wire = socket.create_connection((host, settings.dimse_port), timeout=_SECONDS)
    except OSError:
        return Heard.NOTHING
    with wire:
        try:
            if settings.dimse_tls_certificate is not None:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # our own, asked for its refusal
                wire = context.wrap_socket(wire)
            wire.sendall(_request(settings.dimse_ae_title))
            return Heard.REFUSED if wire.recv(1) == _REJECTED else Heard.SOMETHING_ELSE
        except OSError:
            return Heard.SOMETHING_ELSE


def _request(called: str) -> bytes:
    """An A-ASSOCIATE-RQ for C-ECHO."""
    context = b"\x01\x00\x00\x00" + _item(0x30, _VERIFICATION) + _item(0x40, _IMPLICIT)
    user = _item(0x51, struct.pack(">L", 16384)) + _item(0x52, b"2.25.1")
    titles = called.encode("ascii").ljust(16) + _STRANGER.encode("ascii")
    body = struct.pack(">HH", 1, 0) + titles + bytes(32)
    body += _item(0x10, _CONTEXT) + _item(0x20, context) + _item(0x50, user)
    return struct.pack(">BBL", 1, 0, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value
