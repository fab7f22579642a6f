"""Renditions of stored photos: each is one decision and one durable record, then pixels.

These are remembered, prepared by the worker, or made of what Orthanc has.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

import requests
from sqlalchemy import Engine

from consent.service import DecisionPoint
from consent.types import Obligation, Request
from dicom_bridge.compare import prepared
from dicom_bridge.compare.renditions import NotRendered, Rendition, Shelf, render, shown_picture
from dicom_bridge.publish.exporting import FULFILS as PUBLISHING_FULFILS
from orthanc_plugin.workspace.kept_connection import once_more
from orthanc_plugin.workspace.record import Picture
from orthanc_plugin.workspace.stored import CHART_FULFILS

_LOG = logging.getLogger(__name__)
_TIMEOUT = (3.0, 30.0)  # seconds to connect, and to answer


class Mint(Protocol):
    """Makes ``pass`` tickets (:class:`consent.identity.tickets.TicketMint`)."""

    def mint_pass(self, method: str, path: str, query: Mapping[str, str] | None = None, *, sop_uid: str) -> str:
        """The header that opens this one photo."""
        ...


class Originals:
    """Fetches decided photos from Orthanc with ``pass`` tickets."""

    def __init__(self, orthanc: str, mint: Mint, session: requests.Session, *, most_bytes: int) -> None:
        self._orthanc = orthanc.rstrip("/")
        self._mint = mint
        self._session = session
        self._most = most_bytes

    def picture(self, sop_uid: str, orthanc_id: str) -> bytes:
        """A photo as JPEG or PNG: the stored pixels themselves where they are baseline JPEG or not compressed, else as
        Orthanc decodes them, which brightens what is grey.

        Raises
        ------
        NotRendered
            Orthanc cannot be reached, or has no such photo.
        """
        stored = self._get(f"/instances/{orthanc_id}/file", sop_uid, {})
        try:
            shown = shown_picture(stored)
        except NotRendered:  # Orthanc may yet make something of it
            shown = None
        return shown or self._get(f"/instances/{orthanc_id}/preview", sop_uid, {"Accept": "image/png"})

    def _get(self, path: str, sop_uid: str, headers: Mapping[str, str]) -> bytes:
        try:
            return once_more(lambda: self._once(path, sop_uid, headers))
        except requests.RequestException as error:
            raise NotRendered(f"Orthanc cannot be reached: {type(error).__name__}") from None

    def _once(self, path: str, sop_uid: str, headers: Mapping[str, str]) -> bytes:
        ticket = self._mint.mint_pass("GET", path, sop_uid=sop_uid)
        with self._session.get(
            self._orthanc + path, headers={**headers, "Authorization": ticket}, timeout=_TIMEOUT, stream=True
        ) as answer:
            if answer.status_code != requests.codes.ok:
                raise NotRendered(f"Orthanc answered {answer.status_code}")
            body = bytearray()
            for chunk in answer.iter_content(1 << 20):
                body += chunk
                if len(body) > self._most:
                    raise NotRendered("the stored object is too large to be shown")
            return bytes(body)


class DecidedPictures:
    """The pictures of the pages. Nothing is shown that was not decided at this very request."""

    def __init__(
        self, engine: Engine, point: DecisionPoint, originals: Originals, shelf: Shelf, *, mark: str = ""
    ) -> None:
        self._engine = engine
        self._point = point
        self._originals = originals
        self._shelf = shelf
        self._mark = mark

    def picture(self, request: Request, sop_uid: str, *, route: str, width: int, publishing: bool) -> Picture | None:
        """The photo no wider than ``width`` pixels; None where refused, absent, or not to be had."""
        fulfils = PUBLISHING_FULFILS if publishing else CHART_FULFILS
        answer = self._point.photo(request, sop_uid, route=route, fulfils=fulfils)
        if not answer.permitted or answer.orthanc_id is None:
            self._shelf.drop(sop_uid)
            return None
        orthanc_id = answer.orthanc_id
        owed = Obligation.WATERMARK in answer.decision.obligations
        mark = (self._mark or request.purpose) if owed else ""

        def make() -> Rendition:
            ready = prepared.of_photo(self._engine, sop_uid, orthanc_id, width, mark)
            return ready or render(self._originals.picture(sop_uid, orthanc_id), width=width, watermark=mark)

        try:
            return Picture(self._shelf.get(sop_uid, orthanc_id, width, mark, make).jpeg, marked=bool(mark))
        except NotRendered as error:
            _LOG.warning("a permitted photo cannot be shown: %s", error)
            return None
