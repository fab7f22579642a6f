"""The pipeline of a node, put together from its parts: for ``photospine ingest``, the worker and the demo clinic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dicom_bridge.archive import Archive, OrthancArchive
from dicom_bridge.corrections import Corrections
from dicom_bridge.intake import Limits
from dicom_bridge.linking import Linker
from dicom_bridge.pipeline import Pipeline
from dicom_bridge.protocols.reading import all_protocols
from dicom_bridge.spool import Spool
from dicom_bridge.tasks import Tasks
from dicom_bridge.treatment import Treatments
from dicom_bridge.way import Arrow, Way
from orthanc_plugin.assembly.open import Node
from orthanc_plugin.assembly.record import record_store


@contextmanager
def open_archive(node: Node) -> Iterator[OrthancArchive]:
    """The node's Orthanc, as its own processes reach it."""
    archive = OrthancArchive(node.settings.orthanc, node.mint)
    try:
        yield archive
    finally:
        archive.close()


def way(node: Node, archive: Archive, at: Callable[[Arrow], None] = lambda _: None) -> Way:
    """What batches are carried with. ``at`` is called at each arrow."""
    settings, store = node.settings, record_store(node)
    return Way(
        node.engine,
        node.chain,
        archive,
        Spool(settings.spool),
        Treatments(store),
        Linker(store, settings.public_url, lambda: all_protocols(settings.protocols)),
        Tasks(store),
        site=node.site,
        door=node.role,
        limits=Limits(bytes=settings.max_file_megabytes * 2**20, pixels=settings.max_pixels),
        kept=settings.keep_exif,
        at=at,
    )


def pipeline(node: Node, archive: Archive, at: Callable[[Arrow], None] = lambda _: None) -> Pipeline:
    """The way from files to photos, from its beginning."""
    return Pipeline(way(node, archive, at), node.keys.uid)


def corrections(node: Node, archive: Archive, at: Callable[[Arrow], None] = lambda _: None) -> Corrections:
    """What links photos, and links them anew."""
    return Corrections(way(node, archive, at), record_store(node), node.keys.uid)
