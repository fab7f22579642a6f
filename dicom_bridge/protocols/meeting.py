"""Whether a photo is the one that a protocol asks for, by what its record says that it shows."""

from __future__ import annotations

from consent.regions import regions
from consent.types import Laterality
from dicom_bridge.protocols.protocol import Shot
from fhir_mapping.course.views import View


def meets(shot: Shot, view: View) -> bool:
    """Whether a photo that shows this is the shot, whenever it was taken.

    One of its regions is the shot's or includes it: a photo of the face shows the lips, one of the lips no face. View
    and expression are the shot's, and so is the side, which a photo of both sides shows; what the record does not say
    of a photo is not assumed. A shot without an expression takes any.
    """
    _, _, seen, expression = view.key
    if seen != shot.view.code or (shot.expression is not None and expression != shot.expression.code):
        return False
    shown = [(view.key[0], view.key[1])]
    shown += [(each.region.code or "", (each.side or Laterality.BOTH).value) for each in view.also]
    return any(_shows(shot, area, side) for area, side in shown)


def _shows(shot: Shot, area: str, side: str) -> bool:
    tree = regions()
    if not tree.includes(area, shot.region.code):
        return False
    whole = tree.by_code(area)
    return side in (shot.side.value, Laterality.BOTH.value) or (whole is not None and not whole.paired)
