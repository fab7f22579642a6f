"""Orthanc's ids, as three Orthancs gave them: spaces before a Patient ID count, those behind it do not."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select

from consent.store.engine import glancing, transaction
from dicom_bridge.query.index import save_instance
from dicom_bridge.query.orthanc_ids import orthanc_ids
from dicom_bridge.query.tables import dicom_instance
from tests.store.world import facts, store


def _attributes(patient: str) -> dict[str, object]:
    values = {"00100020": ("LO", patient), "0020000D": ("UI", "2.25.1"), "0020000E": ("UI", "2.25.2")}
    return {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in values.items()}


@pytest.mark.parametrize("patient", ["P", " P", "P ", " P ", ""])
def test_the_index_and_orthanc_name_an_object_alike(engine: Engine, patient: str) -> None:
    with transaction(engine) as connection:
        number = store(connection, facts("1"))
        save_instance(connection, number, "2.25.1.1", _attributes(patient))
    with glancing(engine) as connection:
        row = connection.execute(select(dicom_instance).where(dicom_instance.c.photo == number)).one()
    assert row.orthanc_instance == orthanc_ids(patient, "2.25.1", "2.25.2", "2.25.1.1").instance
    assert row.patient_id == patient.strip()


@pytest.mark.fast
def test_spaces_behind_it_do_not_count() -> None:
    made = {patient: orthanc_ids(patient, "1", "2", "3").patient for patient in ("P", "P ", " P", " P ")}
    assert made["P"] == made["P "]
    assert made[" P"] == made[" P "]
    assert made["P"] != made[" P"]
