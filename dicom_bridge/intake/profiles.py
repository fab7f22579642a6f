"""The ICC profile of Adobe RGB (1998), for cameras that name the space and leave its profile out (DCF 2.0, R03)."""

from __future__ import annotations

import struct
from functools import lru_cache

_WHITE_D65 = (0.95045, 1.0, 1.08905)
_WHITE_D50 = (0.96420, 1.0, 0.82491)
_COLORANTS = (
    (b"rXYZ", (0.60974, 0.31111, 0.01947)),
    (b"gXYZ", (0.20528, 0.62567, 0.06087)),
    (b"bXYZ", (0.14919, 0.06322, 0.74457)),
)
"""Primaries of Adobe RGB (1998) 4.3.4.1, adapted to D50."""

_GAMMA = 563
"""2.19921875, as u8Fixed8."""

_NAME = b"Adobe RGB (1998) compatible"
_HEADER = 128


@lru_cache(maxsize=1)
def adobe_rgb() -> bytes:
    """The profile: three colorants and a gamma (ICC.1:2001-04 6.3.1.1)."""
    text = b"desc" + bytes(4) + struct.pack(">I", len(_NAME) + 1) + _NAME + b"\0" + bytes(4 + 4 + 2 + 1 + 67)
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, _GAMMA)
    tags = [
        (b"desc", text),
        (b"cprt", b"text" + bytes(4) + b"No copyright\0"),
        (b"wtpt", _xyz(_WHITE_D65)),
        *((name, _xyz(value)) for name, value in _COLORANTS),
        *((name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    at = _HEADER + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags:
        table += struct.pack(">4sII", name, at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s28s12s48s",
        at + len(body),
        bytes(4),
        0x02100000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        struct.pack(">6H", 1998, 11, 1, 0, 0, 0),
        b"acsp",
        bytes(28),
        _xyz(_WHITE_D50)[8:],
        bytes(48),
    )
    return header + table + body


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(each * 65536) for each in value))
