"""Sets of photos as bits are sets of numbers, in memory and in the database."""

from __future__ import annotations

import zlib
from random import Random
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from consent.bits import Bits, Counting, packed, unpacked
from consent.store import rows_of_bits
from consent.store.engine import reading, transaction
from consent.store.tables import decided_bits

_Sets = dict[rows_of_bits.Key, set[int]]
_NUMBERS = st.frozensets(st.integers(1, 40) | st.integers(65_520, 65_560) | st.integers(1, 10_000_000), max_size=60)


@pytest.mark.fast
@settings(max_examples=80, deadline=None, derandomize=True)
@given(_NUMBERS, _NUMBERS)
def test_they_are_sets_of_numbers(one: frozenset[int], other: frozenset[int]) -> None:
    a, b = Bits.of(one), Bits.of(other)
    assert list(a) == sorted(one)
    assert len(a) == len(one)
    assert bool(a) == bool(one)
    for bits, numbers in ((a & b, one & other), (a | b, one | other), (a - b, one - other)):
        assert bits == Bits.of(numbers)
        assert hash(bits) == hash(Bits.of(numbers))
    assert a.shared_with(b) == len(one & other)
    assert all((each in a) == (each in one) for each in one | other)
    counting = Counting(b)
    assert sum(counting.shared_with(chunk, row) for chunk, row in a.chunks()) == len(one & other)
    for _, row in a.chunks():
        assert packed(unpacked(row)) == row


@pytest.mark.fast
@pytest.mark.parametrize("step", [1, 2, 7, 100, 300, 1000, 60_000])
def test_a_chunk_on_record_is_the_chunk_however_it_is_written(step: int) -> None:
    numbers = set(range(3, 65_536, step))
    (row,) = [row for _, row in Bits.of(numbers).chunks()]
    assert set(Bits({0: unpacked(row)})) == numbers
    deflated = b"\x01" + zlib.compress(unpacked(row).to_bytes(8192, "little"))
    assert unpacked(deflated) == unpacked(row), "as it was written before, too"
    for other in ({3}, set(range(0, 65_536, 2)), set(), {65_535, 70_000}):
        assert Counting(Bits.of(other)).shared_with(0, row) == len(numbers & other)
        assert Counting(Bits.of(other)).shared_with(0, deflated) == len(numbers & other)


def test_rows_follow_every_change(engine: Engine) -> None:
    random = Random(3)
    wanted: dict[tuple[str, str], set[int]] = {(purpose, "*"): set() for purpose in ("TREAT", "WEB", "CONF")}
    for _ in range(25):
        added, taken = (
            {key: {random.choice([3, 4, 70_000, 70_001, 200_000]) for _ in range(3)} for key in wanted
             if random.random() < 0.7}
            for _ in range(2)
        )  # fmt: skip
        with transaction(engine) as connection:
            rows_of_bits.change(connection, decided_bits, cast("_Sets", added), cast("_Sets", taken))
        for key in wanted:
            wanted[key] = (wanted[key] | added.get(key, set())) - taken.get(key, set())
        with reading(engine) as connection:
            found = rows_of_bits.load(connection, decided_bits)
            assert {key: set(bits) for key, bits in found.items()} == {
                key: each for key, each in wanted.items() if each
            }
            assert set(rows_of_bits.load_one(connection, decided_bits, "WEB", "*")) == wanted["WEB", "*"]
