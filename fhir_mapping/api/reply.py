"""Answers in FHIR's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from fhir_mapping import dates, text
from fhir_mapping.errors import Issue, Refused, Unauthenticated
from fhir_mapping.resources.operation_outcome import outcome
from fhir_mapping.store.deletion import Deleted
from fhir_mapping.store.history import Event
from fhir_mapping.store.reader import Stored

MEDIA_TYPE = "application/fhir+json"

REPRESENTATION = "representation"
RETURNS = frozenset({REPRESENTATION, "minimal", "OperationOutcome"})
"""``Prefer: return=`` of a write (R4 http, 3.1.0.1.6)."""

_MOST_WARNINGS = 8
_OUTCOME = b'{"resourceType":"OperationOutcome"'


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, body and headers of an answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def resource(value: Mapping[str, Any]) -> Reply:
    """A resource that is made for this answer."""
    return Reply(200, text.dump(value))


def refused(error: Refused) -> Reply:
    """The OperationOutcome of a refusal."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Basic realm="photospine", charset="UTF-8", Bearer realm="photospine"'
    return Reply(error.status, text.dump(outcome(error.issues)), headers)


def written(value: Stored, base: str, returns: str) -> Reply:
    """The answer to a create or update."""
    headers = version_headers(value) | {"Location": location(value, base)}
    if value.notes:
        headers["Warning"] = ", ".join(_warning(note) for note in _foremost(value.notes))
    status = 201 if value.created else 200
    if returns == "minimal":
        return Reply(status, b"", headers)
    if returns == "OperationOutcome":
        return Reply(status, text.dump(outcome([_kept(value), *value.notes])), headers)
    return Reply(status, value.body, headers)


def location(value: Stored, base: str) -> str:
    """The address of a version."""
    return f"{base}/{value.reference}/_history/{value.version}"


def version_headers(value: Stored) -> dict[str, str]:
    """ETag and Last-Modified (R4 http, Managing Resource Contention)."""
    return {
        "ETag": f'W/"{value.version}"',
        "Last-Modified": format_datetime(value.updated, usegmt=True),
    }


def searchset(
    base: str,
    links: Sequence[tuple[str, str]],
    total: int | None,
    entries: Sequence[tuple[str, bytes, str]],
    warnings: Sequence[Issue] = (),
    included: Sequence[bytes] = (),
) -> Reply:
    """A searchset Bundle; resources go in as they are kept, byte for byte.

    Parameters
    ----------
    entries
        ``Type/id``, the resource's JSON, and ``match`` or ``include``.
    included
        Resources made for this answer.
    """
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    parts = [
        b'{"fullUrl":%s,"resource":%s,"search":{"mode":"%s"}}' % (text.dump(f"{base}/{reference}"), body, mode.encode())
        for reference, body, mode in entries
    ]
    parts += [b'{"resource":%s,"search":{"mode":"include"}}' % each for each in included]
    if warnings:
        parts.append(b'{"resource":%s,"search":{"mode":"outcome"}}' % text.dump(outcome(warnings)))
    body = text.dump(head)
    if parts:
        body = body[:-1] + b',"entry":[' + b",".join(parts) + b"]}"
    return Reply(200, body)


def collection(base: str, entries: Sequence[tuple[str, bytes]]) -> Reply:
    """A collection Bundle of ``Type/id`` and JSON."""
    return _bundle("collection", [_whole(base, *each) for each in entries])


def _whole(base: str, reference: str, body: bytes) -> bytes:
    return b'{"fullUrl":%s,"resource":%s}' % (text.dump(f"{base}/{reference}"), body)


def history(
    base: str,
    kind: str,
    links: Sequence[tuple[str, str]],
    total: int | None,
    entries: Sequence[tuple[Event, Stored | None]],
    warnings: Sequence[Issue] = (),
) -> Reply:
    """A history Bundle; versions go in as they are kept, byte for byte."""
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "history"}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    parts: list[bytes] = []
    for event, version in entries:
        reference = f"{kind}/{event.place.id}"
        response: dict[str, Any] = {
            "status": "204 No Content" if event.deleted else "201 Created" if event.place.version == 1 else "200 OK",
            "etag": f'W/"{event.place.version}"',
            "lastModified": dates.instant(event.updated),
        }
        if warnings and not parts:
            response["outcome"] = outcome(warnings)
        about = {"request": {"method": "DELETE" if event.deleted else "PUT", "url": reference}, "response": response}
        body = b"" if version is None else b'"resource":%s,' % version.body
        parts.append(b'{"fullUrl":%s,%s%s' % (text.dump(f"{base}/{reference}"), body, text.dump(about)[1:]))
    body = text.dump(head)
    if parts:
        body = body[:-1] + b',"entry":[' + b",".join(parts) + b"]}"
    return Reply(200, body)


