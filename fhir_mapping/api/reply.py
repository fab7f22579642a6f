"""Answers in FHIR's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any

from fhir_mapping import text
from fhir_mapping.errors import Issue, Refused, Unauthenticated
from fhir_mapping.resources.operation_outcome import outcome
from fhir_mapping.store.reader import Stored

MEDIA_TYPE = "application/fhir+json"

_MOST_WARNINGS = 8


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


def stored(value: Stored) -> Reply:
    """A resource of the record, as it is kept."""
    return Reply(200, value.body, version_headers(value))


def written(value: Stored, base: str, returns: str) -> Reply:
    """The answer to a create or update."""
    headers = version_headers(value) | {"Location": location(value, base)}
    if value.notes:
        headers["Warning"] = ", ".join(_warning(note) for note in _foremost(value.notes))
    status = 201 if value.created else 200
    if returns == "minimal":
        return Reply(status, b"", headers)
    if returns == "OperationOutcome":
        kept = Issue("informational", f"Kept as {value.reference}, version {value.version}.", None, "information")
        return Reply(status, text.dump(outcome([kept, *value.notes])), headers)
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
    entries: Sequence[tuple[str, bytes]],
    warnings: Sequence[Issue] = (),
    included: Sequence[bytes] = (),
) -> Reply:
    """A searchset Bundle; resources go in as they are kept, byte for byte.

    Parameters
    ----------
    entries
        ``Type/id`` and the resource's JSON.
    included
        Resources made for this answer.
    """
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    parts = [
        b'{"fullUrl":%s,"resource":%s,"search":{"mode":"match"}}' % (text.dump(f"{base}/{reference}"), body)
        for reference, body in entries
    ]
    parts += [b'{"resource":%s,"search":{"mode":"include"}}' % each for each in included]
    if warnings:
        parts.append(b'{"resource":%s,"search":{"mode":"outcome"}}' % text.dump(outcome(warnings)))
    body = text.dump(head)
    if parts:
        body = body[:-1] + b',"entry":[' + b",".join(parts) + b"]}"
    return Reply(200, body)


def transaction(base: str, done: Sequence[Stored]) -> Reply:
    """A transaction-response Bundle."""
    entries = []
    for value in done:
        response: dict[str, Any] = {
            "status": "201 Created" if value.created else "200 OK",
            "location": location(value, base),
            "etag": f'W/"{value.version}"',
            "lastModified": text.kept(value.body)["meta"]["lastUpdated"],
        }
        if value.notes:
            response["outcome"] = outcome(value.notes)
        entries.append({"fullUrl": f"{base}/{value.reference}", "response": response})
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "transaction-response"}
    if entries:
        bundle["entry"] = entries
    return resource(bundle)


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
