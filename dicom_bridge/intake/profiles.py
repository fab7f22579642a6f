"""ICC profiles of spaces that files name without embedding one: Adobe RGB (DCF 2.0, R03), and what PNG measures."""

from __future__ import annotations

import struct
from dataclasses import dataclass
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

_HEADER = 128
_Vector = tuple[float, float, float]
_Matrix = tuple[_Vector, _Vector, _Vector]
_BRADFORD: _Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
"""Cone responses for the adaptation to D50 (ICC.1:2010 Annex E)."""


@dataclass(frozen=True, slots=True)
class Primaries:
    """Chromaticities (x, y) of an RGB space."""

    white: tuple[float, float]
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]

    @classmethod
    def display_p3(cls) -> Primaries:
        """SMPTE EG 432-1 with D65."""
        return cls((0.3127, 0.3290), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))


@lru_cache(maxsize=1)
def adobe_rgb() -> bytes:
    """The profile of Adobe RGB (1998): three colorants and a gamma."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, _GAMMA)
    return _made(b"Adobe RGB (1998) compatible", _WHITE_D65, [value for _, value in _COLORANTS], curve)


def matrix_profile(space: Primaries, gamma: float | None) -> bytes:
    """The profile of a space by its primaries.

    Parameters
    ----------
    gamma
        Exponent from the file's numbers to light; None: sRGB's tone curve.

    Raises
    ------
    ValueError, ZeroDivisionError, struct.error
        The chromaticities span no space.
    """
    white = _white(space.white)
    columns = [_white(each) for each in (space.red, space.green, space.blue)]
    shares = _times(_inverse(_transposed((columns[0], columns[1], columns[2]))), white)
    colorants = [
        _adapted(_vector([value * share for value in column]), white)
        for column, share in zip(columns, shares, strict=True)
    ]
    if gamma is None:
        curve = (
            b"curv" + bytes(4) + struct.pack(">I1024H", 1024, *(round(65535 * _light(at / 1023)) for at in range(1024)))
        )
    else:
        curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    return _made(b"RGB by its primaries", white, colorants, curve)


def _light(value: float) -> float:
    """IEC 61966-2-1."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _white(point: tuple[float, float]) -> _Vector:
    x, y = point
    return x / y, 1.0, (1 - x - y) / y


def _adapted(colour: _Vector, white: _Vector) -> _Vector:
    """A colour under ``white`` as it is under D50."""
    source, target = _times(_BRADFORD, white), _times(_BRADFORD, _WHITE_D50)
    cones = _times(_BRADFORD, colour)
    return _times(_inverse(_BRADFORD), _vector([c * t / s for c, s, t in zip(cones, source, target, strict=True)]))


def _vector(values: list[float]) -> _Vector:
    return values[0], values[1], values[2]


def _times(matrix: _Matrix, vector: _Vector) -> _Vector:
    return _vector([sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix])


def _transposed(matrix: _Matrix) -> _Matrix:
    return (
        (matrix[0][0], matrix[1][0], matrix[2][0]),
        (matrix[0][1], matrix[1][1], matrix[2][1]),
        (matrix[0][2], matrix[1][2], matrix[2][2]),
    )


def _inverse(matrix: _Matrix) -> _Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    whole = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    rows = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return (
        _vector([value / whole for value in rows[0]]),
        _vector([value / whole for value in rows[1]]),
        _vector([value / whole for value in rows[2]]),
    )


def _made(name: bytes, white: _Vector, colorants: list[_Vector], curve: bytes) -> bytes:
    """A profile of three colorants, adapted to D50, and one curve (ICC.1:2001-04 6.3.1.1)."""
    text = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name + b"\0" + bytes(4 + 4 + 2 + 1 + 67)
    tags = [
        (b"desc", text),
        (b"cprt", b"text" + bytes(4) + b"No copyright\0"),
        (b"wtpt", _xyz(white)),
        *((tag, _xyz(value)) for tag, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)),
        *((tag, curve) for tag in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    at = _HEADER + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, value in tags:
        table += struct.pack(">4sII", tag, at + len(body), len(value))
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


def _xyz(value: _Vector) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(each * 65536) for each in value))
