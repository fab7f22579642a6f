"""The tables of the index: for each photo a narrow row with what is asked for, and apart all attributes as DICOM JSON.

Texts that are absent in the object are empty here, never null, so that universal matching (PS3.4 C.2.2.2.3) meets
them. Names are folded, because person names match without regard to case.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from consent.store.metadata import METADATA

_Number = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str, length: int, *, index: bool = False) -> Column[str]:
    return Column(name, String(length), nullable=False, index=index)


dicom_instance = Table(
    "dicom_instance",
    METADATA,
    Column("photo", _Number, ForeignKey("photo.photo"), primary_key=True, autoincrement=False),
    Column("sop_uid", String(64), nullable=False, unique=True),
    _text("series_uid", 64, index=True),
    _text("study_uid", 64, index=True),
    _text("orthanc_patient", 44, index=True),
    _text("orthanc_study", 44, index=True),
    _text("orthanc_series", 44, index=True),
    _text("orthanc_instance", 44, index=True),
    _text("patient_id", 64, index=True),
    _text("patient_name", 324, index=True),  # folded
    _text("issuer", 64),
    _text("patient_birth", 18),
    _text("patient_sex", 16),
    _text("study_date", 18, index=True),
    _text("study_time", 28),
    _text("accession", 16, index=True),
    _text("referring", 324),  # folded
    _text("study_id", 16),
    _text("study_description", 64),
    _text("admission", 64),
    _text("modality", 16),
    _text("series_number", 12),
    _text("series_description", 64),
    _text("protocol", 64),
    _text("body_part", 16),
    _text("laterality", 16),
    _text("image_laterality", 16),
    _text("performed_date", 18),
    _text("performed_time", 28),
    _text("sop_class", 64),
    _text("instance_number", 12),
    _text("content_date", 18),
    Column("stored", BigInteger, nullable=False),  # microseconds since 1970: when the row was written
    Index("ix_dicom_instance_study_series", "study_uid", "series_uid"),
)

#: Apart, so that matching, counting and paging need not read past it.
dicom_attributes = Table(
    "dicom_attributes",
    METADATA,
    Column("photo", _Number, ForeignKey("dicom_instance.photo"), primary_key=True, autoincrement=False),
    Column("attributes", Text, nullable=False),  # DICOM JSON without pixel data
)
