"""Questions about photos."""

from __future__ import annotations

import zlib

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_DUE = sa.text("INSERT INTO photo_due (photo) SELECT photo FROM photo")
_DECIDED = sa.text("SELECT purpose, audience, photo FROM decided")
_BITS = sa.text("INSERT INTO decided_bits (purpose, audience, chunk, bits) VALUES (:purpose, :audience, :chunk, :bits)")


def upgrade() -> None:
    """Make what the tables have since."""
    op.create_table(
        "decided_bits",
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("audience", sa.String(length=64), nullable=False),
        sa.Column("chunk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bits", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "audience", "chunk", name=op.f("pk_decided_bits")),
    )
    op.create_table(
        "facet_value",
        sa.Column("value", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("facet", sa.String(length=16), nullable=False),
        sa.Column("system", sa.String(length=200), nullable=False),
        sa.Column("code", sa.String(length=200), nullable=False),
        sa.Column("amount", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("value", name=op.f("pk_facet_value")),
    )
    op.create_index("ix_facet_value_amount", "facet_value", ["facet", "system", "amount"], unique=False)
    op.create_index("ix_facet_value_code", "facet_value", ["facet", "code"], unique=False)
    op.create_index("uq_facet_value", "facet_value", ["facet", "system", "code"], unique=True)
    op.create_table(
        "facet_bits",
        sa.Column("value", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("chunk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bits", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["value"], ["facet_value.value"], name=op.f("fk_facet_bits_value")),
        sa.PrimaryKeyConstraint("value", "chunk", name=op.f("pk_facet_bits")),
    )
    op.create_table(
        "photo_due",
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["photo"], ["photo.photo"], name=op.f("fk_photo_due_photo")),
        sa.PrimaryKeyConstraint("photo", name=op.f("pk_photo_due")),
    )
    op.create_table(
        "photo_values",
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["photo"], ["photo.photo"], name=op.f("fk_photo_values_photo")),
        sa.PrimaryKeyConstraint("photo", name=op.f("pk_photo_values")),
    )
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    """All photos are due; the answers that are stored already, as bits."""
    connection.execute(_DUE)
    found: dict[tuple[str, str, int], bytearray] = {}
    for purpose, audience, number in connection.execute(_DECIDED):
        bits = found.setdefault((purpose, audience, number >> 16), bytearray(1 << 13))
        bits[(number & 0xFFFF) >> 3] |= 1 << (number & 7)
    for (purpose, audience, chunk), bits in found.items():
        row = {"purpose": purpose, "audience": audience, "chunk": chunk, "bits": b"\x01" + zlib.compress(bits, 1)}
        connection.execute(_BITS, row)
