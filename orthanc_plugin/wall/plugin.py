# SPDX-License-Identifier: AGPL-3.0-or-later
"""The script that Orthanc loads: the only file that imports ``orthanc``. It adapts the SDK and stands the wall up.

An exception here makes Orthanc refuse to start, which is what should happen to an archive without its wall.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import orthanc

from orthanc_plugin.wall.host import Callback, Filter
from orthanc_plugin.wall.wall import stand


class Orthanc:
    """Orthanc's Python SDK as a :class:`orthanc_plugin.wall.host.Host`."""

    def configuration(self) -> Mapping[str, Any]:
        """See the Protocol, as for all methods here."""
        found: Mapping[str, Any] = json.loads(orthanc.GetConfiguration())
        return found

    def on_request(self, decide: Filter) -> None:
        orthanc.RegisterIncomingHttpRequestFilter(decide)

    def on_route(self, pattern: str, answer: Callback) -> None:
        orthanc.RegisterRestCallback(pattern, answer)

    def on_received(self, accept: Callable[[bytes], bool]) -> None:
        keep, discard = orthanc.ReceivedInstanceAction.KEEP_AS_IS, orthanc.ReceivedInstanceAction.DISCARD
        orthanc.RegisterReceivedInstanceCallback(lambda dicom, _origin: (keep if accept(dicom) else discard, None))

    def on_stored(self, tell: Callable[[str], None]) -> None:
        orthanc.RegisterOnStoredInstanceCallback(lambda _instance, orthanc_id: tell(orthanc_id))

    def get(self, path: str) -> bytes:
        return bytes(orthanc.RestApiGet(path))

    def get_after_plugins(self, path: str) -> bytes:
        return bytes(orthanc.RestApiGetAfterPlugins(path))

    def post(self, path: str, body: bytes) -> bytes:
        return bytes(orthanc.RestApiPost(path, body))

    def put(self, path: str, body: bytes) -> bytes:
        return bytes(orthanc.RestApiPut(path, body))

    def dicom(self, orthanc_id: str) -> bytes:
        return bytes(orthanc.GetDicomForInstance(orthanc_id))

    def syntax(self, orthanc_id: str) -> str:
        return str(orthanc.RestApiGet(f"/instances/{orthanc_id}/metadata/TransferSyntax"), "ascii")

    def transcoded(self, dicom: bytes, syntax: str) -> bytes:
        return bytes(orthanc.TranscodeDicomInstance(dicom, syntax).GetInstanceData())

    def tags(self, dicom: bytes) -> Mapping[str, Any]:
        short = orthanc.DicomToJsonFormat.SHORT
        text = orthanc.DicomBufferToJson(dicom, short, orthanc.DicomToJsonFlags.NONE, 256)
        found: Mapping[str, Any] = json.loads(text)
        return found

    def log(self, text: str) -> None:
        orthanc.LogWarning(text)


stand(Orthanc())
