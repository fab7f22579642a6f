"""Renditions of photos that were made before anybody asked for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make what the tables have since."""
    op.create_table(
        "rendition",
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=False),
        sa.Column("width", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("orthanc_id", sa.String(length=44), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("jpeg", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["photo"], ["photo.photo"], name=op.f("fk_rendition_photo")),
        sa.PrimaryKeyConstraint("photo", "width", name=op.f("pk_rendition")),
    )
