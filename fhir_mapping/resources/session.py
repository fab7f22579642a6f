"""The number of a session within its course, as Procedures and DocumentReferences state it in an extension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SESSION_EXTENSION = "urn:photospine:session"


def session_extension(number: int) -> dict[str, Any]:
    """The Extension that states it."""
    return {"url": SESSION_EXTENSION, "valuePositiveInt": number}


def session_of(resource: Mapping[str, Any]) -> int | None:
    """The number that a resource states."""
    for extension in resource.get("extension") or ():
        if extension.get("url") == SESSION_EXTENSION and isinstance(extension.get("valuePositiveInt"), int):
            return int(extension["valuePositiveInt"])
    return None
