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
PatientBirthTime 00100032 TM PATIENT
OtherPatientNames 00101001 PN PATIENT
IssuerOfAccessionNumberSequence 00080051 SQ STUDY
ConsultingPhysicianName 0008009C PN STUDY
ProcedureCodeSequence 00081032 SQ STUDY
PhysiciansOfRecord 00081048 PN STUDY
NameOfPhysiciansReadingStudy 00081060 PN STUDY
AdmittingDiagnosesDescription 00081080 LO STUDY
ReasonForVisit 00321066 UT STUDY
ServiceEpisodeID 00380060 LO STUDY
InstitutionAddress 00080081 ST SERIES
InstitutionalDepartmentName 00081040 LO SERIES
PerformingPhysicianName 00081050 PN SERIES
ReferencedPerformedProcedureStepSequence 00081111 SQ SERIES
SoftwareVersions 00181020 LO SERIES
DeviceSerialNumber 00181000 LO SERIES
PerformedProcedureStepEndDate 00400250 DA SERIES
PerformedProcedureStepEndTime 00400251 TM SERIES
PerformedProcedureStepID 00400253 SH SERIES
PerformedProtocolCodeSequence 00400260 SQ SERIES
AcquisitionDate 00080022 DA INSTANCE
AcquisitionTime 00080032 TM INSTANCE
DerivationDescription 00082111 ST INSTANCE
AnatomicRegionModifierSequence 00082220 SQ INSTANCE
PrimaryAnatomicStructureSequence 00082228 SQ INSTANCE
ViewModifierCodeSequence 00540222 SQ INSTANCE
AcquisitionContextSequence 00400555 SQ INSTANCE
ConceptNameCodeSequence 0040A043 SQ INSTANCE
ConceptCodeSequence 0040A168 SQ INSTANCE
ValueType 0040A040 CS INSTANCE
BurnedInAnnotation 00280301 CS INSTANCE
LossyImageCompression 00282110 CS INSTANCE
SamplesPerPixel 00280002 US INSTANCE
CodeValue 00080100 SH INSTANCE
CodingSchemeDesignator 00080102 SH INSTANCE
CodingSchemeVersion 00080103 SH INSTANCE
CodeMeaning 00080104 LO INSTANCE
LongCodeValue 00080119 UC INSTANCE
URNCodeValue 00080120 UR INSTANCE
ScheduledProcedureStepDescription 00400007 LO INSTANCE
ScheduledProtocolCodeSequence 00400008 SQ INSTANCE
ScheduledProcedureStepID 00400009 SH INSTANCE
RequestedProcedureID 00401001 SH INSTANCE
RequestedProcedureCodeSequence 00321064 SQ INSTANCE
LocalNamespaceEntityID 00400031 UT INSTANCE
UniversalEntityID 00400032 UT INSTANCE
UniversalEntityIDType 00400033 CS INSTANCE
ReferencedSOPClassUID 00081150 UI INSTANCE
ReferencedSOPInstanceUID 00081155 UI INSTANCE
QueryRetrieveLevel 00080052 CS INSTANCE
RetrieveAETitle 00080054 AE INSTANCE
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


def path(name: str) -> tuple[Attribute, ...] | None:
    """The attributes of a path into sequences, ``RequestAttributesSequence.RequestedProcedureID`` (PS3.18 8.3.4.1).

    A tag that the dictionary does not have is taken for an instance's own attribute; its VR is ``UN`` here, and known
    from each object that holds it. None for a keyword that the dictionary does not have, for a private tag, and where
    anything but a sequence stands before a point.
    """
    found: list[Attribute] = []
    for part in name.split("."):
        attribute = look_up(part)
        if attribute is None and _TAG.fullmatch(part) and int(part[:4], 16) % 2 == 0:
            attribute = Attribute(part.upper(), part.upper(), "UN", Level.INSTANCE)
        if attribute is None or (found and found[-1].vr not in ("SQ", "UN")):
            return None
        found.append(attribute)
    return tuple(found)


def tag(keyword: str) -> str:
    """The tag of a keyword in the dictionary."""
    return BY_KEYWORD[keyword].tag
