"""Where gaps are asked for, put together from its parts."""

from __future__ import annotations

from dicom_bridge.gaps.desk import GapDesk
from dicom_bridge.protocols.reading import all_protocols
from orthanc_plugin.assembly.open import Node
from orthanc_plugin.assembly.record import record_store


def desk(node: Node) -> GapDesk:
    """The gaps of a node's record, by its protocols as they are when they are asked for."""
    folder = node.settings.protocols
    return GapDesk(node.engine, node.point, record_store(node), lambda: tuple(all_protocols(folder)))
