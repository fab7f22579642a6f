"""Objects that somebody else sends to Orthanc as DICOM."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from sqlalchemy import select

from consent.store.engine import glancing
from consent.store.tables import photo
from dicom_bridge.query.orthanc_ids import orthanc_ids
from tests.archive import Photo
from tests.pipeline.world import World


def send(world: World, seed: int, **attributes: Any) -> Photo:
    """An object that somebody else sends, in a study of its own; ``attributes`` are DICOM keywords."""
    made = replace(world.archive.describe("anna", seed), study=f"2.25.88{seed}", series=f"2.25.88{seed}.1")
    dataset = dcmread(BytesIO(made.dicom))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = made.study, made.series
    for keyword, value in attributes.items():
        if keyword == "RequestedProcedureID":
            item = Dataset()
            item.RequestedProcedureID = value
            dataset.RequestAttributesSequence = [item]
        elif keyword == "deep":
            dataset.RequestAttributesSequence = [_nested(int(value))]
        else:
            setattr(dataset, keyword, value)
    sent = replace(made, dicom=encoded(dataset))
    assert world.archive.store(sent.dicom).status == 200
    names = (dataset.get(name, "") for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
    return replace(sent, orthanc_id=orthanc_ids(*map(str, names)).instance)


def renamed(dicom: bytes, sop: str) -> bytes:
    dataset = dcmread(BytesIO(dicom))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(sop)
    return encoded(dataset)


def _nested(depth: int) -> Dataset:
    item = Dataset()
    if depth:
        item.RequestAttributesSequence = [_nested(depth - 1)]
    return item


def encoded(dataset: Dataset) -> bytes:
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def state_of(world: World, made: Photo) -> str | None:
    with glancing(world.engine) as connection:
        return connection.execute(select(photo.c.state).where(photo.c.sop_uid == made.sop)).scalar_one_or_none()


def is_seen(world: World, made: Photo) -> bool:
    status = world.archive.ask(f"/instances/{made.orthanc_id}/file", "clinician", "TREAT").status
    assert status in (200, 403)
    return status == 200
