"""A generated clinic as its users find it: an advisory by lot, a question by facets, a search."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from benchmarks.generated.foundation import BASE, CLINICIANS, SITE
from consent.audit.chain import Chain, open_chain
from consent.audit.read import Archive
from consent.service import DecisionPoint
from consent.store.engine import reading
from consent.types import Obligation, Request, Requester
from fhir_mapping.advisory.asked import question as batch_question
from fhir_mapping.advisory.batch import Advisory
from fhir_mapping.advisory.question import ask as ask_advisory
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.reply import Reply
from fhir_mapping.api.searches import search
from fhir_mapping.projections.written import Setting
from fhir_mapping.question.answer import Found, Portion
from fhir_mapping.question.asking import ask as ask_photos
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.question import Question
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.assembly import memory

SAFETY = Requester("safety", ("PATSFTY",))
CLINICIAN = Requester("clinician", ("TREAT",), reference=CLINICIANS[0])
MARKETING = Requester("marketing", ("PORTFOLIO",))
_ALL = frozenset(Obligation)


@dataclass(frozen=True, slots=True)
class Opened:
    """The parts of a process that answers."""

    engine: Engine
    chain: Chain
    archive: Archive
    node: Node

    @classmethod
    def of(cls, engine: Engine, folder: Path) -> Opened:
        """Open a clinic; the audit's chain lies in a folder."""
        chain = open_chain(engine.url.render_as_string(hide_password=False), folder / "audit", "bench", "serve")
        archive = Archive(engine, folder / "audit")
        decisions = DecisionPoint(engine, chain, "serve")
        record = RecordStore(SITE, base=BASE)
        node = Node(
            engine, record, decisions, chain, lambda _header, _address: None, BASE, "0", datetime.now(SITE.zone)
        )
        return cls(engine, chain, archive, node)

    def close(self) -> None:
        """Close the chain."""
        self.chain.close()

    def advisory(self, lot: str) -> Advisory:
        """Who was given a lot."""
        with reading(self.engine) as connection:
            return ask_advisory(
                self.node.decisions,
                connection,
                self.chain,
                Request(SAFETY, "PATSFTY"),
                SITE,
                batch_question([(lot, None)]),
                door="serve",
            )

    def photos(self, requester: Requester, question: Question, counted: Sequence[Facet], most: int = 60) -> Found:
        """The photos that a question asks for, and how many have each value of some facets."""
        request = Request(requester, requester.purposes[0])
        with reading(self.engine) as connection:
            return ask_photos(
                self.node.decisions,
                connection,
                Setting(SITE, BASE),
                request,
                question,
                Portion(most, counted=counted),
                route="bench",
                fulfils=_ALL,
            )

    def search(self, kind: str, pairs: Sequence[tuple[str, str]]) -> Reply:
        """A page of a FHIR search, for treatment; of Tasks, which treatment does not read, for patient safety."""
        request = Request(SAFETY, "PATSFTY") if kind == "Task" else Request(CLINICIAN, "TREAT")
        return search(self.node, Asked(request, "fhir/search"), kind, pairs)


@contextmanager
def opened(engine: Engine) -> Iterator[Opened]:
    """A clinic in a process that has asked nothing of it yet, with an audit of its own for as long."""
    with tempfile.TemporaryDirectory(prefix="photospine-bench-") as folder:
        clinic = Opened.of(engine, Path(folder))
        memory.begun()  # as `serve` does
        try:
            yield clinic
        finally:
            clinic.close()
            engine.dispose()
