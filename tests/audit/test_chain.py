"""Chains: durable before anything leaves, one writer each, unbroken over restarts and kills."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

import pytest
from sqlalchemy import Engine, text

from consent.audit.chain import Chain, open_chain
from consent.audit.read import Archive
from consent.audit.record import AuditRecord, Kind, canonical, pack, unpack
from consent.audit.shelf import GENESIS, AuditUnavailable, Head, Row
from consent.audit.verify import verify
from consent.store.engine import transaction
from consent.store.home import LOOK_SECONDS


def _open(engine: Engine, folder: Path, role: str = "test", **more: object) -> Chain:
    return open_chain(engine.url.render_as_string(False), folder / "audit", "n1", role, **more)  # type: ignore[arg-type]


def _record(number: int = 0) -> AuditRecord:
    return AuditRecord(Kind.DECISION, "test", "GET /x", account="d", number=number)


def test_records_are_chained_and_read_back(engine: Engine, tmp_path: Path) -> None:
    chain = _open(engine, tmp_path)
    assert chain.append([_record(1), _record(2)]) == ("n1/test/0#1", "n1/test/0#2")
    assert chain.append([_record(3)]) == ("n1/test/0#3",)
    archive = Archive(engine, tmp_path / "audit")
    rows = list(archive.rows("n1/test/0"))
    assert [json.loads(row.body)["number"] for row in rows] == [1, 2, 3]
    verdict = verify(archive)
    assert (verdict.sound, verdict.chains, verdict.open) == (True, {"n1/test/0": 3}, ())
    chain.close()


def test_a_chain_goes_on_from_its_head_after_a_restart(engine: Engine, tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        chain = _open(engine, tmp_path)
        assert chain.append([_record()]) == (f"n1/test/0#{expected}",)
        chain.close()
    assert verify(Archive(engine, tmp_path / "audit")).sound


def test_processes_of_one_role_take_slots_of_their_own(engine: Engine, tmp_path: Path) -> None:
    first, second = _open(engine, tmp_path), _open(engine, tmp_path)
    assert (first.name, second.name) == ("n1/test/0", "n1/test/1")
    first.close()
    third = _open(engine, tmp_path)
    assert third.name == "n1/test/0"
    for chain in (second, third):
        chain.append([_record()])
        chain.close()
    assert verify(Archive(engine, tmp_path / "audit")).chains == {"n1/test/0": 1, "n1/test/1": 1} or (
        engine.dialect.name == "postgresql"
    )


def test_threads_share_commits_and_lose_nothing(engine: Engine, tmp_path: Path) -> None:
    chain = _open(engine, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda number: chain.append([_record(number)])[0], range(400)))
    assert len(set(names)) == 400
    archive = Archive(engine, tmp_path / "audit")
    assert verify(archive).chains == {"n1/test/0": 400}
    by_name = {f"n1/test/0#{row.sequence}": json.loads(row.body)["number"] for row in archive.rows("n1/test/0")}
    assert [by_name[name] for name in names] == list(range(400))
    chain.close()


def test_commands_take_turns_on_one_chain(engine: Engine, tmp_path: Path) -> None:
    chains = [_open(engine, tmp_path, "cli", brief=True) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(lambda number: chains[number % 4].append([_record(number)])[0], range(40)))
    assert sorted(names, key=lambda name: int(name.partition("#")[2])) == [f"n1/cli/0#{n}" for n in range(1, 41)]
    assert verify(Archive(engine, tmp_path / "audit")).sound


def test_a_write_has_an_intent_before_and_an_outcome_after(engine: Engine, tmp_path: Path) -> None:
    chain = _open(engine, tmp_path)
    intent = AuditRecord(Kind.INTENT, "test", "PUT /Consent", subject="Consent/1", digest="00")

    def fail() -> None:
        with chain.written(intent):
            raise RuntimeError

    with chain.written(intent):
        assert len(verify(Archive(engine, tmp_path / "audit")).open) == 1
    with pytest.raises(RuntimeError):
        fail()
    chain.append([intent])  # as if killed between intent and outcome
    chain.close()
    verdict = verify(Archive(engine, tmp_path / "audit"))
    assert verdict.sound
    assert [each.record for each in verdict.open] == ["n1/test/0#5"]
    bodies = [json.loads(row.body) for row in Archive(engine, tmp_path / "audit").rows("n1/test/0")]
    assert [body.get("outcome") for body in bodies] == [None, "done", None, "failed", None]


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE {table} SET body = replace(CAST(body AS TEXT), 'GET', 'PUT') WHERE sequence = 2",
        "DELETE FROM {table} WHERE sequence = 2",
        "UPDATE {table} SET sequence = 9 WHERE sequence = 2",
        "UPDATE {table} SET recorded = recorded + 1 WHERE sequence = 3",
        "UPDATE {table} SET hash = (SELECT hash FROM {table} WHERE sequence = 1) WHERE sequence = 3",
    ],
)
def test_whatever_is_changed_afterwards_is_found(engine: Engine, tmp_path: Path, harm: str) -> None:
    chain = _open(engine, tmp_path)
    chain.append([_record(number) for number in range(4)])
    chain.close()
    archive = Archive(engine, tmp_path / "audit")
    assert verify(archive).sound
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(tmp_path / "audit" / "n1+test+0.sqlite3")) as connection:
            connection.execute(harm.format(table="record").replace("AS TEXT)", "AS TEXT)"))
            connection.commit()
    else:
        harm = harm.replace("replace(CAST(body AS TEXT), 'GET', 'PUT')", "overlay(body placing 'X'::bytea from 20)")
        with transaction(engine) as database:
            database.execute(text(harm.format(table="audit_record")))
    assert not verify(archive).sound


def test_a_record_moved_into_another_chain_is_found(tmp_path: Path) -> None:
    from consent.store.engine import open_engine

    engine = open_engine(f"sqlite:///{tmp_path}/x.sqlite3")
    chain = _open(engine, tmp_path)
    chain.append([_record()])
    chain.close()
    (tmp_path / "audit" / "n1+test+0.sqlite3").rename(tmp_path / "audit" / "n1+other+0.sqlite3")
    with closing(sqlite3.connect(tmp_path / "audit" / "n1+other+0.sqlite3")) as connection:
        connection.execute("UPDATE chain SET id = 'n1/other/0'")
        connection.commit()
    assert not verify(Archive(engine, tmp_path / "audit")).sound
    engine.dispose()


SLIPPED_IN = "INSERT INTO record SELECT -7, recorded, body, hash FROM record WHERE sequence = 1"
NOT_A_NUMBER = "UPDATE record SET body = CAST('{\"at\":NaN}' AS BLOB) WHERE sequence = 2"
HALF_A_LETTER = 'UPDATE record SET body = CAST(\'{"at":"\\ud800"}\' AS BLOB) WHERE sequence = 2'
NO_TEXT = 'UPDATE record SET body = CAST(\'{"kind":"done","intent":[]}\' AS BLOB) WHERE sequence = 2'


@pytest.mark.fast
@pytest.mark.parametrize("harm", [SLIPPED_IN, NOT_A_NUMBER, HALF_A_LETTER, NO_TEXT])
def test_verification_sees_what_no_writer_of_ours_writes(tmp_path: Path, harm: str) -> None:
    engine, chain = _filled(tmp_path)
    chain.close()
    with closing(sqlite3.connect(_file(tmp_path))) as connection, connection:
        connection.execute(harm)
    assert not verify(Archive(engine, tmp_path / "audit")).sound


@pytest.mark.fast
def test_a_chain_cannot_be_hidden_by_what_its_file_says_of_itself(tmp_path: Path) -> None:
    engine, chain = _filled(tmp_path)
    chain.close()
    with closing(sqlite3.connect(_file(tmp_path))) as connection, connection:
        connection.execute("DELETE FROM chain")
        connection.execute("DELETE FROM record WHERE sequence = 2")
    assert not verify(Archive(engine, tmp_path / "audit")).sound


@pytest.mark.fast
def test_a_damaged_chain_is_named_and_the_others_are_looked_at(tmp_path: Path) -> None:
    engine, chain = _filled(tmp_path)
    chain.close()
    (tmp_path / "audit" / "n1+another+0.sqlite3").write_bytes(b"no database at all " * 100)
    verdict = verify(Archive(engine, tmp_path / "audit"))
    assert verdict.chains == {"n1/another/0": 0, "n1/test/0": 4}
    assert [fault.chain for fault in verdict.faults] == ["n1/another/0"]


@pytest.mark.fast
def test_a_chain_that_is_taken_away_takes_no_more_records(tmp_path: Path) -> None:
    """SQLite would go on writing a file without a name, and nobody would ever read those records."""
    engine, chain = _filled(tmp_path)
    _take_away(tmp_path)
    for _ in range(2):
        with pytest.raises(AuditUnavailable):
            chain.append([_record()])
    with pytest.raises(AuditUnavailable, match="gone"):
        chain.check()
    chain.close()
    with pytest.raises(AuditUnavailable, match="put it back from the backup"):
        _open(engine, tmp_path)
    verdict = verify(Archive(engine, tmp_path / "audit"))
    assert [(fault.chain, fault.text) for fault in verdict.faults] == [("n1/test/0", "the whole chain is gone")]
    (tmp_path / "audit" / "n1+test+0.lock").unlink()  # somebody knows of the loss
    again = _open(engine, tmp_path)
    assert again.append([_record()]) == ("n1/test/0#1",)
    again.close()
    assert verify(Archive(engine, tmp_path / "audit")).sound


@pytest.mark.fast
def test_a_chain_that_is_put_back_goes_on_and_an_older_copy_does_not(tmp_path: Path) -> None:
    _, chain = _filled(tmp_path)
    older = _copy(tmp_path)
    chain.append([_record(5)])
    whole = _copy(tmp_path)
    _take_away(tmp_path)
    _file(tmp_path).write_bytes(older)
    for _ in range(2):
        with pytest.raises(AuditUnavailable):
            chain.append([_record()])
    _take_away(tmp_path)
    _file(tmp_path).write_bytes(whole)
    assert chain.append([_record(6)]) == ("n1/test/0#6",)
    chain.check()
    chain.close()


def _filled(folder: Path) -> tuple[Engine, Chain]:
    from consent.store.engine import open_engine

    engine = open_engine(f"sqlite:///{folder}/x.sqlite3")
    chain = _open(engine, folder)
    chain.append([_record(number) for number in range(4)])
    return engine, chain


def _file(folder: Path) -> Path:
    return folder / "audit" / "n1+test+0.sqlite3"


def _copy(folder: Path) -> bytes:
    copy = folder / "copy"
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(_file(folder))) as connection:
        connection.execute(f"VACUUM INTO '{copy}'")
    return copy.read_bytes()


def _take_away(folder: Path) -> None:
    time.sleep(2 * LOOK_SECONDS)
    for file in (folder / "audit").glob("n1+test+0.sqlite3*"):
        file.unlink()


class _FailingShelf:
    """A shelf whose disk fails at will."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.fails = False
        self.taken = 0

    def take(self) -> Head:
        self.taken += 1
        last = self.rows[-1] if self.rows else None
        return Head("n/t/0", last.sequence, last.hash) if last else Head("n/t/0", 0, GENESIS)

    def check(self) -> None:
        if self.fails:
            raise AuditUnavailable("disk")

    def write(self, rows: Sequence[Row]) -> None:
        if self.fails:
            self.rows.extend(rows)  # written after all, though the caller was told otherwise
            raise AuditUnavailable("disk")
        self.rows.extend(rows)

    def leave(self) -> None:
        pass


