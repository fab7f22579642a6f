"""Where a node's portfolios are kept and exported."""

from __future__ import annotations

from consent.service import DecisionPoint
from dicom_bridge.publish.exporting import Exporter
from dicom_bridge.publish.saved import SavedQuestions
from orthanc_plugin.assembly.names import names
from orthanc_plugin.assembly.open import Node
from orthanc_plugin.workspace.pictures import Originals
from orthanc_plugin.workspace.portfolio_book import PortfolioBook
from orthanc_plugin.workspace.stored_pairs import StoredPairs


def portfolio_book(
    node: Node, point: DecisionPoint, record: StoredPairs, originals: Originals, os_user: str | None = None
) -> PortfolioBook:
    """Put it together.

    Parameters
    ----------
    os_user
        Who sits at the machine, where that is known; for the audit.
    """
    exporter = Exporter(node.engine, point, originals.picture, node.keys.uid, door=node.role, os_user=os_user)
    saved = SavedQuestions(node.engine, node.chain, door=node.role, os_user=os_user)
    return PortfolioBook(record, saved, exporter, node.site.zone, names())
