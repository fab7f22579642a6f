"""Synthetic photographs: a public-domain portrait, warped and relit, and drawn skin that heals from session to session.

No picture shows a patient. Each bears the word SYNTHETIC in a corner. All are made from a seed, so that the same
demo clinic comes out on every machine. Sizes are in pixels, colours in sRGB.
"""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageEnhance, ImageFilter, ImageFont

Colour = tuple[int, int, int]

_SIZE = (1500, 2000)  # width and height of a portrait photo
_FACE = (140, 0, 320, 240)  # the face in the 512 x 512 portrait: left, top, right, bottom

_TAG_MAKE = 0x010F
_TAG_MODEL = 0x0110
_TAG_ORIENTATION = 0x0112
_TAG_EXIF = 0x8769
_TAG_EXPOSURE_TIME = 0x829A
_TAG_F_NUMBER = 0x829D
_TAG_ISO = 0x8827
_TAG_TAKEN = 0x9003
_TAG_TAKEN_OFFSET = 0x9011
_TAG_FOCAL_LENGTH = 0x920A
_TAG_FOCAL_LENGTH_35 = 0xA405


@dataclass(frozen=True, slots=True)
class Camera:
    """The camera that a synthetic photo says it was taken with."""

    make: str = "Photospine"
    model: str = "Synthetic camera"


def face(portrait: Path, *, severity: float, seed: int, light: float = 1.0, turn: float = 0.0) -> Image.Image:
    """A frontal face with drawn pigment spots.

    Parameters
    ----------
    portrait
        The 512 x 512 public-domain astronaut portrait.
    severity
        0 (none) to 1: how dark the spots are.
    light
        Factor on the brightness: two sessions are never lit alike.
    turn
        Small rotation of the camera in degrees.
    """
    with Image.open(portrait) as opened:
        picture = opened.convert("RGB").crop(_FACE)
    picture = picture.resize(_SIZE, Image.Resampling.LANCZOS)
    marks = Image.new("L", _SIZE, 0)
    draw = ImageDraw.Draw(marks)
    chance = random.Random(seed)  # noqa: S311 - a picture, not a secret
    for cheek_x, cheek_y in ((0.36, 0.53), (0.58, 0.53)):
        for _ in range(34):
            x = (cheek_x + chance.gauss(0, 0.032)) * _SIZE[0]
            y = (cheek_y + chance.gauss(0, 0.03)) * _SIZE[1]
            r = chance.uniform(5, 17)
            draw.ellipse((x - r, y - r * 0.8, x + r, y + r * 0.8), fill=chance.randint(90, 190))
    spots = marks.filter(ImageFilter.GaussianBlur(5)).point(lambda value: int(value * severity))
    tinted = Image.composite(Image.new("RGB", _SIZE, (104, 58, 40)), picture, spots)
    return _finish(tinted, light=light, turn=turn, seed=seed)


def skin(*, tone: Colour, marks: str, severity: float, seed: int, light: float = 1.0, turn: float = 0.0) -> Image.Image:
    """A patch of skin with one kind of finding: ``spots``, ``scars``, ``redness``, ``lines`` or ``hair``.

    ``severity`` runs from 0 (healed; for hair: full) to 1.
    """
    chance = random.Random(seed)  # noqa: S311 - a picture, not a secret
    picture = _bare_skin(tone, seed)
    layer = Image.new("L", _SIZE, 0)
    draw = ImageDraw.Draw(layer)
    colour: Colour
    if marks == "hair":
        return _finish(_hair(picture, chance, severity), light=light, turn=turn, seed=seed)
    if marks == "spots":
        colour = _shade(tone, 0.55)
        for _ in range(46):
            _blot(draw, chance, radius=(12, 70), strength=(110, 220))
        blur = 9.0
    elif marks == "scars":
        colour = _shade(tone, 0.66)
        for _ in range(60):
            _blot(draw, chance, radius=(10, 34), strength=(120, 230))
        blur = 4.0
    elif marks == "redness":
        colour = (196, 70, 66)
        for _ in range(26):
            _blot(draw, chance, radius=(50, 190), strength=(60, 150))
        blur = 38.0
    elif marks == "lines":
        colour = _shade(tone, 0.52)
        for step in range(6):
            y = _SIZE[1] * (0.22 + 0.11 * step)
            phase, swing = chance.uniform(0, math.tau), chance.uniform(10, 26)
            points = [(x, y + swing * math.sin(phase + x / 170)) for x in range(-20, _SIZE[0] + 40, 20)]
            draw.line(points, fill=chance.randint(150, 230), width=chance.randint(7, 13), joint="curve")
        blur = 4.5
    else:
        raise ValueError(f"marks must be spots, scars, redness, lines or hair, not {marks!r}")
    mask = layer.filter(ImageFilter.GaussianBlur(blur)).point(lambda value: int(value * severity))
    return _finish(Image.composite(Image.new("RGB", _SIZE, colour), picture, mask), light=light, turn=turn, seed=seed)


