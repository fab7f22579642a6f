"""The index of facets as a question reads it: what is stored, and photos that are due by the record itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from consent.bits import NONE, Bits, Counting
from consent.sets import Permitted
from consent.store import rows_of_bits
from consent.store.tables import photo_due
from consent.store.write import among
from fhir_mapping.errors import Behind
from fhir_mapping.projections.written import Setting
from fhir_mapping.question.facets import Value
from fhir_mapping.question.facts import values_of
from fhir_mapping.question.page import FEW
from fhir_mapping.question.tables import facet_bits, facet_value, photo_values
from fhir_mapping.question.terms import Term

MOST_LIVE = 300
"""Photos that a question reads of the record itself; where more are due, they are indexed before it is answered."""

_MOST_DUE = 20_000
"""Photos that a question looks through for those that it must read itself."""


class Index:
    """Values and their photos, in one snapshot."""

    def __init__(
        self,
        connection: Connection,
        setting: Setting,
        *,
        may: Permitted | None = None,
        scope: Bits | None = None,
        tells: Callable[[Value], bool] = lambda _: True,
    ) -> None:
        """Open it.

        Parameters
        ----------
        may
            Photos that may be seen: of no other the record is read, so that neither time nor failure tells of them.
            What is due and may not be seen has the values here that it had. None: everything is read.
        scope
            The photos that can be in the answer; None: all.
        tells
            Which values there are for whoever asks.

        Raises
        ------
        Behind
            More photos are due than a question reads itself.
        """
        self._connection, self._tells = connection, tells
        due = _due(connection, scope)
        self._due = due if may is None else may.bits(due)
        self.exact = len(self._due) == len(due)
        """Whether it holds of photos that may not be seen, too."""

        if len(self._due) > MOST_LIVE:
            raise Behind(list(self._due))
        self._said = values_of(connection, setting, list(self._due))
        self._live = {number: frozenset(filter(tells, values)) for number, values in self._said.items()}

    def bits(self, terms: Iterable[Term]) -> Bits:
        """The photos with a value that any of the terms accepts."""
        listed = list(terms)
        if not listed:
            return Bits({})
        rows = self._connection.execute(select(facet_value).where(or_(*(each.narrow for each in listed))))
        keys = {key for key, each in self._told(rows).items() if _accepted(listed, each)}
        stored = Bits.union(self._stored(keys).values())
        live = (number for number, values in self._live.items() if any(_accepted(listed, each) for each in values))
        return (stored - self._due) | Bits.of(live)

    def values(self, facet: str) -> set[Value]:
        """All values of a facet, some perhaps of no photo any more."""
        rows = self._connection.execute(select(facet_value).where(facet_value.c.facet == facet))
        live = {each for values in self._live.values() for each in values if each.facet == facet}
        return set(self._told(rows).values()) | live

    def has_more(self, facet: str, most: int) -> bool:
        """Whether a facet has more rows than so many."""
        rows = select(facet_bits.c.chunk).join(facet_value, facet_value.c.value == facet_bits.c.value)
        some = rows.where(facet_value.c.facet == facet).limit(most + 1).subquery()
        return int(self._connection.execute(select(func.count()).select_from(some)).scalar_one()) > most

    def all_of(self, facet: str) -> dict[Value, Bits]:
        """Each value of a facet with its photos."""
        named = self._told(self._connection.execute(select(facet_value).where(facet_value.c.facet == facet)))
        found = {named[key]: bits - self._due if self._due else bits for key, bits in self._stored(named).items()}
        for each, numbers in self._live_of(facet, self._live).items():
            found[each] = found.get(each, NONE) | Bits.of(numbers)
        return found

    def counts(self, over: Mapping[str, Bits]) -> dict[str, Counter[Value]]:
        """How many photos have each value of some facets, for each facet over its own photos."""
        found: dict[str, Counter[Value]] = {facet: Counter() for facet in over}
        if not over:
            return found
        counting = {each: Counting(each - self._due) for each in set(over.values())}
        named = self._told(self._connection.execute(select(facet_value).where(facet_value.c.facet.in_(sorted(over)))))
        of = {key: counting[over[each.facet]] for key, each in named.items()}
        for key, number in rows_of_bits.shared(self._connection, facet_bits, of).items():
            if number:
                found[named[key].facet][named[key]] += number
        for facet, values in found.items():
            for each, numbers in self._live_of(facet, self._live).items():
                if shown := sum(number in over[facet] for number in numbers):
                    values[each] += shown
        return found

    def tally(self, facets: Collection[str], seen: Bits) -> dict[str, Counter[Value]]:
        """How many of a few photos have each value of some facets."""
        counted: Counter[int] = Counter()
        query = select(photo_values.c.body).where(among(self._connection, photo_values.c.photo, list(seen - self._due)))
        for body in self._connection.execute(query).scalars():
            counted.update(json.loads(body))
        mine = select(facet_value).where(
            facet_value.c.facet.in_(sorted(facets)), among(self._connection, facet_value.c.value, counted)
        )
        found: dict[str, Counter[Value]] = {facet: Counter() for facet in facets}
        for key, each in self._told(self._connection.execute(mine)).items():
            found[each.facet][each] = counted[key]
        live = {number: values for number, values in self._live.items() if number in seen}
        for facet, values in found.items():
            for each, numbers in self._live_of(facet, live).items():
                values[each] += len(numbers)
        return found

    def values_of(self, numbers: Collection[int], facets: Collection[str]) -> dict[int, frozenset[Value]]:
        """The values of some facets that each of a few photos has, told or not: to compare photos, not to show them."""
        stored = select(photo_values.c.photo, photo_values.c.body).where(
            among(self._connection, photo_values.c.photo, list(Bits.of(numbers) - self._due))
        )
        keys = {row.photo: json.loads(row.body) for row in self._connection.execute(stored)}
        mine = select(facet_value).where(
            facet_value.c.facet.in_(sorted(facets)),
            among(self._connection, facet_value.c.value, {key for own in keys.values() for key in own}),
        )
        named = {
            row.value: Value(row.facet, row.system, row.code, row.amount) for row in self._connection.execute(mine)
        }
        found = {number: frozenset(named[key] for key in own if key in named) for number, own in keys.items()}
        for number in numbers:
            if number in self._said:
                found[number] = frozenset(each for each in self._said[number] if each.facet in facets)
        return found

    def _told(self, rows: Iterable[Row[Any]]) -> dict[int, Value]:
        """The values that there are, by their keys."""
        values = ((row.value, Value(row.facet, row.system, row.code, row.amount)) for row in rows)
        return {key: each for key, each in values if self._tells(each)}

    def _stored(self, keys: Collection[int]) -> Mapping[int, Bits]:
        if not keys:
            return {}
        loaded = rows_of_bits.load(self._connection, facet_bits, among(self._connection, facet_bits.c.value, keys))
        return {int(key[0]): bits for key, bits in loaded.items()}

    @staticmethod
    def _live_of(facet: str, live: Mapping[int, frozenset[Value]]) -> dict[Value, set[int]]:
        found: dict[Value, set[int]] = {}
        for number, values in live.items():
            for each in values:
                if each.facet == facet:
                    found.setdefault(each, set()).add(number)
        return found


def nothing_is_due(connection: Connection) -> bool:
    """Whether the index holds of every photo, whoever may see it."""
    return connection.execute(select(photo_due.c.photo).limit(1)).first() is None


def _due(connection: Connection, scope: Bits | None) -> Bits:
    """What is due of the photos that can be in the answer."""
    query = select(photo_due.c.photo)
    if scope is not None and len(scope) <= FEW:
        return Bits.of(connection.execute(query.where(among(connection, photo_due.c.photo, list(scope)))).scalars())
    # The newest first: they are indexed in this order, too.
    newest = query.order_by(photo_due.c.photo.desc()).limit(_MOST_DUE + 1)
    due = Bits.of(connection.execute(newest).scalars())
    if len(due) > _MOST_DUE:
        raise Behind(list(due))
    return due if scope is None else due & scope


def _accepted(terms: Collection[Term], value: Value) -> bool:
    return any(each.accepts(value) for each in terms)
