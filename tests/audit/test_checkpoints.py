"""Signed checkpoints: what they cover cannot be cut off or written anew unseen, and nothing else is ever signed."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, text, update

from consent.audit import signing
from consent.audit.chain import Chain, open_chain
from consent.audit.notary import EVERY, EVERY_RECORDS, Notary
from consent.audit.note import NoteRefused, PublicKey, opened, read_vkey, sign
from consent.audit.places import DatabasePlace, FolderPlace, PlaceUnavailable
from consent.audit.read import Archive
from consent.audit.record import AuditRecord, Kind
from consent.audit.signing import SigningKeyRefused
from consent.audit.verify import Signed, Verdict, uncovered, verify
from consent.store.engine import transaction
from consent.store.tables import audit_checkpoint
from tests.audit import notes

CHAIN = "n1/test/0"
START = datetime(2026, 6, 1, 9, tzinfo=UTC)


@dataclass
class Clinic:
    """A chain, both places, and a signer with a clock of its own."""

    engine: Engine
    folder: Path
    now: datetime = START
    chain: Chain = field(init=False)

    def __post_init__(self) -> None:
        self.audit = self.folder / "audit"
        self.url = self.engine.url.render_as_string(False)
        self.chain = open_chain(self.url, self.audit, "n1", "test")
        self.key = self.folder / "checkpoint.key"
        assert signing.make(self.key, "n1")
        self.archive = Archive(self.engine, self.audit)
        self.database = DatabasePlace(self.engine)
        self.second = FolderPlace(self.folder / "far")
        self.notary = self.signer()

    def signer(self) -> Notary:
        """One more signer, which knows what the places know."""
        return Notary(self.archive, self.database, self.second, lambda: signing.load(self.key), lambda: self.now)

    def write(self, count: int) -> None:
        """Append records."""
        self.chain.append([AuditRecord(Kind.DECISION, "test", "GET /x", account="d", number=n) for n in range(count)])

    def pass_by(self, time: timedelta = EVERY) -> None:
        """Let time pass, then have the signer look."""
        self.now += time
        assert self.notary.look() == {}

    def verified(self, *, far_alone: bool = False, since: datetime | None = None, **keys: object) -> Verdict:
        """The verdict an hour later: nothing is on its way any more."""
        places = (self.second,) if far_alone else (self.database, self.second)
        trusted = signing.load(self.key).public
        return verify(self.archive, None, Signed(places, trusted, since, self.now + timedelta(hours=1)))

    def harm(self, statement: str) -> None:
        """Change the chain behind everybody's back."""
        self.chain.close()
        if self.engine.dialect.name == "sqlite":
            with closing(sqlite3.connect(self.audit / "n1+test+0.sqlite3")) as connection:
                connection.execute(statement.format(table="record"))
                connection.commit()
        else:
            with transaction(self.engine) as connection:
                connection.execute(text(statement.format(table="audit_record")))

    def rewrite(self, sequence: int) -> None:
        """Write the chain anew from a record on, with hashes that follow: only a checkpoint can tell."""
        rows = list(self.archive.rows(CHAIN))
        before = rows[sequence - 2].hash
        self.harm(f"DELETE FROM {{table}} WHERE sequence >= {sequence}")
        texts = [row.body.replace(b'"GET /x"', b'"GET /y"') for row in rows[sequence - 1 :]]
        for row, body in zip(rows[sequence - 1 :], texts, strict=True):
            before = hashlib.sha256(before + body).digest()
            self._put(row.sequence, row.recorded, body, before)

    def _put(self, sequence: int, recorded: int, body: bytes, hashed: bytes) -> None:
        if self.engine.dialect.name == "sqlite":
            with closing(sqlite3.connect(self.audit / "n1+test+0.sqlite3")) as connection:
                connection.execute("INSERT INTO record VALUES (?, ?, ?, ?)", (sequence, recorded, body, hashed))
                connection.commit()
        else:
            values = {"s": sequence, "r": recorded, "b": body, "h": hashed, "c": CHAIN}
            with transaction(self.engine) as connection:
                connection.execute(text("INSERT INTO audit_record VALUES (:c, :s, :r, :b, :h)"), values)

    def sizes(self) -> list[int]:
        """Where the chain was signed."""
        found = [size for size, _ in self.second.notes(CHAIN)]
        assert found == [size for size, _ in self.database.notes(CHAIN)]
        return found


