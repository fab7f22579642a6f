"""Batches (R4 batch): each entry is carried out by the route that it names, as if it had come by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request as HttpRequest

from fhir_mapping import text
from fhir_mapping.api import reply
from fhir_mapping.api.reply import Reply
from fhir_mapping.errors import Invalid, Issue, Refused, TooLarge

MAX_ENTRIES = 1000
MAX_BYTES = 64 << 20
"""Of all answers together; later entries are not carried out, and say so."""

_METHODS = ("GET", "POST", "PUT", "DELETE")
_HEADERS = {"ifMatch": b"if-match", "ifNoneMatch": b"if-none-match", "ifNoneExist": b"if-none-exist"}

Entry = Callable[[HttpRequest, bytes], Reply]
"""Carries out one request with its body; a refusal is an answer."""


def kind_of(body: bytes) -> str:
    """The type of a Bundle: ``transaction`` or ``batch``.

    Raises
    ------
    Refused
        It is no Bundle, or of another type.
    """
    parsed = text.parse(body, bundle=True)
    kind = parsed.get("type")
    if parsed.get("resourceType") != "Bundle" or kind not in ("transaction", "batch"):
        raise Invalid(Issue("value", "A transaction or a batch is asked for here.", "Bundle.type"))
    return str(kind)


def carry_out(body: bytes, base: str, under: str, entry: Entry) -> Reply:
    """Every entry's answer, in order.

    Parameters
    ----------
    base
        This server's FHIR address without a final slash.
    under
        Its path.

    Raises
    ------
    Refused
        The Bundle itself is at fault.
    """
    parsed = text.parse(body, bundle=True)
    entries = parsed.get("entry", [])
    if not isinstance(entries, list) or not all(isinstance(each, Mapping) for each in entries):
        raise Invalid(Issue("structure", "The entries are an array of objects.", "Bundle.entry"))
    if len(entries) > MAX_ENTRIES:
        raise Invalid(Issue("structure", f"A Bundle holds up to {MAX_ENTRIES} entries.", "Bundle.entry"))
    answers: list[Reply] = []
    size = 0
    for number, (stated, resource) in enumerate(zip(entries, text.entry_resources(body), strict=True)):
        at = f"Bundle.entry[{number}]"
        try:
            if size > MAX_BYTES:
                raise TooLarge(Issue("too-costly", "The answers before are too large: ask this by itself.", at))
            answer = entry(_request(stated, base, under, at), resource or b"")
        except Refused as error:
            answer = reply.refused(error)
        size += len(answer.body)
        answers.append(answer)
    return reply.batch(answers)


def _request(entry: Mapping[str, Any], base: str, under: str, at: str) -> HttpRequest:
    stated = entry.get("request")
    if not isinstance(stated, Mapping):
        raise Invalid(Issue("required", "An entry needs a request.", f"{at}.request"))
    method, url = stated.get("method"), stated.get("url")
    if method not in _METHODS:
        said = f"An entry is one of {', '.join(_METHODS)}."
        raise Invalid(Issue("not-supported", said, f"{at}.request.method"))
    if not isinstance(url, str):
        raise Invalid(Issue("required", "An entry needs an address.", f"{at}.request.url"))
    if (method in ("POST", "PUT")) != isinstance(entry.get("resource"), Mapping):
        raise Invalid(Issue("structure", "POST and PUT bring a resource, and nothing else does.", f"{at}.resource"))
    headers = []
    for name, value in stated.items():
        if name in ("method", "url", "id", "extension"):
            continue
        if name not in _HEADERS or not isinstance(value, str) or not value.isascii():
            raise Invalid(Issue("not-supported", "This is not asked for so.", f"{at}.request.{name}"))
        headers.append((_HEADERS[name], value.encode("ascii")))
    path, _, query = url.removeprefix(f"{base}/").partition("?")
    return HttpRequest(
        {
            "type": "http",
            "method": method,
            "path": f"{under}/{unquote(path.removeprefix('/'))}",
            "query_string": query.encode("utf-8"),
            "headers": headers,
            "scheme": "http",
            "server": ("localhost", None),
        }
    )
