"""Colours as they are measured: sRGB to CIELAB, and how far two are apart (CIEDE2000), by the published formulas."""

from __future__ import annotations

import math

Lab = tuple[float, float, float]
Colour = tuple[float, ...]

_SRGB_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_WHITE = (0.95047, 1.0, 1.08883)
_25_7 = 25.0**7


def light(value: float) -> float:
    """An sRGB number, 0 to 1, as light (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def xyz(srgb: Colour) -> Colour:
    """8-bit sRGB numbers as CIE XYZ under D65; they need not be whole."""
    parts = [light(value / 255) for value in srgb]
    return tuple(sum(a * b for a, b in zip(row, parts, strict=True)) for row in _SRGB_TO_XYZ)


def lab(srgb: Colour) -> Lab:
    """8-bit sRGB numbers as CIELAB under D65."""
    x, y, z = (_root(value / white) for value, white in zip(xyz(srgb), _WHITE, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _root(value: float) -> float:
    return value ** (1 / 3) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116


def apart(one: Lab, other: Lab) -> float:
    """CIEDE2000 (Sharma, Wu and Dalal 2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = ((math.hypot(a1, b1) + math.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - math.sqrt(mean / (mean + _25_7)))
    p1, p2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = math.hypot(p1, b1), math.hypot(p2, b2)
    h1, h2 = (math.degrees(math.atan2(b, p)) % 360 if p or b else 0.0 for p, b in ((p1, b1), (p2, b2)))
    turn = h2 - h1
    if c1 * c2 == 0:
        turn = 0.0
    elif abs(turn) > 180:
        turn -= math.copysign(360, turn)
    hue = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2))
    middle = h1 + h2
    if c1 * c2:
        middle = middle / 2 if abs(h1 - h2) <= 180 else (middle + (360 if middle < 360 else -360)) / 2
    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2
    t = 1 - 0.17 * _cos(middle - 30) + 0.24 * _cos(2 * middle)
    t += 0.32 * _cos(3 * middle + 6) - 0.2 * _cos(4 * middle - 63)
    s_l = 1 + 0.015 * (l_mean - 50) ** 2 / math.sqrt(20 + (l_mean - 50) ** 2)
    s_c, s_h = 1 + 0.045 * c_mean, 1 + 0.015 * c_mean * t
    r_c = 2 * math.sqrt(c_mean**7 / (c_mean**7 + _25_7))
    r_t = -r_c * math.sin(math.radians(60 * math.exp(-(((middle - 275) / 25) ** 2))))
    lightness, chroma, hue = (l2 - l1) / s_l, (c2 - c1) / s_c, hue / s_h
    return math.sqrt(lightness**2 + chroma**2 + hue**2 + r_t * chroma * hue)


def _cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))
