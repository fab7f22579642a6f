"""Sessions that are shown to somebody else, and the PINs that take them back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make what the tables have since."""
    op.create_table(
        "account_pin",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("pin", sa.Text(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.name"], name=op.f("fk_account_pin_account")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_account_pin")),
    )
    op.add_column("login_session", sa.Column("shown", sa.String(length=16), nullable=True))
    op.add_column("login_session", sa.Column("shown_to", sa.String(length=64), nullable=True))
    op.add_column("login_session", sa.Column("attempts", sa.Integer(), server_default="0", nullable=False))
