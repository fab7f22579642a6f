"""The table of what ran at full counts tells of each file what is known of it, and at which commit that was."""

from __future__ import annotations

import pytest

from benchmarks.acceptance import DID_NOT_RUN, Outcome, table

pytestmark = pytest.mark.fast

_KILLS = {"name": "kills", "asked": 200, "run": 200, "failures": 0, "seed": 4, "seconds": 9.5, "measured": "a | b"}
_STEPS = {"name": "steps", "asked": 4000, "run": 4000, "failures": 0, "seed": None, "seconds": 1.0, "measured": ""}


def _none(file: str) -> Outcome:
    return Outcome(file, True, DID_NOT_RUN, 0.0, not_run={"it did not run at these commits": 1})


def test_what_did_not_run_stays_as_it_was_told_with_its_commit() -> None:
    first = table(
        "aaa",
        [
            Outcome("tests/a.py", True, "2 passed", 3.0, counted=[_KILLS], not_run={"no buildah": 2}, commit="aaa"),
            Outcome("tests/b.py", True, "1 passed", 4.0, counted=[_STEPS], commit="aaa"),
            _none("tests/c.py"),
        ],
        [],
    )
    again = [_none("tests/a.py"), Outcome("tests/b.py", False, "1 failed", 5.0, commit="bbb"), _none("tests/c.py")]
    second = table("bbb", again, first.splitlines())
    assert r"| kills | 200 | 200 | 0 | 4 | 9.5 | a \| b | tests/a.py |" in second
    assert "| tests/a.py | 2 passed | 3.0 | aaa |" in second
    assert "| tests/a.py | 2 | no buildah |" in second
    assert "| tests/b.py | **failed**: 1 failed | 5.0 | bbb |" in second
    assert "steps" not in second
    assert f"| tests/c.py | {DID_NOT_RUN} | 0.0 |  |" in second
    third = table("ccc", [_none("tests/a.py"), _none("tests/b.py"), _none("tests/c.py")], second.splitlines())
    assert third.splitlines()[3:] == second.splitlines()[3:]


def test_what_ran_one_by_one_is_told_together() -> None:
    each = {**_STEPS, "name": "kill", "asked": 1, "run": 1, "seconds": 2.5}
    kills = [each, {**each, "failures": 1}, each | {"seed": 7}, _KILLS, _KILLS]
    told = table("aaa", [Outcome("tests/a.py", True, "5 passed", 9.0, counted=kills, commit="aaa")], [])
    assert "| kill | 2 | 2 | 1 |  | 5.0 |  | tests/a.py |" in told
    assert "| kill | 1 | 1 | 0 | 7 | 2.5 |  | tests/a.py |" in told
    assert told.count("| kills | 200 | 200 | 0 |") == 2


def test_a_file_that_is_not_there_any_more_is_told_no_more() -> None:
    first = table("aaa", [Outcome("tests/a.py", True, "2 passed", 3.0, counted=[_KILLS], commit="aaa")], [])
    second = table("bbb", [_none("tests/b.py")], first.splitlines())
    assert "tests/a.py" not in second
    assert "kills" not in second
