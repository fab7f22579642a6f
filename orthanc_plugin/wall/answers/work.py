"""Rows for our own work: storing, attaching, removing, listing. They open to a ``task`` ticket alone.

A storing ticket is bound to the hash of what is stored. It is compared when that has arrived, since the filter sees no
body: of an object by :mod:`orthanc_plugin.wall.expected`, of an original here.
"""

from __future__ import annotations

import json
import sqlite3
from threading import Lock

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from consent.audit.shelf import AuditUnavailable
from consent.errors import ConsentError
from consent.identity import policy, signatures
from consent.store.engine import glancing
from orthanc_plugin.wall.answer import JSON, REFUSED, Answer, json_answer
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
    """Attach the original file, once: Orthanc would overwrite it without a word, so a second time is a conflict."""
    if asked.task is None or not asked.task.stores(asked.body):
        return REFUSED
    instance = f"/instances/{asked.match.values['id']}"
    with _ATTACHING:
        if "original" in json.loads(foundation.host.get(f"{instance}/attachments")):
            return Answer(status=409)
        foundation.host.put(f"{instance}/attachments/original", asked.body)
    return Answer(body=b"{}", content_type=JSON)


def state(foundation: Foundation, _asked: Asked) -> Answer:
    """Whether decisions can be made and recorded; else why not, for whoever runs the node."""
    fault: BaseException | None = None
    try:
        foundation.check()
    except (WallError, ConsentError, SQLAlchemyError) as error:
        fault = error.__cause__ if isinstance(error, NotReady) and error.__cause__ is not None else error
    if fault is None:
        with glancing(foundation.rooms().engine) as connection:
            proves = not policy.load(connection).issuers or signatures.available()
        return json_answer({"fault": None, "proves_tokens": proves})
    about = "audit" if isinstance(fault, AuditUnavailable) else "database"
    says = str(fault) if isinstance(fault, ConsentError | WallError) else _words(fault)
    return json_answer({"fault": about, "says": says})


def _words(error: BaseException) -> str:
    """SQLite's own words; of another database only the kind of fault, for its words may name people and places."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(cause) if isinstance(cause, sqlite3.Error) else type(cause).__name__


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
