"""STOW-RS at ``/dicom-web/studies``: accounts with the right ``store`` bring objects here, not to Orthanc.

Orthanc's DICOMweb parses what it is sent on a stack of 100 KiB, before anything of ours is asked; so every object is
looked at here first, and goes to Orthanc by itself with a ticket made for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import closing
from email.message import Message

from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from consent.audit.chain import Chain
from consent.audit.shelf import AuditUnavailable
from consent.errors import ConsentError
from consent.types import Request, Requester, Right
from dicom_bridge.archive import OrthancArchive
from dicom_bridge.deposit import Deposited, Depositor, response, status
from dicom_bridge.multipart import BodyRefused, parts

PATH = re.compile(r"/dicom-web/studies(?:/([0-9.]{1,64}))?/?", re.ASCII)
"""Studies that are stored to, and the one that all objects must be of."""

_MOST_OBJECTS = 5000
_JSON = "application/dicom+json"


def may_store(requester: Requester) -> bool:
    """Whether an account may bring objects. One that is confined to a patient may not: an object is any patient's."""
    return Right.STORE in requester.rights and requester.confined_to is None


class Deposits:
    """Takes bodies apart, and answers for their objects."""

    def __init__(
        self,
        archive: Callable[[], OrthancArchive],
        chain: Chain,
        others: Callable[[], bool],
        *,
        door: str,
        public_url: str,
        most_bytes: int,
    ) -> None:
        """Put it together; ``others`` says whether objects that are no photos are taken in."""
        self._archive, self._chain, self._others, self._door = archive, chain, others, door
        self._base, self._most_bytes = f"{public_url.rstrip('/')}/dicom-web", most_bytes

    def take(
        self, request: Request, content_type: str, accept: str, study: str | None, chunks: Iterable[bytes]
    ) -> Response:
        """Store every object of a body that may be stored."""
        boundary = _boundary(content_type)
        if boundary is None:
            return Response(status_code=415)
        if not _answers(accept):
            return Response(status_code=406)
        route = "POST /dicom-web/studies" + ("" if study is None else "/{study}")
        found: list[Deposited] = []
        with closing(self._archive()) as archive:
            depositor = Depositor(self._chain, archive, door=self._door, others=self._others)
            try:
                for part in parts(chunks, boundary, self._most_bytes):
                    if len(found) == _MOST_OBJECTS:
                        return Response(status_code=413)
                    found.append(depositor.deposit(request, route, part, study))
            except BodyRefused:
                if not found:
                    return Response(status_code=400)
                found.append(depositor.unreadable())
            except (AuditUnavailable, ConsentError, SQLAlchemyError):
                return Response(status_code=503)
        return JSONResponse(response(found, self._base), status_code=status(found), media_type=_JSON)


def _boundary(content_type: str) -> str | None:
    """The boundary of a ``multipart/related`` of DICOM files; None for any other body."""
    message = Message()
    message["Content-Type"] = content_type
    kind = message.get_param("type")
    if message.get_content_type() != "multipart/related" or (kind is not None and kind != "application/dicom"):
        return None
    return message.get_boundary()


def _answers(accept: str) -> bool:
    types = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return bool(types & {_JSON, "application/json", "application/*", "*/*"})
