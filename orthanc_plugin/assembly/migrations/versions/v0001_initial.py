"""The first schema. Generated from the tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "account",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("purposes", sa.Text(), nullable=False),
        sa.Column("rights", sa.Text(), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=True),
        sa.Column("confined_to", sa.String(length=64), nullable=True),
        sa.Column("own_patient", sa.String(length=64), nullable=True),
        sa.Column("display", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_account")),
    )
    op.create_table(
        "archive_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("compared", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archive_cursor")),
    )
    op.create_table(
        "audit_record",
        sa.Column("chain", sa.String(length=96), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("chain", "sequence", name=op.f("pk_audit_record")),
    )
    op.create_index(op.f("ix_audit_record_recorded"), "audit_record", ["recorded"], unique=False)
    op.create_table(
        "care_member",
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("source", "reference", name=op.f("pk_care_member")),
    )
    op.create_index(op.f("ix_care_member_patient"), "care_member", ["patient"], unique=False)
    op.create_table(
        "decided",
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("audience", sa.String(length=64), nullable=False),
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("effect", sa.String(length=8), nullable=False),
        sa.Column("patient_version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "audience", "photo", name=op.f("pk_decided")),
    )
    op.create_index("ix_decided_photo", "decided", ["photo"], unique=False)
    op.create_table(
        "directive",
        sa.Column("consent", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("consent", name=op.f("pk_directive")),
    )
    op.create_index(op.f("ix_directive_patient"), "directive", ["patient"], unique=False)
    op.create_table(
        "emergency_grant",
        sa.Column("grant", sa.String(length=36), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("grant", name=op.f("pk_emergency_grant")),
    )
    op.create_index(op.f("ix_emergency_grant_account"), "emergency_grant", ["account"], unique=False)
    op.create_table(
        "fhir_date",
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("type", "id", "name", "start", "end", name=op.f("pk_fhir_date")),
    )
    op.create_index("ix_fhir_date_start", "fhir_date", ["type", "name", "start"], unique=False)
    op.create_table(
        "fhir_reference",
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("target", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("type", "id", "path", "target", name=op.f("pk_fhir_reference")),
    )
    op.create_index("ix_fhir_reference_target", "fhir_reference", ["target", "type"], unique=False)
    op.create_table(
        "fhir_resource",
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=64), nullable=True),
        sa.Column("patient", sa.String(length=64), nullable=True),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("type", "id", name=op.f("pk_fhir_resource")),
    )
    op.create_index("ix_fhir_resource_patient", "fhir_resource", ["patient", "type"], unique=False)
    op.create_index(op.f("ix_fhir_resource_updated"), "fhir_resource", ["updated"], unique=False)
    op.create_table(
        "fhir_string",
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("type", "id", "name", "value", name=op.f("pk_fhir_string")),
    )
    op.create_index("ix_fhir_string_value", "fhir_string", ["type", "name", "value"], unique=False)
    op.create_table(
        "fhir_token",
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("system", sa.String(length=200), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("type", "id", "name", "system", "value", name=op.f("pk_fhir_token")),
    )
    op.create_index("ix_fhir_token_value", "fhir_token", ["type", "name", "value", "system"], unique=False)
    op.create_table(
        "fhir_version",
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=64), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("type", "id", "version", name=op.f("pk_fhir_version")),
    )
    op.create_table(
        "held",
        sa.Column("consent", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("treatment", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("consent", name=op.f("pk_held")),
    )
    op.create_index(op.f("ix_held_patient"), "held", ["patient"], unique=False)
    op.create_table(
        "job",
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("lease_by", sa.String(length=64), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_job")),
    )
    op.create_index("ix_job_not_before", "job", ["not_before"], unique=False)
    op.create_index("uq_job_kind_key", "job", ["kind", "key"], unique=True)
    op.create_table(
        "ledger",
        sa.Column("sop_uid", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("series_uid", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("orthanc_id", sa.String(length=44), nullable=False),
        sa.Column("batch", sa.String(length=36), nullable=False),
        sa.Column("instance_number", sa.Integer(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sop_uid", name=op.f("pk_ledger")),
        sa.UniqueConstraint("orthanc_id", name=op.f("uq_ledger_orthanc_id")),
    )
    op.create_index(op.f("ix_ledger_batch"), "ledger", ["batch"], unique=False)
    op.create_index(op.f("ix_ledger_series_uid"), "ledger", ["series_uid"], unique=False)
    op.create_index(op.f("ix_ledger_sha256"), "ledger", ["sha256"], unique=False)
    op.create_index(op.f("ix_ledger_state"), "ledger", ["state"], unique=False)
    op.create_table(
        "ledger_batch",
        sa.Column("batch", sa.String(length=36), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("intent", sa.String(length=128), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("batch", name=op.f("pk_ledger_batch")),
    )
    op.create_table(
        "login_session",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("account_version", sa.BigInteger(), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_login_session")),
    )
    op.create_index(op.f("ix_login_session_account"), "login_session", ["account"], unique=False)
    op.create_table(
        "membership",
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("member", sa.String(length=128), nullable=False),
        sa.Column("of", sa.String(length=128), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=True),
        sa.Column("end", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("source", "position", name=op.f("pk_membership")),
    )
    op.create_index(op.f("ix_membership_member"), "membership", ["member"], unique=False)
    op.create_table(
        "organization_parent",
        sa.Column("organization", sa.String(length=128), nullable=False),
        sa.Column("parent", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("organization", name=op.f("pk_organization_parent")),
    )
    op.create_table(
        "patient",
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("birth_start", sa.BigInteger(), nullable=True),
        sa.Column("birth_end", sa.BigInteger(), nullable=True),
        sa.Column("merged_into", sa.String(length=64), nullable=True),
        sa.Column("survivor", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("patient", name=op.f("pk_patient")),
    )
    op.create_index(op.f("ix_patient_survivor"), "patient", ["survivor"], unique=False)
    op.create_table(
        "patient_state",
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("patient", "purpose", name=op.f("pk_patient_state")),
    )
    op.create_index("ix_patient_state_epoch", "patient_state", ["purpose", "epoch"], unique=False)
    op.create_index("ix_patient_state_from", "patient_state", ["purpose", "valid_from"], unique=False)
    op.create_index(
        "ix_patient_state_unsettled", "patient_state", ["purpose", "stale", "live", "valid_until"], unique=False
    )
    op.create_table(
        "photo",
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("sop_uid", sa.String(length=64), nullable=False),
        sa.Column("series_uid", sa.String(length=64), nullable=False),
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("orthanc_id", sa.String(length=44), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("document", sa.String(length=64), nullable=True),
        sa.Column("imaging_study", sa.String(length=64), nullable=True),
        sa.Column("patient", sa.String(length=64), nullable=True),
        sa.Column("taken", sa.BigInteger(), nullable=True),
        sa.Column("area", sa.String(length=128), nullable=True),
        sa.Column("view", sa.String(length=128), nullable=True),
        sa.Column("procedure", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("photo", name=op.f("pk_photo")),
        sa.UniqueConstraint("document", name=op.f("uq_photo_document")),
        sa.UniqueConstraint("orthanc_id", name=op.f("uq_photo_orthanc_id")),
        sa.UniqueConstraint("sop_uid", name=op.f("uq_photo_sop_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_photo_imaging_study"), "photo", ["imaging_study"], unique=False)
    op.create_index(op.f("ix_photo_patient"), "photo", ["patient"], unique=False)
    op.create_index(op.f("ix_photo_procedure"), "photo", ["procedure"], unique=False)
    op.create_index(op.f("ix_photo_series_uid"), "photo", ["series_uid"], unique=False)
    op.create_index("ix_photo_state_area", "photo", ["state", "area", "patient"], unique=False)
    op.create_index(op.f("ix_photo_study_uid"), "photo", ["study_uid"], unique=False)
    op.create_index(op.f("ix_photo_taken"), "photo", ["taken"], unique=False)
    op.create_table(
        "representation",
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=True),
        sa.Column("end", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_representation")),
    )
    op.create_index(op.f("ix_representation_patient"), "representation", ["patient"], unique=False)
    op.create_table(
        "site_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_state")),
    )
    op.create_table(
        "dicom_instance",
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("sop_uid", sa.String(length=64), nullable=False),
        sa.Column("series_uid", sa.String(length=64), nullable=False),
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("orthanc_patient", sa.String(length=44), nullable=False),
        sa.Column("orthanc_study", sa.String(length=44), nullable=False),
        sa.Column("orthanc_series", sa.String(length=44), nullable=False),
        sa.Column("orthanc_instance", sa.String(length=44), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("patient_name", sa.String(length=324), nullable=False),
        sa.Column("patient_birth", sa.String(length=18), nullable=False),
        sa.Column("patient_sex", sa.String(length=16), nullable=False),
        sa.Column("study_date", sa.String(length=18), nullable=False),
        sa.Column("study_time", sa.String(length=28), nullable=False),
        sa.Column("accession", sa.String(length=16), nullable=False),
        sa.Column("referring", sa.String(length=324), nullable=False),
        sa.Column("study_id", sa.String(length=16), nullable=False),
        sa.Column("study_description", sa.String(length=64), nullable=False),
        sa.Column("admission", sa.String(length=64), nullable=False),
        sa.Column("modality", sa.String(length=16), nullable=False),
        sa.Column("series_number", sa.String(length=12), nullable=False),
        sa.Column("series_description", sa.String(length=64), nullable=False),
        sa.Column("protocol", sa.String(length=64), nullable=False),
        sa.Column("body_part", sa.String(length=16), nullable=False),
        sa.Column("laterality", sa.String(length=16), nullable=False),
        sa.Column("performed_date", sa.String(length=18), nullable=False),
        sa.Column("performed_time", sa.String(length=28), nullable=False),
        sa.Column("sop_class", sa.String(length=64), nullable=False),
        sa.Column("instance_number", sa.String(length=12), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["photo"], ["photo.photo"], name=op.f("fk_dicom_instance_photo")),
        sa.PrimaryKeyConstraint("photo", name=op.f("pk_dicom_instance")),
        sa.UniqueConstraint("sop_uid", name=op.f("uq_dicom_instance_sop_uid")),
    )
    op.create_index(op.f("ix_dicom_instance_accession"), "dicom_instance", ["accession"], unique=False)
    op.create_index(op.f("ix_dicom_instance_orthanc_instance"), "dicom_instance", ["orthanc_instance"], unique=False)
    op.create_index(op.f("ix_dicom_instance_orthanc_patient"), "dicom_instance", ["orthanc_patient"], unique=False)
    op.create_index(op.f("ix_dicom_instance_orthanc_series"), "dicom_instance", ["orthanc_series"], unique=False)
    op.create_index(op.f("ix_dicom_instance_orthanc_study"), "dicom_instance", ["orthanc_study"], unique=False)
    op.create_index(op.f("ix_dicom_instance_patient_id"), "dicom_instance", ["patient_id"], unique=False)
    op.create_index(op.f("ix_dicom_instance_patient_name"), "dicom_instance", ["patient_name"], unique=False)
    op.create_index(op.f("ix_dicom_instance_series_uid"), "dicom_instance", ["series_uid"], unique=False)
    op.create_index(op.f("ix_dicom_instance_study_date"), "dicom_instance", ["study_date"], unique=False)
    op.create_index("ix_dicom_instance_study_series", "dicom_instance", ["study_uid", "series_uid"], unique=False)
    op.create_index(op.f("ix_dicom_instance_study_uid"), "dicom_instance", ["study_uid"], unique=False)
    op.create_table(
        "photo_facts",
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["photo"], ["photo.photo"], name=op.f("fk_photo_facts_photo")),
        sa.PrimaryKeyConstraint("photo", name=op.f("pk_photo_facts")),
    )
    op.create_table(
        "photo_link",
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["photo"], ["photo.photo"], name=op.f("fk_photo_link_photo")),
        sa.PrimaryKeyConstraint("photo", "reference", name=op.f("pk_photo_link")),
    )
    op.create_index(op.f("ix_photo_link_reference"), "photo_link", ["reference"], unique=False)
    op.create_table(
        "photo_patient",
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["photo"], ["photo.photo"], name=op.f("fk_photo_patient_photo")),
        sa.PrimaryKeyConstraint("photo", "patient", name=op.f("pk_photo_patient")),
    )
    op.create_index(op.f("ix_photo_patient_patient"), "photo_patient", ["patient"], unique=False)
    op.create_table(
        "photo_source",
        sa.Column("photo", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source_uid", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["photo"], ["photo.photo"], name=op.f("fk_photo_source_photo")),
        sa.PrimaryKeyConstraint("photo", "source_uid", name=op.f("pk_photo_source")),
    )
    op.create_index(op.f("ix_photo_source_source_uid"), "photo_source", ["source_uid"], unique=False)
