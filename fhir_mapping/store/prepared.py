"""What comes in, read and checked as far as that needs no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhir_mapping import references, text
from fhir_mapping.errors import ConsentRefused, Invalid, Issue, Malformed, Refused
from fhir_mapping.projections import consents
from fhir_mapping.projections.written import Setting
from fhir_mapping.pruning import SUBSETTED
from fhir_mapping.resources.appraisal import PHOTOGRAPH, SYSTEM, is_appraisal
from fhir_mapping.store import validate
from fhir_mapping.store.kinds import LASTING
from fhir_mapping.to_directive import has_denial

_MAX_ENTRIES = 1000

#: What an entry of a transaction may ask beside its method and address.
_CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "POST": ("ifNoneExist",),
    "PUT": ("ifMatch", "ifNoneMatch"),
    "DELETE": ("ifMatch",),
}


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
    """One entry of a transaction that writes."""

    ready: Prepared
    id: str | None
    """PUT: the id that is written to; None: POST, or PUT by a condition."""

    url: str | None
    """fullUrl."""

    if_none_exist: str | None
    if_match: int | None
    """The version that is expected to be there, 0: none."""

    element: str
    """Where it stands in the Bundle, for an OperationOutcome."""

    where: str | None = None
    """PUT by a condition: the search, by identifier."""


@dataclass(frozen=True, slots=True)
class Removal:
    """One entry of a transaction that deletes."""

    type: str
    id: str | None
    where: str | None
    """The condition that finds it, where no id is given."""

    if_match: int | None
    element: str


Step = Entry | Removal


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
        _require_whole(kind, resource)
        _require_theirs(resource)
    except Invalid as error:
        if kind == "Consent":
            raise consents.refused(setting, resource, error.issues, data) from None
        raise
    meta = resource.get("meta")
    owner = meta.get("source") if isinstance(meta, Mapping) else None
    return Prepared(kind, data, resource, owner if isinstance(owner, str) else None)


def _require_whole(kind: str, resource: Mapping[str, Any]) -> None:
    """Written back, a part of a resource would take the place of the whole.

    Raises
    ------
    Invalid
    """
    for number, tag in enumerate((resource.get("meta") or {}).get("tag") or ()):
        if {name: tag.get(name) for name in SUBSETTED} == SUBSETTED:
            said = "The resource bears SUBSETTED: it is a part of what is kept, and writing it would lose the rest."
            raise Invalid(Issue("business-rule", said, f"{kind}.meta.tag[{number}]"))


def _require_theirs(resource: Mapping[str, Any]) -> None:
    """How a photo was taken is said by who has looked at its pixels, and nobody else: gaps and pages rely on it.

    Raises
    ------
    Invalid
    """
    if is_appraisal(resource):
        said = (
            f"How a photo was taken is said by the judge alone: {SYSTEM}|{PHOTOGRAPH} is no code for others to write."
        )
        raise Invalid(Issue("business-rule", said, "Observation.code"))


def entries_of(setting: Setting, bundle: bytes | Mapping[str, Any], allowed: frozenset[str]) -> tuple[Entry, ...]:
    """Read and check a transaction Bundle that writes by id alone, and deletes nothing.

    Raises
    ------
    Refused
        As :func:`steps_of`.
    """
    entries: list[Entry] = []
    for step in steps_of(setting, bundle, allowed):
        if isinstance(step, Removal) or step.where is not None:
            said = "An entry here is a POST, or a PUT to an id."
            raise Invalid(Issue("not-supported", said, f"{step.element}.request"))
        entries.append(step)
    return tuple(entries)


def steps_of(setting: Setting, bundle: bytes | Mapping[str, Any], allowed: frozenset[str]) -> tuple[Step, ...]:
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
) -> Step:
    request = entry.get("request")
    if not isinstance(request, Mapping):
        raise Invalid(Issue("required", "An entry needs a request.", element))
    method, address = request.get("method"), request.get("url")
    if not isinstance(method, str) or method not in _CONDITIONS:
        said = "An entry of a transaction is a POST, PUT or DELETE; a batch takes GET as well."
        raise Invalid(Issue("not-supported", said, f"{element}.request.method"))
    kind, identity, where = _address(setting, address if isinstance(address, str) else "")
    if kind not in allowed or (method == "DELETE" and kind in LASTING):
        raise Invalid(Issue("not-supported", "This type may not be written here.", f"{element}.request.url"))
    if (method == "POST") != (identity is None and where is None):
        said = "POST names a type, PUT and DELETE a type and an id, or ?identifier=."
        raise Invalid(Issue("value", said, f"{element}.request.url"))
    asked = {name: _text(request, name, f"{element}.request") for name in _CONDITIONS[method]}
    for name in request:
        if name not in ("method", "url", "id", "extension", *asked):
            raise Invalid(Issue("not-supported", f"A {method} is not asked for so.", f"{element}.request.{name}"))
    expected = expected_version(asked.get("ifMatch"), asked.get("ifNoneMatch"), f"{element}.request")
    if method == "DELETE":
        if resource is not None:
            raise Invalid(Issue("structure", "A DELETE brings no resource.", f"{element}.resource"))
        return Removal(kind, identity, where, expected, element)
    if resource is None or not isinstance(entry.get("resource"), Mapping):
        raise Invalid(Issue("required", "An entry needs a resource and a request.", element))
    try:
        ready = prepare(setting, kind, resource)
    except ConsentRefused:
        raise
    except Invalid as error:
        raise Invalid(replace(each, element=placed(each.element, element)) for each in error.issues) from None
    if identity is not None and ready.resource.get("id") != identity:
        raise Invalid(Issue("value", "The resource's id must be that of the request.", f"{element}.resource.id"))
    return Entry(
        ready=ready,
        id=identity,
        url=_text(entry, "fullUrl", element),
        if_none_exist=asked.get("ifNoneExist"),
        if_match=expected,
        element=element,
        where=where,
    )


def _address(setting: Setting, address: str) -> tuple[str, str | None, str | None]:
    """Type, id and condition of an entry's address, which is relative to this server, or whole."""
    if setting.base is not None:
        address = address.removeprefix(f"{setting.base}/")
    path, question, condition = address.partition("?")
    kind, slash, identity = path.partition("/")
    if slash and not references.ID.fullmatch(identity):
        return "", None, None
    if slash and question:
        return "", None, None
    return kind, identity if slash else None, condition if question else None


