"""Byte-exactness: what was received comes back, but for id and meta."""

from __future__ import annotations

import json
import re
import string
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_mapping import text
from fhir_mapping.errors import Malformed, Refused, TooLarge
from tests.counts import count

pytestmark = pytest.mark.fast

_SPACE = st.sampled_from(["", "", " ", "\n", "\r\n  ", "\t"])
_NUMBER = st.sampled_from(["0", "-1", "0.10", "1.0E2", "1e-5", "-0.00", "100000000000000000000", "3.1400"])
_PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@st.composite
def _string(draw: st.DrawFn) -> str:
    """A JSON string token, each character raw or escaped, as any writer may choose."""
    parts = []
    for character in draw(_PLAIN):
        if character in '"\\' or draw(st.booleans()):
            units = character.encode("utf-16-be")
            parts.append(
                "".join(
                    f"\\u{units[i] << 8 | units[i + 1]:04{draw(st.sampled_from('xX'))}}"
                    for i in range(0, len(units), 2)
                )
            )
        else:
            parts.append(character)
    return '"' + "".join(parts) + '"'


@st.composite
def _value(draw: st.DrawFn, depth: int = 0) -> str:
    kind = draw(st.integers(0, 3 if depth > 2 else 5))
    if kind == 0:
        return draw(_NUMBER)
    if kind == 1:
        return draw(st.sampled_from(["true", "false", "null"]))
    if kind in (2, 3):
        return draw(_string())
    items = draw(st.lists(_value(depth + 1), max_size=3))
    if kind == 4:
        return "[" + ",".join(draw(_SPACE) + item + draw(_SPACE) for item in items) + "]"
    return draw(_object([(f'"k{number}"', item) for number, item in enumerate(items)]))


@st.composite
def _object(draw: st.DrawFn, members: list[tuple[str, str]]) -> str:
    return (
        "{"
        + draw(_SPACE)
        + ",".join(f"{draw(_SPACE)}{key}{draw(_SPACE)}:{draw(_SPACE)}{value}{draw(_SPACE)}" for key, value in members)
        + draw(_SPACE)
        + "}"
    )


@st.composite
def _resource(draw: st.DrawFn) -> bytes:
    members = [('"resourceType"', '"Basic"')]
    members += [(f'"m{number}"', draw(_value())) for number in range(draw(st.integers(0, 4)))]
    if draw(st.booleans()):
        members.append(('"id"', json.dumps(draw(st.text(string.ascii_letters, min_size=1, max_size=8)))))
    if draw(st.booleans()):
        meta = [('"profile"', '["urn:x"]')] if draw(st.booleans()) else []
        if draw(st.booleans()):
            meta.append(('"versionId"', '"77"'))
        if draw(st.booleans()):
            meta.append(('"lastUpdated"', '"1999-01-01T00:00:00Z"'))
        members.append(('"meta"', draw(_object(meta))))
    return (draw(_SPACE) + draw(_object(draw(st.permutations(members)))) + draw(_SPACE)).encode()


@given(_resource())
@settings(max_examples=count("json-texts", small=300, full=20_000), deadline=None)
def test_splice_changes_id_and_meta_and_no_other_byte(body: bytes) -> None:
    served = text.splice(body, "x-1", "5", "2026-06-15T09:00:00.000Z")

    before, after = text.parse(body), text.parse(served)
    assert after["id"] == "x-1"
    assert after["meta"]["versionId"] == "5"
    assert after["meta"]["lastUpdated"] == "2026-06-15T09:00:00.000Z"
    assert {k: v for k, v in after["meta"].items() if k == "profile"} == {
        k: v for k, v in before.get("meta", {}).items() if k == "profile"
    }
    # Every member but these two stands in the answer as the very text that was received.
    source, answer = body.decode(), served.decode()
    wanted = [source[m.start : m.end] for m in text.members(source, source.index("{")) if m.key not in ("id", "meta")]
    found = [answer[m.start : m.end] for m in text.members(answer, answer.index("{")) if m.key not in ("id", "meta")]
    assert found == wanted
    assert text.splice(served, "x-1", "5", "2026-06-15T09:00:00.000Z") == served


def test_decimals_keep_their_digits() -> None:
    body = b'{"resourceType":"Observation","valueQuantity":{"value":0.10},"x":1.0E2,"y":[1.1230, -0.00]}'
    served = text.splice(body, "a", "1", "2026-01-01T00:00:00.000Z")
    assert b'"value":0.10}' in served
    assert b'"x":1.0E2,"y":[1.1230, -0.00]' in served
    assert text.parse(body)["valueQuantity"]["value"] == Decimal("0.10")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | _PLAIN,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_PLAIN, inner, max_size=3),
        max_leaves=10,
    )
)
@settings(max_examples=count("dumps", small=200, full=5_000), deadline=None)
def test_dump_says_what_json_says(value: Any) -> None:
    assert json.loads(text.dump(value)) == value


def test_references_are_replaced_where_they_are_references() -> None:
    body = (
        b'{"resourceType":"Procedure","note":[{"text":"\\"reference\\":\\"urn:uuid:1\\""}],'
        b'"subject":{"\\u0072eference" : "urn:uuid:1"},"partOf":[{"reference":"urn:uuid:2"}],'
        b'"identifier":[{"value":"urn:uuid:1"}]}'
    )
    replaced = text.replace_references(body, {"urn:uuid:1": "Patient/a"})
    assert replaced == body.replace(b': "urn:uuid:1"', b': "Patient/a"')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"nul",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":1e9999999}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\u0000"}',
        b'{"a":"\\u0007"}',
        b'{"a":"raw\x01"}',
        b"\xef\xbb\xbf{}",
        b'{"a":"unterminated',
    ],
)
def test_what_is_no_fhir_json_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        text.parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"a":' * 150_000,
        b'{"a":[' + b"{}," * 300_000 + b"{}]}",
        b'{"a":"' + b"x" * (1 << 20) + b'"}',
        b'{"a":"' + b'\\"' * 500_000,
        b'"\\' * 500_000,
    ],
)
def test_hostile_bodies_are_refused_in_little_time(body: bytes) -> None:
    with pytest.raises(Refused):
        text.parse(body)


def test_depth_within_the_limit_is_read() -> None:
    depth = text.MAX_DEPTH - 1
    text.parse(b'{"a":' * depth + b"1" + b"}" * depth)
    with pytest.raises(TooLarge):
        text.parse(b'{"a":' * (depth + 2) + b"1" + b"}" * (depth + 2))


def test_a_member_is_replaced_in_place() -> None:
    body = b'{ "resourceType":"Consent" , "status" : "active","x":0.10 }'
    assert text.with_member(body, "status", "inactive") == re.sub(b'"active"', b'"inactive"', body)
    with pytest.raises(KeyError):
        text.with_member(body, "none", 1)
