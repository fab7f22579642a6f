"""Everybody's photos and pairs in a real database; each page was decided, and recorded before it is returned."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from consent.store.engine import reading
from consent.store.tables import photo
from consent.store.write import among
from consent.types import Request
from dicom_bridge.compare.comparability import comparability
from dicom_bridge.compare.reading import conditions
from dicom_bridge.publish.exporting import FULFILS as PUBLISHING_FULFILS
from dicom_bridge.publish.fallen import Changes, changes
from fhir_mapping.question.answer import Portion
from fhir_mapping.question.asking import in_turn
from fhir_mapping.question.cases import of_case
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.page import Place
from fhir_mapping.question.pairs import Keeping, Pair
from fhir_mapping.question.question import Question
from orthanc_plugin.workspace.filters import CHART_FACETS
from orthanc_plugin.workspace.found import Coupled, PairPage, PhotoPage
from orthanc_plugin.workspace.stored import CHART_FULFILS, StoredRecord, place_of, unnamed
from orthanc_plugin.workspace.treatments import titles


class StoredPairs(StoredRecord):
    """The record, asked for everybody's photos and for pairs, too."""

    def photos(self, request: Request, route: str, question: Question, after: str, most: int) -> PhotoPage:
        """One page of everybody's photos that are asked for and that this request may see, the newest first."""

        def read(connection: Connection) -> PhotoPage:
            found = self._ask(connection, request, question, Portion(most, Place.parse(after), CHART_FACETS), route,
                              CHART_FULFILS)  # fmt: skip
            photos = {entry.number: entry for entry in self._photos(connection, found.numbers, found.may)}
            people = self._people(connection, sorted({entry.patient for entry in photos.values()}))
            return PhotoPage(
                tuple(photos[number] for number in found.numbers),
                {person.id: person for person in people},
                self._answer(connection, found, typed=True),
                "" if found.following is None else found.following.text,
            )

        return in_turn(self._engine, self._setting, read)

    def pairs(
        self,
        request: Request,
        route: str,
        question: Question,
        most: int,
        after: int | None = None,
        *,
        least: int = 0,
        kept: Sequence[Pair] = (),
        counted: Sequence[Facet] = (),
    ) -> PairPage:
        """One page of results with what each is held against, the newest first.

        Parameters
        ----------
        after
            The result behind which the page begins; None: with the newest one.
        least
            Percent of comparability that a pair has at least.
        kept
            Pairs that were there before: what became of them is told.
        """

        def read(connection: Connection) -> PairPage:
            keeping = self._keeping(request, least)
            portion = Portion(most, place_of(connection, after), counted, pairs=True, keeping=keeping)
            found = self._ask(connection, request, question, portion, route, PUBLISHING_FULFILS)
            photos = {entry.number: unnamed(entry) for entry in self._photos(connection, found.numbers)}
            named = titles(connection, self._store, [each.treatment for each in photos.values() if each.treatment])
            alike = self._alike(connection, request, found.pairs)
            pairs = tuple(
                Coupled(photos[first], photos[last], named.get(photos[last].treatment or "", ""), alike[first, last])
                for first, last in found.pairs
            )
            following = found.pairs[-1][1] if found.pairs and found.following is not None else None
            changed = (
                self._changes(connection, request, question, route, keeping, kept, found.pairs) if kept else Changes()
            )
            return PairPage(pairs, self._answer(connection, found, typed=False), following, changed)

        return in_turn(self._engine, self._setting, read)

    def pair_of(self, request: Request, route: str, question: Question, result: int) -> Coupled | None:
        """The pair of one result that is asked for; None where it may not be shown, or has none."""

        def read(connection: Connection) -> Coupled | None:
            case = of_case(connection, result)
            portion = Portion(len(case), pairs=True)
            found = self._ask(connection, request, question, portion, route, PUBLISHING_FULFILS, of=case)
            pair = next((pair for pair in found.pairs if pair[1] == result), None)
            if pair is None:
                return None
            photos = {entry.number: unnamed(entry) for entry in self._photos(connection, pair)}
            before, after = photos[pair[0]], photos[pair[1]]
            named = titles(connection, self._store, [after.treatment] if after.treatment else [])
            return Coupled(before, after, named.get(after.treatment or "", ""))

        return in_turn(self._engine, self._setting, read)

    def _changes(
        self,
        connection: Connection,
        request: Request,
        question: Question,
        route: str,
        keeping: Keeping | None,
        kept: Sequence[Pair],
        now: Sequence[Pair],
    ) -> Changes:
        gone = [pair for pair in kept if pair not in set(now)]
        numbers = {number for pair in gone for number in pair}
        permitted = self._point.permitted(connection, request, fulfils=PUBLISHING_FULFILS).of(numbers)
        asked: tuple[Pair, ...] = ()
        if permitted:
            portion = Portion(len(gone), pairs=True, keeping=keeping)
            alone = self._ask(connection, request, question, portion, route, PUBLISHING_FULFILS, of=numbers)
            asked = alone.pairs
        return changes(kept, now, permitted, asked)

    def _keeping(self, request: Request, least: int) -> Keeping | None:
        if not least:
            return None

        def keeping(connection: Connection, pairs: Collection[Pair]) -> Collection[Pair]:
            return [pair for pair, alike in self._alike(connection, request, pairs).items() if alike >= least]

        return keeping

    def _alike(self, connection: Connection, request: Request, pairs: Collection[Pair]) -> dict[Pair, int]:
        """Percent of comparability that is proved, of pairs that this request may see."""
        numbers = {number for pair in pairs for number in pair}
        known = conditions(connection, self._store, self._point, request, numbers, fulfils=PUBLISHING_FULFILS)
        return {
            pair: int(100 * comparability(known[pair[0]], known[pair[1]]).score) if set(pair) <= set(known) else 0
            for pair in pairs
        }

    def sop_uids(self, numbers: Collection[int]) -> dict[int, str]:
        """The SOP Instance UIDs of photos."""
        query = select(photo.c.photo, photo.c.sop_uid)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(among(connection, photo.c.photo, numbers)))
            return {row.photo: row.sop_uid for row in rows}
