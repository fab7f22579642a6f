"""Outcomes as questions read them: made from Observations, and made anew by ``photospine db rebuild``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from consent.store.metadata import METADATA

outcome = Table(
    "outcome",
    METADATA,
    Column("observation", String(64), primary_key=True),
    Column("patient", String(64), nullable=False),
    Column("characteristic", String(32), nullable=False),
    Column("change", Integer),  # 3 very much improved, 0 no change, below 0 worse
    Column("rater", String(16)),
    Column("scale", String(32)),
    Column("step_before", String(32)),
    Column("step_after", String(32)),
    Column("area", String(128)),  # system|code of the region
    Column("side", String(1)),
    Column("before", String(64)),  # ids of DocumentReferences: photos, decided by whoever shows them
    Column("after", String(64)),
    Column("start", BigInteger),  # microseconds since 1970
    Column("end", BigInteger),
    Index("ix_outcome_asked", "characteristic", "rater", "change"),
    Index("ix_outcome_patient", "patient", "end"),
    Index("ix_outcome_before", "before"),
    Index("ix_outcome_after", "after"),
)
