"""Batch advisories."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make what the tables have since."""
    op.create_table(
        "advisory_dropped",
        sa.Column("target", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("target", "type", "id", name=op.f("pk_advisory_dropped")),
    )
    op.create_index("ix_advisory_dropped_use", "advisory_dropped", ["type", "id"], unique=False)
    op.create_table(
        "advisory_lot",
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("lot", sa.String(length=200), nullable=False),
        sa.Column("expiry", sa.String(length=40), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("former", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("type", "id", "part", "lot", "expiry", "device", name=op.f("pk_advisory_lot")),
    )
    op.create_index("ix_advisory_lot_lot", "advisory_lot", ["lot"], unique=False)
    op.create_index("ix_advisory_lot_serial", "advisory_lot", ["serial"], unique=False)
    op.create_index("ix_advisory_lot_state", "advisory_lot", ["state"], unique=False)
    op.create_table(
        "advisory_name",
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("type", "id", "part", "name", name=op.f("pk_advisory_name")),
    )
    op.create_index("ix_advisory_name_name", "advisory_name", ["name"], unique=False)
    op.create_table(
        "advisory_spelling",
        sa.Column("reading", sa.String(length=64), nullable=False),
        sa.Column("lot", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("reading", "lot", name=op.f("pk_advisory_spelling")),
    )
    op.create_index("ix_advisory_spelling_lot", "advisory_spelling", ["lot"], unique=False)
