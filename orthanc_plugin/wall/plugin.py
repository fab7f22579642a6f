# SPDX-License-Identifier: AGPL-3.0-or-later
"""The script that Orthanc loads: the only file that imports ``orthanc``. It adapts the SDK and stands the wall up.

An exception here makes Orthanc refuse to start, which is what should happen to an archive without its wall.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import orthanc

from orthanc_plugin.wall import script, unlocked
from orthanc_plugin.wall.host import Callback, Filter, Output
from orthanc_plugin.wall.wall import ROWS, stand

sdk: Any = SimpleNamespace(**vars(orthanc))
"""The SDK as the wall has it; of the module itself a script of the site's own gets what :mod:`.script` leaves in it."""


class Orthanc:
    """Orthanc's Python SDK as a :class:`orthanc_plugin.wall.host.Host`."""

    def __init__(self) -> None:
        self._also: list[Callable[[Any, str], None]] = []
        # A plugin that cannot stream is one that knows no AllowThreads either: it sends with Python's lock held.
        keeps_lock = not hasattr(sdk.RestOutput, "StartStreamAnswer")
        self._context = unlocked.find(sdk.RestOutput) if keeps_lock else None
        self._holds_up = keeps_lock and self._context is None
        if self._holds_up:
            self.log("answers hold up each other: Orthanc's way of sending was not found in its Python plugin")

    def configuration(self) -> Mapping[str, Any]:
        """See the Protocol, as for all methods here."""
        found: Mapping[str, Any] = json.loads(sdk.GetConfiguration())
        return found

    def holds_up(self) -> bool:
        return self._holds_up

    def on_request(self, decide: Filter) -> None:
        sdk.RegisterIncomingHttpRequestFilter(decide)

    def on_route(self, pattern: str, answer: Callback) -> None:
        context = self._context
        if context is None:
            sdk.RegisterRestCallback(pattern, answer)
            return

        def answered(output: Output, uri: str, **request: Any) -> None:
            answer(unlocked.UnlockedOutput(context, output), uri, **request)

        sdk.RegisterRestCallback(pattern, answered)

    def on_received(self, accept: Callable[[bytes], bool]) -> None:
        keep, discard = sdk.ReceivedInstanceAction.KEEP_AS_IS, sdk.ReceivedInstanceAction.DISCARD
        sdk.RegisterReceivedInstanceCallback(lambda dicom, _origin: (keep if accept(dicom) else discard, None))

    def on_stored(self, tell: Callable[[str], None]) -> None:
        def stored(instance: Any, orthanc_id: str) -> None:
            tell(orthanc_id)
            for each in self._also:
                each(instance, orthanc_id)

        sdk.RegisterOnStoredInstanceCallback(stored)

    def also_on_stored(self, tell: Callable[[Any, str], None]) -> None:
        """Have the site's own script told of stored objects too: Orthanc takes one callback."""
        self._also.append(tell)

    def get(self, path: str) -> bytes:
        return bytes(sdk.RestApiGet(path))

    def get_after_plugins(self, path: str) -> bytes:
        return bytes(sdk.RestApiGetAfterPlugins(path))

    def post(self, path: str, body: bytes) -> bytes:
        return bytes(sdk.RestApiPost(path, body))

    def put(self, path: str, body: bytes) -> bytes:
        return bytes(sdk.RestApiPut(path, body))

    def dicom(self, orthanc_id: str) -> bytes:
        return bytes(sdk.GetDicomForInstance(orthanc_id))

    def syntax(self, orthanc_id: str) -> str:
        return str(sdk.RestApiGet(f"/instances/{orthanc_id}/metadata/TransferSyntax"), "ascii")

    def transcoded(self, dicom: bytes, syntax: str) -> bytes:
        return bytes(sdk.TranscodeDicomInstance(dicom, syntax).GetInstanceData())

    def tags(self, dicom: bytes) -> Mapping[str, Any]:
        short = sdk.DicomToJsonFormat.SHORT
        text = sdk.DicomBufferToJson(dicom, short, sdk.DicomToJsonFlags.NONE, 256)
        found: Mapping[str, Any] = json.loads(text)
        return found

    def log(self, text: str) -> None:
        sdk.LogWarning(text)


host = Orthanc()
script.load(stand(host), orthanc, host.also_on_stored, ROWS)
