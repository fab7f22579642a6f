"""The doors: peers, issuers, guesses, checkpoints, former facts; attributes apart from what is searched."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

#: Column, length and tag (as in DICOM JSON) of what is searched since.
_COLUMNS = (("issuer", 64, "00100021"), ("image_laterality", 16, "00200062"), ("content_date", 18, "00080023"))
_PAGE = sa.text("SELECT photo, attributes FROM dicom_instance WHERE photo > :after ORDER BY photo LIMIT 500")
_MOVE = sa.text("INSERT INTO dicom_attributes (photo, attributes) VALUES (:photo, :attributes)")


def upgrade() -> None:
    """Make what the tables have since."""
    op.create_table(
        "account_identity",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_account_identity")),
    )
    op.create_index(op.f("ix_account_identity_account"), "account_identity", ["account"], unique=False)
    op.create_table(
        "audit_checkpoint",
        sa.Column("chain", sa.String(length=96), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("copied", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "size", name=op.f("pk_audit_checkpoint")),
    )
    op.create_index(op.f("ix_audit_checkpoint_copied"), "audit_checkpoint", ["copied"], unique=False)
    op.create_table(
        "dimse_peer",
        sa.Column("ae_title", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=True),
        sa.Column("project", sa.String(length=64), nullable=True),
        sa.Column("networks", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("tls", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("ae_title", name=op.f("pk_dimse_peer")),
    )
    op.create_index(op.f("ix_dimse_peer_account"), "dimse_peer", ["account"], unique=False)
    op.create_table(
        "dimse_stored",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("sop_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class", sa.String(length=64), nullable=False),
        sa.Column("orthanc_id", sa.String(length=44), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "sop_uid", name=op.f("pk_dimse_stored")),
    )
    op.create_table(
        "facts_then",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", "version", name=op.f("pk_facts_then")),
    )
    op.create_table(
        "identity_policy",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_policy")),
    )
    op.create_table(
        "issuer_key",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("kid", sa.String(length=255), nullable=False),
        sa.Column("jwk", sa.Text(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "kid", name=op.f("pk_issuer_key")),
    )
    op.create_table(
        "issuer_state",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("fetched", sa.BigInteger(), nullable=True),
        sa.Column("tried", sa.BigInteger(), nullable=True),
        sa.Column("wanted", sa.BigInteger(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", name=op.f("pk_issuer_state")),
    )
    op.create_table(
        "sign_in_attempt",
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("known", sa.BigInteger(), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_attempt")),
    )
    op.create_index(op.f("ix_sign_in_attempt_expires"), "sign_in_attempt", ["expires"], unique=False)
    op.create_index(op.f("ix_sign_in_attempt_name_hash"), "sign_in_attempt", ["name_hash"], unique=False)
    op.create_table(
        "dicom_attributes",
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["photo"], ["dicom_instance.photo"], name=op.f("fk_dicom_attributes_photo")),
        sa.PrimaryKeyConstraint("photo", name=op.f("pk_dicom_attributes")),
    )
    for name, length, _ in _COLUMNS:
        op.add_column("dicom_instance", sa.Column(name, sa.String(length), nullable=False, server_default=""))
    _move_attributes(op.get_bind())
    op.drop_column("dicom_instance", "attributes")


def _move_attributes(connection: sa.Connection) -> None:
    """Attributes lie apart from the row that is searched, and some of them are searched too."""
    sets = ", ".join(f"{name} = :{name}" for name, _, _ in _COLUMNS)
    after = -1
    while True:
        rows = connection.execute(_PAGE, {"after": after}).all()
        if not rows:
            return
        connection.execute(_MOVE, [{"photo": row.photo, "attributes": row.attributes} for row in rows])
        connection.execute(
            sa.text(f"UPDATE dicom_instance SET {sets} WHERE photo = :photo"),  # noqa: S608  # names of our own
            [{"photo": row.photo, **_searched(row.attributes)} for row in rows],
        )
        after = rows[-1].photo


def _searched(attributes: str) -> dict[str, str]:
    entries = json.loads(attributes)
    found = {}
    for name, length, tag in _COLUMNS:
        values = entries.get(tag, {}).get("Value", ())
        found[name] = "\\".join(str(value) for value in values if value is not None).strip(" \0")[:length]
    return found
