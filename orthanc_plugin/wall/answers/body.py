"""JSON that clients post: of a bounded size, read on a thread whose stack is large enough for any depth."""

from __future__ import annotations

import json
import re
from typing import Any

MOST_BYTES = 1 << 20
MOST_RESOURCES = 10_000
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}")


class BadBody(ValueError):
    """The body is not what the route takes (status 400)."""


def read_json(body: bytes) -> Any:
    """The body's value.

    Raises
    ------
    BadBody
        It is too large, nested too deeply, no JSON, or has a text that is none (half of a UTF-16 pair).
    """
    if len(body) > MOST_BYTES:
        raise BadBody("too large")
    try:
        value = json.loads(body.decode("utf-8-sig"))
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode()  # fails where half of a surrogate pair stands in it
    except (ValueError, RecursionError):
        raise BadBody("no JSON") from None
    return value


def ids(value: Any) -> list[str]:
    """A list of Orthanc ids.

    Raises
    ------
    BadBody
        It is none, or has more than :data:`MOST_RESOURCES`.
    """
    if not isinstance(value, list) or len(value) > MOST_RESOURCES:
        raise BadBody("no list of ids")
    if not all(isinstance(each, str) and _ID.fullmatch(each) for each in value):
        raise BadBody("no list of ids")
    return value