@pytest.fixture
def clinic(engine: Engine, tmp_path: Path) -> Iterator[Clinic]:
    """Forty records, signed at 30."""
    made = Clinic(engine, tmp_path)
    made.write(30)
    made.pass_by()
    made.write(10)
    yield made
    made.chain.close()


def test_a_note_of_another_maker_is_read() -> None:
    """The example in the documentation of Go's package golang.org/x/mod/sumdb/note."""
    key = read_vkey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    words = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    assert opened(f"{words}\n— PeterNeumann {signature}\n", [key]) == words
    assert key.vkey == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    with pytest.raises(NoteRefused, match="not that of PeterNeumann"):
        opened(f"{words.replace('you', 'I')}\n— PeterNeumann {signature}\n", [key])
    with pytest.raises(NoteRefused, match="no key that is trusted"):
        opened(f"{words}\n— PeterNeumann {signature}\n", [])


@pytest.mark.parametrize(
    "note", ["", "\n\n", "a\n\n", "a\n\n— x y\n", "a\n\n- x AAAA\n", "a\tb\n\n— x AAAAAAAA\n", "a"]
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(NoteRefused):
        opened(note, [])


def test_a_second_reader_finds_the_same(clinic: Clinic, tmp_path: Path) -> None:
    clinic.pass_by()
    vkey = signing.load(clinic.key).public[0].vkey
    bodies = [row.body for row in clinic.archive.rows(CHAIN)]
    listed = list(clinic.second.notes(CHAIN))
    assert len(listed) == 2
    for size, note in listed:
        assert notes.is_signed(note, vkey, tmp_path)
        assert notes.stated(note) == (f"photospine.audit/{CHAIN}", size, notes.head_of(bodies, size))
    assert not notes.is_signed(listed[0][1].replace("30", "31", 1), vkey, tmp_path)


def test_a_chain_that_grows_is_signed_in_time_and_one_that_rests_is_not(clinic: Clinic) -> None:
    assert clinic.sizes() == [30]
    clinic.pass_by(timedelta(seconds=10))
    assert clinic.sizes() == [30]
    clinic.pass_by(timedelta(seconds=40))
    assert clinic.sizes() == [30, 40]
    for _ in range(3):
        clinic.pass_by(timedelta(hours=1))
    assert clinic.sizes() == [30, 40]


def test_a_thousand_records_are_signed_at_once_and_never_more_lie_between(clinic: Clinic) -> None:
    clinic.write(3 * EVERY_RECORDS)
    clinic.pass_by(timedelta(seconds=1))
    assert clinic.sizes() == [30, 1030, 2030, 3030]
    clinic.pass_by()
    assert clinic.sizes() == [30, 1030, 2030, 3030, 3040]
    verdict = clinic.verified()
    assert (verdict.faults, verdict.covered, verdict.checkpoints) == ((), {CHAIN: 3040}, 10)


def test_what_no_checkpoint_covers_yet_is_told(clinic: Clinic) -> None:
    verdict = clinic.verified()
    assert verdict.sound
    assert dict(uncovered(verdict)) == {CHAIN: 10}


_CUT = "DELETE FROM {table} WHERE sequence > 25"
_ALL = "DELETE FROM {table}"


@pytest.mark.parametrize(
    ("statement", "says"), [(_CUT, "the chain ends at record 25"), (_ALL, "gone|ends at record 0")], ids=["cut", "gone"]
)
@pytest.mark.parametrize("far_alone", [False, True])
def test_a_chain_that_was_cut_off_is_found_and_not_signed(
    clinic: Clinic, statement: str, says: str, far_alone: bool
) -> None:
    clinic.harm(statement)
    verdict = clinic.verified(far_alone=far_alone)
    assert len(verdict.faults) == 1
    assert re.search(says, verdict.faults[0].text)
    assert verdict.faults[0].sequence == 30
    for signer in (clinic.notary, clinic.signer()):
        clinic.now += timedelta(hours=1)
        assert list(signer.look()) == [CHAIN]
    assert clinic.sizes() == [30]


def test_a_file_without_its_table_keeps_no_other_chain_from_being_signed(clinic: Clinic) -> None:
    if clinic.engine.dialect.name != "sqlite":
        pytest.skip("on PostgreSQL all chains share one table")
    with closing(sqlite3.connect(clinic.audit / "n1+another+0.sqlite3")) as connection:
        connection.execute("CREATE TABLE chain (id TEXT PRIMARY KEY)")
    clinic.now += EVERY
    assert list(clinic.notary.look()) == ["n1/another/0"]
    assert clinic.sizes() == [30, 40]
    assert [fault.chain for fault in clinic.verified().faults] == ["n1/another/0"]


def test_a_chain_without_its_end_is_sound_where_nothing_covered_it(clinic: Clinic) -> None:
    clinic.harm("DELETE FROM {table} WHERE sequence > 35")
    assert clinic.verified().sound


@pytest.mark.parametrize("sequence", [2, 30])
def test_a_chain_written_anew_is_found_and_not_signed(clinic: Clinic, sequence: int) -> None:
    clinic.rewrite(sequence)
    assert verify(clinic.archive).sound, "it follows from itself"
    for far_alone in (False, True):
        (fault,) = clinic.verified(far_alone=far_alone).faults
        assert (fault.sequence, "written anew" in fault.text) == (30, True)
    with transaction(clinic.engine) as connection:  # who can change the database can remove its checkpoints
        connection.execute(delete(audit_checkpoint))
    for signer in (clinic.notary, clinic.signer()):
        clinic.now += timedelta(hours=1)
        assert "not the one" in signer.look()[CHAIN]
    assert list(clinic.database.notes(CHAIN)) == []


def test_what_was_written_anew_behind_a_checkpoint_follows_from_it_alone(clinic: Clinic) -> None:
    clinic.harm("UPDATE {table} SET body = replace(CAST(body AS TEXT), 'GET', 'PUT') WHERE sequence = 35") if (
        clinic.engine.dialect.name == "sqlite"
    ) else clinic.harm("UPDATE {table} SET body = overlay(body placing 'PUT'::bytea from 70) WHERE sequence = 35")
    clinic.now += timedelta(hours=1)
    assert "record 35 does not follow" in clinic.notary.look()[CHAIN]
    assert clinic.sizes() == [30]


def test_a_note_of_somebody_else_does_not_count(clinic: Clinic, tmp_path: Path) -> None:
    note = clinic.database.newest(CHAIN)
    assert note is not None
    forged = sign(opened(note[1], signing.load(clinic.key).public), "photospine.audit/n1", b"k" * 32)
    with transaction(clinic.engine) as connection:
        connection.execute(update(audit_checkpoint).values(note=forged))
    (fault,) = clinic.verified().faults
    assert "in the database is not to be trusted: it is signed by no key" in fault.text
    assert clinic.verified(far_alone=True).sound
    assert "no key that is trusted" in clinic.notary.look()[CHAIN]


def test_a_note_that_was_changed_does_not_count(clinic: Clinic) -> None:
    (path,) = clinic.folder.glob("far/*/*/*.note")
    path.write_text(path.read_text("utf-8").replace("\n30\n", "\n31\n"), "utf-8")
    (fault,) = clinic.verified().faults
    assert "signature is not that of photospine.audit/n1" in fault.text


def test_another_chains_checkpoint_does_not_count(clinic: Clinic) -> None:
    with transaction(clinic.engine) as connection:
        connection.execute(update(audit_checkpoint).values(size=29))
    texts = {(each.sequence, each.text) for each in clinic.verified().faults}
    assert (29, "the checkpoint in its place in the database is another one's") in texts


@pytest.mark.parametrize("where", ["the database", "far"])
def test_a_checkpoint_that_one_place_lacks_is_told(clinic: Clinic, where: str) -> None:
    if where == "far":
        next(clinic.folder.glob("far/*/*/*.note")).unlink()
    else:
        with transaction(clinic.engine) as connection:
            connection.execute(delete(audit_checkpoint))
    (fault,) = clinic.verified().faults
    assert "missing in" in fault.text
    assert where in fault.text


def test_the_second_place_is_served_when_it_is_back(clinic: Clinic) -> None:
    away = clinic.folder / "far"
    away.rename(clinic.folder / "kept")
    away.write_text("no folder")
    clinic.now += EVERY
    assert clinic.notary.sign() == {}
    with pytest.raises(PlaceUnavailable):
        clinic.notary.copy()
    assert [size for size, _ in clinic.database.notes(CHAIN)] == [30, 40]
    away.unlink()
    (clinic.folder / "kept").rename(away)
    clinic.pass_by()
    assert clinic.sizes() == [30, 40]


def test_signers_that_work_at_once_do_no_harm(clinic: Clinic) -> None:
    signers = [clinic.signer() for _ in range(4)]
    for _ in range(5):
        clinic.write(EVERY_RECORDS)
        clinic.now += EVERY
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda signer: signer.look(), signers)) == [{}] * 4
    verdict = clinic.verified()
    assert (verdict.sound, verdict.covered) == (True, {CHAIN: 40 + 5 * EVERY_RECORDS})


