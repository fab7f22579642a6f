"""The ids that Orthanc gives to patients, studies, series and instances.

Each is the SHA-1 of the Patient ID and the UIDs down to its level, joined by ``|``; known since Orthanc 0.1 and
relied on by its users. So our index can name every level without asking Orthanc.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrthancIds:
    """The ids of one instance and of what it belongs to."""

    patient: str
    study: str
    series: str
    instance: str


def orthanc_ids(patient_id: str, study_uid: str, series_uid: str, sop_uid: str) -> OrthancIds:
    """The four ids. Orthanc strips the spaces behind each part before it hashes, and keeps those before it."""
    parts = [part.rstrip(" \0") for part in (patient_id, study_uid, series_uid, sop_uid)]
    return OrthancIds(*(_hash("|".join(parts[:length])) for length in (1, 2, 3, 4)))


def _hash(text: str) -> str:
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))
