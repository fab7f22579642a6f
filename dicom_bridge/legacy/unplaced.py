"""An object of a photo that nobody has placed yet: it says nothing of a patient, and waits for a person."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from consent.types import Laterality
from dicom_bridge.intake import Limits, read_photo
from dicom_bridge.legacy.survey import Candidate
from dicom_bridge.objects import uids
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.photo import wrap
from dicom_bridge.objects.read import read_object
from dicom_bridge.objects.uids import SeriesView
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view
from dicom_bridge.placing import PATIENT_ID
from dicom_bridge.query.index import whole_text_of
from dicom_bridge.query.orthanc_ids import orthanc_ids
from fhir_mapping import dates

_NOBODY = PatientModule("", unknown=True)
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Unplaced:
    """An object, ready to be stored."""

    file: bytes
    sop_uid: str
    orthanc_id: str


def unplaced(data: bytes, candidate: Candidate, site_key: bytes, limits: Limits, zone: ZoneInfo) -> Unplaced:
    """The object of a file; a DICOM object as it is.

    Raises
    ------
    FileRefused, ObjectRefused
    """
    if candidate.is_object:
        read = read_object(data)
        parts = (read.study_instance_uid, read.series_instance_uid, read.sop_instance_uid)
        number = whole_text_of(read.attributes, PATIENT_ID)
        return Unplaced(data, read.sop_instance_uid, orthanc_ids(number, *parts).instance)
    photo = read_photo(data, limits, zone)
    about = f"unplaced {candidate.sha256}"
    sop, study = uids.sop_instance_uid(site_key, "", candidate.sha256), uids.study_instance_uid(site_key, about)
    series = uids.series_instance_uid(site_key, about, SeriesView("", "", ""))
    made = wrap(
        photo,
        patient=_NOBODY,
        visit=VisitModule(study, started=candidate.day, description=_words(candidate.file.name)),
        description=PhotoDescription(
            sop_instance_uid=sop,
            series_instance_uid=series,
            region=find_region(candidate.region) if candidate.region else None,
            laterality=Laterality(candidate.laterality) if candidate.laterality else None,
            view=find_view(candidate.view) if candidate.view else None,
            expression=find_expression(candidate.expression) if candidate.expression else None,
            taken=None if candidate.taken is None else dates.known(candidate.taken, zone),
            instance_number=1,
        ),
    )
    return Unplaced(made.file(), sop, orthanc_ids("", study, series, sop).instance)


def _words(name: str) -> str:
    """A file's path without its ending, as far as a description holds it (LO)."""
    return (name.rpartition(".")[0] or name).replace("\\", " ")[-_LONGEST:]
