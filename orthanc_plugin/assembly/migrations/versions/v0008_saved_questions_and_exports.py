"""Saved questions and exports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make what the tables have since."""
    op.create_table(
        "export",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export")),
    )
    op.create_index(op.f("ix_export_sha256"), "export", ["sha256"], unique=False)
    op.create_table(
        "saved_question",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.Column("least", sa.Integer(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=True),
        sa.Column("seen_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_question")),
    )
    op.create_index("uq_saved_question_name", "saved_question", ["purpose", "channel", "name"], unique=True)
    op.create_table(
        "export_item",
        sa.Column("export", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("consents", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["export"], ["export.id"], name=op.f("fk_export_item_export")),
        sa.PrimaryKeyConstraint("export", "name", name=op.f("pk_export_item")),
    )
    op.create_index(op.f("ix_export_item_photo"), "export_item", ["photo"], unique=False)
    op.create_index(op.f("ix_export_item_sha256"), "export_item", ["sha256"], unique=False)
    op.create_table(
        "saved_pair",
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("before", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("after", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["question"], ["saved_question.id"], name=op.f("fk_saved_pair_question")),
        sa.PrimaryKeyConstraint("question", "before", "after", name=op.f("pk_saved_pair")),
    )
