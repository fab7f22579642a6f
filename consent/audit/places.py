"""Where checkpoints lie: in the database, and copied to a folder that its administrators do not rule.

A folder holds ``node+role+slot/HUNDRED-THOUSANDS/SIZE.note``, each file written once and never changed, so that it can
lie on a share that lets nobody change what was written.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine, select, update

from consent.audit.note import LONGEST
from consent.errors import ConsentError
from consent.store.engine import glancing, transaction
from consent.store.tables import audit_checkpoint
from consent.store.write import each_value, insert_missing

SUFFIX = ".note"
_EACH = 100_000
_PAGE = 1000
_NOTE = re.compile(r"([0-9]{18})\.note")
_CHAIN = re.compile(r"[A-Za-z0-9._-]+\+[A-Za-z0-9._-]+\+[0-9]+")


class PlaceUnavailable(ConsentError):
    """A place for checkpoints cannot be read or written. See that it is mounted, and that the node may write there."""


class Place(Protocol):
    """A place that is read."""

    @property
    def name(self) -> str:
        """For people."""

    def chains(self) -> tuple[str, ...]:
        """The chains that it has checkpoints of, sorted."""

    def notes(self, chain: str) -> Iterator[tuple[int, str]]:
        """Size and note of each checkpoint, by size. What the note says is not looked at."""

    def newest(self, chain: str) -> tuple[int, str] | None:
        """The checkpoint of the largest size."""


class DatabasePlace:
    """The table ``audit_checkpoint``."""

    name = "the database"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def chains(self) -> tuple[str, ...]:
        """The chains that it has checkpoints of, sorted."""
        with glancing(self._engine) as connection:
            return tuple(sorted(connection.execute(each_value(audit_checkpoint.c.chain)).scalars()))

    def notes(self, chain: str) -> Iterator[tuple[int, str]]:
        """Size and note of each checkpoint, by size, read a page at a time."""
        table, after = audit_checkpoint.c, -1
        while True:
            with glancing(self._engine) as connection:
                query = select(table.size, table.note).where(table.chain == chain, table.size > after)
                page = connection.execute(query.order_by(table.size).limit(_PAGE)).all()
            yield from ((row.size, row.note) for row in page)
            if len(page) < _PAGE:
                return
            after = page[-1].size

    def newest(self, chain: str) -> tuple[int, str] | None:
        """The checkpoint of the largest size."""
        table = audit_checkpoint.c
        with glancing(self._engine) as connection:
            query = select(table.size, table.note).where(table.chain == chain)
            row = connection.execute(query.order_by(table.size.desc()).limit(1)).one_or_none()
        return None if row is None else (row.size, row.note)

    def keep(self, chain: str, size: int, note: str) -> None:
        """Keep a checkpoint. Where another worker signed the same head before, its note stays."""
        row = {"chain": chain, "size": size, "note": note, "copied": False}
        with transaction(self._engine) as connection:
            insert_missing(connection, audit_checkpoint, [row])

    def not_copied(self) -> list[tuple[str, int, str]]:
        """Chain, size and note of checkpoints that are not in the second place yet, a page of them."""
        table = audit_checkpoint.c
        with glancing(self._engine) as connection:
            query = select(table.chain, table.size, table.note).where(table.copied.is_(False))
            rows = connection.execute(query.order_by(table.chain, table.size).limit(_PAGE))
            return [(row.chain, row.size, row.note) for row in rows]

    def copied(self, done: list[tuple[str, int]]) -> None:
        """These are in the second place now."""
        table = audit_checkpoint.c
        with transaction(self._engine) as connection:
            for chain, size in done:
                connection.execute(
                    update(audit_checkpoint).where(table.chain == chain, table.size == size).values(copied=True)
                )


class FolderPlace:
    """A folder of notes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = str(folder)

    def chains(self) -> tuple[str, ...]:
        """The chains that it has checkpoints of, sorted."""
        return tuple(each.replace("+", "/") for each in _listed(self._folder, _CHAIN))

    def notes(self, chain: str) -> Iterator[tuple[int, str]]:
        """Size and note of each checkpoint, by size."""
        for part in self._parts(chain):
            for name in _listed(part, _NOTE):
                yield _size(name), _read(part / name)

    def newest(self, chain: str) -> tuple[int, str] | None:
        """The checkpoint of the largest size."""
        for part in reversed(self._parts(chain)):
            names = _listed(part, _NOTE)
            if names:
                return _size(names[-1]), _read(part / names[-1])
        return None

    def put(self, chain: str, size: int, note: str) -> None:
        """Write a checkpoint, durable when this returns. One of the same head that is there already stays.

        Raises
        ------
        PlaceUnavailable
            It cannot be written, or a note of another head stands in its place.
        """
        part = self._part(chain, size)
        path, fresh = part / f"{size:018}{SUFFIX}", part / f".{secrets.token_hex(8)}"
        try:
            part.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _require_same(path, note)
                return
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(path)
            folder = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise PlaceUnavailable(f"{path} cannot be written: {error.strerror}") from error
        finally:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)

    def _parts(self, chain: str) -> list[Path]:
        own = self._folder / chain.replace("/", "+")
        return [own / name for name in _listed(own, re.compile(r"[0-9]{13}"))]

    def _part(self, chain: str, size: int) -> Path:
        return self._folder / chain.replace("/", "+") / f"{size // _EACH:013}"


def _size(name: str) -> int:
    return int(name.removesuffix(SUFFIX))


def _listed(folder: Path, form: re.Pattern[str]) -> list[str]:
    """The names in a folder that have a form, sorted; none where there is no folder."""
    try:
        return sorted(each.name for each in folder.iterdir() if form.fullmatch(each.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise PlaceUnavailable(f"{folder} cannot be read: {error.strerror}") from error


def _read(path: Path) -> str:
    """A note; what cannot be text is no note, and is seen as such by whoever opens it."""
    try:
        with path.open("rb") as file:
            return file.read(LONGEST + 1).decode("utf-8", "replace")
    except OSError as error:
        raise PlaceUnavailable(f"{path} cannot be read: {error.strerror}") from error


def _require_same(path: Path, note: str) -> None:
    """Origin, size and hash are the same, whoever signed when."""
    if _read(path).split("\n")[:3] != note.split("\n")[:3]:
        raise PlaceUnavailable(f"{path} holds the checkpoint of another head: run 'photospine audit verify'")
