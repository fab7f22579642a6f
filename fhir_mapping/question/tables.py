"""What questions about photos read: the values of their facets, and for each value its photos as bits.

Written by :mod:`fhir_mapping.question.projection`, and made anew by ``photospine db rebuild``.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from consent.store.metadata import METADATA
from fhir_mapping.tables import INDEXED

#: SQLite gives a 64-bit rowid to INTEGER PRIMARY KEY alone.
_Number = BigInteger().with_variant(Integer, "sqlite")

facet_value = Table(
    "facet_value",
    METADATA,
    Column("value", _Number, primary_key=True, autoincrement=True),
    Column("facet", String(16), nullable=False),  # fhir_mapping.question.facets.Index
    Column("system", String(INDEXED), nullable=False),  # empty: none
    Column("code", String(INDEXED), nullable=False),
    Column("amount", Float),  # of a setting
    Index("uq_facet_value", "facet", "system", "code", unique=True),
    Index("ix_facet_value_code", "facet", "code"),
    Index("ix_facet_value_amount", "facet", "system", "amount"),
)

#: The photos that have a value, in chunks; consent.store.rows_of_bits.
facet_bits = Table(
    "facet_bits",
    METADATA,
    Column("value", _Number, ForeignKey("facet_value.value"), primary_key=True, autoincrement=False),
    Column("chunk", Integer, primary_key=True, autoincrement=False),
    Column("bits", LargeBinary, nullable=False),  # consent.bits.packed
)

#: The values that a photo has, so that a change of its facts finds what it had before.
photo_values = Table(
    "photo_values",
    METADATA,
    Column("photo", _Number, ForeignKey("photo.photo"), primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),  # JSON array of facet_value.value, ascending
)
