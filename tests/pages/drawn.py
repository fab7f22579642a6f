"""A drawn face where the demo clinic takes a portrait: the pictures of pages that are kept show no photograph."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

_SIZE = 512
_TIMES = 6
"""It is drawn so many times larger, and made smaller: edges become smooth."""


def portrait(file: Path) -> Path:
    """Draw one, of the size and at the place of the demo's own; gives the file."""
    picture = Image.new("RGB", (_SIZE * _TIMES, _SIZE * _TIMES), (222, 226, 230))
    draw = ImageDraw.Draw(picture)

    def oval(x: float, y: float, wide: float, high: float, colour: tuple[int, int, int]) -> None:
        draw.ellipse([_TIMES * each for each in (x - wide, y - high, x + wide, y + high)], fill=colour)

    def arc(box: tuple[float, ...], start: int, end: int, colour: tuple[int, int, int], width: float) -> None:
        draw.arc([_TIMES * each for each in box], start, end, fill=colour, width=round(width * _TIMES))

    skin, shade, hair, dark = (224, 178, 150), (203, 152, 124), (92, 66, 50), (58, 42, 36)
    oval(226, 92, 74, 84, hair)
    oval(226, 270, 110, 66, (96, 120, 138))
    oval(226, 196, 27, 40, shade)
    oval(226, 120, 58, 76, skin)
    oval(226, 46, 60, 26, hair)
    for side in (-1, 1):
        oval(226 + side * 58, 126, 7, 14, shade)
        oval(226 + side * 23, 108, 10, 5.5, (250, 248, 246))
        oval(226 + side * 23, 108, 4.6, 4.8, dark)
        x = 226 + side * 23
        arc((x - 14, 88, x + 14, 104), 200, 340, dark, 2.6)
    arc((218, 116, 234, 144), 30, 150, shade, 2.2)
    oval(226, 163, 17, 4.4, (186, 96, 92))
    arc((206, 142, 246, 172), 25, 155, (150, 70, 70), 1.6)
    picture = picture.resize((_SIZE, _SIZE), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.6))
    picture.save(file)
    return file
