"""JSON text, read without losing a byte of it.

The record keeps what it received. What it serves differs in ``id`` and ``meta`` alone, and the difference is made in
the text, so that ``0.10``, ``1.0E2``, escapes and layout come back as they were sent (R4 Resource.id, Resource.meta).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from json import JSONDecodeError
from typing import Any

from fhir_mapping.errors import Issue, Malformed, TooLarge

MAX_RESOURCE_BYTES = 1 << 20
MAX_BUNDLE_BYTES = 8 << 20
MAX_DEPTH = 40
MAX_VALUES = 20_000
"""JSON values in one resource: validation costs time for each."""

MAX_BUNDLE_VALUES = 100_000

#: A whole string token; an unterminated one reaches to the end, so that the scan stays linear.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_STRING_AND_COLON = re.compile(r'("(?:[^"\\]++|\\.)*+")([ \t\r\n]*:)?', re.DOTALL)
_LINK = re.compile(r"""(\s(?:href|src)\s*=\s*["'])([^"'<>]*)(["'])""")
_BRACKET = re.compile(r"[\[\]{}]")
_SUSPECT_ESCAPE = re.compile(r"\\u(?:00[01]|[dD][89a-fA-F])")
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
_MAX_NUMBER = 60
_MAX_EXPONENT = 400


#: Members that hold a reference, or a uri, url, oid or uuid that may be one (R4 Bundle: no canonical).
_LINKS = frozenset({"reference", "url", "uri", "valueUri", "valueUrl", "valueOid", "valueUuid", "instantiatesUri"})


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a JSON object, as positions in the text."""

    key: str
    start: int
    """Of the key's opening quote."""

    value: int
    end: int
    """Just behind the value."""


def parse(body: bytes, *, bundle: bool = False) -> dict[str, Any]:
    """The resource in a body that comes in; decimals as :class:`~decimal.Decimal`.

    Raises
    ------
    Malformed
        Not UTF-8, not a JSON object, a key twice, a number or character that FHIR has no room for.
    TooLarge
        Too many bytes, levels or values.
    """
    limit = MAX_BUNDLE_BYTES if bundle else MAX_RESOURCE_BYTES
    if len(body) > limit:
        raise TooLarge(Issue("too-long", f"The body is larger than {limit} bytes."))
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(Issue("structure", "The body is not UTF-8.")) from None
    _check_size(text, MAX_BUNDLE_VALUES if bundle else MAX_VALUES)
    value = _resource(text)
    if _SUSPECT_ESCAPE.search(text):
        _check_characters(value)
    return value


def kept(body: bytes) -> dict[str, Any]:
    """The resource in a body of the record. No limit: what was taken in once is read, whatever was spliced into it."""
    return _resource(body.decode("utf-8"))


def dump(value: object) -> bytes:
    """JSON of a resource that this product makes itself: compact, UTF-8, decimals with the digits they have."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except TypeError:  # it holds a decimal
        return "".join(_dump(value)).encode()


def splice(body: bytes, identity: str, version: str, updated: str) -> bytes:
    """The body with its ``id``, ``meta.versionId`` and ``meta.lastUpdated`` set; every other byte as it was.

    Parameters
    ----------
    body
        A JSON object that :func:`parse` has accepted.
    """
    text = body.decode("utf-8")
    start = opening(text)
    known = {member.key: member for member in members(text, start)}
    edits: list[tuple[int, int, str]] = []
    added = ""
    here = known.get("id")
    if here is None:
        added += f'"id":{json.dumps(identity)},'
    else:
        edits.append((here.value, here.end, json.dumps(identity)))
    wanted = {"versionId": json.dumps(version), "lastUpdated": json.dumps(updated)}
    meta = known.get("meta")
    if meta is None:
        added += '"meta":{' + ",".join(f'"{key}":{value}' for key, value in wanted.items()) + "},"
    else:
        inner = list(members(text, meta.value))
        for member in inner:
            if member.key in wanted:
                edits.append((member.value, member.end, wanted.pop(member.key)))
        if wanted:
            new = ",".join(f'"{key}":{value}' for key, value in wanted.items())
            edits.append((meta.value + 1, meta.value + 1, new + ("," if inner else "")))
    if added:
        edits.append((start + 1, start + 1, added if known else added.rstrip(",")))
    return edited(text, edits).encode("utf-8")


def with_member(body: bytes, key: str, value: object) -> bytes:
    """The body with the value of one member of the resource replaced; every other byte as it was.

    Raises
    ------
    KeyError
        The resource has no such member.
    """
    text = body.decode("utf-8")
    start = opening(text)
    for member in members(text, start):
        if member.key == key:
            return edited(text, [(member.value, member.end, dump(value).decode())]).encode()
    raise KeyError(key)


def entry_resources(body: bytes) -> list[bytes | None]:
    """The text of each ``entry.resource`` of a Bundle, cut out as it stands; None for an entry without one."""
    text = body.decode("utf-8")
    resources: list[bytes | None] = []
    for member in members(text, opening(text)):
        if member.key != "entry":
            continue
        for start, _end in elements(text, member.value):
            found = [m for m in members(text, start) if m.key == "resource"]
            resources.append(text[found[0].value : found[0].end].encode("utf-8") if found else None)
    return resources


def replace_references(body: bytes, targets: Mapping[str, str]) -> bytes:
    """The body with what the mapping names put in the place of each reference, uri and link of a narrative to it.

    A transaction names resources that it creates by their fullUrl (R4 Bundle, Transaction Processing Rules). The value
    of an Identifier is a text and stays.
    """
    text = body.decode("utf-8")
    edits: list[tuple[int, int, str]] = []
    key = ""
    for match in _STRING_AND_COLON.finditer(text):
        token = match.group(1)
        if match.group(2):
            key = json.loads(token)
        elif key in _LINKS:
            target = targets.get(json.loads(token))
            if target is not None:
                edits.append((match.start(1), match.end(1), json.dumps(target)))
        elif key == "div":
            narrative = json.loads(token)
            linked = _LINK.sub(lambda found: found[1] + targets.get(found[2], found[2]) + found[3], narrative)
            if linked != narrative:
                edits.append((match.start(1), match.end(1), json.dumps(linked, ensure_ascii=False)))
    return edited(text, edits).encode("utf-8")


def opening(text: str) -> int:
    """Where the object begins that a body is."""
    return _skip(text, 0)


def edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    """The text with other text between some positions, none of which overlap."""
    parts: list[str] = []
    position = 0
    for start, end, new in sorted(edits):
        parts += [text[position:start], new]
        position = end
    parts.append(text[position:])
    return "".join(parts)


def members(text: str, start: int) -> Iterator[Member]:
    """The members of the object that opens at ``start``; the text is known to be JSON."""
    position = _skip(text, start + 1)
    while text[position] != "}":
        key, end = _DECODER.raw_decode(text, position)
        value = _skip(text, _skip(text, end) + 1)
        _, end_of_value = _DECODER.raw_decode(text, value)
        yield Member(key, position, value, end_of_value)
        position = _skip(text, end_of_value)
        if text[position] == ",":
            position = _skip(text, position + 1)


def elements(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Start and end of each element of the array that opens at ``start``."""
    position = _skip(text, start + 1)
    while text[position] != "]":
        _, end = _DECODER.raw_decode(text, position)
        yield position, end
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    assert match is not None
    return match.end()


