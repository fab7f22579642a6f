"""Storing objects that an account brings (STOW-RS, PS3.18 section 10.5).

Each object is looked at before Orthanc meets it, and recorded before it is stored; nobody sees it until the worker has
examined it and found its place. The answer tells of an object's failure what the sender could know of the object
itself; whatever else kept it out is one and the same failure, so that nothing is told of what is there already.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from consent.audit.chain import Chain
from consent.audit.record import Kind, of_request
from consent.types import Request
from dicom_bridge.archive import Archive, ArchiveUnavailable, ObjectDiscarded
from dicom_bridge.errors import ObjectRefused
from dicom_bridge.objects.read import ReadObject, read_object
from dicom_bridge.query.classes import PHOTO_CLASSES
from dicom_bridge.query.dictionary import tag
from dicom_bridge.query.index import whole_text_of
from dicom_bridge.query.nesting import Unfit, refuse_deep
from dicom_bridge.query.orthanc_ids import orthanc_ids


class Failure(IntEnum):
    """Failure Reason (0008,1197): PS3.3 C.14.1.1."""

    PROCESSING = 0x0110
    CLASS_NOT_SUPPORTED = 0x0122
    NOT_OF_THIS_STUDY = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True)
class Deposited:
    """What became of one object."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    series_instance_uid: str = ""
    study_instance_uid: str = ""
    failure: Failure | None = None


class Depositor:
    """Stores objects for accounts that may; whether they may is asked before."""

    def __init__(self, chain: Chain, archive: Archive, *, door: str, others: Callable[[], bool]) -> None:
        """Put it together; ``others`` says whether objects that are no photos are taken in."""
        self._chain, self._archive, self._door, self._others = chain, archive, door, others

    def deposit(self, request: Request, route: str, data: bytes, study: str | None = None) -> Deposited:
        """Store one object; ``study``: the Study Instance UID that it must have.

        Raises
        ------
        consent.audit.shelf.AuditUnavailable
            It cannot be recorded, and was not stored.
        """
        try:
            refuse_deep(data)
            read = read_object(data)
        except (Unfit, ObjectRefused):
            return Deposited(failure=Failure.CANNOT_UNDERSTAND)
        failure = None
        if read.sop_class_uid not in PHOTO_CLASSES and not self._others():
            failure = Failure.CLASS_NOT_SUPPORTED
        elif study is not None and read.study_instance_uid != study:
            failure = Failure.NOT_OF_THIS_STUDY
        elif not self._store(request, route, data, read):
            failure = Failure.PROCESSING
        return Deposited(
            read.sop_class_uid, read.sop_instance_uid, read.series_instance_uid, read.study_instance_uid, failure
        )

    @staticmethod
    def unreadable() -> Deposited:
        """An object of which only a part arrived."""
        return Deposited(failure=Failure.CANNOT_UNDERSTAND)

    def _store(self, request: Request, route: str, data: bytes, read: ReadObject) -> bool:
        job = str(uuid.uuid4())
        patient = whole_text_of(read.attributes, tag("PatientID"))
        uids = (read.study_instance_uid, read.series_instance_uid, read.sop_instance_uid)
        orthanc_id = orthanc_ids(patient, *uids).instance
        intent = of_request(
            Kind.INTENT,
            self._door,
            route,
            request,
            photo=read.sop_instance_uid,
            digest=hashlib.sha256(data).hexdigest(),
            details={"job": job, "count": 1},
        )
        try:
            with self._chain.written(intent):
                self._archive.store(job, orthanc_id, data)
        except (ObjectDiscarded, ArchiveUnavailable):
            return False
        return True


def status(found: Sequence[Deposited]) -> int:
    """The status of the response (PS3.18 table 10.5.3-1)."""
    failed = sum(each.failure is not None for each in found)
    if not found:
        return 400
    return 200 if not failed else 409 if failed == len(found) else 202


def response(found: Sequence[Deposited], base: str) -> dict[str, Any]:
    """The Store Instances Response Module (PS3.18 section 10.5.3.2) in the DICOM JSON Model.

    Parameters
    ----------
    base
        The address of DICOMweb, as the client sees it.
    """
    stored = [each for each in found if each.failure is None]
    failed = [each for each in found if each.failure is not None]
    studies = sorted({each.study_instance_uid for each in stored})
    answer: dict[str, Any] = {}
    if len(studies) == 1:
        answer["00081190"] = {"vr": "UR", "Value": [f"{base}/studies/{studies[0]}"]}
    if failed:
        answer["00081198"] = {"vr": "SQ", "Value": [_failed(each) for each in failed]}
    if stored:
        answer["00081199"] = {"vr": "SQ", "Value": [_stored(each, base) for each in stored]}
    return answer


def _named(each: Deposited) -> dict[str, Any]:
    found = {"00081150": each.sop_class_uid, "00081155": each.sop_instance_uid}
    return {tag: {"vr": "UI", "Value": [value]} for tag, value in found.items() if value}


def _failed(each: Deposited) -> dict[str, Any]:
    assert each.failure is not None
    return _named(each) | {"00081197": {"vr": "US", "Value": [int(each.failure)]}}


def _stored(each: Deposited, base: str) -> dict[str, Any]:
    address = f"{base}/studies/{each.study_instance_uid}/series/{each.series_instance_uid}"
    return _named(each) | {"00081190": {"vr": "UR", "Value": [f"{address}/instances/{each.sop_instance_uid}"]}}