def lost_denials(setting: Setting, bundle: bytes, fault: Invalid) -> list[ConsentRefused]:
    """The Consents with a denial in a transaction that was refused whole, but for the one that is at fault itself."""
    try:
        parsed, cut = text.parse(bundle, bundle=True), text.entry_resources(bundle)
    except Refused:
        return []
    at_fault = _without_references(text.parse(fault.body)) if isinstance(fault, ConsentRefused) else None
    entries = parsed.get("entry")
    found = []
    for entry, body in zip(entries if isinstance(entries, list) else (), cut, strict=False):
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        if not isinstance(resource, Mapping) or resource.get("resourceType") != "Consent" or body is None:
            continue
        if has_denial(resource) and _without_references(resource) != at_fault:
            found.append(consents.refused(setting, resource, fault.issues, body))
    return found


def _without_references(node: Any) -> Any:
    """The resource whatever it names: the references of a transaction are resolved on the way."""
    if isinstance(node, Mapping):
        return {name: _without_references(value) for name, value in node.items() if name != "reference"}
    return [_without_references(value) for value in node] if isinstance(node, list) else node


def _text(node: Mapping[str, Any], name: str, element: str) -> str | None:
    value = node.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid(Issue("structure", "The element must be a text.", f"{element}.{name}"))
    return value


def placed(element: str | None, entry: str) -> str:
    """An element of a resource as seen from its Bundle: ``Patient.name[0]`` -> ``Bundle.entry[2].resource.name[0]``."""
    _, dot, rest = (element or "").partition(".")
    return f"{entry}.resource{dot}{rest}"


def expected_version(if_match: str | None, if_none_match: str | None, element: str | None = None) -> int | None:
    """The version that a write expects: ``If-Match: W/"3"`` that one, ``If-None-Match: *`` none, which is 0.

    Parameters
    ----------
    element
        Where that stands in a Bundle.

    Raises
    ------
    Malformed
    """
    if if_none_match is not None:
        if if_none_match.strip() != "*" or if_match is not None:
            raise Malformed(Issue("value", "If-None-Match of a write is * and stands alone.", element))
        return 0
    if if_match is None:
        return None
    digits = if_match.strip().removeprefix("W/").strip('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9 or int(digits) == 0:
        raise Malformed(Issue("value", 'If-Match names one version, as W/"3".', element))
    return int(digits)