def jpeg(picture: Image.Image, *, taken: datetime, orientation: int = 1, quality: int = 90) -> bytes:
    """The picture as a camera would write it: JPEG with EXIF and an sRGB profile.

    ``orientation`` is the EXIF value; the pixels are turned so that a reader who honours it sees the picture upright.
    """
    turned = picture
    if orientation == 6:
        turned = picture.transpose(Image.Transpose.ROTATE_90)
    elif orientation == 8:
        turned = picture.transpose(Image.Transpose.ROTATE_270)
    elif orientation == 3:
        turned = picture.transpose(Image.Transpose.ROTATE_180)
    elif orientation != 1:
        raise ValueError(f"the demo writes EXIF orientations 1, 3, 6 and 8, not {orientation}")
    camera = Camera()
    exif = Image.Exif()
    exif[_TAG_MAKE] = camera.make
    exif[_TAG_MODEL] = camera.model
    exif[_TAG_ORIENTATION] = orientation
    details = exif.get_ifd(_TAG_EXIF)
    details[_TAG_EXPOSURE_TIME] = 1 / 125
    details[_TAG_F_NUMBER] = 8.0
    details[_TAG_ISO] = 200
    details[_TAG_FOCAL_LENGTH] = 60.0
    details[_TAG_FOCAL_LENGTH_35] = 90
    details[_TAG_TAKEN] = taken.strftime("%Y:%m:%d %H:%M:%S")
    if taken.utcoffset() is not None:
        offset = taken.strftime("%z")
        details[_TAG_TAKEN_OFFSET] = f"{offset[:3]}:{offset[3:5]}"
    out = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    turned.save(out, "JPEG", quality=quality, subsampling="4:2:0", exif=exif, icc_profile=profile)
    return out.getvalue()


def _bare_skin(tone: Colour, seed: int) -> Image.Image:
    """Skin without findings: an even tone, soft relief, pores."""
    small = (_SIZE[0] // 4, _SIZE[1] // 4)
    relief = _noise(small, seed, 26).filter(ImageFilter.GaussianBlur(22)).resize(_SIZE, Image.Resampling.BICUBIC)
    pores = _noise((_SIZE[0] // 2, _SIZE[1] // 2), seed + 1, 36).filter(ImageFilter.GaussianBlur(1.1))
    pores = pores.resize(_SIZE, Image.Resampling.BICUBIC)
    picture = Image.new("RGB", _SIZE, tone)
    for layer, amount in ((relief, 1.5), (pores, 0.5)):
        grey = layer.point(lambda value, amount=amount: max(0, min(255, int(128 + (value - 128) * amount))))
        picture = ImageChops.overlay(picture, Image.merge("RGB", (grey, grey, grey)))
    vignette = Image.radial_gradient("L").resize(_SIZE).point(lambda value: int(value * 0.35))
    return Image.composite(Image.new("RGB", _SIZE, _shade(tone, 0.7)), picture, vignette)


def _noise(size: tuple[int, int], seed: int, sigma: float) -> Image.Image:
    """Grey noise around 128 that depends on the seed alone (Pillow's own noise has no seed)."""
    chance = random.Random(seed)  # noqa: S311 - a picture, not a secret
    grey = Image.frombytes("L", size, chance.randbytes(size[0] * size[1]))
    return grey.point(lambda value: int(128 + (value - 128) * sigma / 74))


def _hair(scalp: Image.Image, chance: random.Random, severity: float) -> Image.Image:
    """Hair strands that start densely around a thinner centre."""
    draw = ImageDraw.Draw(scalp)
    strands = int(5200 * (1 - 0.72 * severity))
    for _ in range(strands):
        x, y = chance.uniform(0, _SIZE[0]), chance.uniform(0, _SIZE[1])
        centre = ((x / _SIZE[0] - 0.5) ** 2 + (y / _SIZE[1] - 0.5) ** 2) ** 0.5
        if centre < 0.33 and chance.random() < severity * (1 - centre / 0.4):
            continue
        bend, length = chance.uniform(-60, 60), chance.uniform(120, 230)
        shade = chance.randint(20, 66)
        draw.line(
            ((x, y), (x + bend * 0.4, y + length * 0.5), (x + bend, y + length)),
            fill=(shade + 18, shade + 8, shade),
            width=chance.choice((2, 3, 3, 4)),
            joint="curve",
        )
    return scalp.filter(ImageFilter.GaussianBlur(0.8))


def _blot(
    draw: ImageDraw.ImageDraw, chance: random.Random, *, radius: tuple[int, int], strength: tuple[int, int]
) -> None:
    x = chance.gauss(0.5, 0.2) * _SIZE[0]
    y = chance.gauss(0.5, 0.2) * _SIZE[1]
    r = chance.uniform(*radius)
    stretch = chance.uniform(0.65, 1.3)
    draw.ellipse((x - r, y - r * stretch, x + r, y + r * stretch), fill=chance.randint(*strength))


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(part * factor) for part in colour)
    return red, green, blue


def _finish(picture: Image.Image, *, light: float, turn: float, seed: int) -> Image.Image:
    """Light, the hand of the photographer, sensor noise, and the mark that it is synthetic."""
    turned = picture.rotate(turn, Image.Resampling.BICUBIC, fillcolor=picture.getpixel((4, 4)))
    lit = ImageEnhance.Brightness(turned).enhance(light)
    grain = _noise((_SIZE[0] // 2, _SIZE[1] // 2), seed + 7, 7).resize(_SIZE, Image.Resampling.BILINEAR)
    grained = ImageChops.overlay(lit, Image.merge("RGB", (grain, grain, grain)))
    draw = ImageDraw.Draw(grained)
    draw.text(
        (_SIZE[0] - 40, _SIZE[1] - 40),
        "SYNTHETIC",
        font=ImageFont.load_default(size=44),
        fill=(255, 255, 255),
        stroke_width=2,
        stroke_fill=(60, 60, 60),
        anchor="rs",
    )
    return grained
