"""Sets of photos that leave as files: decided together, recorded once, and each decided again when its turn comes."""

from __future__ import annotations

from collections.abc import Sequence

from dicom_bridge.query.search import Instance
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation


def released(foundation: Foundation, asked: Asked, known: Sequence[Instance]) -> list[Instance]:
    """Those of the photos that may leave, in their order, recorded as one set."""
    rooms, row = foundation.rooms(), asked.match.row
    assert asked.request is not None
    found = rooms.point.photos(asked.request, [one.number for one in known], route=row.name, fulfils=row.fulfils)
    numbers = set(found.numbers)
    return [one for one in known if one.number in numbers]


def still(foundation: Foundation, asked: Asked, one: Instance) -> bool:
    """Whether the photo may leave now that its turn has come."""
    row = asked.match.row
    assert asked.request is not None
    return foundation.rooms().point.still(asked.request, one.sop_uid, route=row.name, fulfils=row.fulfils)
