"""The part of the DICOM dictionary that queries need: tag, VR and level of each attribute that can be asked for.

References: PS3.6; PS3.18 Tables 10.6.1-5 and 10.6.3-3 to 10.6.3-5; PS3.4 C.6.1.1 (levels).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """The information entity that an attribute belongs to, or that is asked for."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    INSTANCE = 3


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute."""

    keyword: str
    tag: str
    """Eight upper-case hexadecimal digits, as in DICOM JSON."""

    vr: str
    level: Level


_LINES = """
SpecificCharacterSet 00080005 CS PATIENT
PatientName 00100010 PN PATIENT
PatientID 00100020 LO PATIENT
IssuerOfPatientID 00100021 LO PATIENT
PatientBirthDate 00100030 DA PATIENT
PatientSex 00100040 CS PATIENT
OtherPatientIDs 00101000 LO PATIENT
EthnicGroup 00102160 SH PATIENT
PatientComments 00104000 LT PATIENT
StudyInstanceUID 0020000D UI STUDY
StudyDate 00080020 DA STUDY
StudyTime 00080030 TM STUDY
AccessionNumber 00080050 SH STUDY
ReferringPhysicianName 00080090 PN STUDY
TimezoneOffsetFromUTC 00080201 SH STUDY
StudyDescription 00081030 LO STUDY
PatientAge 00101010 AS STUDY
PatientSize 00101020 DS STUDY
PatientWeight 00101030 DS STUDY
AdmissionID 00380010 LO STUDY
StudyID 00200010 SH STUDY
InstitutionName 00080080 LO STUDY
RequestedProcedureDescription 00321060 LO STUDY
SeriesInstanceUID 0020000E UI SERIES
Modality 00080060 CS SERIES
SeriesDate 00080021 DA SERIES
SeriesTime 00080031 TM SERIES
SeriesDescription 0008103E LO SERIES
SeriesNumber 00200011 IS SERIES
ProtocolName 00181030 LO SERIES
BodyPartExamined 00180015 CS SERIES
Laterality 00200060 CS SERIES
PerformedProcedureStepStartDate 00400244 DA SERIES
PerformedProcedureStepStartTime 00400245 TM SERIES
PerformedProcedureStepDescription 00400254 LO SERIES
RequestAttributesSequence 00400275 SQ SERIES
OperatorsName 00081070 PN SERIES
StationName 00081010 SH SERIES
Manufacturer 00080070 LO SERIES
ManufacturerModelName 00081090 LO SERIES
SOPClassUID 00080016 UI INSTANCE
SOPInstanceUID 00080018 UI INSTANCE
InstanceNumber 00200013 IS INSTANCE
ContentDate 00080023 DA INSTANCE
ContentTime 00080033 TM INSTANCE
AcquisitionDateTime 0008002A DT INSTANCE
InstanceCreationDate 00080012 DA INSTANCE
InstanceCreationTime 00080013 TM INSTANCE
ImageType 00080008 CS INSTANCE
ImageLaterality 00200062 CS INSTANCE
ImageComments 00204000 LT INSTANCE
AcquisitionNumber 00200012 IS INSTANCE
NumberOfFrames 00280008 IS INSTANCE
Rows 00280010 US INSTANCE
Columns 00280011 US INSTANCE
BitsAllocated 00280100 US INSTANCE
PhotometricInterpretation 00280004 CS INSTANCE
PatientOrientation 00200020 CS INSTANCE
AnatomicRegionSequence 00082218 SQ INSTANCE
ViewCodeSequence 00540220 SQ INSTANCE
ModalitiesInStudy 00080061 CS STUDY
SOPClassesInStudy 00080062 UI STUDY
InstanceAvailability 00080056 CS INSTANCE
RetrieveURL 00081190 UR INSTANCE
NumberOfPatientRelatedStudies 00201200 IS PATIENT
NumberOfPatientRelatedSeries 00201202 IS PATIENT
NumberOfPatientRelatedInstances 00201204 IS PATIENT
NumberOfStudyRelatedSeries 00201206 IS STUDY
NumberOfStudyRelatedInstances 00201208 IS STUDY
NumberOfSeriesRelatedInstances 00201209 IS SERIES
PixelData 7FE00010 OW INSTANCE
"""


def _read() -> tuple[Attribute, ...]:
    rows = (line.split() for line in _LINES.split("\n") if line)
    return tuple(Attribute(keyword, tag, vr, Level[level]) for keyword, tag, vr, level in rows)


ATTRIBUTES = _read()
BY_KEYWORD = {attribute.keyword: attribute for attribute in ATTRIBUTES}
BY_TAG = {attribute.tag: attribute for attribute in ATTRIBUTES}
_TAG = re.compile(r"[0-9A-Fa-f]{8}")


def look_up(name: str) -> Attribute | None:
    """The attribute with this keyword or tag (eight hexadecimal digits); None where the dictionary has none."""
    if _TAG.fullmatch(name):
        return BY_TAG.get(name.upper())
    return BY_KEYWORD.get(name)


def tag(keyword: str) -> str:
    """The tag of a keyword in the dictionary."""
    return BY_KEYWORD[keyword].tag
