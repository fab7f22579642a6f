"""The canary: proof that the wall's script runs, holds the node's key, and comes before other plugins.

It says nothing of photos, needs no database and is open to everybody. The launcher draws the nonce.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING

from orthanc_plugin.wall.answer import REFUSED, Answer, json_answer
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.routes import Row, Touches

if TYPE_CHECKING:
    from orthanc_plugin.wall.asking import Asked
    from orthanc_plugin.wall.foundation import Foundation

CORE = "/photospine/canary"
OVERRIDE = "/dicom-web/studies/photospine-canary/metadata"
"""A route of the DICOMweb plugin: our answer to it shows that this plugin comes first."""

_NONCE = re.compile(r"[0-9a-f]{32}")


def proof(key: bytes, path: str, nonce: str) -> str:
    """What a wall with this key answers."""
    return hmac.new(key, f"photospine-canary\0{path}\0{nonce}".encode(), hashlib.sha256).hexdigest()


def canary(foundation: Foundation, asked: Asked) -> Answer:
    """The answer: proof, and the rows that stand."""
    nonce = asked.query.get("nonce", "")
    if not _NONCE.fullmatch(nonce):
        return REFUSED
    foundation.spelling.learn(asked.query.get("spelling", ""))
    path = asked.match.row.path
    return json_answer({"proof": proof(foundation.canary_key, path, nonce), "rows": foundation.table.standing()})


ROWS = tuple(
    Row(Method.GET, path, Touches.NOTHING, canary, frozenset({"nonce", "spelling"}), accounts=False, public=True)
    for path in (CORE, OVERRIDE)
)
