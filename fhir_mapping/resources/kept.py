"""DocumentReference: an object that says something about photos (R4 DocumentReference).

It stands as a copy of the photos that it names (``relatesTo``, code ``transforms``), so that whoever may not see one of
them does not see it either. It is linked to no visit and no treatment: what it is about is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, literal, select

from fhir_mapping import dates
from fhir_mapping.resources.document_reference import DICOM_UID, ORIGINAL_HASH
from fhir_mapping.tables import fhir_token

DCM = "http://dicom.nema.org/resources/ontology/DCM"
KINDS = {"KO": "Key Object Selection", "PR": "Presentation State", "REG": "Registration"}
"""PS3.16 CID 29, by Modality (0008,0060)."""


@dataclass(frozen=True, slots=True)
class KeptObject:
    """References are relative."""

    id: str
    sop_uid: str
    sha256: str
    modality: str
    patient: str
    custodian: str
    url: str
    """Where the object is served; decided like any door."""

    photos: Sequence[str]
    """``DocumentReference/…`` of those that it names."""


def kept_document(kept: KeptObject, now: datetime) -> dict[str, Any]:
    """The resource."""
    return {
        "resourceType": "DocumentReference",
        "id": kept.id,
        "identifier": [
            {"system": DICOM_UID, "value": f"urn:oid:{kept.sop_uid}"},
            {"system": ORIGINAL_HASH, "value": kept.sha256},
        ],
        "status": "current",
        "type": {"coding": [{"system": DCM, "code": kept.modality, "display": KINDS[kept.modality]}]},
        "subject": {"reference": kept.patient},
        "date": dates.instant(now),
        "custodian": {"reference": kept.custodian},
        "relatesTo": [{"code": "transforms", "target": {"reference": each}} for each in kept.photos],
        "content": [{"attachment": {"contentType": "application/dicom", "url": kept.url}}],
    }


def is_about_photos(document: Mapping[str, Any]) -> bool:
    """Whether a DocumentReference describes an object that says something about photos, and is none."""
    codings = (document.get("type") or {}).get("coding") or ()
    return any(each.get("system") == DCM and each.get("code") in KINDS for each in codings)


def about_photos(document: ColumnElement[str]) -> ColumnElement[bool]:
    """The same as a condition on the id of a DocumentReference, in a query."""
    token = fhir_token.c
    return exists(
        select(literal(1)).where(
            token.type == "DocumentReference",
            token.id == document,
            token.name == "type",
            token.system == DCM,
            token.value.in_(sorted(KINDS)),
        )
    )
