"""Decodes one picture in a process of its own: a program, started by :mod:`dicom_bridge.intake.decoding`.

Decoders are large programs in C, and files come from anywhere. Here a decoder that crashes, eats memory or does not end
takes nobody with it: the process has limits of its own, and its parent reads nothing of it but a header and pixels.
It imports nothing of the bridge, so that it starts at once.

In: a line of JSON (kind, header alone, bytes of memory, seconds), then the file. Out: a line of JSON, then the profile,
EXIF and pixels, in this order, each as long as the line says.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import warnings
from typing import Any, BinaryIO

from PIL import Image

_EXIF = b"Exif\0\0"
_OPAQUE = 255


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Read one picture, write one answer."""
    asked = json.loads(source.readline())
    resource.setrlimit(resource.RLIMIT_AS, (asked["memory"], asked["memory"]))
    resource.setrlimit(resource.RLIMIT_CPU, (asked["seconds"], asked["seconds"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # the size was held against the settings' limit before
    data = source.read()
    try:
        answer, *bodies = _heic(data, asked["header"]) if asked["kind"] == "HEIC" else _decoded(data, asked["kind"])
    except ImportError:
        answer, bodies = {"error": "missing"}, []
    except MemoryError:
        answer, bodies = {"error": "memory"}, []
    except Exception:  # noqa: BLE001 - whatever a decoder says of a damaged file, it is one answer
        answer, bodies = {"error": "damaged"}, []
    answer["lengths"] = [len(body) for body in bodies]
    sink.write(json.dumps(answer).encode("ascii") + b"\n")
    for body in bodies:
        sink.write(body)
    sink.flush()


def _decoded(data: bytes, kind: str) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    with Image.open(io.BytesIO(data), formats=(kind,)) as opened:
        opened.load()
        return _plain(opened, b"", b"")


def _heic(data: bytes, header: bool) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    import pi_heif

    pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    pi_heif.options.THUMBNAILS = False
    pi_heif.options.DECODE_THREADS = 1
    file = pi_heif.open_heif(io.BytesIO(data))
    picture = file[file.primary_index]
    said = picture.info
    icc, exif = said.get("icc_profile") or b"", (said.get("exif") or b"").removeprefix(_EXIF)
    if not header:
        return _plain(picture.to_pillow(), icc, exif)
    code = said.get("nclx_profile") or {}
    answer = {
        "mode": picture.mode,
        "size": picture.size,
        "bits": said.get("bit_depth", 8),
        "primaries": code.get("color_primaries", 2),
        "transfer": code.get("transfer_characteristics", 2),
        "transparent": False,
    }
    return answer, icc, exif, b""


def _plain(picture: Image.Image, icc: bytes, exif: bytes) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    """The picture as L or RGB, and whether anything of it is transparent."""
    transparent = False
    if picture.mode == "PA" or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode in ("RGBA", "LA"):
        transparent = sum(picture.getchannel("A").histogram()[:_OPAQUE]) > 0
        picture = picture.convert(picture.mode.removesuffix("A"))
    if picture.mode.startswith("I;16"):
        picture = picture.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if picture.mode in ("P", "RGBX", "YCbCr"):
        picture = picture.convert("RGB")
    if picture.mode not in ("L", "RGB"):
        raise ValueError(picture.mode)
    answer = {"mode": picture.mode, "size": picture.size, "transparent": transparent}
    return answer, icc, exif, picture.tobytes()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
