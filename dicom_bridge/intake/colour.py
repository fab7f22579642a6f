"""Whether a picture's colours are sRGB already, and how they become sRGB."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageCms

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake.camera import CameraFacts

_TOLERANCE = 2
"""Largest difference, in 8-bit steps, at which a profile is the sRGB one by another name."""

_ADOBE_RGB = 2


def is_srgb(icc: bytes | None, camera: CameraFacts) -> bool:
    """Whether the picture's numbers are sRGB as they stand.

    A profile is tried on a set of colours rather than believed by its name. Without a profile, EXIF decides, and what
    says nothing is sRGB (PS3.3 C.11.15.1.1 leaves the module out then).

    Raises
    ------
    FileRefused
        Adobe RGB without its profile, or a profile that cannot be read.
    """
    if icc is None:
        if camera.color_space == _ADOBE_RGB or camera.interoperability == "R03":
            raise FileRefused("colour", "it is Adobe RGB without its profile; export it with the profile, or as sRGB")
        return True
    return _profile_is_srgb(icc)


def to_srgb(picture: Image.Image, icc: bytes) -> Image.Image:
    """The picture in sRGB, relative colorimetric, black point compensated."""
    try:
        made = ImageCms.profileToProfile(
            picture,
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise FileRefused("colour profile", "it does not fit the picture; export the photo as sRGB") from error
    assert made is not None
    return made


@lru_cache(maxsize=64)
def _profile_is_srgb(icc: bytes) -> bool:
    steps = (0, 36, 73, 109, 146, 182, 219, 255)
    swatch = Image.new("RGB", (64, 8))
    swatch.putdata([(r, g, b) for r in steps for g in steps for b in steps])
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise FileRefused("colour profile", "it cannot be read; export the photo as sRGB") from error
    if profile.profile.xcolor_space.strip() != "RGB":
        return False
    turned = to_srgb(swatch, icc)
    pairs = zip(swatch.tobytes(), turned.tobytes(), strict=True)
    return max(abs(before - after) for before, after in pairs) <= _TOLERANCE
