"""EXIF headers of the shape that cameras write, generated: makers' own fractions, tags and habits, with secrets."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

SECRETS = ("Owner Secretname", "SERIAL-4711", "LENS-0815", "MAKERSECRET", "58.123")
"""What must be in no byte that is served: owner, serial numbers, maker note, seconds of the place."""

_SECONDS = [Fraction(1, each) for each in (8000, 4000, 1000, 640, 250, 200, 125, 60, 50, 30, 15, 8, 4, 2)]


def _apex(chance: random.Random, low: int, high: int) -> Fraction:
    """A phone's odd fraction, such as 18269/1953."""
    under = chance.randrange(1, 20_000)
    return Fraction(chance.randrange(low * under, high * under + 1), under)


def _phone(chance: random.Random) -> dict[int, Any]:
    under = chance.randrange(100_000, 600_000)
    wide = Fraction(chance.randrange(under, 7 * under), under)
    return {
        0x010F: chance.choice(("Apple", "samsung", "Google", "Xiaomi")),
        0x0110: chance.choice(("iPhone 15 Pro", "SM-S928B", "Pixel 9", "2312DRA50G")),
        0x0131: chance.choice(("17.5.1", "S928BXXU2AXCA", "HDR+ 1.0.345")),
        0x829A: Fraction(1, chance.randrange(24, 12_000)),
        0x829D: Fraction(chance.choice((9, 14, 16, 178)), chance.choice((5, 10, 100))),
        0x8822: 2,
        0x9201: _apex(chance, 4, 13),
        0x9202: _apex(chance, 1, 4),
        0x9203: _apex(chance, -3, 11),
        0x9204: Fraction(chance.randrange(-6, 7), 3),
        0x9207: chance.choice((2, 3, 5)),
        0x9209: chance.choice((0, 16, 24, 25, 32)),
        0x920A: wide,
        0x9214: tuple(chance.randrange(1, 4000) for _ in range(chance.choice((2, 3, 4)))),
        0xA217: 2,
        0xA301: b"\x01",
        0xA402: 0,
        0xA403: chance.choice((0, 1)),
        0xA404: Fraction(chance.randrange(100, 400), 100),
        0xA405: chance.choice((13, 24, 26, 77)),
        0xA406: 0,
        0xA432: (wide, wide, Fraction(9, 5), Fraction(14, 5)),
        0xA433: "Apple",
        0xA434: "iPhone 15 Pro back triple camera 6.765mm f/1.78",
    }


def _camera(chance: random.Random) -> dict[int, Any]:
    zoom = (Fraction(24), Fraction(70), Fraction(28, 10), Fraction(28, 10))
    return {
        0x010F: chance.choice(("Canon", "NIKON CORPORATION", "SONY", "FUJIFILM", "OLYMPUS CORPORATION")),
        0x0110: chance.choice(("Canon EOS R6m2", "NIKON Z 6_2", "ILCE-7M4", "X-T5")),
        0x0131: chance.choice(("Firmware Version 1.5.0", "Ver.01.60 ", "ILCE-7M4 v3.01")).strip(),
        0x829A: chance.choice(_SECONDS),
        0x829D: Fraction(chance.choice((28, 40, 56, 80, 110, 160)), 10),
        0x8822: chance.choice((1, 2, 3, 4)),
        0x8830: chance.choice((1, 2, 4)),
        0x8831: chance.choice((100, 400, 102_400)),
        0x8832: chance.choice((100, 400, 102_400)),
        0x8833: chance.choice((100, 400)),
        0x9201: Fraction(chance.randrange(-65_536, 720_896), 65_536),
        0x9202: Fraction(chance.randrange(65_536, 720_896), 65_536),
        0x9204: Fraction(chance.randrange(-9, 10), 3),
        0x9205: Fraction(chance.randrange(100, 900), 256),
        0x9206: Fraction(chance.randrange(10, 9000), 100),
        0x9207: chance.choice((1, 2, 3, 5, 6)),
        0x9208: chance.choice((0, 1, 4, 9, 10, 255)),
        0x9209: chance.choice((0, 1, 5, 7, 9, 13, 15, 16, 24, 25, 29, 31, 65, 93)),
        0x920A: Fraction(chance.randrange(240, 2000), 10),
        0xA20B: Fraction(chance.randrange(1, 900), 10),
        0xA215: Fraction(chance.randrange(1, 900), 3),
        0xA217: 2,
        0xA300: b"\x03",
        0xA301: b"\x01",
        0xA401: chance.choice((0, 1)),
        0xA402: chance.choice((0, 1, 2)),
        0xA403: chance.choice((0, 1)),
        0xA404: Fraction(1),
        0xA405: chance.choice((35, 50, 85, 105)),
        0xA406: chance.choice((0, 1, 2, 3)),
        0xA407: chance.choice((0, 1, 2)),
        0xA408: chance.choice((0, 1, 2)),
        0xA409: chance.choice((0, 1, 2)),
        0xA40A: chance.choice((0, 1, 2)),
        0xA40C: chance.choice((0, 1, 2, 3)),
        0xA432: zoom,
        0xA433: "Maker of Lenses",
        0xA434: "24-70mm F2.8 S",
    }


def header(seed: int) -> tuple[dict[int, Any], Image.Exif]:
    """The tags that the object is to give back, and a header that holds them and secrets.

    Rationals are fractions, in lowest terms.
    """
    chance = random.Random(seed)
    tags = (_phone if chance.random() < 0.5 else _camera)(chance)
    tags |= {0x8827: chance.choice((32, 64, 100, 800, 3200)), 0x9000: chance.choice((b"0230", b"0231", b"0232"))}
    month, second = chance.randrange(1, 13), chance.randrange(60)
    tags[0x9003] = f"202{chance.randrange(7)}:{month:02d}:{chance.randrange(1, 28):02d} 10:20:{second:02d}"
    tags[0x9011] = chance.choice(("+03:00", "-05:00", "+05:30"))
    if chance.random() < 0.5:
        tags[0x9291] = str(chance.randrange(1, 1000)).rstrip("0")
    for tag in list(tags):
        if tag not in (0x9003, 0x9011, 0x010F) and chance.random() < 0.1:
            del tags[tag]
    said = Image.Exif()
    detail = said.get_ifd(0x8769)
    for tag, value in tags.items():
        (said if tag in (0x010F, 0x0110, 0x0131) else detail)[tag] = _written(tag, value, chance)
    detail[0xA430], detail[0xA431], detail[0xA435] = SECRETS[:3]
    detail[0x927C] = b"MAKER\0" + SECRETS[3].encode() * 3
    gps = said.get_ifd(0x8825)
    gps[0], gps[1], gps[3], gps[18] = b"\2\3\0\0", "N", "E", "WGS-84"
    gps[2] = tuple(IFDRational(*each) for each in ((37, 1), (58, 1), (58_123, 1000)))
    gps[4] = tuple(IFDRational(*each) for each in ((23, 1), (43, 1), (404, 10)))
    gps[5], gps[6], gps[7], gps[29] = (
        b"\0",
        IFDRational(1234, 10),
        (IFDRational(7), IFDRational(20), IFDRational(1)),
        "2026:05:03",
    )
    return tags, said


def _written(tag: int, value: Any, chance: random.Random) -> Any:
    """As a camera writes it: its fractions are not in lowest terms."""
    if isinstance(value, tuple):
        return tuple(_written(tag, each, chance) for each in value)
    if not isinstance(value, Fraction):
        return value
    times = chance.choice((1, 1, 10, 100))
    return IFDRational(value.numerator * times, value.denominator * times)
