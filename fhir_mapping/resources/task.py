"""Tasks for a person (R4 Task)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from consent.wording import worded
from fhir_mapping import dates
from fhir_mapping.errors import Issue
from fhir_mapping.resources.document_reference import DICOM_UID

TASK_SYSTEM = "urn:photospine:task"
CONSENT_REFUSED = "consent-refused"
PHOTO_OF_ANOTHER = "photo-of-another-patient"
ORIGINALS_LOST = "originals-lost"
CORRECTION_GIVEN_UP = "correction-given-up"
BATCH_STANDS_STILL = "batch-stands-still"
UID_TAKEN = "uid-taken"
OBJECTS_MISSING = "objects-missing"
OBJECT_WAITS = "object-waits"
OBJECT_REFUSED = "object-refused"
CHAIN_REFUSED = "audit-chain-refused"
PHOTOS_DUE = "photos-due"
EMERGENCY_ACCESS = "emergency-access"


def refused_consent(patient: str | None, issues: Sequence[Issue], body: bytes, now: datetime) -> dict[str, Any]:
    """A Consent with a denial was refused: somebody must see to it, so that no refusal of a patient is lost.

    Parameters
    ----------
    patient
        Id of the patient, where she is known here.
    body
        The Consent as it was sent; it goes into the Task whole.
    """
    sent = {"contentType": "application/fhir+json", "data": base64.b64encode(body).decode()}
    return _task(
        CONSENT_REFUSED,
        "A Consent with a denial was refused",
        "A Consent that contains a denial could not be honoured as it was written. Ask the patient, and "
        "write down what she wants.",
        [{"type": {"text": "The Consent as it was sent"}, "valueAttachment": sent}],
        now,
        patient=patient,
        why="; ".join(f"{each.element}: {each.text}" for each in issues)[:4000],
    ) | {"priority": "urgent"}


def photo_of_another_patient(sop_uid: str, patient: str, now: datetime) -> dict[str, Any]:
    """A file came in that is known as another patient's photo: it is kept unseen until somebody decides.

    Parameters
    ----------
    patient
        Id of the patient whom it was sent for.
    """
    return _task(
        PHOTO_OF_ANOTHER,
        worded("A file is known as another patient's photo"),
        "Find out whose photo it is. The photo that was known before is not touched; this one is not shown to anybody.",
        _photos("The photo that was kept", [sop_uid]),
        now,
        patient=patient,
    )


def originals_lost(patient: str, sop_uids: Sequence[str], now: datetime) -> dict[str, Any]:
    """Originals were lost on their way into the archive: the files have to be sent again."""
    return _task(
        ORIGINALS_LOST,
        "Photos did not reach the archive",
        "The files of this patient were lost before the archive had them. Send them again.",
        _photos("A photo that was not kept", sop_uids),
        now,
        patient=patient,
    )


def correction_given_up(sop_uid: str, patient: str, why: str | None, now: datetime) -> dict[str, Any]:
    """A correction of a photo was asked for, and the record changed before it was through: the photo is as it was.

    Parameters
    ----------
    patient
        Id of the patient whose photo it was said to be.
    why
        One sentence.
    """
    return _task(
        CORRECTION_GIVEN_UP,
        "A photo was not corrected",
        "What was said of it does not fit the record any more. The photo is as it was before: look at what the record "
        "says now, and correct it anew by 'photospine link'.",
        _photos("The photo", [sop_uid]),
        now,
        patient=patient,
        why=why,
    )


def batch_stands_still(patient: str, sop_uids: Sequence[str], now: datetime) -> dict[str, Any]:
    """Photos on their way into the archive do not get there, however often that is tried."""
    return _task(
        BATCH_STANDS_STILL,
        "Photos do not get into the archive",
        "Their originals are kept and nobody sees them; it is tried again and again. Ask whoever looks after "
        "the machines: the worker's log and 'photospine doctor' name the fault. Once it is mended, they go on.",
        _photos("A photo on its way", sop_uids),
        now,
        patient=patient,
    )


def uid_taken(sop_uid: str, now: datetime) -> dict[str, Any]:
    """An object came in with the UID of a known photo and other content, and was not kept."""
    return _task(
        UID_TAKEN,
        "An object with the UID of a known photo was sent",
        "Its content is another, and it was not kept, since it would take the place of the photo that is known. "
        "Ask its sender.",
        _photos("The photo that is known", [sop_uid]),
        now,
    )


def objects_missing(sop_uids: Sequence[str], now: datetime) -> dict[str, Any]:
    """Photos that are in the record are not in the archive: an older copy of it may have been put back."""
    return _task(
        OBJECTS_MISSING,
        "Photos are missing in the archive",
        "They are in the record, and the archive does not have them. Put back a copy of the archive that has them.",
        _photos("A photo that is missing", sop_uids),
        now,
    )


def object_waits(
    sop_uid: str, study_uid: str, why: str, named: Mapping[str, str], now: datetime, *, done: bool = False
) -> dict[str, Any]:
    """An object came in whose place in the record is not known; it is not shown to anybody until it is.

    Parameters
    ----------
    why
        One sentence.
    named
        What its sender wrote that could tell its place: name of the attribute -> value.
    done
        Its place was found.
    """
    said = [{"type": {"text": name}, "valueString": value} for name, value in named.items() if value.strip()]
    task = _task(
        OBJECT_WAITS,
        "An object from elsewhere waits for its place",
        "Nobody sees it until its visit is known. Mend the visit's identifiers in the record, and it is linked by "
        "itself; or ask its sender.",
        [*_photos("The object", [sop_uid]), *_photos("Its study", [study_uid]), *said],
        now,
        why=why,
    )
    return task | {"status": "completed"} if done else task


def object_refused(why: str, orthanc_id: str, now: datetime) -> dict[str, Any]:
    """The archive holds an object that is no photo, or cannot be read; it is not shown to anybody.

    Parameters
    ----------
    why
        One sentence.
    """
    return _task(
        OBJECT_REFUSED,
        "An object in the archive is not taken in",
        "Nobody sees it. Find out who sent it, and have it sent as a photo, or to another archive.",
        [{"type": {"text": "The object's id in Orthanc"}, "valueString": orthanc_id}],
        now,
        why=why,
    )


def chain_refused(chain: str, why: str, now: datetime) -> dict[str, Any]:
    """A chain of the audit does not follow from its last checkpoint, and is not signed any more."""
    return _task(
        CHAIN_REFUSED,
        "The record of answers was changed",
        f"The audit chain {chain} is not what was signed: records were removed or written anew. 'photospine audit "
        "verify' says which. Keep a copy of everything as it is, and find out who can write there.",
        [{"type": {"text": "The audit chain"}, "valueString": chain}],
        now,
        why=why,
    ) | {"priority": "urgent"}


def photos_due(
    *,
    patient: str,
    session: str,
    visit: str | None,
    what: str,
    shots: Sequence[str],
    due: str,
    until: str,
    urgent: bool,
    now: datetime,
) -> dict[str, Any]:
    """Photos that a protocol asks for are to be taken.

    Parameters
    ----------
    session
        ``Procedure/…`` that their day is counted from.
    visit
        ``Encounter/…`` of today, where the patient is here.
    what
        One line.
    shots
        What each photo is to show.
    due, until
        FHIR dates: the due day, and the last one on which they can be taken.
    urgent
        Whether they are late already.
    """
    task = _task(
        PHOTOS_DUE,
        "Photos are due",
        f"{what}. Take the photos that are named; each closes its part by itself when it arrives. Where one cannot be "
        "taken, close the session with the reason.",
        [{"type": {"text": "A photo to take"}, "valueString": each} for each in shots],
        now,
        patient=patient,
    )
    task |= {
        "priority": "urgent" if urgent else "routine",
        "focus": {"reference": session},
        "restriction": {"period": {"start": due, "end": max(due, until)}},
    }
    return task if visit is None else task | {"encounter": {"reference": visit}}


def emergency_access(patient: str, account: str, reason: str, until: datetime, now: datetime) -> dict[str, Any]:
    """Somebody opened emergency access to a patient: compliance looks at whether it was one.

    Parameters
    ----------
    reason
        As it was typed.
    """
    task = _task(
        EMERGENCY_ACCESS,
        "Emergency access was opened",
        "Look at the reason, and at what was seen meanwhile (photospine audit saw ACCOUNT --purpose BTG).",
        [
            {"type": {"text": "The account"}, "valueString": account},
            {"type": {"text": "Open until"}, "valueDateTime": dates.instant(until)},
        ],
        now,
        patient=patient,
        why=reason,
    )
    return task | {"priority": "urgent"}


def _task(
    code: str,
    text: str,
    description: str,
    inputs: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    patient: str | None = None,
    why: str | None = None,
) -> dict[str, Any]:
    task: dict[str, Any] = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK_SYSTEM, "code": code}], "text": text},
        "description": description,
        "authoredOn": dates.instant(now),
        "lastModified": dates.instant(now),
        "input": list(inputs),
    }
    if patient is not None:
        task["for"] = {"reference": f"Patient/{patient}"}
    if why is not None:
        task["reasonCode"] = {"text": why}
    return task


def _photos(name: str, uids: Sequence[str]) -> list[dict[str, Any]]:
    """Inputs that name objects by their UIDs."""
    return [
        {"type": {"text": name}, "valueIdentifier": {"system": DICOM_UID, "value": f"urn:oid:{uid}"}} for uid in uids
    ]
