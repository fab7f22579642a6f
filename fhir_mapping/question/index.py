"""The index of facets as a question reads it: what is stored, and photos that are due by the record itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, func, or_, select

from consent.bits import Bits
from consent.store import rows_of_bits
from consent.store.tables import photo_due
from consent.store.write import among
from fhir_mapping.projections.written import Setting
from fhir_mapping.question.facets import Value
from fhir_mapping.question.facts import values_of
from fhir_mapping.question.tables import facet_bits, facet_value, photo_values
from fhir_mapping.question.terms import Term


class Index:
    """Values and their photos, in one snapshot."""

    def __init__(self, connection: Connection, setting: Setting) -> None:
        """Open it."""
        self._connection = connection
        due = connection.execute(select(photo_due.c.photo)).scalars().all()
        self._due = Bits.of(due)
        self._live = values_of(connection, setting, due)

    def bits(self, terms: Iterable[Term]) -> Bits:
        """The photos with a value that any of the terms accepts."""
        listed = list(terms)
        if not listed:
            return Bits({})
        rows = self._connection.execute(select(facet_value).where(or_(*(each.narrow for each in listed))))
        keys = {row.value for row in rows if _accepted(listed, _value(row))}
        stored = Bits.union(self._stored(keys).values())
        live = (number for number, values in self._live.items() if any(_accepted(listed, each) for each in values))
        return (stored - self._due) | Bits.of(live)

    def values(self, facet: str) -> set[Value]:
        """All values of a facet, some perhaps of no photo any more."""
        rows = self._connection.execute(select(facet_value).where(facet_value.c.facet == facet))
        live = {each for values in self._live.values() for each in values if each.facet == facet}
        return {_value(row) for row in rows} | live

    def how_many(self, facet: str) -> int:
        """How many values a facet has."""
        query = select(func.count()).select_from(facet_value).where(facet_value.c.facet == facet)
        return int(self._connection.execute(query).scalar_one())

    def all_of(self, facet: str) -> dict[Value, Bits]:
        """Each value of a facet with its photos."""
        rows = self._connection.execute(select(facet_value).where(facet_value.c.facet == facet))
        named = {row.value: _value(row) for row in rows}
        found = {named[key]: bits - self._due for key, bits in self._stored(named).items()}
        for each, numbers in self._live_of(facet, self._live).items():
            bits = found.get(each)
            found[each] = Bits.of(numbers) if bits is None else bits | Bits.of(numbers)
        return found

    def tally(self, facet: str, seen: Bits) -> Counter[Value]:
        """How many of a few photos have each value of a facet."""
        counted: Counter[int] = Counter()
        query = select(photo_values.c.body).where(among(self._connection, photo_values.c.photo, list(seen - self._due)))
        for body in self._connection.execute(query).scalars():
            counted.update(json.loads(body))
        mine = select(facet_value).where(
            facet_value.c.facet == facet, among(self._connection, facet_value.c.value, counted)
        )
        found = Counter({_value(row): counted[row.value] for row in self._connection.execute(mine)})
        live = {number: values for number, values in self._live.items() if number in seen}
        for each, numbers in self._live_of(facet, live).items():
            found[each] += len(numbers)
        return found

    def _stored(self, keys: Collection[int]) -> Mapping[int, Bits]:
        if not keys:
            return {}
        loaded = rows_of_bits.load(self._connection, facet_bits, among(self._connection, facet_bits.c.value, keys))
        return {int(key[0]): bits for key, bits in loaded.items()}  # type: ignore[call-overload]

    @staticmethod
    def _live_of(facet: str, live: Mapping[int, frozenset[Value]]) -> dict[Value, set[int]]:
        found: dict[Value, set[int]] = {}
        for number, values in live.items():
            for each in values:
                if each.facet == facet:
                    found.setdefault(each, set()).add(number)
        return found


def _accepted(terms: Collection[Term], value: Value) -> bool:
    return any(each.accepts(value) for each in terms)


def _value(row: object) -> Value:
    return Value(row.facet, row.system, row.code, row.amount)  # type: ignore[attr-defined]
