"""Sets of photos in the database: a row for each set and chunk, changed in the transaction that changes the facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, bindparam, delete, insert, select, update

from consent.bits import NONE, Bits, Counting, by_chunk, packed, unpacked
from consent.store.write import among

Key = tuple[int | str, ...]
"""What names a set: the values of the table's key columns before ``chunk``."""


def load(connection: Connection, table: Table, *where: ColumnElement[bool]) -> dict[Key, Bits]:
    """The sets whose key columns meet the conditions."""
    keys = _keys(table)
    found: dict[Key, dict[int, int]] = {}
    query = select(*keys, table.c.chunk, table.c.bits).where(*where)
    for *key, chunk, bits in connection.execute(query):
        found.setdefault(tuple(key), {})[chunk] = unpacked(bytes(bits))
    return {key: Bits(chunks) for key, chunks in found.items()}


def load_one(connection: Connection, table: Table, *key: int | str) -> Bits:
    """One set."""
    return load(connection, table, *_named(table, key)).get(key, NONE)


def shared(connection: Connection, table: Table, of: Mapping[int, Counting]) -> Counter[int]:
    """How many numbers sets of a table with one key column, a number, share each with a set of its own.

    Parameters
    ----------
    of
        By key, what it is counted against.
    """
    (key,) = _keys(table)
    found: Counter[int] = Counter()
    for number, chunk, bits in connection.execute(
        select(key, table.c.chunk, table.c.bits).where(among(connection, key, of))
    ):
        found[number] += of[number].shared_with(chunk, bytes(bits))
    return found


def change(connection: Connection, table: Table, added: Mapping[Key, set[int]], taken: Mapping[Key, set[int]]) -> None:
    """Put photos into sets, and take photos out of sets. Whoever calls holds the lock of writers."""
    wanted: dict[Key, dict[int, list[int]]] = {}
    for place, changes in ((0, added), (1, taken)):
        for key, numbers in changes.items():
            for chunk, bits in by_chunk(numbers).items():
                wanted.setdefault(key, {}).setdefault(chunk, [0, 0])[place] = bits
    if not wanted:
        return
    former = _former(connection, table, wanted)
    keys = _keys(table)
    fresh: list[dict[str, Any]] = []
    other: list[dict[str, Any]] = []
    empty: list[dict[str, Any]] = []
    for key, chunks in wanted.items():
        for chunk, (more, less) in chunks.items():
            before = former.get((*key, chunk), 0)
            after = (before | more) & ~less
            if after == before:
                continue
            named = {f"b_{column.name}": value for column, value in zip(keys, key, strict=True)} | {"b_chunk": chunk}
            if not after:
                empty.append(named)
            elif before:
                other.append(named | {"b_bits": packed(after)})
            else:
                fresh.append(
                    {name.removeprefix("b_"): value for name, value in named.items()} | {"bits": packed(after)}
                )
    this = and_(*(column == bindparam(f"b_{column.name}") for column in (*keys, table.c.chunk)))
    if empty:
        connection.execute(delete(table).where(this), empty)
    if other:
        connection.execute(update(table).where(this).values(bits=bindparam("b_bits")), other)
    if fresh:
        connection.execute(insert(table), fresh)


def _former(connection: Connection, table: Table, wanted: Mapping[Key, Iterable[int]]) -> dict[Key, int]:
    """The chunks that are there, by key and chunk: those of all keys named and all chunks named, in one statement."""
    keys = _keys(table)
    every = {chunk for chunks in wanted.values() for chunk in chunks}
    query = select(*keys, table.c.chunk, table.c.bits).where(among(connection, table.c.chunk, every))
    for place, column in enumerate(keys):
        query = query.where(among(connection, column, {key[place] for key in wanted}))
    found: dict[Key, int] = {}
    for *key, chunk, bits in connection.execute(query):
        if chunk in wanted.get(tuple(key), ()):
            found[(*key, chunk)] = unpacked(bytes(bits))
    return found


def _keys(table: Table) -> list[Column[Any]]:
    return [column for column in table.primary_key if column.name != "chunk"]


def _named(table: Table, key: Key) -> list[ColumnElement[bool]]:
    return [column == value for column, value in zip(_keys(table), key, strict=True)]
