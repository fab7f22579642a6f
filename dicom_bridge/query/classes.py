"""Which SOP Classes are photos, or accompany them (PS3.4 B.5); everything else is another object."""

from __future__ import annotations

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
PHOTO_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.77.1.4",  # VL Photographic Image
        "1.2.840.10008.5.1.4.1.1.77.1.7",  # Dermoscopic Photography Image
        "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture Image
        "1.2.840.10008.5.1.4.1.1.7.4",  # Multi-frame True Color Secondary Capture Image
        ENCAPSULATED_PDF,
    }
)
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
GREY_PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.1"  # Grayscale Softcopy Presentation State
COLOUR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.2"
SPATIAL_REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"
ABOUT_PHOTOS = frozenset({KEY_OBJECT_SELECTION, GREY_PRESENTATION, COLOUR_PRESENTATION, SPATIAL_REGISTRATION})
"""Objects without a picture of their own, which say something about photos."""
