"""Pictures are decoded in a process of their own, within a bound of memory and time (:mod:`intake.decoder`)."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from PIL import Image

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.kinds import Kind

PROGRAM = Path(__file__).with_name("decoder.py")
"""What is started, by its path."""

_MEMORY = 768 * 2**20
"""Bytes that the interpreter and a decoder's libraries may take beside the pictures."""

_PER_PIXEL = 16
"""Bytes: planes of the decoder, a picture of four bytes a pixel, and the one that is made of it."""

_SECONDS = 30
_PIXELS_A_SECOND = 1_000_000
"""Of the slowest format on a slow machine; what takes longer is no photo."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the process said."""

    said: dict[str, Any]
    icc: bytes
    exif: bytes
    pixels: memoryview


def ask(data: bytes, kind: Kind, *, pixels: int, header: bool = False) -> Answer:
    """Have a picture read by a process of its own.

    Parameters
    ----------
    pixels
        Rows x columns, from which follow the bounds of memory and time.
    header
        Whether what stands before the pixels is enough.

    Raises
    ------
    FileRefused
        It cannot be decoded within the bounds, or what decodes it is not installed.
    """
    seconds = _SECONDS + pixels // _PIXELS_A_SECOND
    asked = {
        "kind": kind.upper(),
        "header": header,
        "memory": _MEMORY + 3 * len(data) + _PER_PIXEL * pixels,
        "seconds": seconds,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(PROGRAM)],
            input=json.dumps(asked).encode("ascii") + b"\n" + data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=2 * seconds,
            check=False,
            env={},
        )
    except subprocess.TimeoutExpired:
        raise FileRefused("picture", "its decoding does not end; the file is damaged, export it anew") from None
    end = done.stdout.find(b"\n") + 1
    rest = memoryview(done.stdout)[end:]
    try:
        said = json.loads(done.stdout[:end])
        icc, exif, body = (int(each) for each in said["lengths"]) if "error" not in said else (0, 0, 0)
    except (ValueError, KeyError, TypeError):  # the decoder crashed, or was ended at its bound
        raise FileRefused("picture", "it cannot be decoded; the file is damaged, send it again") from None
    if said.get("error") == "missing":
        raise FileRefused(
            "file", f"it is a {kind} photo, and what reads these is not installed: photospine[heic]; or export as JPEG"
        )
    if "error" in said or len(rest) != icc + exif + body:
        raise FileRefused("picture", "it cannot be decoded; the file is damaged, send it again")
    return Answer(said, bytes(rest[:icc]), bytes(rest[icc : icc + exif]), rest[icc + exif :])


def decoded(data: bytes, kind: Kind, rows: int, columns: int) -> Image.Image:
    """The picture, of mode L or RGB, without anything that stood beside it.

    Raises
    ------
    FileRefused
        As :func:`ask` does; or it has not the size that its header says, or is transparent somewhere.
    """
    answer = ask(data, kind, pixels=rows * columns)
    mode, size = str(answer.said["mode"]), tuple(answer.said["size"])
    if sorted(size) != sorted((columns, rows)):  # TIFF may turn it, by its own tag
        raise FileRefused("picture", "it has not the size that its header says; the file is damaged, send it again")
    if answer.said["transparent"]:
        raise FileRefused("picture", "parts of it are transparent; export it without transparency, as JPEG")
    pixels = cast("bytes", answer.pixels)  # any buffer will do, and this one is not copied twice
    return Image.frombuffer(mode, (size[0], size[1]), pixels, "raw", mode, 0, 1)
