"""A JPEG turned upright, or rewritten as baseline, without decoding it: its quantized coefficients stay what they are.

``jpegtran`` of libjpeg-turbo does so, a program of the distribution, in a process of its own. Where it is not installed
the picture is decoded and encoded anew.
"""

from __future__ import annotations

import shutil
import subprocess

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.limits import Limits
from dicom_bridge.intake.segments import Jpeg, read_jpeg

_TURNS = {
    1: (),
    2: ("-flip", "horizontal"),
    3: ("-rotate", "180"),
    4: ("-flip", "vertical"),
    5: ("-transpose",),
    6: ("-rotate", "90"),
    7: ("-transverse",),
    8: ("-rotate", "270"),
}
"""EXIF Orientation -> what undoes it."""

_SECONDS = 60
_ACROSS = 5
"""From this orientation on, rows become columns."""


def turned(jpeg: Jpeg, data: bytes, orientation: int) -> tuple[bytes, Jpeg] | None:
    """The picture upright and baseline; None where its size is none of whole units, or nothing here does it.

    Parameters
    ----------
    orientation
        EXIF's, 1 to 8.
    """
    program = shutil.which("jpegtran")
    if program is None:
        return None
    words = [program, "-copy", "none", "-optimize", "-perfect", *_TURNS[orientation]]
    try:
        done = subprocess.run(
            words, input=jpeg.decodable(data), capture_output=True, timeout=_SECONDS, check=False, env={}
        )
        if done.returncode:  # of a damaged picture too: its decoding will tell
            return None
        made = read_jpeg(done.stdout, Limits(bytes=len(done.stdout), pixels=jpeg.rows * jpeg.columns))
    except (OSError, subprocess.TimeoutExpired, FileRefused):
        return None
    size = (jpeg.columns, jpeg.rows) if orientation >= _ACROSS else (jpeg.rows, jpeg.columns)
    if (made.rows, made.columns) != size or not made.may_be_kept:
        return None
    return b"".join(made.stream(done.stdout)), made
