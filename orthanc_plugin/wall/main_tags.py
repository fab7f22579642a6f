"""The attributes that Orthanc shows of patients, studies, series and instances: its main DICOM tags, as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Engine, bindparam, select

from consent.store.quick import Quick
from dicom_bridge.query.dictionary import Level, tag
from dicom_bridge.query.index import text_of
from dicom_bridge.query.tables import dicom_attributes, dicom_instance

Texts = Mapping[str, str]
"""Keyword -> text, without those that are empty."""

KEYWORDS: dict[Level, tuple[str, ...]] = {
    level: tuple(keywords.split())
    for level, keywords in {
        Level.PATIENT: "PatientID PatientName PatientBirthDate PatientSex",
        Level.STUDY: "AccessionNumber InstitutionName ReferringPhysicianName RequestedProcedureDescription StudyDate "
        "StudyDescription StudyID StudyInstanceUID StudyTime",
        Level.SERIES: "BodyPartExamined Manufacturer Modality OperatorsName PerformedProcedureStepDescription "
        "ProtocolName SeriesDate SeriesDescription SeriesInstanceUID SeriesNumber SeriesTime StationName",
        Level.INSTANCE: "AcquisitionNumber ImageComments InstanceCreationDate InstanceCreationTime InstanceNumber "
        "NumberOfFrames SOPInstanceUID",
    }.items()
}
_ALL = tuple(keyword for keywords in KEYWORDS.values() for keyword in keywords)
_ALWAYS = frozenset(keyword for keyword in _ALL if keyword.endswith(("ID", "UID")))
"""Shown also where they are empty."""

_MOST = 10_000
_BY_SOP = (
    select(dicom_instance.c.stored, dicom_attributes.c.attributes)
    .join(dicom_attributes, dicom_attributes.c.photo == dicom_instance.c.photo)
    .where(dicom_instance.c.sop_uid == bindparam("sop"))
)


def texts_of(attributes: Mapping[str, Any], keywords: Iterable[str] = _ALL) -> dict[str, str]:
    """The main tags among a photo's attributes, given as DICOM JSON."""
    found = ((keyword, text_of(attributes, tag(keyword))) for keyword in keywords)
    return {keyword: text for keyword, text in found if text}


def shown(texts: Texts, level: Level) -> dict[str, str]:
    """Those of one level, as Orthanc shows them."""
    return {keyword: texts.get(keyword, "") for keyword in KEYWORDS[level] if keyword in texts or keyword in _ALWAYS}


class MainTags:
    """Main tags of photos, remembered for as long as their rows of the index are not written anew.

    Nothing here permits: whoever asks has put the photo to the decision.
    """

    def __init__(self, engine: Engine) -> None:
        self._query = Quick(engine, _BY_SOP, "sop", most=1)  # what it gives is remembered here, and small
        self._known: dict[tuple[str, int], Texts] = {}

    def at_hand(self, sop_uid: str, stored: int) -> Texts | None:
        """The texts, where they are remembered; else None.

        Parameters
        ----------
        stored
            When the photo's row was written, in microseconds since 1970.
        """
        return self._known.get((sop_uid, stored))

    def read(self, sop_uid: str, stored: int) -> Texts | None:
        """The texts; None where the row is another by now.

        Raises
        ------
        sqlalchemy.exc.SQLAlchemyError
            The database cannot be asked.
        """
        found = self.at_hand(sop_uid, stored)
        if found is not None:
            return found
        for row in self._query.rows(sop_uid):
            if row.stored == stored:
                if len(self._known) >= _MOST:
                    self._known = {}
                found = self._known[sop_uid, stored] = texts_of(json.loads(row.attributes))
        return found
