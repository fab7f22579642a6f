"""Who stored what through the gateway: storage commitment answers a sender for its own objects."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table

from consent.store.metadata import METADATA

dimse_stored = Table(
    "dimse_stored",
    METADATA,
    Column("account", String(64), primary_key=True),
    Column("sop_uid", String(64), primary_key=True),
    Column("sop_class", String(64), nullable=False),
    Column("orthanc_id", String(44), nullable=False),
    Column("stored", BigInteger, nullable=False),  # microseconds since 1970
)
