"""What a script may have Orthanc do, beside reading: what the section lists, recorded; and sending, decided.

``RestApiPost`` and its like pass by the filter. So a script that sends objects elsewhere is asked as an account,
``ScriptAccount``, for its first purpose: what that may not see stays here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import or_, select

from consent.audit.record import AuditRecord, Kind
from consent.identity.accounts import requester
from consent.identity.purpose import choose
from consent.store.engine import reading
from consent.store.tables import photo
from consent.store.write import among
from consent.types import Request
from dicom_bridge.query.tables import dicom_instance
from orthanc_plugin.wall.errors import ConfigurationError
from orthanc_plugin.wall.foundation import DOOR, Foundation
from orthanc_plugin.wall.section import Section

PATIENCE = 20.0
"""Seconds: nobody waits for a script."""

_SEND = re.compile(r"/(?:modalities|peers)/[^/]+/store|/dicom-web/servers/[^/]+/stow")
_SENDS = ("/modalities/any/store", "/peers/any/store", "/dicom-web/servers/any/stow", "/modalities/any/store-straight")
_CALL = re.compile(r"(POST|PUT|DELETE) (/(?:[A-Za-z0-9_.-]+|\{any\})(?:/(?:[A-Za-z0-9_.-]+|\{any\}))*)")
_PATH = re.compile(r"(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")


class CallRefused(RuntimeError):
    """A script may not have Orthanc do this. The text says which setting opens it, where one does."""


class Calls:
    """The guard of a script's calls."""

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation
        self._listed = listed(foundation.section)

    def guarded(self, method: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``RestApiPost``, ``RestApiPut`` or ``RestApiDelete``, with the guard before it."""

        def call(uri: str, *rest: Any) -> Any:
            path = uri.partition("?")[0]
            path = path[:-1] if len(path) > 1 and path.endswith("/") else path
            if not _PATH.fullmatch(path):
                raise CallRefused(f"{method}: a script's path must be plain")
            if method == "POST" and _SEND.fullmatch(path) and rest:
                return function(uri, self._run(lambda: self._permitted(path, rest[0])), *rest[1:])
            name = next((name for name, shape in self._listed if shape.fullmatch(f"{method} {path}")), None)
            if name is None:
                raise CallRefused(f"{method} {path}: list it in ScriptCalls, if the script is to do this")
            self._run(lambda: self._record(name, path))
            return function(uri, *rest)

        return call

    def _run(self, work: Callable[[], Any]) -> Any:
        return self._foundation.pool.run(work, PATIENCE)

    def _record(self, name: str, path: str) -> None:
        record = AuditRecord(Kind.TASK, DOOR, f"SCRIPT {name}", details={"path": path})
        self._foundation.rooms().point.chain.append([record])

    def _permitted(self, path: str, body: str | bytes) -> str:
        """The body, naming the objects that may be sent and no other; recorded."""
        rooms, request = self._foundation.rooms(), self._request(path)
        value = _read(body)
        named = value["Resources"] if isinstance(value, dict) else value
        ids = [each for each in (named if isinstance(named, list) else [named]) if isinstance(each, str)]
        columns = dicom_instance.c
        with reading(rooms.engine) as connection:
            levels = (columns.orthanc_instance, columns.orthanc_series, columns.orthanc_study, columns.orthanc_patient)
            condition = or_(*(among(connection, level, ids) for level in levels))
            numbers = list(connection.execute(select(columns.photo).where(condition)).scalars())
        kind, to, verb = path.rsplit("/", 2)
        route, told = f"SCRIPT POST {kind}/{{name}}/{verb}", {"to": to}
        released = rooms.point.photos(request, numbers, route=route, fulfils=frozenset(), details=told)
        if not released.numbers:
            raise CallRefused(f"POST {path}: nothing of it may be sent by the account {request.requester.account}")
        with reading(rooms.engine) as connection:
            wanted = select(photo.c.orthanc_id).where(among(connection, photo.c.photo, released.numbers))
            found = list(connection.execute(wanted.order_by(photo.c.photo)).scalars())
        return json.dumps((value if isinstance(value, dict) else {}) | {"Resources": found})

    def _request(self, path: str) -> Request:
        name = self._foundation.section.script_account
        if name is None:
            raise CallRefused(f"POST {path}: name in ScriptAccount the account that is asked for what the script sends")
        with reading(self._foundation.rooms().engine) as connection:
            account = requester(connection, name)
        request = None if account is None else choose(account, None)
        if request is None:
            raise CallRefused(f"POST {path}: ScriptAccount: there is no active account {name}")
        return request


def listed(section: Section) -> list[tuple[str, re.Pattern[str]]]:
    """The calls that the section lists, and their shapes.

    Raises
    ------
    ConfigurationError
        One is none, or would send objects undecided.
    """
    found = []
    for text in section.script_calls:
        if _CALL.fullmatch(text) is None:
            raise ConfigurationError(f"ScriptCalls: {text!r} is no 'METHOD /path/{{any}}'")
        shape = re.compile(re.escape(text).replace(r"\{any\}", "[^/]+"))
        if any(shape.fullmatch(f"POST {path}") for path in _SENDS):
            raise ConfigurationError(f"ScriptCalls: {text} sends objects; name a ScriptAccount instead")
        found.append((text, shape))
    return found


def _read(body: str | bytes) -> Any:
    """JSON, or one Orthanc id as it is."""
    text = body.decode() if isinstance(body, bytes) else body
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip()
    if isinstance(value, dict) and not isinstance(value.get("Resources"), list):
        raise CallRefused("a script's list of what to send has no Resources")
    return value
