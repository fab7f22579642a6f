"""Deletions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make what the tables have since."""
    op.create_table(
        "fhir_deletion",
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("type", "id", "version", name=op.f("pk_fhir_deletion")),
    )
    op.create_index("ix_fhir_deletion_patient", "fhir_deletion", ["patient", "type"], unique=False)
    op.create_index("ix_fhir_deletion_updated", "fhir_deletion", ["type", "updated", "id", "version"], unique=False)
    op.create_index("ix_fhir_version_updated", "fhir_version", ["type", "updated", "id", "version"], unique=False)
