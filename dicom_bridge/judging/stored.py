"""The picture in a stored object, decoded as the judge needs it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicom_bridge.compare.renditions import NotRendered, embedded_jpeg
from dicom_bridge.judging.picture import MOST_PIXELS, Picture, decode, shrunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def picture_of(data: bytes) -> Picture:
    """The first picture of an object.

    Parameters
    ----------
    data
        A DICOM file (PS3.10).

    Raises
    ------
    NotRendered
        It cannot be decoded here, or is too large.
    """
    jpeg = embedded_jpeg(data)
    return decode(jpeg) if jpeg is not None else shrunk(_decoded(data))


def _decoded(data: bytes) -> NDArray[np.uint8]:
    """(rows, columns, 3) uint8 of any transfer syntax that pydicom decodes with what is installed."""
    import numpy as np
    from pydicom.pixels.utils import pixel_array

    try:
        dataset = dcmread(io.BytesIO(data))
        if int(dataset.Rows) * int(dataset.Columns) > MOST_PIXELS or int(dataset.BitsStored) != 8:
            raise NotRendered("the photo is too large to be judged, or has other than 8 bits")
        pixels = pixel_array(dataset, index=0)
    except (InvalidDicomError, OSError, ValueError, AttributeError, TypeError, RuntimeError, LookupError):
        raise NotRendered("the photo cannot be decoded") from None
    grey = pixels.ndim == 2
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (not grey and pixels.shape[2] != 3):
        raise NotRendered("the photo cannot be decoded")
    return np.ascontiguousarray(np.repeat(pixels[:, :, None], 3, axis=2) if grey else pixels)
