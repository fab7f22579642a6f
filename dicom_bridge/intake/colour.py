"""Whether a picture's colours are sRGB already, and how they become sRGB."""

from __future__ import annotations

import io
from functools import lru_cache, reduce

from PIL import Image, ImageChops, ImageCms

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.camera import CameraFacts
from dicom_bridge.intake.profiles import adobe_rgb

_TOLERANCE = 2
"""Largest difference, in 8-bit steps, at which a profile is the sRGB one by another name."""

_ADOBE_RGB = 2
_REMEMBERED = 64 * 2**10
"""Profiles up to this size are remembered; a matrix profile has 3 kB."""

_TRIED = 256
"""Columns and rows of the pixels that are tried for colours outside sRGB."""

_APART = 10
"""8-bit steps that a colour inside sRGB does not go astray by on its way there and back."""

_MODES = {"RGB": "RGB", "GRAY": "L"}
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
        return True
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
        made = _converted(picture, profile, _srgb())
    except _LCMS as error:
        raise FileRefused("colour profile", "it cannot be read; export the photo as sRGB") from error
    return made.convert("L") if grey else made


def share_outside(picture: Image.Image, icc: bytes) -> float | None:
    """The share of a picture's pixels that have no colour in sRGB and are clipped there; None where nothing tells.

    A colour that comes back as another one, from the profile's space to sRGB and back, had none there. Some pixels are
    tried, spread over the picture.

    Parameters
    ----------
    icc
        A profile that :func:`to_srgb` reads.
    """
    if picture.mode == "L":
        return 0.0
    size = (min(picture.width, _TRIED), min(picture.height, _TRIED))
    some = picture.resize(size, Image.Resampling.NEAREST)
    try:
        profile, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), _srgb()
        back = _converted(_converted(some, profile, srgb), srgb, profile)
    except _LCMS:  # a profile may tell the one direction alone
        return None
    apart = ImageChops.difference(some, back)
    bands = [band.point(lambda value: 255 if value > _APART else 0) for band in apart.split()]
    lost = reduce(ImageChops.lighter, bands)
    return lost.histogram()[255] / (size[0] * size[1])


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _converted(picture: Image.Image, source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile) -> Image.Image:
    made = ImageCms.profileToProfile(
        picture,
        source,
        target,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert made is not None
    return made


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
