"""The clinical record of a node, put together from its parts."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

from consent.service import DecisionPoint
from consent.store.clock import now
from consent.store.engine import glancing
from consent.types import Requester
from fhir_mapping.api.node import Node as FhirNode
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly.open import Node


def record_store(node: Node) -> RecordStore:
    """The clinical record."""
    return RecordStore(node.site, base=node.settings.fhir_base)


def fhir_node(node: Node, point: DecisionPoint, authenticate: Callable[[str, str], Requester | None]) -> FhirNode:
    """The record as it is served, or written to by commands.

    Parameters
    ----------
    authenticate
        Name and password -> who that is.
    """
    with glancing(node.engine) as connection:
        started = now(connection)
    return FhirNode(
        engine=node.engine,
        record=record_store(node),
        decisions=point,
        chain=node.chain,
        authenticate=authenticate,
        base=node.settings.fhir_base,
        version=metadata.version("photospine"),
        started=started,
        door=node.role,
    )
