"""``/chart/compare/keep``: the comparison on the screen is kept as DICOM."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dicom_bridge.archive import ArchiveUnavailable, ObjectDiscarded
from dicom_bridge.compare.held import MOST_STOPS, Held
from dicom_bridge.compare.keeping import Half, NotKept
from dicom_bridge.objects.kept import Area
from orthanc_plugin.workspace.comparing import MODES
from orthanc_plugin.workspace.kept_book import KeptBook
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.pages import Pages, refused_picture
from orthanc_plugin.workspace.visitor import read_form, same_origin, same_token

ROUTE = "/chart/compare/keep"
_LOG = logging.getLogger(__name__)
_AREA = re.compile(r"(-?\d{1,6}),(-?\d{1,6}),(-?\d{1,6}),(-?\d{1,6})", re.ASCII)
_STOPS = re.compile(r"-?[01]\.[0-9]{2}")
_EXPIRED = noted("Not kept: this page was open for a long time. Reload it and try again.")
_AWAY = noted("Not kept: the archive does not answer. Try again.")


class KeepPage:
    """Takes what the page sends."""

    def __init__(self, pages: Pages, book: KeptBook) -> None:
        self._pages, self._book = pages, book

    def routes(self) -> list[BaseRoute]:
        """The one route."""
        return [Route(ROUTE, self._send, methods=["POST"])]

    async def _send(self, http: HttpRequest) -> Response:
        fields = await read_form(http)
        return await run_in_threadpool(self._keep, http, fields)

    def _keep(self, http: HttpRequest, fields: Mapping[str, str] | None) -> Response:
        visitor = self._pages.visitor(http)
        question = visitor.asks("TREAT") if visitor is not None else None
        if visitor is None or question is None or not self._book.may_keep(question):
            return refused_picture()
        trusted = fields is not None and same_origin(http) and same_token(fields.get("csrf"), visitor.csrf)
        if fields is None or not trusted:
            return _said(_EXPIRED, 400)
        held = _held(fields)
        halves = [half for side in ("left", "right") if (half := self._half(fields, side)) is not None]
        if held is None or len(halves) != len(("left", "right")):
            return refused_picture()
        try:
            kept = self._book.keep(question, halves, held, ROUTE)
        except NotKept:
            return refused_picture()
        except (ArchiveUnavailable, ObjectDiscarded) as error:
            _LOG.warning("a comparison was not kept: %s", type(error).__name__)
            return _said(_AWAY, 503)
        return JSONResponse({"text": _("Kept. It stands on the patient's page, and in the archive."), "kept": kept})

    def _half(self, fields: Mapping[str, str], side: str) -> Half | None:
        corners = _AREA.fullmatch(fields.get(f"{side}-area", ""))
        sop_uid = self._pages.parts.record.sop_uid(key=fields.get(side, ""))
        if corners is None or sop_uid is None:
            return None
        return Half(sop_uid, Area(*map(int, corners.groups())))


def _held(fields: Mapping[str, str]) -> Held | None:
    mode, stops = MODES.get(fields.get("mode", "")), fields.get("light", "")
    if mode is None or (stops and not _STOPS.fullmatch(stops)) or abs(float(stops or 0)) > MOST_STOPS:
        return None
    return Held(mode, fields.get("aligned") == "yes", float(stops) if stops else None)


def _said(text: str, status: int) -> Response:
    return JSONResponse({"text": _(text)}, status_code=status)
