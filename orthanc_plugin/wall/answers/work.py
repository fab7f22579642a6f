"""Rows for our own work: storing, attaching, removing, listing. They open to a ``task`` ticket alone, but for the
original, which those read who may for legal reasons.

A storing ticket is bound to the hash of what is stored. It is compared when that has arrived, since the filter sees no
body: of an object by :mod:`orthanc_plugin.wall.expected`, of an original here.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from consent.audit.shelf import AuditUnavailable
from consent.errors import ConsentError
from consent.identity import policy, signatures
from consent.store.engine import glancing
from consent.store.steady import ClockJumped
from dicom_bridge.query import folded
from orthanc_plugin.wall.answer import ABSENT, JSON, REFUSED, Answer, json_answer
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.errors import NotReady, WallError
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.routes import Row, Touches

_ATTACHING = Lock()
_PATIENCE = 60.0
"""Seconds: an original may have hundreds of megabytes."""


def post(foundation: Foundation, asked: Asked) -> Answer:
    """Store an object of ours that DICOMweb has taken out of a STOW-RS request."""
    return Answer(body=foundation.host.post("/instances", asked.body), content_type=JSON)


def attach(foundation: Foundation, asked: Asked) -> Answer:
    """Attach the original file, once: Orthanc would overwrite it without a word, so a second time is a conflict.

    A recipe that does not give the original with the object as it is stored here is not attached (422). The answer
    holds the SHA-256 of the original that Orthanc has from now on: what is attached is read back.
    """
    if asked.task is None or not asked.task.stores(asked.body):
        return REFUSED
    orthanc_id = asked.match.values["id"]
    instance = f"/instances/{orthanc_id}"
    whole = asked.body
    with _ATTACHING:
        if "original" in json.loads(foundation.host.get(f"{instance}/attachments")):
            return Answer(status=409)
        if folded.is_folded(asked.body):
            try:
                whole = _unfolded(foundation, orthanc_id, asked.body)
            except folded.DoesNotUnfold:
                return Answer(status=422)
        foundation.host.put(f"{instance}/attachments/original", asked.body)
    kept = foundation.host.get(f"{instance}/attachments/original/data")
    return json_answer({"sha256": hashlib.sha256(whole if kept == asked.body else kept).hexdigest()})


def original(foundation: Foundation, asked: Asked) -> Answer:
    """The original file, whole: as it is attached, or rebuilt from its recipe and the object."""
    orthanc_id = asked.match.values["id"]
    if asked.task is None:
        assert asked.request is not None
        rooms = foundation.rooms()
        # What we do not know is put to the decision all the same, so that it is refused and recorded like any other.
        sop_uid = rooms.places.sop_of(orthanc_id) or ""
        answer = rooms.point.photo(asked.request, sop_uid, route=asked.match.row.name, fulfils=asked.match.row.fulfils)
        if not answer.permitted or answer.orthanc_id != orthanc_id:
            return REFUSED
    instance = f"/instances/{orthanc_id}/attachments"
    if "original" not in json.loads(foundation.host.get(instance)):
        return ABSENT
    attached = foundation.host.get(f"{instance}/original/data")
    if folded.is_folded(attached):
        attached = _unfolded(foundation, orthanc_id, attached)
    return Answer(body=attached, content_type="application/octet-stream")


def _unfolded(foundation: Foundation, orthanc_id: str, recipe: bytes) -> bytes:
    file = foundation.files.read(orthanc_id)
    try:
        return folded.unfold(recipe, bytes(file))
    finally:
        foundation.files.give(file)


def state(foundation: Foundation, _asked: Asked) -> Answer:
    """Whether decisions can be made and recorded, else why not; and what stands beside the wall. For the doctor."""
    fault: BaseException | None = None
    try:
        foundation.check()
    except (WallError, ConsentError, SQLAlchemyError) as error:
        fault = error.__cause__ if isinstance(error, NotReady) and error.__cause__ is not None else error
    host = foundation.host
    beside: dict[str, Any] = {"plugins": json.loads(host.get("/plugins")), "free": _free(host.configuration())}
    beside["holds_up"] = host.holds_up()
    if fault is None:
        with glancing(foundation.rooms().engine) as connection:
            proves = not policy.load(connection).issuers or signatures.available()
        return json_answer({"fault": None, "proves_tokens": proves, **beside})
    about = next((name for kind, name in _ABOUT if isinstance(fault, kind)), "database")
    says = str(fault) if isinstance(fault, ConsentError | WallError) else _words(fault)
    return json_answer({"fault": about, "says": says, **beside})


def _free(configuration: Mapping[str, Any]) -> dict[str, int]:
    """Bytes that are free where Orthanc keeps objects and index, by folder."""
    storage = configuration.get("StorageDirectory", "OrthancStorage")
    found: dict[str, int] = {}
    for folder in {str(storage), str(configuration.get("IndexDirectory", storage))}:
        with suppress(OSError):
            found[folder] = shutil.disk_usage(folder).free
    return found


def _words(error: BaseException) -> str:
    """SQLite's own words; of another database only the kind of fault, for its words may name people and places."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(cause) if isinstance(cause, sqlite3.Error) else type(cause).__name__


_ABOUT = ((AuditUnavailable, "audit"), (ClockJumped, "clock"))

STATE = "/photospine/state"
ROWS = (
    Row(Method.GET, STATE, Touches.WORK, state, tasks=frozenset({"doctor"}), accounts=False),
    Row(Method.POST, "/dicom-web/studies", Touches.WORK, tasks=frozenset({"store"}), accounts=False, stores=True),
    Row(Method.POST, "/instances", Touches.WORK, post, accounts=False, inner=True, patience=_PATIENCE),
    Row(
        Method.PUT,
        "/instances/{id}/attachments/original",
        Touches.WORK,
        attach,
        None,
        tasks=frozenset({"store"}),
        accounts=False,
        patience=_PATIENCE,
    ),
    Row(
        Method.GET,
        "/instances/{id}/attachments/original/data",
        Touches.SET,
        original,
        tasks=frozenset({"scan", "store"}),
        purposes=frozenset({"HLEGAL", "HCOMPL"}),
        patience=_PATIENCE,
    ),
    Row(
        Method.GET,
        "/changes",
        Touches.WORK,
        None,
        frozenset({"since", "limit", "last"}),
        tasks=frozenset({"changes"}),
        accounts=False,
    ),
    Row(
        Method.GET,
        "/instances/{id}/attachments",
        Touches.WORK,
        None,
        tasks=frozenset({"store", "scan", "examine"}),
        accounts=False,
    ),
    Row(Method.DELETE, "/instances/{id}", Touches.WORK, None, None, tasks=frozenset({"remove"}), accounts=False),
)