def deleted(value: Deleted, returns: str) -> Reply:
    """The answer to a delete: nothing, or what was done where the request prefers an OperationOutcome."""
    headers = {"ETag": f'W/"{value.version}"'}
    if returns == "OperationOutcome":
        said = Issue("informational", f"{value.type}/{value.id} is deleted.", None, "information")
        return Reply(200, text.dump(outcome([said])), headers)
    return Reply(204, b"", headers)


def transaction(base: str, done: Sequence[tuple[Stored | Deleted, str]]) -> Reply:
    """A transaction-response Bundle.

    Parameters
    ----------
    done
        What each entry did, and what it returns: ``representation``, ``minimal`` or ``OperationOutcome``.
    """
    return _bundle("transaction-response", [_done(base, value, returns) for value, returns in done])


def batch(answers: Sequence[Reply]) -> Reply:
    """A batch-response Bundle: each entry's answer as it would have come by itself."""
    return _bundle("batch-response", [_answered(each) for each in answers])


def _done(base: str, value: Stored | Deleted, returns: str) -> bytes:
    if isinstance(value, Deleted):
        response = _response(204, value.version, dates.instant(value.updated))
        return text.dump({"response": response})
    updated = text.kept(value.body)["meta"]["lastUpdated"]
    response = _response(201 if value.created else 200, value.version, updated)
    response["location"] = location(value, base)
    if returns == "OperationOutcome":
        response["outcome"] = outcome([_kept(value), *value.notes])
    elif value.notes:
        response["outcome"] = outcome(value.notes)
    body = b'"resource":%s,' % value.body if returns == "representation" else b""
    url = text.dump(f"{base}/{value.reference}")
    return b'{"fullUrl":%s,%s"response":%s}' % (url, body, text.dump(response))


def _answered(answer: Reply) -> bytes:
    response: dict[str, Any] = {"status": _status(answer.status)}
    for name, header in (("location", "Location"), ("etag", "ETag")):
        if header in answer.headers:
            response[name] = answer.headers[header]
    if "Last-Modified" in answer.headers:
        response["lastModified"] = dates.instant(parsedate_to_datetime(answer.headers["Last-Modified"]))
    if answer.body.startswith(_OUTCOME):
        response["outcome"] = text.kept(answer.body)
        return text.dump({"response": response})
    body = b'"resource":%s,' % answer.body if answer.body else b""
    return b'{%s"response":%s}' % (body, text.dump(response))


def _response(status: int, version: int, updated: str) -> dict[str, Any]:
    return {"status": _status(status), "etag": f'W/"{version}"', "lastModified": updated}


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _bundle(kind: str, entries: Sequence[bytes]) -> Reply:
    head = text.dump({"resourceType": "Bundle", "type": kind})
    return Reply(200, head[:-1] + b',"entry":[' + b",".join(entries) + b"]}" if entries else head)


def _kept(value: Stored) -> Issue:
    return Issue("informational", f"Kept as {value.reference}, version {value.version}.", None, "information")


def _foremost(notes: Sequence[Issue]) -> Sequence[Issue]:
    """As many notes as a header holds on its way through any proxy; an OperationOutcome holds them all."""
    if len(notes) <= _MOST_WARNINGS:
        return notes
    more = f"And {len(notes) - _MOST_WARNINGS} more notes: ask with Prefer: return=OperationOutcome."
    return [*notes[:_MOST_WARNINGS], Issue("informational", more, None, "information")]


def _warning(note: Issue) -> str:
    """A note as an HTTP header: ASCII, one line (RFC 7234, 5.5)."""
    said = f"{note.element}: {note.text}" if note.element else note.text
    plain = said.encode("ascii", "replace").decode().replace("\\", "/").replace('"', "'")
    return f'299 - "{" ".join(plain.split())[:300]}"'
