"""QIDO-RS: studies, series and instances, answered from our index and from permitted photos alone."""

from __future__ import annotations

import re

from consent.service import for_one_patient
from consent.store.engine import reading
from dicom_bridge.query import qido
from dicom_bridge.query.dictionary import Level
from dicom_bridge.query.search import asked_for, find
from orthanc_plugin.wall.answer import DICOM_JSON, JSON, Answer, json_answer
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.routes import Row, Touches

_LEVELS = {
    "/dicom-web/studies": Level.STUDY,
    "/dicom-web/series": Level.SERIES,
    "/dicom-web/instances": Level.INSTANCE,
    "/dicom-web/studies/{study}/series": Level.SERIES,
    "/dicom-web/studies/{study}/instances": Level.INSTANCE,
    "/dicom-web/studies/{study}/series/{series}/instances": Level.INSTANCE,
}
_HOST = re.compile(r"[A-Za-z0-9.\-]+(?::\d{1,5})?|\[[0-9A-Fa-f:]+\](?::\d{1,5})?")


def query(foundation: Foundation, asked: Asked) -> Answer:
    """One search."""
    media = json_media(asked)
    if media is None:
        return Answer(status=406)
    values = asked.match.values
    row = asked.match.row
    try:
        parsed = qido.parse(asked.query, _LEVELS[row.path], values.get("study"), values.get("series"))
    except qido.BadQuery:
        return Answer(status=400)
    assert asked.request is not None
    rooms = foundation.rooms()
    with reading(rooms.engine) as connection:
        request = for_one_patient(connection, asked.request, asked_for(connection, parsed.question))
        permitted = rooms.point.permitted(connection, request, fulfils=row.fulfils)
        found = find(connection, parsed.question, permitted.clause, refused=permitted.refused)
    rooms.point.record_set(request, row.name, found.photos, found.refused)
    warnings = list(parsed.warnings)
    if found.more:
        warnings.append("The number of results exceeded the maximum supported by the server. More can be asked for.")
    headers = {"Warning": ", ".join(f'299 photospine "{text}"' for text in warnings)} if warnings else {}
    return json_answer(qido.answer(found, parsed, base_url(foundation, asked)), media, headers)


def base_url(foundation: Foundation, asked: Asked) -> str:
    """Where DICOMweb is, as the client sees it; ``serve``, through which most come, says where it is (RFC 7239)."""
    if foundation.section.public_url is not None:
        return f"{foundation.section.public_url}/dicom-web"
    said = (part.strip().partition("=") for part in asked.headers.get("forwarded", "").partition(",")[0].split(";"))
    forwarded = {name.lower(): value.strip('"') for name, _, value in said}
    host, scheme = forwarded.get("host", ""), forwarded.get("proto", "http")
    if not _HOST.fullmatch(host) or scheme not in ("http", "https"):
        host, scheme = asked.headers.get("host", ""), "http"
    return f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost'}/dicom-web"


def json_media(asked: Asked) -> str | None:
    """The JSON type that the client accepts; None where it wants something else (XML)."""
    accept = asked.query.get("accept") or asked.headers.get("accept") or "*/*"
    types = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if DICOM_JSON in types or "*/*" in types or "application/*" in types:
        return DICOM_JSON
    return JSON if JSON in types else None


ROWS = tuple(Row(Method.GET, path, Touches.SET, query, query=None) for path in _LEVELS)
