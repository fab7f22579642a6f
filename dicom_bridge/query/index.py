"""Writing the index: one call for photos, in the transaction that makes the photo known."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, String, delete, insert

from consent.store.clock import micros, now
from consent.store.write import among
from dicom_bridge.query.dictionary import tag
from dicom_bridge.query.orthanc_ids import orthanc_ids
from dicom_bridge.query.tables import dicom_attributes, dicom_instance
from dicom_bridge.query.values import fold_name

#: Column of the index -> keyword of the attribute that fills it.
COLUMNS = {
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "issuer": "IssuerOfPatientID",
    "patient_birth": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "accession": "AccessionNumber",
    "referring": "ReferringPhysicianName",
    "study_id": "StudyID",
    "study_description": "StudyDescription",
    "admission": "AdmissionID",
    "modality": "Modality",
    "series_number": "SeriesNumber",
    "series_description": "SeriesDescription",
    "protocol": "ProtocolName",
    "body_part": "BodyPartExamined",
    "laterality": "Laterality",
    "image_laterality": "ImageLaterality",
    "performed_date": "PerformedProcedureStepStartDate",
    "performed_time": "PerformedProcedureStepStartTime",
    "sop_class": "SOPClassUID",
    "instance_number": "InstanceNumber",
    "content_date": "ContentDate",
    "study_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
}

#: Bulk values never enter the index: pixel data, overlays, encapsulated documents, icons and unknown blobs.
_BULK_VRS = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
_ICON = "00880200"


def save_instance(connection: Connection, number: int, sop_uid: str, attributes: Mapping[str, Any]) -> None:
    """Write or replace the row of a photo.

    Parameters
    ----------
    number
        The photo's number in ``consent.store``.
    attributes
        The whole object as DICOM JSON (PS3.18 F): ``{"00100020": {"vr": "LO", "Value": ["…"]}, …}``. Bulk values may be
        there and are left out.
    """
    save_instances(connection, [(number, sop_uid, attributes)])


def save_instances(connection: Connection, photos: Sequence[tuple[int, str, Mapping[str, Any]]]) -> None:
    """Write or replace the rows of several photos: number, SOP Instance UID and attributes of each."""
    moment = micros(now(connection))
    rows = [{"photo": number, "stored": moment} | _row(sop_uid, attributes) for number, sop_uid, attributes in photos]
    numbers = [number for number, _, _ in photos]
    bodies = [{"photo": row["photo"], "attributes": row.pop("attributes")} for row in rows]
    for table in (dicom_attributes, dicom_instance):
        connection.execute(delete(table).where(among(connection, table.c.photo, numbers)))
    connection.execute(insert(dicom_instance), rows)
    connection.execute(insert(dicom_attributes), bodies)


def _row(sop_uid: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    kept = without_bulk(attributes)
    values: dict[str, Any] = {}
    for column, keyword in COLUMNS.items():
        text = text_of(kept, tag(keyword))
        values[column] = fold_name(text) if column in ("patient_name", "referring") else text
        kind = dicom_instance.c[column].type
        assert isinstance(kind, String)
        values[column] = values[column][: kind.length]
    ids = orthanc_ids(whole_text_of(attributes, tag("PatientID")), values["study_uid"], values["series_uid"], sop_uid)
    return values | {
        "sop_uid": sop_uid,
        "orthanc_patient": ids.patient,
        "orthanc_study": ids.study,
        "orthanc_series": ids.series,
        "orthanc_instance": ids.instance,
        "attributes": json.dumps(kept, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True),
    }


def without_bulk(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes without bulk values, at every depth; what is no number is null (PS3.18 F.2.5): JSON has no NaN."""
    kept: dict[str, Any] = {}
    for name, entry in attributes.items():
        if not isinstance(entry, Mapping) or entry.get("vr") in _BULK_VRS or name == _ICON or "BulkDataURI" in entry:
            continue
        if entry.get("vr") == "SQ":
            items = [without_bulk(item) for item in entry.get("Value", ()) if isinstance(item, Mapping)]
            kept[name] = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
        else:
            kept[name] = _sound(entry)
    return kept


def _sound(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry whose values every database reads: PostgreSQL takes no NUL in a text, nor escaped in JSON."""
    kept = [_sound_value(each) for each in entry.get("Value") or ()]
    rest = {name: value for name, value in entry.items() if name != "Value"}
    return rest if all(each is None for each in kept) else rest | {"Value": kept}


def _sound_value(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, Mapping):
        return {name: _sound_value(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def text_of(attributes: Mapping[str, Any], name: str) -> str:
    """The value of an attribute as text, several joined by a backslash; empty where there is none."""
    return whole_text_of(attributes, name).strip(" \0")


def whole_text_of(attributes: Mapping[str, Any], name: str) -> str:
    """The same with the spaces around it, which count where Orthanc makes its ids."""
    values = attributes.get(name, {}).get("Value", ())
    texts = []
    for value in values:
        if isinstance(value, Mapping):
            groups = (value.get(part, "") for part in ("Alphabetic", "Ideographic", "Phonetic"))
            texts.append("=".join(groups).rstrip("="))
        elif value is not None:
            texts.append(str(value))
    return "\\".join(texts)
