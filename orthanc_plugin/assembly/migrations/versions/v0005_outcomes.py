"""Outcomes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make what the tables have since."""
    op.create_table(
        "outcome",
        sa.Column("observation", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("characteristic", sa.String(length=32), nullable=False),
        sa.Column("change", sa.Integer(), nullable=True),
        sa.Column("rater", sa.String(length=16), nullable=True),
        sa.Column("scale", sa.String(length=32), nullable=True),
        sa.Column("step_before", sa.String(length=32), nullable=True),
        sa.Column("step_after", sa.String(length=32), nullable=True),
        sa.Column("area", sa.String(length=128), nullable=True),
        sa.Column("side", sa.String(length=1), nullable=True),
        sa.Column("before", sa.String(length=64), nullable=True),
        sa.Column("after", sa.String(length=64), nullable=True),
        sa.Column("start", sa.BigInteger(), nullable=True),
        sa.Column("end", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("observation", name=op.f("pk_outcome")),
    )
    op.create_index("ix_outcome_after", "outcome", ["after"], unique=False)
    op.create_index("ix_outcome_asked", "outcome", ["characteristic", "rater", "change"], unique=False)
    op.create_index("ix_outcome_before", "outcome", ["before"], unique=False)
    op.create_index("ix_outcome_patient", "outcome", ["patient", "end"], unique=False)
