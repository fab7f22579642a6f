"""The OpenAPI 3.1 document, made from the interaction table, as the routes and the CapabilityStatement are.

It tells addresses, methods, parameters and statuses. What a resource holds FHIR's own definitions tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_mapping.api import asking, audit_search, batch_advisory, courses, definitions, explain
from fhir_mapping.api.interactions import TABLE, Interaction, Row
from fhir_mapping.api.reply import MEDIA_TYPE
from fhir_mapping.question.facets import Facet
from fhir_mapping.search.parameters import parameters

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"}}
_VERSION = {
    "name": "version",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9a-f]{1,32}$"},
}
_COUNT = {"name": "_count", "in": "query", "schema": {"type": "integer", "minimum": 0}}
_SINCE = {"name": "_since", "in": "query", "schema": {"type": "string", "format": "date-time"}}
_CONDITION = {"name": "identifier", "in": "query", "schema": {"type": "string", "minLength": 1}}

#: Of every answer: malformed, no account, not allowed, another format, too long, cannot be carried out just now.
_ALWAYS = (400, 401, 403, 406, 413, 503)
_WRITTEN = (409, 412, 415, 422)

_SAID: Mapping[int, str] = {
    200: "Done.",
    201: "Created.",
    204: "Deleted.",
    400: "The request cannot be read.",
    401: "An account is needed.",
    403: "The account may not do this.",
    404: "There is no such resource, or it may not be read.",
    405: "The method is not offered here.",
    406: "Another format than JSON is asked for.",
    409: "Others name it, or somebody else wrote.",
    410: "It was deleted.",
    412: "It has another version, or several match.",
    413: "Too large, too deep or too many.",
    415: "Another format than JSON.",
    422: "FHIR that cannot be taken; the element is named.",
    503: "The record cannot be reached just now.",
}


_FORM = "application/x-www-form-urlencoded"
_PAIRS = {"type": "object", "additionalProperties": {"type": "string"}}


def document(base: str, version: str) -> dict[str, Any]:
    """The OpenAPI document of this server.

    Parameters
    ----------
    base
        Public address of ``/fhir``.
    version
        Of this product.
    """
    paths: dict[str, Any] = {
        "/metadata": {"get": _operation("The CapabilityStatement.", (200,), public=True)},
        "/openapi.json": {"get": _operation("This document.", (200,), answer="application/json", public=True)},
        "/.well-known/smart-configuration": {
            "get": _operation("Where an app gets its tokens.", (200, 404), answer="application/json", public=True)
        },
        f"/${batch_advisory.NAME}": _asked("Everybody and everything that a batch reached.", batch_advisory.PARAMETERS),
        "/": {
            "post": _operation(
                "A transaction or a batch.", (200, 404, 405, *_WRITTEN), body={"$ref": "#/components/schemas/Bundle"}
            )
        },
    }
    paths |= _definitions()
    for row in TABLE:
        paths |= _paths(row)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Photospine FHIR R4", "version": version},
        "servers": [{"url": base}],
        "paths": paths,
        "components": {
            "schemas": {row.type: _schema(row.type) for row in TABLE}
            | {each: _schema(each) for each in ("Bundle", "OperationOutcome", "Parameters")},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
        "security": [{"basic": []}, {"bearer": []}],
    }


def _definitions() -> dict[str, Any]:
    kind, asked = definitions.TYPE, [_text(name) for name in definitions.PARAMETERS]
    return {
        f"/{kind}": {"get": _operation("What our extensions mean.", (200,), asked, public=True)},
        f"/{kind}/_search": {
            "post": _operation("What our extensions mean.", (200, 415), asked, _PAIRS, _FORM, public=True)
        },
        f"/{kind}/{{id}}": {"get": _operation("What an extension means.", (200, 404), [_ID], public=True)},
    }


def _paths(row: Row) -> dict[str, Any]:
    kind, offered = row.type, row.interactions
    own = {"$ref": f"#/components/schemas/{kind}"}
    whole: dict[str, Any] = {}
    one: dict[str, Any] = {}
    made: dict[str, Any] = {f"/{kind}": whole, f"/{kind}/{{id}}": one}
    if Interaction.SEARCH in offered:
        asked = [*_searched(kind), _COUNT]
        whole["get"] = _operation(f"Search {kind}.", (200,), asked)
        made[f"/{kind}/_search"] = {"post": _operation(f"Search {kind}.", (200, 415), asked, _PAIRS, _FORM)}
    if Interaction.CREATE in offered:
        whole["post"] = _operation(f"Create a {kind}.", (200, 201, *_WRITTEN), [_header("If-None-Exist")], own)
    if Interaction.READ in offered:
        one["get"] = _operation(f"Read a {kind}.", (200, 404, 410), [_ID])
    if Interaction.UPDATE in offered:
        conditions = [_header("If-Match"), _header("If-None-Match")]
        one["put"] = _operation(f"Write a {kind}.", (200, 201, *_WRITTEN), [_ID, *conditions], own)
        whole["put"] = _operation(
            f"Write the {kind} with an identifier.", (200, 201, 405, *_WRITTEN), [_CONDITION, conditions[0]], own
        )
    if Interaction.DELETE in offered:
        statuses = (200, 204, 404, 409, 412)
        one["delete"] = _operation(f"Delete a {kind}.", statuses, [_ID, _header("If-Match")])
        whole["delete"] = _operation(f"Delete the {kind} with an identifier.", (*statuses, 405, 422), [_CONDITION])
    if row.explained:
        why = _asked("Why a request is permitted or denied.", explain.PARAMETERS, [_ID])
        made[f"/{kind}/{{id}}/${explain.NAME}"] = why
    if row.questioned:
        asked = [_text(name) for name in (*Facet, "_facets")]
        made[f"/{kind}/${asking.NAME}"] = {"get": _operation("Photos by their facets.", (200,), [*asked, _COUNT])}
    for operation in courses.offered(kind):
        told = _operation(operation.documentation, (200, 404), [_ID])
        made[f"/{kind}/{{id}}/${operation.name}"] = {"get": told}
    if Interaction.VREAD in offered:
        made[f"/{kind}/{{id}}/_history/{{version}}"] = {
            "get": _operation(f"Read a version of a {kind}.", (200, 404, 410), [_ID, _VERSION])
        }
    if Interaction.HISTORY in offered:
        made[f"/{kind}/{{id}}/_history"] = {
            "get": _operation(f"The history of a {kind}.", (200, 404), [_ID, _COUNT, _SINCE])
        }
    if Interaction.HISTORY_TYPE in offered:
        made[f"/{kind}/_history"] = {"get": _operation(f"The history of {kind}.", (200,), [_COUNT, _SINCE])}
    return {path: methods for path, methods in made.items() if methods}


def _searched(kind: str) -> list[dict[str, Any]]:
    names: Iterable[str] = audit_search.PARAMETERS if kind == audit_search.TYPE else parameters(kind)
    return [_text(name) for name in sorted(names)]


def _text(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "string"}}


def _asked(summary: str, names: Iterable[str], before: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """An operation that is asked in the address, or by a Parameters resource."""
    return {
        "get": _operation(summary, (200, 404, 422), [*before, *map(_text, names)]),
        "post": _operation("The same.", (200, 404, 415, 422), before, {"$ref": "#/components/schemas/Parameters"}),
    }


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string"}}


def _schema(kind: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["resourceType"],
        "properties": {"resourceType": {"const": kind}, "id": {"type": "string"}},
    }


def _operation(
    summary: str,
    statuses: Iterable[int],
    asked: Iterable[Mapping[str, Any]] = (),
    body: Mapping[str, Any] | None = None,
    media_type: str = MEDIA_TYPE,
    *,
    answer: str = MEDIA_TYPE,
    public: bool = False,
) -> dict[str, Any]:
    told = sorted({*statuses, *((400, 406, 413, 503) if public else _ALWAYS)})
    made: dict[str, Any] = {"summary": summary, "responses": {str(each): _response(each, answer) for each in told}}
    listed = [dict(each) for each in asked]
    if listed:
        made["parameters"] = listed
    if body is not None:
        made["requestBody"] = {"required": True, "content": {media_type: {"schema": dict(body)}}}
    if public:
        made["security"] = []
    return made


def _response(status: int, answer: str) -> dict[str, Any]:
    made: dict[str, Any] = {"description": _SAID[status]}
    if status >= 400:
        made["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/OperationOutcome"}}}
    elif status != 204:
        made["content"] = {answer: {"schema": {"type": "object"}}}
    return made
