"""The index of every search parameter: numbers, composites, and what each question begins with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make what the tables have since."""
    op.create_table(
        "fhir_composite",
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("system", sa.String(length=100), nullable=False),
        sa.Column("value", sa.String(length=100), nullable=False),
        sa.Column("part_system", sa.String(length=100), nullable=False),
        sa.Column(
            "part_value",
            sa.String(length=100).with_variant(sa.VARCHAR(length=100, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "type",
            "id",
            "name",
            "system",
            "value",
            "part_system",
            "part_value",
            "low",
            "high",
            name=op.f("pk_fhir_composite"),
        ),
    )
    op.create_index(
        "ix_fhir_composite_found",
        "fhir_composite",
        ["type", "name", "value", "part_value", "low", "high", "system", "part_system", "id"],
        unique=False,
    )
    op.create_table(
        "fhir_number",
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("system", sa.String(length=200), nullable=False),
        sa.Column("code", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("type", "id", "name", "low", "high", "system", "code", name=op.f("pk_fhir_number")),
    )
    op.create_index("ix_fhir_number_first", "fhir_number", ["type", "name", "low", "high", "id"], unique=False)
    op.create_index("ix_fhir_number_last", "fhir_number", ["type", "name", "high", "low", "id"], unique=False)
    _compare_by_character()
    op.drop_index(op.f("ix_fhir_date_start"), table_name="fhir_date")
    op.create_index("ix_fhir_date_first", "fhir_date", ["type", "name", "start", "end", "id"], unique=False)
    op.create_index("ix_fhir_date_last", "fhir_date", ["type", "name", "end", "start", "id"], unique=False)
    op.drop_index(op.f("ix_fhir_reference_target"), table_name="fhir_reference")
    op.create_index("ix_fhir_reference_found", "fhir_reference", ["target", "type", "path", "id"], unique=False)
    op.create_index("ix_fhir_reference_stated", "fhir_reference", ["type", "path", "target", "id"], unique=False)
    op.create_index("ix_fhir_resource_updated_of_type", "fhir_resource", ["type", "updated", "id"], unique=False)
    op.drop_index(op.f("ix_fhir_string_value"), table_name="fhir_string")
    op.create_index("ix_fhir_string_found", "fhir_string", ["type", "name", "value", "id"], unique=False)
    op.drop_index(op.f("ix_fhir_token_value"), table_name="fhir_token")
    op.create_index("ix_fhir_token_found", "fhir_token", ["type", "name", "value", "system", "id"], unique=False)


def _compare_by_character() -> None:
    """SQLite does so in any case."""
    if op.get_bind().dialect.name == "postgresql":
        for table, column, length in (
            ("fhir_token", "value", 200),
            ("fhir_string", "value", 200),
            ("fhir_reference", "target", 128),
        ):
            op.alter_column(table, column, type_=sa.String(length, collation="C"), existing_nullable=False)
