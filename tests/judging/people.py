"""Generated people before a generated camera, for the judge to be held against; it shares no code with the judge.

A portrait in the public domain becomes many persons: faces of other proportions, skin of the six Fitzpatrick types,
hair, pores and freckles of their own, before backdrops of their own. A head turns in three dimensions: each point has a
depth (an ellipsoid with a nose on it), and what a turn or a nod moves follows from that. Light, colour, lens, sensor
and JPEG come after, in linear light. Angles are in degrees, sizes in pixels of the portrait, light in stops and kelvin.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.judging.portraits import COLLINS, HELD_OUT, Portrait, corners, held

Floats = NDArray[Any]

PORTRAIT = COLLINS.file
_CROP = (100, 0, 350, 333)  # left, top, right, bottom in the 512 x 512 portrait
_UP = 2.4
SIZE = (600, 800)
"""Width and height of what is made."""

#: Skin under even light by Fitzpatrick type, sRGB.
TONES: dict[str, tuple[int, int, int]] = {
    "I": (244, 212, 186),
    "II": (231, 184, 150),
    "III": (208, 158, 120),
    "IV": (176, 118, 82),
    "V": (122, 76, 50),
    "VI": (72, 44, 32),
}
_BACKDROPS = ((70, 76, 84), (118, 124, 130), (150, 152, 155), (60, 86, 120), (186, 188, 190), (32, 34, 38))

# Places in the portrait's own pixels.
_AXIS = (224.0, 112.0)
# Depth before the axis that a head turns about, which goes through the ears. The pupils are 43 pixels apart, which is
# 63 mm (Dodgson 2004), so a millimetre is 0.68 pixels: the bridge of the nose is 85 mm before the axis, its tip 110.
_FACE = (224.0, 118.0, 54.0, 76.0, 58.0)  # centre x, y; half width, half height, depth
_HEAD = (226.0, 64.0, 76.0, 58.0, 43.0)
_NOSE = (223.0, 122.0, 8.0, 13.0, 17.0)
_CORNERS = ((203.0, 140.5), (243.5, 141.0))
"""Of the first portrait's mouth."""

_CHEEKS = ((196.0, 127.0), (251.0, 127.0))
_SHAPED = ((204.0, 101.0), (246.0, 103.0), (223.0, 124.0), (223.0, 146.0), (190.0, 155.0), (258.0, 155.0),
           (223.0, 172.0), (223.0, 90.0))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """Who is photographed."""

    seed: int
    tone: str
    portrait: Portrait = COLLINS


@dataclass(frozen=True, slots=True)
class Shot:
    """How she is photographed."""

    yaw: float = 0.0
    """To her left."""

    pitch: float = 0.0
    """Chin up."""

    roll: float = 0.0
    scale: float = 1.0
    right: float = 0.0
    """Share of the width that she is off to the right of the picture."""

    down: float = 0.0
    stops: float = 0.0
    kelvin: float = 5500.0
    """Of the light; the camera is set to 5500."""

    smile: float = 0.0
    """Pixels of the portrait that each corner of the mouth goes outwards."""

    flash: float = 0.0
    """Light of a flash on the lens, in parts of the room's light on the face."""

    blur: float = 0.0
    """Sigma in pixels of :data:`SIZE`."""

    noise: float = 0.004
    quality: int = 92
    seed: int = 0


def person(number: int) -> Person:
    """The person with a number; tones come in turn."""
    return Person(1000 + number, tuple(TONES)[number % len(TONES)])


