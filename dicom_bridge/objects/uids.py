"""UIDs that follow from content and context: the same photo sent twice is one photo (PS3.5 B.2: 2.25.<UUID>)."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SeriesView:
    """What one series shows. Codes as ``system|code``; what nobody said is empty."""

    region: str
    laterality: str
    view: str
    expression: str | None = None

    def parts(self) -> tuple[str, str, str, str]:
        """What a UID is made of."""
        return self.region, self.laterality, self.view, self.expression or ""


def sop_instance_uid(site_key: bytes, patient: str, sha256: str) -> str:
    """The photo: one file of one patient. ``sha256`` is that of the whole file, hexadecimal."""
    return _uid(site_key, "instance", patient, sha256)


def study_instance_uid(site_key: bytes, visit: str) -> str:
    """One visit's photos. ``visit`` is the Encounter's id."""
    return _uid(site_key, "study", visit)


def study_of_patient_uid(site_key: bytes, visit: str, patient: str) -> str:
    """The photos of a visit whose own study is another patient's: the visit was registered for that one at first.

    Parameters
    ----------
    visit, patient
        Ids of Encounter and Patient.
    """
    return _uid(site_key, "study-of-patient", visit, patient)


def series_instance_uid(site_key: bytes, visit: str, shown: SeriesView) -> str:
    """One view of one visit, so that an unmodified viewer can hang views side by side."""
    return _uid(site_key, "series", visit, *shown.parts())


def corrected_instance_uid(site_key: bytes, patient: str, sha256: str, former: str) -> str:
    """The instance that takes the place of a rejected one, where the photo's own UID is the rejected one's.

    Parameters
    ----------
    former
        SOP Instance UID of the rejected one.
    """
    return _uid(site_key, "corrected", patient, sha256, former)


def series_in_study_uid(site_key: bytes, study: str, shown: SeriesView) -> str:
    """One view within a study that does not follow from its visit alone; ``study`` is its UID."""
    return _uid(site_key, "series-in-study", study, *shown.parts())


def rejection_uid(site_key: bytes, former: str) -> str:
    """The document that says of an instance that it is rejected: one, whoever rejects it."""
    return _uid(site_key, "rejection", former)


def rejection_series_uid(site_key: bytes, study: str) -> str:
    """The series of such documents in a study, by its UID."""
    return _uid(site_key, "rejections", study)


def comparison_uid(site_key: bytes, comparison: str, part: str) -> str:
    """One object of a comparison that is kept; ``comparison`` says which photos were seen, and how."""
    return _uid(site_key, "comparison", comparison, part)


def comparison_series_uid(site_key: bytes, study: str, modality: str) -> str:
    """The series of such objects in a study, by its UID."""
    return _uid(site_key, "comparisons", study, modality)


def fhir_id(uid: str) -> str:
    """The id of the resource that stands for a UID: the UUID in it (PS3.5 B.2), else one made from it."""
    number = uid.removeprefix("2.25.")
    if number != uid and number.isdigit() and int(number) < 1 << 128:
        return str(uuid.UUID(int=int(number)))
    return str(uuid.uuid5(uuid.NAMESPACE_OID, uid))


def _uid(site_key: bytes, *parts: str) -> str:
    """2.25 and 128 bits of a keyed hash; lengths are hashed too, so that no two lists of parts run together."""
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return f"2.25.{int.from_bytes(hmac.new(site_key, message, hashlib.sha256).digest()[:16], 'big')}"
