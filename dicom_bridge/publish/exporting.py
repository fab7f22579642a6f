"""An export: every photo is decided anew, drawn anew from its pixels, asked for once more, and only then handed over.

Bytes leave as one file, so it is closed before anything of it leaves: what is withdrawn while it is made is not in it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import Engine, insert

from consent.audit.record import Kind, of_request
from consent.service import Answer, DecisionPoint
from consent.store import clock
from consent.store.engine import transaction
from consent.types import Obligation, Request
from dicom_bridge.compare.renditions import NotRendered, render
from dicom_bridge.publish.bundle import Entry, Item, Names, bundle
from dicom_bridge.publish.pair import Half, Pair, Shown
from dicom_bridge.publish.sheet import on_page
from dicom_bridge.publish.tables import export as exports
from dicom_bridge.publish.tables import export_item

_LOG = logging.getLogger(__name__)

FULFILS = frozenset({Obligation.NO_IDENTIFIERS, Obligation.WATERMARK})
"""What pixels alone can meet."""

ROUTE = "portfolio/export"
WIDTH = 2400
"""Pixels of a picture, at most."""

_THREADS = 4  # they wait for Orthanc, or draw outside Python's lock


@dataclass(frozen=True, slots=True)
class Export:
    """A file that may be handed over."""

    id: str
    body: bytes = field(repr=False)
    sha256: str
    entries: tuple[Entry, ...]
    left_out: int
    """Pairs that were asked for and are not in it: refused, or not to be had."""


class Exporter:
    """Makes exports.

    Parameters
    ----------
    pixels
        SOP Instance UID and Orthanc's id -> the photo as JPEG or PNG; raises NotRendered.
    key
        Makes opaque names.
    mark
        The watermark where one is owed; empty: the purpose.
    """

    def __init__(
        self,
        engine: Engine,
        point: DecisionPoint,
        pixels: Callable[[str, str], bytes],
        key: bytes,
        *,
        door: str,
        mark: str = "",
        os_user: str | None = None,
    ) -> None:
        self._engine, self._point, self._pixels, self._key = engine, point, pixels, key
        self._door, self._mark, self._os_user = door, mark, os_user

    def export(
        self,
        request: Request,
        pairs: Sequence[Pair],
        title: str,
        *,
        question: str,
        saved: str,
        shown: Shown | None = None,
    ) -> Export:
        """Make the file. It is recorded, as an export of the photos that it holds, when this returns.

        Parameters
        ----------
        title
            What the purpose is called.
        question, saved
            What was asked, as text, and the id of the saved question.
        shown
            The pairs as people read them.

        Raises
        ------
        consent.audit.shelf.AuditUnavailable
            Nothing may leave.
        """
        names = Names(self._key, request)
        answers = {half.number: self._decide(request, half) for pair in pairs for half in pair.halves}
        items = self._items(request, pairs, answers)
        entries = [
            Entry(pair, before, after)
            for pair in pairs
            if (before := items.get(pair.before.number)) and (after := items.get(pair.after.number))
        ]
        while True:
            body = bundle(entries, names, request, title, shown or Shown())
            late = {half.number for entry in entries for half in entry.pair.halves if not self._still(request, half)}
            if not late:
                break
            entries = [entry for entry in entries if late.isdisjoint(entry.pair.numbers)]
        made = Export(
            str(uuid.uuid4()), body, hashlib.sha256(body).hexdigest(), tuple(entries), len(pairs) - len(entries)
        )
        self._keep(request, made, names, question, saved)
        return made

    def _decide(self, request: Request, half: Half) -> Answer:
        return self._point.photo(request, half.sop_uid, route=ROUTE, fulfils=FULFILS)

    def _still(self, request: Request, half: Half) -> bool:
        return self._point.still(request, half.sop_uid, route=ROUTE, fulfils=FULFILS)

    def _items(self, request: Request, pairs: Sequence[Pair], answers: dict[int, Answer]) -> dict[int, Item]:
        """The pictures of those photos of which both halves are permitted, by number."""
        halves = {
            half.number: half
            for pair in pairs
            if all(answers[number].permitted for number in pair.numbers)
            for half in pair.halves
        }

        def drawn(half: Half) -> Item | None:
            answer = answers[half.number]
            owed = Obligation.WATERMARK in answer.decision.obligations
            mark = (self._mark or request.purpose) if owed else ""
            try:
                jpeg = self._drawn(answer, mark)
                page = on_page(jpeg)
            except NotRendered as error:
                _LOG.warning("a permitted photo cannot be exported: %s", error)
                return None
            return Item(half, jpeg, page, answer.decision.directives, marked=bool(mark))

        with ThreadPoolExecutor(_THREADS) as pool:
            made = pool.map(drawn, halves.values())
            return {number: item for number, item in zip(halves, made, strict=True) if item is not None}

    def _drawn(self, answer: Answer, mark: str) -> bytes:
        if answer.orthanc_id is None:
            raise NotRendered("it is not in Orthanc")
        picture = self._pixels(answer.sop_uid, answer.orthanc_id)
        return render(picture, width=WIDTH, watermark=mark, shown=False).jpeg

    def _keep(self, request: Request, made: Export, names: Names, question: str, saved: str) -> None:
        """Write down what leaves: durable before it does."""
        numbers = [number for entry in made.entries for number in entry.pair.numbers]
        details = {"export": made.id, "sha256": made.sha256, "pairs": len(made.entries), "question": question}
        intent = of_request(
            Kind.INTENT, self._door, ROUTE, request, subject=f"urn:uuid:{made.id}", digest=made.sha256,
            os_user=self._os_user, details={"pairs": len(made.entries)},
        )  # fmt: skip
        with self._point.chain.written(intent), transaction(self._engine) as connection:
            connection.execute(
                insert(exports),
                {
                    "id": made.id, "question": saved, "purpose": request.purpose, "channel": request.channel or "",
                    "made": clock.micros(clock.now(connection)), "made_by": request.requester.account,
                    "sha256": made.sha256,
                },
            )  # fmt: skip
            rows = [
                {
                    "export": made.id, "name": names.picture(place, side, item.half), "photo": item.half.number,
                    "sha256": item.sha256,
                    "consents": json.dumps([[each.consent, each.version, each.path] for each in item.consents]),
                }
                for place, entry in enumerate(made.entries, 1)
                for side, item in entry.items
            ]  # fmt: skip
            if rows:
                connection.execute(insert(export_item), rows)
        self._point.record_set(request, ROUTE, numbers, made.left_out, details=details)