@pytest.mark.fast
def test_after_a_failure_the_head_is_read_again() -> None:
    shelf = _FailingShelf()
    chain = Chain(shelf)
    chain.append([_record(1)])
    shelf.fails = True
    with pytest.raises(AuditUnavailable):
        chain.append([_record(2)])
    shelf.fails = False
    assert chain.append([_record(3)]) == ("n/t/0#3",)
    assert shelf.taken == 2
    chain.close()
    with pytest.raises(AuditUnavailable):
        chain.append([_record(4)])


@pytest.mark.fast
def test_everybody_in_a_shared_commit_is_told_of_its_failure() -> None:
    shelf = _FailingShelf()
    chain = Chain(shelf)
    shelf.fails = True
    outcomes: list[str] = []

    def one() -> None:
        try:
            chain.append([_record()])
            outcomes.append("written")
        except AuditUnavailable:
            outcomes.append("refused")

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["refused"] * 8


class _SlowShelf(_FailingShelf):
    """A shelf whose commits end when the test lets them."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: SimpleQueue[int] = SimpleQueue()
        self.ends: SimpleQueue[None] = SimpleQueue()

    def write(self, rows: Sequence[Row]) -> None:
        self.begun.put(len(rows))
        self.ends.get(timeout=10)
        super().write(rows)


def _waiting(chain: Chain, most: int) -> None:
    until = time.monotonic() + 10
    while len(chain._pending) < most:
        assert time.monotonic() < until
        time.sleep(0.001)


@pytest.mark.fast
def test_whoever_is_on_the_disk_does_not_wait_for_the_next_commit() -> None:
    shelf = _SlowShelf()
    chain = Chain(shelf)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(chain.append, [_record(1)])
        assert shelf.begun.get(timeout=10) == 1
        gathered = [pool.submit(chain.append, [_record(number)]) for number in (2, 3)]
        _waiting(chain, 2)
        shelf.ends.put(None)
        first.result(10)
        assert shelf.begun.get(timeout=10) == 2  # both in one commit
        last = pool.submit(chain.append, [_record(4)])
        _waiting(chain, 1)
        shelf.ends.put(None)
        assert shelf.begun.get(timeout=10) == 1  # the last one's commit stands still, and yet:
        assert sorted(each.result(10)[0] for each in gathered) == ["n/t/0#2", "n/t/0#3"]
        assert not last.done()
        shelf.ends.put(None)
        assert last.result(10) == ("n/t/0#4",)


@pytest.mark.fast
def test_who_waits_too_long_is_refused_and_the_chain_goes_on() -> None:
    shelf = _SlowShelf()
    chain = Chain(shelf, patience=0.05)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(chain.append, [_record(1)])
        shelf.begun.get(timeout=10)
        with pytest.raises(AuditUnavailable):
            pool.submit(chain.append, [_record(2)]).result(10)
        shelf.ends.put(None)
        assert first.result(10) == ("n/t/0#1",)
        shelf.ends.put(None)
        assert pool.submit(chain.append, [_record(3)]).result(10) == ("n/t/0#2",)
    assert [json.loads(row.body)["number"] for row in shelf.rows] == [1, 3]


@pytest.mark.fast
def test_a_chain_is_not_carried_into_a_fork(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from consent.audit.chain import open_chain
from consent.audit.record import AuditRecord, Kind
from consent.audit.shelf import AuditUnavailable
chain = open_chain("sqlite:///x", Path(sys.argv[1]), "n", "t")
record = AuditRecord(Kind.TASK, "t")
if os.fork() == 0:
    try:
        chain.append([record])
    except AuditUnavailable:
        os._exit(0)
    os._exit(1)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=30).returncode == 0


def test_what_was_told_durable_survives_a_kill(engine: Engine, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from consent.audit.chain import open_chain
from consent.audit.record import AuditRecord, Kind
chain = open_chain(sys.argv[1], Path(sys.argv[2]), "n", "t")
while True:
    print(chain.append([AuditRecord(Kind.TASK, "t")])[0], flush=True)
"""
    url = engine.url.render_as_string(False)
    with subprocess.Popen(
        [sys.executable, "-c", code, url, str(tmp_path / "audit")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(50)]
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.readlines()
    last = int([line for line in told if line.endswith("\n")][-1].partition("#")[2])
    archive = Archive(engine, tmp_path / "audit")
    verdict = verify(archive)
    assert verdict.sound
    assert verdict.chains["n/t/0"] >= last
    # the killed process's slot is free again at once on SQLite, and as soon as the server notices on PostgreSQL
    chain = open_chain(url, tmp_path / "audit", "n", "t")
    chain.append([_record()])
    assert verify(archive).sound
    chain.close()


@pytest.mark.fast
def test_numbers_are_packed_small_and_come_back() -> None:
    numbers = set(range(5, 20_000, 3)) | {10**12}
    packed, digest = pack(numbers)
    assert unpack(packed) == tuple(sorted(numbers))
    assert len(packed) < 500
    assert pack([]) == pack(()) != (packed, digest)
    assert unpack(pack([])[0]) == ()


@pytest.mark.fast
def test_the_canonical_form_has_one_text_for_one_meaning() -> None:
    assert canonical({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()
    with pytest.raises(ValueError, match="Out of range"):
        canonical({"a": float("nan")})


@pytest.mark.fast
@pytest.mark.parametrize("name", ["", "a/b", "a+b", "../x", ".x", "ä"])
def test_names_that_would_be_other_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="chain's name"):
        open_chain("sqlite:///x", tmp_path, name, "t")
