"""Reading the chains of all nodes and processes, without ever standing in a writer's way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, func, literal, or_, select

from consent.audit.shelf import SUFFIX, AuditUnavailable, Row, lost
from consent.store.engine import glancing
from consent.store.tables import audit_record
from consent.store.write import each_value

_PAGE = 1000
_BEFORE_ALL = -(1 << 63)
"""The first record has the sequence 1; but whoever slips in others may choose any number."""

_AFTER_ALL = (1 << 63) - 1

#: Whoever changes a file may store values of other kinds in it; verification must see them, not stumble over them.
_SELECT = """
SELECT sequence, CAST(recorded AS INTEGER), coalesce(CAST(body AS BLOB), x''), coalesce(CAST(hash AS BLOB), x'')
FROM record WHERE sequence > ? ORDER BY sequence LIMIT ?
"""


class Archive:
    """All chains that can be reached from here."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        self._files = engine.dialect.name == "sqlite"

    def chains(self) -> tuple[str, ...]:
        """The ids of the chains, sorted."""
        if self._files:  # by the files' names: what a file says of itself can be changed with the rest of it
            return tuple(sorted(path.stem.replace("+", "/") for path in self._folder.glob(f"*{SUFFIX}")))
        with glancing(self._engine) as connection:
            return tuple(sorted(connection.execute(each_value(audit_record.c.chain)).scalars()))

    def lost(self) -> tuple[str, ...]:
        """The ids of chains that were made once and are not there any more (SQLite: a table loses none by itself)."""
        return lost(self._folder) if self._files else ()

    def rows(self, chain: str, after: int = _BEFORE_ALL) -> Iterator[Row]:
        """The records of a chain behind the one with the sequence ``after``, in order, read a page at a time."""
        while True:
            page = self._page(chain, after)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].sequence

    def holding(self, chain: str, words: Sequence[bytes], since: int = 0, until: int = _AFTER_ALL) -> Iterator[Row]:
        """The records of a chain whose text holds one of the words, found by the database, in order.

        Parameters
        ----------
        since, until
            Recorded within ``[since, until)``, microseconds since 1970.
        """
        after = _BEFORE_ALL
        while True:
            page = self._holding_page(chain, after, words, since, until)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].sequence

    def _holding_page(self, chain: str, after: int, words: Sequence[bytes], since: int, until: int) -> list[Row]:
        if self._files:
            held = " OR ".join(["instr(body, ?) > 0"] * len(words))
            statement = _SELECT.replace("ORDER BY", f"AND recorded >= ? AND recorded < ? AND ({held}) ORDER BY")
            with closing(_read_only(self._path(chain))) as connection:
                try:
                    found = connection.execute(statement, (after, since, until, *words, _PAGE))
                    return [Row(*row) for row in found]
                except sqlite3.Error as error:
                    raise AuditUnavailable(f"the audit chain {chain} is damaged: {error}") from error
        table = audit_record.c
        with glancing(self._engine) as connection:
            rows = connection.execute(
                select(table.sequence, table.recorded, table.body, table.hash)
                .where(table.chain == chain, table.sequence > after)
                .where(table.recorded >= since, table.recorded < until)
                .where(or_(*(func.position(literal(word).op("IN")(table.body)) > 0 for word in words)))
                .order_by(table.sequence)
                .limit(_PAGE)
            )
            return [Row(row.sequence, row.recorded, bytes(row.body), bytes(row.hash)) for row in rows]

    def size(self, chain: str) -> int:
        """The sequence of the chain's last record.

        Raises
        ------
        AuditUnavailable
            The chain cannot be read.
        """
        if self._files:
            with closing(_read_only(self._path(chain))) as connection:
                try:
                    return int(connection.execute("SELECT coalesce(max(sequence), 0) FROM record").fetchone()[0])
                except sqlite3.Error as error:
                    raise AuditUnavailable(f"the audit chain {chain} is damaged: {error}") from error
        with glancing(self._engine) as connection:
            last = select(audit_record.c.sequence).where(audit_record.c.chain == chain)
            return connection.execute(last.order_by(audit_record.c.sequence.desc()).limit(1)).scalar_one_or_none() or 0

    def row(self, chain: str, sequence: int) -> Row | None:
        """One record; None where there is none with this sequence."""
        found = self._page(chain, sequence - 1, 1)
        return found[0] if found and found[0].sequence == sequence else None

    def from_sequence(self, chain: str, sequence: int) -> Row | None:
        """The first record that has this sequence or a later one."""
        found = self._page(chain, sequence - 1, 1)
        return found[0] if found else None

    def between(self, chain: str, low: int, high: int, word: bytes = b"") -> list[Row]:
        """The records with a sequence within ``[low, high)`` whose text holds a word, newest first."""
        if self._files:
            statement = _SELECT.partition("WHERE")[0] + (
                "WHERE sequence >= ? AND sequence < ? AND (? = x'' OR instr(body, ?) > 0) ORDER BY sequence DESC"
            )
            with closing(_read_only(self._path(chain))) as connection:
                try:
                    return [Row(*row) for row in connection.execute(statement, (low, high, word, word))]
                except sqlite3.Error as error:
                    raise AuditUnavailable(f"the audit chain {chain} is damaged: {error}") from error
        table = audit_record.c
        query = (
            select(table.sequence, table.recorded, table.body, table.hash)
            .where(table.chain == chain, table.sequence >= low, table.sequence < high)
            .order_by(table.sequence.desc())
        )
        if word:
            query = query.where(func.position(literal(word).op("IN")(table.body)) > 0)
        with glancing(self._engine) as connection:
            return [
                Row(row.sequence, row.recorded, bytes(row.body), bytes(row.hash)) for row in connection.execute(query)
            ]

    def newest(self, after: int) -> int:
        """When the last record of any chain was made, where that is after a moment; else 0. Both in microseconds."""
        if self._files:
            return max([0, *(each for each in map(self._last, self.chains()) if each > after)])
        recorded, chain = audit_record.c.recorded, audit_record.c.chain
        with glancing(self._engine) as connection:
            found = connection.execute(select(chain).distinct().where(recorded > after)).scalars().all()
        return max([0, *map(self._last, found)])

    def _last(self, chain: str) -> int:
        """When a chain's last record was made."""
        if self._files:
            with closing(_read_only(self._path(chain))) as connection:
                row = connection.execute("SELECT recorded FROM record ORDER BY sequence DESC LIMIT 1").fetchone()
            return row[0] if row else 0
        last = select(audit_record.c.recorded).where(audit_record.c.chain == chain)
        with glancing(self._engine) as connection:
            return connection.execute(last.order_by(audit_record.c.sequence.desc()).limit(1)).scalar_one_or_none() or 0

    def _page(self, chain: str, after: int, most: int = _PAGE) -> list[Row]:
        if self._files:
            with closing(_read_only(self._path(chain))) as connection:
                try:
                    return [Row(*row) for row in connection.execute(_SELECT, (after, most))]
                except sqlite3.Error as error:
                    raise AuditUnavailable(f"the audit chain {chain} is damaged: {error}") from error
        table = audit_record.c
        with glancing(self._engine) as connection:
            rows = connection.execute(
                select(table.sequence, table.recorded, table.body, table.hash)
                .where(table.chain == chain, table.sequence > after)
                .order_by(table.sequence)
                .limit(most)
            )
            return [Row(row.sequence, row.recorded, bytes(row.body), bytes(row.hash)) for row in rows]

    def _path(self, chain: str) -> Path:
        return self._folder / (chain.replace("/", "+") + SUFFIX)


def ailing(folder: Path) -> Iterator[str]:
    """What is wrong with the chains of a folder, as far as it is seen without checking their records."""
    for chain in lost(folder):
        yield f"the audit chain {chain} is gone"
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            _read_only(path).close()
        except AuditUnavailable as error:
            yield str(error)


def _read_only(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=2)
        connection.execute("SELECT 1 FROM chain")
    except sqlite3.Error as error:
        raise AuditUnavailable(f"the audit chain {path} cannot be read: {error}") from error
    return connection
