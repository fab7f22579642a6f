"""Which one purpose a request has: the header ``X-Purpose-Of-Use`` chooses among those that the account holds."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from consent.purposes import BTG, HRESCH, SOCIAL
from consent.types import Request, Requester

PURPOSE_HEADER = "X-Purpose-Of-Use"
EMERGENCY_HEADER = "X-Emergency-Reason"

NO_PURPOSE = ""
"""The purpose of a request by an account that holds none: ``decide`` answers it with ``purpose-not-held``."""

_CODE = re.compile(r"[A-Za-z0-9_-]{1,32}")
_PARAMETER = re.compile(r"(channel|project)=([^\s;=,\"]{1,64})")
_LONGEST_REASON = 500


def choose(requester: Requester, header: str | None, emergency: str | None = None) -> Request | None:
    """The one question that a request's headers put; None where they must be refused.

    Parameters
    ----------
    header
        ``CODE``, ``SOCIAL; channel=NAME`` or ``HRESCH; project=NAME``; without it the account's first purpose counts.
        Of repeated headers the caller passes the first. A comma, an unknown part or a purpose not held is refused.
        ETREAT is read as BTG.
    emergency
        The reason typed, UTF-8, percent-encoded; it goes with BTG alone, and BTG without it is answered by
        ``decide`` (so that the refusal is recorded).
    """
    if header is None:
        purpose = requester.purposes[0] if requester.purposes else NO_PURPOSE
        parameters: dict[str, str] = {}
    else:
        parsed = _parse(header)
        if parsed is None:
            return None
        purpose, parameters = parsed
        if purpose == "ETREAT":
            purpose = BTG
        if purpose not in requester.purposes:
            return None
    channel, project = parameters.get("channel"), parameters.get("project")
    if (channel is not None and purpose != SOCIAL) or (project is not None and purpose != HRESCH):
        return None
    reason: str | None = None
    if emergency is not None:
        reason = _reason(emergency)
        if reason is None or purpose != BTG:
            return None
    return Request(
        requester=requester,
        purpose=purpose,
        channel=channel,
        project=project,
        emergency_reason=reason,
    )


def _parse(header: str) -> tuple[str, dict[str, str]] | None:
    code, *parts = (part.strip() for part in header.split(";"))
    if not _CODE.fullmatch(code):
        return None
    parameters: dict[str, str] = {}
    for part in parts:
        match = _PARAMETER.fullmatch(part)
        if match is None or match[1] in parameters:
            return None
        parameters[match[1]] = match[2]
    return code, parameters


def _reason(value: str) -> str | None:
    """The reason as text; None where it is empty, too long, or no UTF-8."""
    try:
        text = unquote_to_bytes(value).decode("utf-8").strip()
    except UnicodeDecodeError:
        return None
    if not text or len(text) > _LONGEST_REASON or any(ord(letter) < 32 for letter in text):
        return None
    return text
