"""Tables of the clinical record: every version as it was received, and what search reads.

Instants are microseconds since 1970 in UTC. The index tables hold current versions alone and can be rebuilt from
``fhir_version`` (:func:`fhir_mapping.projections.project.rebuild`).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, String, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from consent.store.metadata import METADATA

#: Longest text that an index holds; longer values are held as a beginning and a digest, see ``fhir_mapping.search``.
INDEXED = 200

PART = 100
"""The same of each part of a composite, five of which make one key."""


def _exact(length: int) -> TypeEngine[str]:
    """A text compared character by character, whatever the database sorts by: what begins with another is a range."""
    return String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


fhir_resource = Table(
    "fhir_resource",
    METADATA,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("updated", BigInteger, nullable=False, index=True),
    Column("status", String(64)),
    Column("patient", String(64)),  # whose compartment it is in: the Patient itself, subject, patient or for
    Column("source", String(200), nullable=False),  # who owns it: meta.source, else the account that wrote it
    Index("ix_fhir_resource_patient", "patient", "type"),
    Index("ix_fhir_resource_updated_of_type", "type", "updated", "id"),
)

fhir_version = Table(
    "fhir_version",
    METADATA,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("updated", BigInteger, nullable=False),
    Column("source", String(200), nullable=False),
    Column("status", String(64)),
    Column("body", LargeBinary, nullable=False),  # served, with id and meta spliced in; JSON, UTF-8
    Column("received", LargeBinary),  # as it came, where a transaction's references had to be resolved in body
    Index("ix_fhir_version_updated", "type", "updated", "id", "version"),  # the history of a type, newest first
)

#: Deletions. A deleted resource has no current row, so nothing finds it; its versions stay, and the deletion is one.
fhir_deletion = Table(
    "fhir_deletion",
    METADATA,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("updated", BigInteger, nullable=False),
    Column("source", String(200), nullable=False),  # who deleted it
    Column("patient", String(64)),  # whose compartment it was in
    Index("ix_fhir_deletion_updated", "type", "updated", "id", "version"),
    Index("ix_fhir_deletion_patient", "patient", "type"),
)

CURRENT = fhir_version.join(
    fhir_resource,
    (fhir_resource.c.type == fhir_version.c.type)
    & (fhir_resource.c.id == fhir_version.c.id)
    & (fhir_resource.c.version == fhir_version.c.version),
)
"""The current version of each resource, with what was received."""

fhir_token = Table(
    "fhir_token",
    METADATA,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("name", String(32), primary_key=True),  # the search parameter
    Column("system", String(INDEXED), primary_key=True),  # empty: none stated
    Column("value", _exact(INDEXED), primary_key=True),
    Index("ix_fhir_token_found", "type", "name", "value", "system", "id"),
)

fhir_reference = Table(
    "fhir_reference",
    METADATA,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("path", String(INDEXED), primary_key=True),  # without the type and without indices: context.related
    Column("target", _exact(128), primary_key=True),  # Type/id; of what is elsewhere its whole address
    Index("ix_fhir_reference_found", "target", "type", "path", "id"),
    Index("ix_fhir_reference_stated", "type", "path", "target", "id"),
)

fhir_date = Table(
    "fhir_date",
    METADATA,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("start", BigInteger, primary_key=True),  # half-open span; an open side is the least or greatest integer
    Column("end", BigInteger, primary_key=True),
    Index("ix_fhir_date_first", "type", "name", "start", "end", "id"),
    Index("ix_fhir_date_last", "type", "name", "end", "start", "id"),
)

fhir_string = Table(
    "fhir_string",
    METADATA,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("value", _exact(INDEXED), primary_key=True),  # small letters, without accents
    Index("ix_fhir_string_found", "type", "name", "value", "id"),
)

fhir_number = Table(
    "fhir_number",
    METADATA,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("low", Double, primary_key=True),  # both ends belong to it; an open side is infinite
    Column("high", Double, primary_key=True),
    Column("system", String(INDEXED), primary_key=True),  # of the unit, empty where it is a word, or a bare number
    Column("code", String(INDEXED), primary_key=True),
    Index("ix_fhir_number_first", "type", "name", "low", "high", "id"),
    Index("ix_fhir_number_last", "type", "name", "high", "low", "id"),
)

fhir_composite = Table(
    "fhir_composite",
    METADATA,
    Column("type", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("system", String(PART), primary_key=True),  # the first part, always a token
    Column("value", String(PART), primary_key=True),
    Column("part_system", String(PART), primary_key=True),  # the second: a token, a unit, a text, a reference
    Column("part_value", _exact(PART), primary_key=True),
    Column("low", Double, primary_key=True),  # of a date (microseconds) or a quantity; else 0
    Column("high", Double, primary_key=True),
    # Whole rows: else SQLite takes the key, which is, and reads all of a type.
    Index(
        "ix_fhir_composite_found", "type", "name", "value", "part_value", "low", "high", "system", "part_system", "id"
    ),
)
