"""What the page of a comparison asks and says of an alignment: found, kept, taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from consent.types import Request
from dicom_bridge.archive import ArchiveUnavailable, ObjectDiscarded
from dicom_bridge.compare.keeping import NotKept
from dicom_bridge.errors import ObjectRefused
from fhir_mapping import dates
from fhir_mapping.errors import Refused
from fhir_mapping.resources.alignment import Kept
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.aligning import Laid, cannot
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.pages import Pages, refused_picture
from orthanc_plugin.workspace.visitor import Visitor, same_origin, same_token

_FORM_EXPIRED = noted("Not kept: please reload the page and try again.")
_NO_ARCHIVE = noted("Not kept: the archive could not take it. Please try again.")
_NOT_TAKEN = noted("Not kept: the record does not take it.")


@dataclass(frozen=True, slots=True)
class Alignable:
    """What the page needs to lay one photo on the other."""

    address: str
    """Where it is asked and kept."""

    kept: bool
    """Whether somebody kept it: the page opens with it."""

    keeps: bool
    """Whether the account may keep one."""


def alignable(pages: Pages, question: Request, base: str, left: str, right: str) -> Alignable | None:
    """Of two photos of a page, by the ids of their documents; None where nothing can be aligned here."""
    parts = pages.parts
    if parts.aligner is None:
        return None
    book = parts.alignments
    return Alignable(
        f"{base}/compare/alignment?{urlencode({'left': left, 'right': right})}",
        book is not None and book.kept(question, left, right) is not None,
        book is not None and book.may_keep(question),
    )


def asked(pages: Pages, question: Request, keys: Mapping[str, str], route: str) -> Response:
    """Where the right photo lies on the left one; as for a picture, one answer to what is refused and absent."""
    book = pages.parts.alignments
    kept = book.kept(question, keys["left"], keys["right"]) if book is not None else None
    return _answer(pages, _found(pages, question, keys, route, kept), kept)


def sent(
    pages: Pages,
    http: HttpRequest,
    visitor: Visitor,
    question: Request,
    base: str,
    keys: Mapping[str, str],
    fields: Mapping[str, str] | None,
) -> Response:
    """Keep what was found here (never what a browser says it is), or take back what is kept."""
    book = pages.parts.alignments
    if book is None or not book.may_keep(question):
        return refused_picture()
    if fields is None or not same_origin(http) or not same_token(fields.get("csrf"), visitor.csrf):
        return JSONResponse({"text": _(_FORM_EXPIRED)}, status_code=400)
    left, right = keys["left"], keys["right"]
    kept: Kept | None = None
    route = f"{base}/compare/alignment"
    found = _found(pages, question, keys, route, kept)
    if found is None:
        return refused_picture()
    try:
        if fields.get("keep") != "yes":
            book.take_back(question, left, right, visitor.display, route)
        elif isinstance(found, Laid):
            kept = book.keep(question, left, right, found, visitor.display, route)
    except (Refused, NotKept):
        return JSONResponse({"text": _(_NOT_TAKEN)}, status_code=422)
    except (ArchiveUnavailable, ObjectDiscarded, ObjectRefused):
        return JSONResponse({"text": _(_NO_ARCHIVE)}, status_code=503)
    return _answer(pages, found, kept)


def _found(
    pages: Pages, question: Request, keys: Mapping[str, str], route: str, kept: Kept | None
) -> Laid | str | None:
    aligner, record = pages.parts.aligner, pages.parts.record
    if aligner is None:
        return None
    left, right = (record.sop_uid(key=keys[side]) or "" for side in ("left", "right"))
    return aligner.find(question, left, right, route, kept)


def _answer(pages: Pages, found: Laid | str | None, kept: Kept | None) -> Response:
    if found is None:
        return refused_picture()
    return JSONResponse(cannot(found) if isinstance(found, str) else found.told() | _said(pages, kept))


def _said(pages: Pages, kept: Kept | None) -> dict[str, Any]:
    """Who kept it, and when."""
    if kept is None:
        return {"kept": ""}
    zone = pages.parts.site.zone
    moment = dates.span(kept.at, zone).start
    if moment is None:
        return {"kept": _("Kept by %(who)s") % {"who": kept.by}}
    return {"kept": _("Kept by %(who)s, %(day)s") % {"who": kept.by, "day": words.day(moment, zone)}}
