"""Where a photo belongs in DICOM: the study of its visit, the series of its view."""

from __future__ import annotations

from sqlalchemy import Connection

from dicom_bridge.objects import uids
from dicom_bridge.plan import Plan
from fhir_mapping import references
from fhir_mapping.errors import NotFound
from fhir_mapping.store.record import RecordStore


def study_of(connection: Connection, store: RecordStore, site_key: bytes, plan: Plan) -> str:
    """The UID of the study that a visit's photos are in.

    One study is one patient's (PS3.3 A.1.2.2). Where the visit was another patient's when its first photos came, these
    have its study, and the visit's photos of its patient of now have one of their own.
    """
    own = uids.study_instance_uid(site_key, plan.visit)
    try:
        study = store.read(connection, "ImagingStudy", uids.fhir_id(own)).json()
    except NotFound:
        return own
    if f"Patient/{plan.patient}" in references.local_of(study, store.base, "subject"):
        return own
    return uids.study_of_patient_uid(site_key, plan.visit, plan.patient)


def series_of(site_key: bytes, plan: Plan, study: str) -> str:
    """The UID of the series of the plan's view, in a study by its UID."""
    shown = uids.SeriesView(plan.region, plan.laterality, plan.view, plan.expression)
    if study == uids.study_instance_uid(site_key, plan.visit):
        return uids.series_instance_uid(site_key, plan.visit, shown)
    return uids.series_in_study_uid(site_key, study, shown)
