"""The ledger: what is on its way into the archive, so that a process that dies loses and doubles nothing.

Instants are microseconds since 1970 in UTC.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table, Text

from consent.store.metadata import METADATA

_Number = BigInteger().with_variant(Integer, "sqlite")

ledger = Table(
    "ledger",
    METADATA,
    Column("sop_uid", String(64), primary_key=True),
    Column("sha256", String(64), nullable=False, index=True),  # of the original file
    Column("patient", String(64), nullable=False),  # whom it was sent for
    Column("study_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),  # dicom_bridge.ledger.State; it only rises
    Column("orthanc_id", String(44), nullable=False, unique=True),
    Column("batch", String(36), nullable=False, index=True),
    Column("instance_number", Integer, nullable=False),
    Column("updated", BigInteger, nullable=False),
)

ledger_batch = Table(
    "ledger_batch",
    METADATA,
    Column("batch", String(36), primary_key=True),
    Column("plan", Text, nullable=False),  # dicom_bridge.plan.Plan as JSON
    Column("intent", String(128), nullable=False),  # id of the audit record that announced it
    Column("created", BigInteger, nullable=False),
)

archive_cursor = Table(
    "archive_cursor",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("last", BigInteger, nullable=False),  # sequence number of the last change read
    Column("compared", BigInteger, nullable=False),  # when all instances were last held against the ledger
)

rendition = Table(
    "rendition",
    METADATA,
    Column("photo", _Number, ForeignKey("photo.photo"), primary_key=True, autoincrement=False),
    Column("width", Integer, primary_key=True, autoincrement=False),  # dicom_bridge.compare.prepared.WIDTHS, or 0
    Column("orthanc_id", String(44), nullable=False),  # the object that it shows
    Column("columns", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("jpeg", LargeBinary, nullable=False),
)