def test_verification_goes_on_from_a_checkpoint(clinic: Clinic) -> None:
    clinic.pass_by(timedelta(minutes=5))
    clinic.write(5)
    verdict = clinic.verified(since=clinic.now - timedelta(minutes=1))
    assert (verdict.sound, verdict.began, verdict.covered) == (True, {CHAIN: 30}, {CHAIN: 40})
    clinic.rewrite(30)
    assert not clinic.verified(since=clinic.now - timedelta(minutes=1)).sound


def test_a_rotated_key_signs_and_the_former_one_counts(clinic: Clinic) -> None:
    before = signing.load(clinic.key).public
    after = signing.rotate(clinic.key).public
    assert after[1:] == before
    clinic.pass_by()
    assert clinic.verified().checkpoints == 4
    places = (clinic.database, clinic.second)
    for keys, good in ((after[:1], 2), (before, 2)):
        verdict = verify(clinic.archive, None, Signed(places, keys, None, clinic.now))
        assert (verdict.checkpoints, verdict.sound) == (good, False)


def test_a_key_that_was_lost_is_trusted_again_before_anything_is_signed(clinic: Clinic) -> None:
    former = signing.load(clinic.key).public[0]
    clinic.key.unlink()
    assert signing.make(clinic.key, "n1")
    clinic.now += EVERY
    assert "no key that is trusted" in clinic.notary.sign()[CHAIN]
    signing.trust(clinic.key, former)
    clinic.pass_by()
    assert clinic.verified().sound
    assert clinic.sizes() == [30, 40]


def test_the_key_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.key"
    assert signing.make(path, "n1")
    assert not signing.make(path, "n1")
    assert path.stat().st_mode & 0o777 == 0o600
    other = PublicKey("photospine.audit/n2", os.urandom(32))
    assert signing.trust(path, read_vkey(other.vkey)).public[1:] == (other,)
    assert signing.load(path).private.hex() not in repr(signing.load(path))
    path.chmod(0o640)
    with pytest.raises(SigningKeyRefused, match="0600"):
        signing.load(path)
    path.chmod(0o600)
    path.write_text("{}")
    with pytest.raises(SigningKeyRefused, match="not a file with a key"):
        signing.load(path)
    path.unlink()
    with pytest.raises(SigningKeyRefused, match="db upgrade"):
        signing.load(path)