def held_out(number: int) -> Person:
    """Another person, made from a portrait that no limit of the judge was chosen by."""
    return Person(500_000 + number, tuple(TONES)[number % len(TONES)], HELD_OUT[number // len(TONES) % len(HELD_OUT)])


def kept(number: int, *, again: bool) -> Shot:
    """A shot that keeps to the protocol as people do: nobody stands twice alike, and no lamp shines twice alike."""
    chance = np.random.default_rng(77_000 + 2 * number + again)

    def about(sigma: float, most: float) -> float:
        return float(np.clip(chance.normal(0, sigma), -most, most))

    return Shot(
        yaw=about(0.5, 1.0),
        pitch=about(0.5, 1.0),
        roll=about(0.4, 0.8),
        scale=1 + about(0.008, 0.016),
        right=about(0.006, 0.012),
        down=about(0.006, 0.012),
        stops=about(0.035, 0.07),
        kelvin=5500 + about(40, 80),
        smile=about(0.15, 0.3),
        noise=float(chance.uniform(0.003, 0.008)),
        quality=int(chance.integers(82, 96)),
        seed=int(chance.integers(1 << 30)),
    )


#: Fault -> what is added to a shot; the sign is drawn where both are faults.
FAULTS = ("yaw", "scale", "exposure", "white-balance", "smile", "flash", "blur")


def faulty(fault: str, shot: Shot, sign: int) -> Shot:
    """The shot with one fault injected."""
    made = {
        "yaw": replace(shot, yaw=shot.yaw + 5.0 * sign),
        "scale": replace(shot, scale=shot.scale * (1.08 if sign > 0 else 1 / 1.08)),
        "exposure": replace(shot, stops=shot.stops + 0.5 * sign),
        "white-balance": replace(shot, kelvin=shot.kelvin + 500.0 * sign),
        "smile": replace(shot, smile=shot.smile + 3.0),
        "flash": replace(shot, flash=1.0),
        "blur": replace(shot, blur=1.5),
    }
    return made[fault]


def photograph(who: Person, shot: Shot, beside: Callable[[Floats], Floats] | None = None) -> bytes:
    """The JPEG.

    Parameters
    ----------
    beside
        Puts something else into the scene, which it is given in linear light.
    """
    skin, depth, normal = _subject(who)
    skin = skin if beside is None else beside(skin)
    grid_x, grid_y = _grid()
    at_x, at_y = _camera(shot, grid_x, grid_y)
    at_x, at_y = _posed(who, shot, depth, at_x, at_y)
    light = _sampled(skin, at_x, at_y)
    facing = _sampled(normal, at_x, at_y)
    light = _lit(light, facing, shot)
    if shot.blur:
        light = cv2.GaussianBlur(light, (0, 0), shot.blur)
    chance = np.random.default_rng(shot.seed)
    grain = chance.normal(0, 1, light.shape).astype(np.float32)
    light = light + grain * shot.noise * np.sqrt(np.maximum(light, 0.002))
    pixels = np.clip(_encoded(np.clip(light, 0, 1)) * 255 + 0.5, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=shot.quality)
    return out.getvalue()


# --- the person -----------------------------------------------------------------------------------------------------


@cache
def _portrait(portrait: Portrait) -> Floats:
    return _linear(held(portrait, _CROP, SIZE).astype(np.float32) / 255)


@cache
def _grid() -> tuple[Floats, Floats]:
    """Places of the picture's pixels in the portrait."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]].astype(np.float32)
    return x / _UP + _CROP[0], y / _UP + _CROP[1]


def _bump(x: Any, y: Any, at: tuple[float, float], wide: float, high: float) -> Any:
    return np.exp(-(((x - at[0]) / wide) ** 2) - ((y - at[1]) / high) ** 2)


def _dome(x: Any, y: Any, of: tuple[float, float, float, float, float]) -> Any:
    left = 1 - ((x - of[0]) / of[2]) ** 2 - ((y - of[1]) / of[3]) ** 2
    return of[4] * np.sqrt(np.maximum(left, 0))


@cache
def _depth() -> Floats:
    x, y = _grid()
    neck = np.clip((200 - y) / 30, 0, 1)
    both = np.maximum(_dome(x, y, _FACE), _dome(x, y, _HEAD)) + _NOSE[4] * _bump(x, y, _NOSE[:2], _NOSE[2], _NOSE[3])
    made: Floats = cv2.GaussianBlur((both * neck).astype(np.float32), (0, 0), 3.5)
    return made


_KEPT: dict[Person, tuple[Floats, Floats, Floats]] = {}


def _subject(who: Person) -> tuple[Floats, Floats, Floats]:
    """Reflectance, depth and how far each point faces the camera; the last person is kept."""
    if who not in _KEPT:
        _KEPT.clear()
        _KEPT[who] = _made(who)
    return _KEPT[who]


def _made(who: Person) -> tuple[Floats, Floats, Floats]:
    chance = np.random.default_rng(who.seed)
    x, y = _grid()
    move_x, move_y = np.zeros_like(x), np.zeros_like(y)
    for place in _SHAPED:
        near = _bump(x, y, place, 20, 20)
        move_x += near * np.float32(chance.uniform(-2.2, 2.2))
        move_y += near * np.float32(chance.uniform(-2.2, 2.2))
    wide = np.float32(chance.uniform(-0.06, 0.06))
    move_x += (x - _AXIS[0]) * wide * _bump(x, y, (224.0, 120.0), 60, 75)
    calm_x, calm_y = _smiling(x, y, -float(chance.uniform(*who.portrait.smiles)), _mouth(who.portrait))
    own = _sampled(_portrait(who.portrait), x - move_x - calm_x, y - move_y - calm_y)
    own = _toned(own, who, chance, x, y)
    depth = _depth() * np.float32(chance.uniform(0.92, 1.08))
    slope_y, slope_x = np.gradient(depth * _UP)
    facing = (1 / np.sqrt(1 + slope_x**2 + slope_y**2)).astype(np.float32) * (depth > 2)
    side = np.float32(chance.uniform(-0.25, 0.25)) * (x - _AXIS[0]) / 60
    lit = 0.8 * own * np.exp2(np.clip(side, -0.6, 0.6))[..., None].astype(np.float32)
    return lit.astype(np.float32), depth, np.stack([facing, (depth > 2).astype(np.float32)], axis=-1)


def _mouth(portrait: Portrait) -> tuple[tuple[float, float], tuple[float, float]]:
    return _CORNERS if portrait is COLLINS else corners(portrait)


def _toned(own: Floats, who: Person, chance: np.random.Generator, x: Floats, y: Floats) -> Floats:
    bright = own.mean(axis=-1)
    colour = (own.max(axis=-1) - own.min(axis=-1)) / np.maximum(own.max(axis=-1), 1e-3)
    oval = np.clip(1.9 - 1.5 * np.sqrt(((x - 223) / 52) ** 2 + ((y - 132) / 66) ** 2), 0, 1)
    features = np.add.reduce([_bump(x, y, at, 14, 8) for at in ((203.0, 101.0), (247.0, 103.0), (223.0, 144.0))])
    tinted = np.clip((colour - 0.22) / 0.12, 0, 1)  # what has no tint beside eyes and mouth is skin that shines
    is_skin = oval * np.clip((bright - 0.10) / 0.08, 0, 1) * np.maximum(tinted, 1 - np.clip(2 * features, 0, 1))
    is_skin = cv2.GaussianBlur(is_skin.astype(np.float32), (0, 0), 1.4)[..., None]
    wanted = _linear(np.asarray(TONES[who.tone], dtype=np.float32) / 255)
    spread = np.float32(chance.uniform(0.9, 1.1))
    factor = wanted * spread / _linear(np.asarray(who.portrait.skin, dtype=np.float32) / 255)
    pores = _pores(chance)[..., None]
    skin = own * factor * pores
    made = own * (1 - is_skin) + skin * is_skin
    hair_darker = np.float32({"I": 1.0, "II": 0.9, "III": 0.6, "IV": 0.35, "V": 0.25, "VI": 0.2}[who.tone])
    head = np.clip(1.6 - 1.25 * np.sqrt(((x - 226) / 76) ** 2 + ((y - 78) / 74) ** 2), 0, 1)
    is_hair = (head * np.clip((0.42 - bright) / 0.12, 0, 1) * (1 - is_skin[..., 0]) * (y < 140))[..., None]
    made = made * (1 - is_hair * (1 - hair_darker * pores))
    around = 1 - np.clip(2.2 - 2 * np.sqrt(((x - 226) / 78) ** 2 + ((y - 92) / 92) ** 2), 0, 1)
    around = around * np.clip((165 - y) / 20 + np.abs(x - 224) / 130 - 0.5, 0, 1) * (np.clip(0.55 - colour, 0, 0.2) * 5)
    backdrop = _linear(np.asarray(_BACKDROPS[int(chance.integers(len(_BACKDROPS)))], dtype=np.float32) / 255)
    behind = backdrop * (0.9 + 0.2 * cv2.GaussianBlur(_pores(chance), (0, 0), 40))[..., None]
    mixed = around[..., None].astype(np.float32)
    result: Floats = (made * (1 - mixed) + behind * mixed).astype(np.float32)
    return result


def _pores(chance: np.random.Generator) -> Floats:
    """Fine relief, as a factor around 1."""
    size = (SIZE[1], SIZE[0])
    fine = cv2.GaussianBlur(chance.normal(0, 1, size).astype(np.float32), (0, 0), 0.7)
    broad = cv2.GaussianBlur(chance.normal(0, 1, size).astype(np.float32), (0, 0), 2.5)
    made: Floats = np.exp(0.05 * fine / fine.std() + 0.04 * broad / broad.std()).astype(np.float32)
    return made


# --- the shot -------------------------------------------------------------------------------------------------------


def _camera(shot: Shot, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Where in the scene each pixel looks: distance, aim, and a camera that is held askew."""
    width = SIZE[0] / _UP
    middle_x, middle_y = _AXIS[0], _AXIS[1] + 30
    turned = np.deg2rad(shot.roll)
    dx = (x - middle_x - shot.right * width) / shot.scale
    dy = (y - middle_y - shot.down * width) / shot.scale
    return (
        (middle_x + dx * np.cos(turned) + dy * np.sin(turned)).astype(np.float32),
        (middle_y - dx * np.sin(turned) + dy * np.cos(turned)).astype(np.float32),
    )


def _posed(who: Person, shot: Shot, depth: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Where each point of the picture was before the head turned and the mouth moved."""
    yaw, pitch = np.deg2rad(shot.yaw), np.deg2rad(shot.pitch)
    from_x, from_y = x.copy(), y.copy()
    for _ in range(4):
        z = _sampled(depth, from_x, from_y)
        near = np.clip(z / 12, 0, 1)
        moved_x = near * ((from_x - _AXIS[0]) * (np.cos(yaw) - 1) + z * np.sin(yaw))
        moved_y = near * ((from_y - _AXIS[1]) * (np.cos(pitch) - 1) - z * np.sin(pitch))
        from_x, from_y = (x - moved_x).astype(np.float32), (y - moved_y).astype(np.float32)
    smile_x, smile_y = _smiling(from_x, from_y, shot.smile, _mouth(who.portrait))
    return (from_x - smile_x).astype(np.float32), (from_y - smile_y).astype(np.float32)


def _smiling(
    x: Floats, y: Floats, much: float, mouth: tuple[tuple[float, float], tuple[float, float]]
) -> tuple[Floats, Floats]:
    """How far a smile moves each point."""
    move_x, move_y = np.zeros_like(x), np.zeros_like(y)
    for side, (corner, cheek) in zip((-1, 1), zip(mouth, _CHEEKS, strict=True), strict=True):
        near = _bump(x, y, corner, 13, 12)
        move_x += near * np.float32(side * much)
        move_y += near * np.float32(-0.65 * much) + _bump(x, y, cheek, 14, 11) * np.float32(-0.35 * much)
    return move_x, move_y


def _lit(light: Floats, facing: Floats, shot: Shot) -> Floats:
    """The light that falls in: of the room, of a flash on the lens, and what the camera makes of it."""
    made = light
    if shot.flash:
        toward, person_ = facing[..., :1], np.clip(facing[..., 1:], 0, 1)
        direct = shot.flash * toward**2 + shot.flash * 0.15 * (1 - person_)
        gloss = 0.5 * shot.flash * np.clip((toward - 0.955) / 0.045, 0, 1) ** 3 * person_
        made = (light * (1 + direct) + gloss * 0.35) / (1 + 0.75 * shot.flash)
    made = made @ _balance(shot.kelvin).T
    result: Floats = (made * np.float32(2.0**shot.stops)).astype(np.float32)
    return result


def _daylight(kelvin: float) -> Floats:
    """XYZ of daylight (CIE 15: daylight illuminants)."""
    t = 1000 / kelvin
    if kelvin <= 7000:
        x = -4.6070 * t**3 + 2.9678 * t**2 + 0.09911 * t + 0.244063
    else:
        x = -2.0064 * t**3 + 1.9018 * t**2 + 0.24748 * t + 0.237040
    y = -3.0 * x**2 + 2.870 * x - 0.275
    return np.asarray([x / y, 1.0, (1 - x - y) / y], dtype=np.float32)


_TO_XYZ = np.asarray(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    dtype=np.float32,
)
_BRADFORD = np.asarray(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]], dtype=np.float32
)


@cache
def _balance(kelvin: float) -> Floats:
    """What light of that temperature does to a picture by a camera that is set to 5500 K."""
    cones = _BRADFORD @ np.stack([_daylight(5500), _daylight(kelvin)], axis=1)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(cones[:, 1] / cones[:, 0]) @ _BRADFORD
    made: Floats = (np.linalg.inv(_TO_XYZ) @ adapted @ _TO_XYZ).astype(np.float32)
    return made


def _sampled(picture: Floats, x: Floats, y: Floats) -> Floats:
    """A picture at places of the portrait."""
    columns = ((x - _CROP[0]) * _UP).astype(np.float32)
    rows = ((y - _CROP[1]) * _UP).astype(np.float32)
    made: Floats = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(
        np.float32
    )
    return made


def _linear(value: Floats) -> Floats:
    made: Floats = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return made


def _encoded(value: Floats) -> Floats:
    made: Floats = np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055).astype(np.float32)
    return made