def _resource(text: str) -> dict[str, Any]:
    decoder = json.JSONDecoder(
        parse_float=_decimal, parse_int=_integer, parse_constant=_constant, object_pairs_hook=_object
    )
    try:
        value = decoder.decode(text)
    except JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Malformed(Issue("structure", f"The body is not JSON: {error.msg} at {where}.")) from None
    if not isinstance(value, dict):
        raise Malformed(Issue("structure", "The body is not a JSON object."))
    return value


def _check_size(text: str, values: int) -> None:
    """Refuse depth and number before any parser recurses or allocates."""
    bare = _STRING.sub("", text)
    if bare.count(",") + bare.count("[") + bare.count("{") > values:
        raise TooLarge(Issue("too-costly", f"The body holds more than {values} values."))
    depth = 0
    for match in _BRACKET.finditer(bare):
        depth += 1 if match.group() in "[{" else -1
        if depth > MAX_DEPTH:
            raise TooLarge(Issue("too-costly", f"The body is nested more than {MAX_DEPTH} levels deep."))


def _decimal(token: str) -> Decimal:
    mantissa, _, exponent = token.lower().partition("e")
    if len(mantissa) > _MAX_NUMBER or len(exponent) > 5 or abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise Malformed(Issue("value", "A number is longer than the record takes."))
    return Decimal(token)


def _integer(token: str) -> int:
    if len(token) > _MAX_NUMBER:
        raise Malformed(Issue("value", "A number is longer than the record takes."))
    return int(token)


def _constant(token: str) -> Any:
    raise Malformed(Issue("structure", f"The body is not JSON: {token} is no JSON value."))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Malformed(Issue("structure", "The body is not FHIR's JSON: an object has a key twice."))
    return value


def _check_characters(value: object) -> None:
    """R4 string: no control characters but tab, CR, LF; and no half of a surrogate pair, which is no character."""
    if isinstance(value, str):
        for character in value:
            code = ord(character)
            if (code < 0x20 and character not in "\t\r\n") or 0xD800 <= code <= 0xDFFF:
                raise Malformed(Issue("value", "A text holds a character that FHIR does not allow."))
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_characters(key)
            _check_characters(item)
    elif isinstance(value, list):
        for item in value:
            _check_characters(item)


def _dump(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield "{"
        for number, (key, item) in enumerate(value.items()):
            yield ("," if number else "") + json.dumps(str(key), ensure_ascii=False) + ":"
            yield from _dump(item)
        yield "}"
    elif isinstance(value, (list, tuple)):
        yield "["
        for number, item in enumerate(value):
            if number:
                yield ","
            yield from _dump(item)
        yield "]"
    elif isinstance(value, Decimal):
        yield format(value, "f")
    else:
        yield json.dumps(value, ensure_ascii=False, allow_nan=False)
