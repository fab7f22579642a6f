"""Questions that are kept, the pairs that somebody saw of them last, and what left as an export."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from consent.store.metadata import METADATA

#: SQLite gives a 64-bit rowid to INTEGER PRIMARY KEY alone.
_Number = BigInteger().with_variant(Integer, "sqlite")

saved_question = Table(
    "saved_question",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("channel", String(64), nullable=False),  # empty: none
    Column("question", Text, nullable=False),  # fhir_mapping.question.text
    Column("most", Integer, nullable=False),  # pairs
    Column("least", Integer, nullable=False),  # percent of comparability; 0: whatever it is
    Column("made", BigInteger, nullable=False),  # microseconds since 1970
    Column("made_by", String(64), nullable=False),  # account
    Column("seen", BigInteger),  # when its pairs were taken in last
    Column("seen_by", String(64)),
    Index("uq_saved_question_name", "purpose", "channel", "name", unique=True),
)

#: The pairs that were there when it was taken in. Numbers of photos never come back, so what is gone stays named.
saved_pair = Table(
    "saved_pair",
    METADATA,
    Column("question", String(64), ForeignKey("saved_question.id"), primary_key=True),
    Column("before", _Number, primary_key=True, autoincrement=False),
    Column("after", _Number, primary_key=True, autoincrement=False),
)

#: What left as one file.
export = Table(
    "export",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("question", String(64), nullable=False),  # id of the saved question, which may be gone
    Column("purpose", String(32), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("made_by", String(64), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),  # of the file
)

export_item = Table(
    "export_item",
    METADATA,
    Column("export", String(64), ForeignKey("export.id"), primary_key=True),
    Column("name", String(200), primary_key=True),  # of the picture in it
    Column("photo", _Number, nullable=False, index=True),
    Column("sha256", String(64), nullable=False, index=True),
    Column("consents", Text, nullable=False),  # JSON: [id, version, provision] each
)
