"""The clinical record of a node, put together from its parts."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

from consent.identity.bearer import Caller
from consent.service import DecisionPoint
from consent.store.clock import now
from consent.store.engine import glancing
from fhir_mapping.api.node import Node as FhirNode
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly.names import names
from orthanc_plugin.assembly.open import Node


def record_store(node: Node) -> RecordStore:
    """The clinical record."""
    return RecordStore(node.site, base=node.settings.fhir_base)


def fhir_node(node: Node, point: DecisionPoint, identify: Callable[[str | None, str], Caller | None]) -> FhirNode:
    """The record as it is served, or written to by commands.

    Parameters
    ----------
    identify
        ``Authorization`` and the client's address -> who calls.
    """
    with glancing(node.engine) as connection:
        started = now(connection)
    return FhirNode(
        engine=node.engine,
        record=record_store(node),
        decisions=point,
        chain=node.chain,
        identify=identify,
        base=node.settings.fhir_base,
        version=metadata.version("photospine"),
        started=started,
        door=node.role,
        archive=node.archive,
        names=names(),
    )
