"""What a batch question reads: every lot on record, how it may be misread, and what products are called.

Written in the same transaction as the resources (:mod:`fhir_mapping.projections.lots`), made anew by a rebuild.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, String, Table

from consent.store.metadata import METADATA
from fhir_mapping.tables import INDEXED

advisory_lot = Table(
    "advisory_lot",
    METADATA,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("part", String(64), primary_key=True),  # id of the contained product; empty: the resource itself
    Column("lot", String(INDEXED), primary_key=True),  # as stated, without spaces around it; empty: none
    Column("expiry", String(40), primary_key=True),  # FHIR date as received; empty: none
    Column("device", String(64), primary_key=True),  # its device identifier; empty: none
    Column("serial", String(INDEXED), nullable=False),
    Column("state", String(8), nullable=False),  # fhir_mapping.advisory.stated.State
    Column("name", String(INDEXED), nullable=False),  # what the product is called; empty: not said
    Column("former", Boolean, nullable=False),  # an earlier version alone says so
    Index("ix_advisory_lot_lot", "lot"),
    Index("ix_advisory_lot_serial", "serial"),
    Index("ix_advisory_lot_state", "state"),
)

advisory_spelling = Table(
    "advisory_spelling",
    METADATA,
    # How a lot reads, whole or by words, and each of these with one character left out: two readings that differ by
    # one character, or by two exchanged, have one of these in common.
    Column("reading", String(64), primary_key=True),
    Column("lot", String(INDEXED), primary_key=True),
    Index("ix_advisory_spelling_lot", "lot"),
)

advisory_name = Table(
    "advisory_name",
    METADATA,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("part", String(64), primary_key=True),
    Column("name", String(INDEXED), primary_key=True),  # folded; a name, a code, system|code, a device identifier
    Index("ix_advisory_name_name", "name"),
)

advisory_dropped = Table(
    "advisory_dropped",
    METADATA,
    # What a use named in an earlier version, and no longer names.
    Column("target", String(128), primary_key=True),
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Index("ix_advisory_dropped_use", "type", "id"),
)
