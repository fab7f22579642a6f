"""An import of a node, put together from its parts: for ``photospine import`` and the watched folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from dicom_bridge.archive import Archive
from dicom_bridge.intake import Limits
from dicom_bridge.legacy.alike import noted
from dicom_bridge.legacy.files import File, files_of
from dicom_bridge.legacy.importing import Done, Importer, Lane
from dicom_bridge.legacy.survey import Candidate, Survey, Verdict, Wishes
from dicom_bridge.legacy.visits import Visits
from dicom_bridge.pipeline import Pipeline
from dicom_bridge.plan import Plan
from dicom_bridge.settling import Settling
from dicom_bridge.way import Arrow
from orthanc_plugin.assembly.intake import corrections, open_archive, way
from orthanc_plugin.assembly.open import Node
from orthanc_plugin.assembly.record import record_store


@dataclass(frozen=True, slots=True)
class Told:
    """What is called while an import goes on; a number is how many there will be."""

    looking: Callable[[int], None] = lambda _: None
    looked: Callable[[Candidate], None] = lambda _: None
    taking: Callable[[int], None] = lambda _: None
    taken: Callable[[Done], None] = lambda _: None
    at: Callable[[Arrow], None] = lambda _: None


def files_below(node: Node, sources: Sequence[Path]) -> list[File]:
    """All files of the sources. Raises SourceRefused."""
    limit = limits_of(node).bytes
    return list(chain.from_iterable(files_of(source, limit) for source in sources))


def survey(node: Node, files: Sequence[File], wishes: Wishes, lanes: int, told: Told) -> list[Candidate]:
    """What would be done with each file."""
    told.looking(len(files))
    store = record_store(node)
    with ThreadPoolExecutor(lanes, "survey") as executor:
        look = Survey(node.engine, store, Visits(store, node.keys.uid), limits_of(node), wishes, executor)
        found = look.look(files, told.looked)
    return noted(found) if wishes.alike else found


def carry_out(node: Node, found: Sequence[Candidate], base: Plan, lanes: int, told: Told) -> list[Done]:
    """Import what is ready; see :meth:`dicom_bridge.legacy.importing.Importer.carry_out`."""
    told.taking(sum(1 for each in found if each.verdict is Verdict.READY))
    store = record_store(node)
    with ExitStack() as stack:
        ready = [_lane(node, stack.enter_context(open_archive(node)), told.at) for _ in range(lanes)]
        importer = Importer(node.engine, store, Visits(store, node.keys.uid), ready, base)
        return importer.carry_out(found, told.taken)


def _lane(node: Node, archive: Archive, at: Callable[[Arrow], None]) -> Lane:
    """What one batch at a time is carried with."""
    carried = way(node, archive, at)
    settling = Settling(
        node.engine,
        node.chain,
        archive,
        carried.linker,
        carried.tasks,
        door=node.role,
        at=lambda _: None,
        place_clean=corrections(node, archive, at).place,
    )
    return Lane(Pipeline(carried, node.keys.uid), archive, settling)


def limits_of(node: Node) -> Limits:
    """What a file may have."""
    return Limits(bytes=node.settings.max_file_megabytes * 2**20, pixels=node.settings.max_pixels)
