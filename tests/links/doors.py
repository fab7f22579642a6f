"""The doors beside Orthanc's own: FHIR and the workspace's pages through ``serve``, and C-FIND at the gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from pynetdicom import evt

from dicom_bridge.objects.uids import fhir_id
from orthanc_plugin.assembly import serve
from tests.archive import basic
from tests.gateway.peers import JPEG, STUDY_FIND, STUDY_GET, storage
from tests.gateway.world import Gate, gate, identifier
from tests.links.world import Links, Row
from tests.workspace.client import Client

_HTML = {"accept": "text/html"}


@dataclass(slots=True)
class Doors:
    """What they say."""

    clinic: Links
    served: serve.Served
    gate: Gate
    _clients: dict[str, Client] = field(default_factory=dict)

    def shown(self, row: Row, account: str = "clinician", purpose: str = "TREAT") -> dict[str, bool]:
        """By each door, Orthanc's own among them, whether it shows this instance."""
        document = fhir_id(row.sop)
        found = self.clinic.doors(row, account, purpose)
        found |= {
            "fhir read": self.fhir(f"/DocumentReference/{document}", account, purpose).status_code == 200,
            "fhir search": document in self._documents(account, purpose),
            "fhir study": self._in_study(row, account, purpose),
            "c-find": row.sop in self._found(row, account),
            "chart": document in self.page(f"/chart/patient/{row.patient}", account),
            "photo": self.answer(f"/chart/photo/{document}", account) == 200,
            "rendition": self.answer(f"/chart/photo/{document}?width=320", account) == 200,
            "fhir history": self.fhir(f"/DocumentReference/{document}/_history", account, purpose).status_code == 200,
            "fhir version": self.fhir(f"/DocumentReference/{document}/_history/1", account, purpose).status_code == 200,
            "c-get": row.sop in self._got(row, account),
        }
        return found

    def fhir(self, path: str, account: str, purpose: str = "TREAT") -> httpx.Response:
        """One GET of the FHIR API."""
        headers = {"authorization": basic(account), "x-purpose-of-use": purpose}
        return Client(self.served.app).get(f"/fhir{path}", headers=headers)

    def _documents(self, account: str, purpose: str) -> set[str]:
        answer = self.fhir("/DocumentReference?_count=1000", account, purpose)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        found = {each["resource"]["id"] for each in bundle.get("entry", [])}
        assert bundle["total"] == len(found)
        return found

    def _in_study(self, row: Row, account: str, purpose: str) -> bool:
        answer = self.fhir(f"/ImagingStudy?identifier=urn:dicom:uid|urn:oid:{row.study}", account, purpose)
        assert answer.status_code == 200, answer.text
        return row.sop in answer.text

    def _found(self, row: Row, account: str) -> set[str]:
        title = account.upper()[:16]
        wanted = identifier("IMAGE", StudyInstanceUID=row.study, SeriesInstanceUID=row.series, SOPInstanceUID="")
        with self.gate.association(STUDY_FIND, title=title) as association:
            answers = list(association.send_c_find(wanted, STUDY_FIND))
        return {str(found.SOPInstanceUID) for _, found in answers if found is not None}

    def _got(self, row: Row, account: str) -> list[str]:
        arrived: list[str] = []

        def stored(event: Any) -> int:
            arrived.append(str(event.request.AffectedSOPInstanceUID))
            return 0

        wanted = identifier("IMAGE", StudyInstanceUID=row.study, SeriesInstanceUID=row.series, SOPInstanceUID=row.sop)
        contexts, roles = storage(JPEG)
        handlers = [(evt.EVT_C_STORE, stored)]
        title = account.upper()[:16]
        with self.gate.association(
            STUDY_GET, title=title, roles=roles, handlers=handlers, more=contexts
        ) as association:
            list(association.send_c_get(wanted, STUDY_GET))
        return arrived

    def page(self, path: str, account: str) -> str:
        """A page of the workspace; empty where it is not there."""
        answer = self._client(account).get(path, headers=_HTML)
        return answer.text if answer.status_code == 200 else ""

    def answer(self, path: str, account: str) -> int:
        """The status of an answer."""
        return int(self._client(account).get(path, headers=_HTML).status_code)

    def _client(self, account: str) -> Client:
        if account not in self._clients:
            client = Client(self.served.app)
            form = client.get("/login").text
            (token,) = set(re.findall(r'name="csrf" value="([^"]+)"', form))
            words = {"name": account, "password": f"{account}-demo", "csrf": token, "next": "/"}
            assert client.post("/login", data=words, headers={"origin": "http://testserver"}).status_code == 303
            self._clients[account] = client
        return self._clients[account]


@contextmanager
def doors(clinic: Links) -> Iterator[Doors]:
    """Open them, and close them."""
    served = serve.build(clinic.settings)
    try:
        with gate(clinic.archive) as opened:
            opened.peer("CLINICIAN", "clinician")
            yield Doors(clinic, served, opened)
    finally:
        served.close()
