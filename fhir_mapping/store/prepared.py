"""What comes in, read and checked as far as that needs no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhir_mapping import references, text
from fhir_mapping.errors import ConsentRefused, Invalid, Issue, Malformed
from fhir_mapping.projections import consents
from fhir_mapping.projections.written import Setting
from fhir_mapping.store import validate

_MAX_ENTRIES = 1000
_CONDITIONS = (("POST", "ifNoneExist"), ("PUT", "ifMatch"))


@dataclass(frozen=True, slots=True)
class Prepared:
    """One resource that is valid R4 by itself."""

    type: str
    body: bytes
    resource: dict[str, Any]
    owner: str | None
    """``meta.source``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a transaction."""

    ready: Prepared
    id: str | None
    """PUT: the id that is written to; None: POST."""

    url: str | None
    """fullUrl."""

    if_none_exist: str | None
    if_match: int | None
    element: str
    """Where it stands in the Bundle, for an OperationOutcome."""


def prepare(setting: Setting, kind: str, body: bytes | Mapping[str, Any]) -> Prepared:
    """Read and check one resource.

    Raises
    ------
    Refused
    """
    data = body if isinstance(body, bytes) else text.dump(body)
    resource = text.parse(data)
    try:
        validate.structure(kind, resource)
    except Invalid as error:
        if kind == "Consent":
            raise consents.refused(setting, resource, error.issues, data) from None
        raise
    meta = resource.get("meta")
    owner = meta.get("source") if isinstance(meta, Mapping) else None
    return Prepared(kind, data, resource, owner if isinstance(owner, str) else None)


def entries_of(setting: Setting, bundle: bytes | Mapping[str, Any], allowed: frozenset[str]) -> tuple[Entry, ...]:
    """Read and check a transaction Bundle.

    Parameters
    ----------
    allowed
        Types that it may write.

    Raises
    ------
    Refused
    """
    body = bundle if isinstance(bundle, bytes) else text.dump(bundle)
    parsed = text.parse(body, bundle=True)
    if parsed.get("resourceType") != "Bundle" or parsed.get("type") != "transaction":
        raise Invalid(Issue("value", "A transaction is asked for here.", "Bundle.type"))
    entries = parsed.get("entry", [])
    if not isinstance(entries, list):
        raise Invalid(Issue("structure", "The entries are an array.", "Bundle.entry"))
    if len(entries) > _MAX_ENTRIES:
        raise Invalid(Issue("structure", f"A Bundle holds up to {_MAX_ENTRIES} entries.", "Bundle.entry"))
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise Invalid(Issue("structure", "An entry is an object.", "Bundle.entry"))
    cut = text.entry_resources(body)
    return tuple(
        _entry(setting, entry, resource, f"Bundle.entry[{number}]", allowed)
        for number, (entry, resource) in enumerate(zip(entries, cut, strict=True))
    )


def _entry(
    setting: Setting, entry: Mapping[str, Any], resource: bytes | None, element: str, allowed: frozenset[str]
) -> Entry:
    request = entry.get("request")
    if not isinstance(request, Mapping) or resource is None or not isinstance(entry.get("resource"), Mapping):
        raise Invalid(Issue("required", "An entry needs a resource and a request.", element))
    method, address = request.get("method"), str(request.get("url", ""))
    if method not in ("POST", "PUT"):
        raise Invalid(Issue("not-supported", "An entry is a POST or a PUT.", f"{element}.request.method"))
    for member in request:
        if member.startswith("if") and (method, member) not in _CONDITIONS:
            fault = f"{member} is not understood with {method}."
            raise Invalid(Issue("not-supported", fault, f"{element}.request.{member}"))
    kind, _, identity = address.partition("/")
    if kind not in allowed:
        raise Invalid(Issue("not-supported", "This type may not be written here.", f"{element}.request.url"))
    if (method == "PUT") != bool(references.ID.fullmatch(identity)):
        raise Invalid(Issue("value", "POST names a type, PUT a type and an id.", f"{element}.request.url"))
    try:
        ready = prepare(setting, kind, resource)
    except ConsentRefused:
        raise
    except Invalid as error:
        raise Invalid(replace(each, element=f"{element}.resource: {each.element}") for each in error.issues) from None
    if method == "PUT" and ready.resource.get("id") != identity:
        raise Invalid(Issue("value", "The resource's id must be that of the request.", f"{element}.resource.id"))
    url, condition, match = entry.get("fullUrl"), request.get("ifNoneExist"), request.get("ifMatch")
    return Entry(
        ready=ready,
        id=identity if method == "PUT" else None,
        url=url if isinstance(url, str) else None,
        if_none_exist=condition if method == "POST" and isinstance(condition, str) else None,
        if_match=version_of(match) if isinstance(match, str) else None,
        element=element,
    )


def version_of(header: str) -> int:
    """The version in an If-Match header, ``W/"3"``.

    Raises
    ------
    Malformed
    """
    digits = header.strip().removeprefix("W/").strip('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        raise Malformed(Issue("value", 'If-Match names one version, as W/"3".'))
    return int(digits)
