"""The one client of Orthanc for our own work, behind a Protocol. Every request carries a ticket made for it alone."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from urllib.parse import parse_qsl

import httpx
from pyorthanc import Orthanc  # type: ignore[import-untyped]

from consent.identity.tickets import TicketMint
from dicom_bridge.errors import BridgeError
from dicom_bridge.query.nesting import refuse_deep

_TIMEOUT = 90.0
"""Seconds: an original may have hundreds of megabytes."""

_PAGE = 1000
"""Objects that are listed at once."""

_ORIGINAL = "original"
_STORE = "/dicom-web/studies"
_LOOKED_AT = (httpx.codes.OK, httpx.codes.BAD_REQUEST)
"""DICOMweb tells of an object that the wall had discarded as of one stored (1.7) or as of a failure (1.9)."""

_AWAY = (
    httpx.codes.UNAUTHORIZED,
    httpx.codes.REQUEST_TIMEOUT,
    httpx.codes.TOO_MANY_REQUESTS,
    httpx.codes.BAD_GATEWAY,
    httpx.codes.SERVICE_UNAVAILABLE,
    httpx.codes.GATEWAY_TIMEOUT,
)
"""What tells of no object: an Orthanc that is not there, not itself, or before which the wall has no database."""

_DISCARDED = "Orthanc did not take an object in: its wall could not tell that its UID is free"


class ArchiveUnavailable(BridgeError):
    """Orthanc does not answer, or not as it should. Start it, and look at ``photospine doctor``."""


class ObjectUnreadable(ArchiveUnavailable):
    """Orthanc answers, but cannot give this object, as from a damaged disk."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of Orthanc's ``/changes``."""

    sequence: int
    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of changes."""

    changes: tuple[Change, ...]
    last: int
    done: bool


class Archive(Protocol):
    """What is asked of the archive."""

    def store(self, job: str, orthanc_id: str, dicom: bytes) -> None:
        """Store an object; one that is there already stays as it is.

        Raises
        ------
        dicom_bridge.query.nesting.Unfit
            It would end Orthanc.
        ObjectDiscarded
            It is not there afterwards under the Orthanc id that its UIDs give.
        """

    def store_all(self, job: str, dicoms: Sequence[bytes]) -> None:
        """Store several objects likewise, without asking if they are there: attaching an original shows that.

        Parameters
        ----------
        dicoms
            At most :data:`consent.identity.tickets.MOST_BODIES`; all of them are in memory once more.
        """

    def holds(self, job: str, orthanc_id: str) -> bool:
        """Whether the object is there."""

    def attach_original(self, job: str, orthanc_id: str, data: bytes, folded: bytes | None = None) -> None:
        """Attach the original where there is none; that it is this one is made sure by what is read back.

        Parameters
        ----------
        folded
            Its recipe (:mod:`dicom_bridge.query.folded`), which is attached in its stead where the object as it is
            stored gives the original by it.

        Raises
        ------
        ObjectDiscarded
            The object is not there.
        """

    def original(self, job: str, orthanc_id: str) -> bytes | None:
        """The attached original; None where there is none."""

    def file(self, job: str, orthanc_id: str) -> bytes | None:
        """The object; None where there is none."""

    def remove(self, job: str, orthanc_id: str) -> None:
        """Remove an object that nobody ever saw."""

    def changes(self, job: str, since: int, limit: int = 500) -> Changes:
        """What happened since a sequence number."""

    def instances(self, job: str) -> frozenset[str]:
        """Orthanc ids of all objects."""


class OriginalDiffers(BridgeError):
    """Another file is attached to the object than it was made from. Nothing is overwritten; a person decides."""


class ObjectDiscarded(BridgeError):
    """Orthanc does not have the object: its UID is taken, or the wall could not ask the database. Try again."""


def file_at_hand(archive: Archive, job: str, orthanc_id: str) -> bytes | None:
    """An object; None where there is none, or where Orthanc cannot give this one.

    Work on many photos passes such a one over, so that it does not keep the others waiting.

    Raises
    ------
    ArchiveUnavailable
        Orthanc does not answer, or is not to be asked now.
    """
    try:
        return archive.file(job, orthanc_id)
    except ObjectUnreadable:
        if archive.holds(job, orthanc_id):
            return None
        raise


class _Tickets(httpx.Auth):
    """Puts a ticket on each request; each thread says for itself what its next one is for."""

    def __init__(self, mint: TicketMint) -> None:
        self._mint = mint
        self._said = threading.local()

    @property
    def job(self) -> str:
        """The job that asks."""
        return str(getattr(self._said, "job", ""))

    @job.setter
    def job(self, value: str) -> None:
        self._said.job = value

    @property
    def stores(self) -> Sequence[bytes]:
        """What is stored, where something is: the ticket is bound to it."""
        found: Sequence[bytes] = getattr(self._said, "stores", ())
        return found

    @stores.setter
    def stores(self, value: Sequence[bytes]) -> None:
        self._said.stores = value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        path = request.url.path
        kind = _kind(request.method, path)
        request.headers["Authorization"] = self._mint.mint_task(
            request.method,
            path,
            dict(parse_qsl(request.url.query.decode("ascii"), keep_blank_values=True)),
            job=self.job,
            kind=kind,
            bodies=self.stores if request.method in ("POST", "PUT") else None,
        )
        yield request


def _kind(method: str, path: str) -> str:
    """The kind of our own work that a request belongs to."""
    if method == "DELETE":
        return "remove"
    if method in ("POST", "PUT") or f"/attachments/{_ORIGINAL}" in path or path.endswith("/attachments"):
        return "store"
    return "examine" if path.endswith("/file") else "changes"


def stow(dicoms: Sequence[bytes]) -> tuple[str, bytes]:
    """Content type and body of a STOW-RS request for objects (PS3.18 section 10.5)."""
    boundary = secrets.token_hex(32)  # none of the objects' bytes can have been made for it
    between = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
    parts = [part for dicom in dicoms for part in (between, dicom)]
    body = b"".join((between[2:], *parts[1:], f"\r\n--{boundary}--\r\n".encode("ascii")))
    return f'multipart/related; type="application/dicom"; boundary={boundary}', body


class OrthancArchive:
    """The archive behind the wall. Any number of threads may use it."""

    def __init__(self, address: str, mint: TicketMint) -> None:
        self._tickets = _Tickets(mint)
        self._store = address.rstrip("/") + _STORE
        self._client = Orthanc(
            address.rstrip("/"),
            return_raw_response=True,
            auth=self._tickets,
            timeout=_TIMEOUT,
            trust_env=False,
            # Orthanc ends a connection after a second without a request; what is sent at that moment is lost. A new
            # connection for each request costs a fraction of a millisecond.
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"Connection": "close"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def store(self, job: str, orthanc_id: str, dicom: bytes) -> None:
        status = self._stow(job, [dicom])
        if self.holds(job, orthanc_id):
            return
        if status in _LOOKED_AT:
            raise ObjectDiscarded(_DISCARDED)
        raise ArchiveUnavailable(f"Orthanc did not store an object (status {status})")

    def store_all(self, job: str, dicoms: Sequence[bytes]) -> None:
        status = self._stow(job, dicoms)
        if status not in _LOOKED_AT:
            raise ArchiveUnavailable(f"Orthanc did not store objects (status {status})")

    def _stow(self, job: str, dicoms: Sequence[bytes]) -> int:
        for each in dicoms:
            refuse_deep(each)
        self._tickets.job, self._tickets.stores = job, dicoms
        content_type, body = stow(dicoms)
        headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
        return self._ask(lambda: self._client.post(self._store, content=body, headers=headers)).status_code

    def holds(self, job: str, orthanc_id: str) -> bool:
        self._tickets.job = job
        answer = self._ask(lambda: self._client.get_instances_id_attachments(orthanc_id))
        return answer.status_code == httpx.codes.OK

    def attach_original(self, job: str, orthanc_id: str, data: bytes, folded: bytes | None = None) -> None:
        answer = self._attach(job, orthanc_id, data if folded is None else folded)
        if folded is not None and answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            answer = self._attach(job, orthanc_id, data)
        status = answer.status_code
        if status == httpx.codes.NOT_FOUND:
            raise ObjectDiscarded(_DISCARDED)
        if status not in (httpx.codes.OK, httpx.codes.CONFLICT):
            raise ArchiveUnavailable(f"Orthanc did not attach an original (status {status})")
        if status == httpx.codes.OK:  # the wall read it back
            kept = answer.json().get("sha256")
        else:
            there = self.original(job, orthanc_id)
            kept = None if there is None else hashlib.sha256(there).hexdigest()
        if kept != hashlib.sha256(data).hexdigest():
            raise OriginalDiffers(f"another original is attached to {orthanc_id}")

    def _attach(self, job: str, orthanc_id: str, data: bytes) -> httpx.Response:
        self._tickets.job, self._tickets.stores = job, (data,)
        return self._ask(lambda: self._client.put_instances_id_attachments_name(orthanc_id, _ORIGINAL, content=data))

    def original(self, job: str, orthanc_id: str) -> bytes | None:
        self._tickets.job = job
        listed = self._ask(lambda: self._client.get_instances_id_attachments(orthanc_id))
        if listed.status_code != httpx.codes.OK or _ORIGINAL not in listed.json():
            return None
        return self._bytes(
            self._ask(lambda: self._client.get_instances_id_attachments_name_data(orthanc_id, _ORIGINAL))
        )

    def file(self, job: str, orthanc_id: str) -> bytes | None:
        self._tickets.job = job
        return self._bytes(self._ask(lambda: self._client.get_instances_id_file(orthanc_id)))

    def remove(self, job: str, orthanc_id: str) -> None:
        self._tickets.job = job
        answer = self._ask(lambda: self._client.delete_instances_id(orthanc_id))
        if answer.status_code not in (httpx.codes.OK, httpx.codes.NOT_FOUND):
            raise ArchiveUnavailable(f"Orthanc did not remove an object (status {answer.status_code})")

    def changes(self, job: str, since: int, limit: int = 500) -> Changes:
        self._tickets.job = job
        answer = self._ask(lambda: self._client.get_changes(params={"since": str(since), "limit": str(limit)}))
        if answer.status_code != httpx.codes.OK:
            raise ArchiveUnavailable(f"Orthanc did not tell its changes (status {answer.status_code})")
        value = answer.json()
        return Changes(
            tuple(Change(each["Seq"], each["ChangeType"], each["ID"]) for each in value["Changes"]),
            int(value["Last"]),
            bool(value["Done"]),
        )

    def instances(self, job: str) -> frozenset[str]:
        self._tickets.job = job
        found: set[str] = set()
        since = 0
        while True:
            params = {"since": str(since), "limit": str(_PAGE)}
            answer = self._ask(partial(self._client.get_instances, params=params))
            if answer.status_code != httpx.codes.OK:
                raise ArchiveUnavailable(f"Orthanc did not list its objects (status {answer.status_code})")
            page = answer.json()
            found.update(map(str, page))
            if len(page) < _PAGE:
                return frozenset(found)
            since += len(page)

    def _ask(self, call: Callable[[], object]) -> httpx.Response:
        try:
            answer = call()
        except httpx.HTTPError as error:
            raise ArchiveUnavailable(
                f"Orthanc does not answer ({type(error).__name__}); see `photospine doctor`"
            ) from None
        assert isinstance(answer, httpx.Response)
        return answer

    @staticmethod
    def _bytes(answer: httpx.Response) -> bytes | None:
        if answer.status_code in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND):
            return None
        if answer.status_code != httpx.codes.OK:
            away = answer.status_code in _AWAY
            raise (ArchiveUnavailable if away else ObjectUnreadable)(
                f"Orthanc did not give an object (status {answer.status_code})"
            )
        return answer.content
