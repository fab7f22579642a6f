"""Signs the heads of chains: never more than 1,000 records or a minute apart while a chain grows.

Any number may be at work. Each walks from the last checkpoint that anybody knows of to the head before it signs, and
signs nothing that does not follow from it: a chain that was cut off or written anew stays unsigned, and is reported.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from consent.audit.checkpoint import Checkpoint, read, signed
from consent.audit.note import NoteRefused, PublicKey
from consent.audit.places import DatabasePlace, FolderPlace, Place, PlaceUnavailable
from consent.audit.read import Archive
from consent.audit.shelf import GENESIS, AuditUnavailable
from consent.audit.signing import SigningKey
from consent.errors import ConsentError

EVERY_RECORDS = 1000
EVERY = timedelta(seconds=50)
"""With the ten seconds between two looks: a minute at most."""

_LOG = logging.getLogger(__name__)


class HeadRefused(ConsentError):
    """A chain does not follow from its last checkpoint. Run ``photospine audit verify``, and ask who changed it."""


def _host_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Notary:
    """One signer."""

    archive: Archive
    database: DatabasePlace
    folder: FolderPlace
    key: Callable[[], SigningKey]
    """Read anew at every look, so that a rotated key is taken."""

    clock: Callable[[], datetime] = _host_clock
    _signed: dict[str, Checkpoint] = field(default_factory=dict)
    """The last head of each chain that this signer signed or found signed: places can be emptied, this cannot."""

    def look(self) -> dict[str, str]:
        """Sign what is due, then copy it (:meth:`sign`, :meth:`copy`)."""
        refused = self.sign()
        self.copy()
        return refused

    def sign(self) -> dict[str, str]:
        """Sign what is due; gives each chain that was refused with the reason.

        Raises
        ------
        ConsentError
            The key cannot be used.
        """
        key = self.key()
        refused: dict[str, str] = {}
        chains = set(self.archive.chains())
        for chain in sorted(chains | set(self.database.chains()) | self._copied_chains() | set(self._signed)):
            try:
                if chain not in chains:
                    raise HeadRefused("the whole chain is gone, and checkpoints of it are there")
                self._sign_due(chain, key)
            except (HeadRefused, AuditUnavailable) as error:
                refused[chain] = str(error)
                _LOG.error("the audit chain %s is not signed: %s", chain, error)
        return refused

    def _copied_chains(self) -> set[str]:
        try:
            return set(self.folder.chains())
        except PlaceUnavailable as error:
            _LOG.warning("%s", error)  # a share that can be written alone, or one that is away: sign all the same
            return set()

    def _sign_due(self, chain: str, key: SigningKey) -> None:
        last = self._last(chain, key.public)
        size = self.archive.size(chain)
        if last is not None and size < last.size:
            raise HeadRefused(f"it ends at record {size}, and a checkpoint covers {last.size}")
        now = self.clock()
        signed_to = 0 if last is None else last.size
        late = last is None or now - last.at >= EVERY or now < last.at
        if size == signed_to or not (late or size - signed_to >= EVERY_RECORDS):
            if last is not None:
                self._require_follows(last)
            return
        self._walk(chain, last, size, key, now, late=late)

    def _walk(
        self, chain: str, last: Checkpoint | None, size: int, key: SigningKey, now: datetime, *, late: bool
    ) -> None:
        """Recompute every hash from the last checkpoint on, and sign on the way."""
        if last is not None:
            self._require_follows(last)
        before, sequence = (GENESIS, 0) if last is None else (last.hash, last.size)
        due = sequence + EVERY_RECORDS
        for row in self.archive.rows(chain, sequence):
            sequence += 1
            if row.sequence != sequence or hashlib.sha256(before + row.body).digest() != row.hash:
                raise HeadRefused(f"record {sequence} does not follow from the one before it")
            before = row.hash
            if sequence == due or (late and sequence == size):
                self._keep(Checkpoint(chain, sequence, before, now), key)
                due = sequence + EVERY_RECORDS
            if sequence == size:
                return
        raise HeadRefused(f"it ends at record {sequence}, and had {size} a moment ago")

    def _require_follows(self, last: Checkpoint) -> None:
        row = self.archive.row(last.chain, last.size)
        if row is None or row.hash != last.hash:
            raise HeadRefused(f"record {last.size} is not the one that a checkpoint covers")

    def _keep(self, checkpoint: Checkpoint, key: SigningKey) -> None:
        self.database.keep(checkpoint.chain, checkpoint.size, signed(checkpoint, key.name, key.private))
        self._signed[checkpoint.chain] = checkpoint

    def _last(self, chain: str, keys: Iterable[PublicKey]) -> Checkpoint | None:
        """The checkpoint that covers most, of those that anybody knows of."""
        found = [each for each in (self._signed.get(chain),) if each is not None]
        for place in (self.database, self.folder):
            known = newest(place, chain, keys)
            if known is not None:
                found.append(known)
        last = max(found, key=lambda each: each.size, default=None)
        if last is not None:
            self._signed[chain] = last
        return last

    def copy(self) -> None:
        """Copy what was signed to the second place.

        Raises
        ------
        PlaceUnavailable
            It cannot be written; what was copied before that stays, and the rest is copied when it can be.
        """
        while page := self.database.not_copied():
            done: list[tuple[str, int]] = []
            try:
                for chain, size, note in page:
                    self.folder.put(chain, size, note)
                    done.append((chain, size))
            finally:
                if done:
                    self.database.copied(done)


def newest(place: Place, chain: str, keys: Iterable[PublicKey]) -> Checkpoint | None:
    """The newest checkpoint that a place has of a chain.

    Raises
    ------
    HeadRefused
        Nobody trusted signed it, or it is another chain's.
    """
    try:
        entry = place.newest(chain)
    except PlaceUnavailable as error:
        _LOG.warning("%s", error)  # as above
        return None
    if entry is None:
        return None
    size, note = entry
    try:
        checkpoint = read(note, keys)
    except NoteRefused as error:
        raise HeadRefused(f"its checkpoint {size} in {place.name}: {error}") from None
    if (checkpoint.chain, checkpoint.size) != (chain, size):
        raise HeadRefused(f"its checkpoint {size} in {place.name} is another one's")
    return checkpoint
