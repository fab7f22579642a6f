"""Whether a picture's colours are sRGB already, and how they become sRGB."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageCms

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.camera import CameraFacts
from dicom_bridge.intake.profiles import adobe_rgb

_TOLERANCE = 2
"""Largest difference, in 8-bit steps, at which a profile is the sRGB one by another name."""

_ADOBE_RGB = 2
_REMEMBERED = 64 * 2**10
"""Profiles up to this size are remembered; a matrix profile has 3 kB."""

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Colour space of a profile -> the mode of pictures that it describes."""

_LCMS = (ImageCms.PyCMSError, OSError, ValueError, TypeError)


def profile_of(icc: bytes | None, camera: CameraFacts, components: int) -> bytes | None:
    """The profile that describes a picture's numbers; None where they are sRGB for all that the file says.

    The embedded profile counts first. Cameras that follow DCF name Adobe RGB in EXIF and embed nothing. What says
    nothing at all is sRGB (EXIF 2.32, ColorSpace), and grey its tone curve.
    """
    if icc is None and components == 3 and (camera.color_space == _ADOBE_RGB or camera.interoperability == "R03"):
        return adobe_rgb()
    return icc


def is_srgb(icc: bytes | None, components: int) -> bool:
    """Whether the picture's numbers are sRGB as they stand. A profile is tried on colours, not believed by its name.

    Raises
    ------
    FileRefused
        The profile cannot be read, or describes another kind of picture.
    """
    if icc is None:
        return components < 4
    if components == 4:
        return False
    mode = "L" if components == 1 else "RGB"
    return _changes_nothing(icc, mode) if len(icc) <= _REMEMBERED else _try_out(icc, mode)


def to_srgb(picture: Image.Image, icc: bytes) -> Image.Image:
    """The picture in sRGB, relative colorimetric, black point compensated; grey stays grey.

    Raises
    ------
    FileRefused
        The profile cannot be read, or describes another kind of picture.
    """
    grey = picture.mode == "L"
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        mode = _MODES.get(profile.profile.xcolor_space.strip())
        if mode == "RGB" and grey:
            picture = picture.convert("RGB")
        if mode != picture.mode:
            raise FileRefused("colour profile", "it is for another kind of picture; export the photo as sRGB")
        made = ImageCms.profileToProfile(
            picture,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except _LCMS as error:
        raise FileRefused("colour profile", "it cannot be read; export the photo as sRGB") from error
    assert made is not None
    return made.convert("L") if grey else made


@lru_cache(maxsize=64)
def _changes_nothing(icc: bytes, mode: str) -> bool:
    return _try_out(icc, mode)


def _try_out(icc: bytes, mode: str) -> bool:
    if mode == "L":
        swatch = Image.new("L", (256, 1))
        swatch.putdata(range(256))
    else:
        steps = (0, 36, 73, 109, 146, 182, 219, 255)
        swatch = Image.new("RGB", (64, 8))
        swatch.putdata([(r, g, b) for r in steps for g in steps for b in steps])
    pairs = zip(swatch.tobytes(), to_srgb(swatch, icc).tobytes(), strict=True)
    return max(abs(before - after) for before, after in pairs) <= _TOLERANCE
