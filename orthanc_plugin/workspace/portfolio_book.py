"""Portfolios: questions that are kept, asked again, compared with what they found before, and exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from consent.types import Request
from dicom_bridge.publish.exporting import Export, Exporter
from dicom_bridge.publish.pair import Half, Pair, Shown
from dicom_bridge.publish.saved import USUAL, Saved, SavedQuestions
from fhir_mapping.question import text
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.question import Question
from fhir_mapping.question.text import Names
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.found import Coupled, PairPage, PhotoPage
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import said, speaking
from orthanc_plugin.workspace.record import Photo, place_name, posed
from orthanc_plugin.workspace.stored_pairs import StoredPairs


@dataclass(frozen=True, slots=True)
class Opened:
    """A portfolio as it is now."""

    saved: Saved
    question: Question
    page: PairPage


class PortfolioBook:
    """Where portfolios are kept and asked.

    Parameters
    ----------
    exporter
        None: nothing is exported from here.
    """

    def __init__(
        self, record: StoredPairs, saved: SavedQuestions, exporter: Exporter | None, zone: ZoneInfo, names: Names
    ) -> None:
        self._record, self.saved, self._exporter = record, saved, exporter
        self._zone, self._names = zone, names

    def save(
        self, request: Request, name: str, question: Question, *, most: int = USUAL, least: int = 0, route: str
    ) -> Saved:
        """Keep a question with the pairs that it finds now.

        Raises
        ------
        NotSaved
        fhir_mapping.errors.Forbidden
            It names a facet that the purpose does not show.
        """
        page = self._record.pairs(request, route, question, most, least=least)
        saved = self.saved.save(request, name, text.text(question), most=most, least=least)
        self.saved.take_in(request, saved, numbers(page.pairs))
        return saved

    def open(self, request: Request, word: str, route: str) -> Opened:
        """Ask a portfolio's question again, and tell what came and went since its pairs were taken in.

        Raises
        ------
        NotFound
        """
        saved = self.saved.read(request, word)
        question = text.parse(saved.question, self._zone, self._names)
        page = self._record.pairs(request, route, question, saved.most, least=saved.least, kept=self.saved.pairs(saved))
        return Opened(saved, question, page)

    def take_in(self, request: Request, word: str, route: str) -> Opened:
        """Take in the pairs that it finds now: from now on, changes are told since then.

        Raises
        ------
        NotFound
        """
        opened = self.open(request, word, route)
        self.saved.take_in(request, opened.saved, numbers(opened.page.pairs))
        return opened

    def photos(self, request: Request, question: Question, after: str, most: int, route: str) -> PhotoPage:
        """Single photos of everybody, for whoever treats."""
        return self._record.photos(request, route, question, after, most)

    def page(
        self, request: Request, question: Question, most: int, after: int | None, counted: Sequence[Facet], route: str
    ) -> PairPage:
        """Pairs that nobody kept, and how many photos have each value of some facets."""
        return self._record.pairs(request, route, question, most, after, counted=counted)

    def of(self, request: Request, question: Question, result: int, route: str) -> Coupled | None:
        """The pair of one result that a question finds; None where it may not be shown, or has none."""
        return self._record.pair_of(request, route, question, result)

    def export(self, request: Request, word: str, title: str, route: str) -> Export:
        """Make the file of a portfolio's pairs; each photo is decided anew. Its pairs are taken in.

        Raises
        ------
        NotFound
        """
        if self._exporter is None:
            raise RuntimeError("nothing is exported from here")
        opened = self.take_in(request, word, route)
        uids = self._record.sop_uids({number for pair in numbers(opened.page.pairs) for number in pair})
        shown = Shown({each.numbers: each for each in described(uids, opened.page.pairs)}, said)
        with speaking("en"):  # what a machine reads is the same whoever exports it
            pairs = described(uids, opened.page.pairs)
        return self._exporter.export(
            request, pairs, title, question=opened.saved.question, saved=opened.saved.id, shown=shown
        )


def described(uids: Mapping[int, str], pairs: Sequence[Coupled]) -> list[Pair]:
    """Pairs as they are published, in the language that is spoken.

    Parameters
    ----------
    uids
        SOP Instance UIDs by number of the photo; without them a pair is left out.
    """
    return [
        Pair(
            Half(each.before.number, uids[each.before.number], _("Before"), each.before.session),
            Half(each.after.number, uids[each.after.number], _when(each.before, each.after), each.after.session),
            place_name(each.after),
            posed(each.after),
            said(each.title),
        )
        for each in pairs
        if {each.before.number, each.after.number} <= set(uids)
    ]


def numbers(pairs: Sequence[Coupled]) -> list[tuple[int, int]]:
    """The numbers of pairs' photos."""
    return [(each.before.number, each.after.number) for each in pairs]


def _when(before: Photo, after: Photo) -> str:
    return _("After") if before.at is None or after.at is None else words.after(before.at, after.at)
