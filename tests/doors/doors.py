"""The four doors, each as a client uses it: a question goes in, SOP Instance UIDs come out.

The rows are asked for by function, as the doors do it, so that ten thousand questions take minutes; every so often QIDO
is asked through a real Orthanc.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Engine

from consent.identity.accounts import requester
from consent.service import DecisionPoint
from consent.store.engine import reading
from consent.types import Request
from dicom_bridge.query import qido
from dicom_bridge.query.dictionary import Level, tag
from dicom_bridge.query.identifier import Root, find_identifier, responses
from dicom_bridge.query.search import find
from fhir_mapping.api import searches
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.question.question import Question
from orthanc_plugin.workspace.record import Photo
from orthanc_plugin.workspace.stored import StoredRecord
from tests.doors.dicom import identifier
from tests.doors.world import World

CFind = Callable[[Request, dict[str, Any], Root], list[dict[str, Any]]]
"""Asks with one identifier; gives those of the pending responses."""


@dataclass(slots=True)
class Doors:
    """All doors of one clinic."""

    engine: Engine
    point: DecisionPoint
    node: Node
    chart: StoredRecord
    http: Callable[[str, str, str], Any] | None = None
    """Path, account and purpose -> the JSON that a real Orthanc answers."""

    c_find: CFind | None = None
    """C-FIND through the gateway; None: by the functions that it calls."""

    def request(self, account: str, purpose: str) -> Request:
        """The account's question."""
        with reading(self.engine) as connection:
            who = requester(connection, account)
        assert who is not None
        return Request(who, purpose)

    # --- QIDO --------------------------------------------------------------------------------------------------------

    def qido(self, request: Request, level: Level, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Everything that matches, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            query = qido.parse({**parameters, "limit": "7", "offset": str(len(found))}, level)
            with reading(self.engine) as connection:
                may = self.point.permitted(connection, request, fulfils=frozenset())
                page = find(connection, query.question, may.clause, refused=may.refused)
            found += qido.answer(page, query, "http://x/dicom-web")
            if not page.more:
                return found

    def qido_http(self, request: Request, parameters: Mapping[str, str]) -> set[str]:
        """Instances, through Orthanc and the wall."""
        assert self.http is not None
        account = request.requester.account
        assert account is not None
        return uids(self.http(f"/dicom-web/instances?{urlencode(parameters)}", account, request.purpose))

    # --- C-FIND ------------------------------------------------------------------------------------------------------

    def dimse(self, request: Request, root: Root, level: str, **keys: Any) -> list[dict[str, Any]]:
        """The answers to one identifier."""
        asked = identifier(level, keys)
        if self.c_find is not None:
            return self.c_find(request, asked, root)
        wanted = find_identifier(asked, root)
        with reading(self.engine) as connection:
            may = self.point.permitted(connection, request, fulfils=frozenset())
            return list(responses(find(connection, wanted.question, may.clause), wanted, "PHOTOSPINE"))

    def walk(self, request: Request, studies: Mapping[str, Any], images: Mapping[str, Any]) -> set[str]:
        """Down from studies through series to images, as a workstation does; counts must be those of what is found."""
        found: set[str] = set()
        for study in self.dimse(
            request, Root.STUDY, "STUDY", **{"NumberOfStudyRelatedInstances": "", "PatientID": ""} | dict(studies)
        ):
            study_uid, counted = _first(study, "StudyInstanceUID"), 0
            for series in self.dimse(
                request, Root.STUDY, "SERIES", StudyInstanceUID=study_uid, NumberOfSeriesRelatedInstances=""
            ):
                above = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": _first(series, "SeriesInstanceUID")}
                below = self.dimse(request, Root.PATIENT, "IMAGE", PatientID=_first(study, "PatientID"), **above)
                assert len(below) == _first(series, "NumberOfSeriesRelatedInstances")
                counted += len(below)
                found |= uids(self.dimse(request, Root.STUDY, "IMAGE", **above, **images) if images else below)
            assert counted == _first(study, "NumberOfStudyRelatedInstances")
        return found

    # --- FHIR --------------------------------------------------------------------------------------------------------

    def documents(self, request: Request, **parameters: str) -> list[dict[str, Any]]:
        """DocumentReferences that match."""
        return self._fhir(request, "DocumentReference", parameters)

    def studies(self, request: Request, *parameters: tuple[str, str]) -> set[str]:
        """SOP Instance UIDs of the ImagingStudies that match."""
        return {
            instance["uid"]
            for study in self._fhir(request, "ImagingStudy", parameters)
            for series in study["series"]
            for instance in series["instance"]
        }

    def _fhir(
        self, request: Request, kind: str, parameters: Mapping[str, str] | Sequence[tuple[str, str]]
    ) -> list[dict[str, Any]]:
        pairs = list(parameters.items()) if isinstance(parameters, Mapping) else list(parameters)
        reply = searches.search(self.node, Asked(request, "fhir/search"), kind, [*pairs, ("_count", "200")])
        bundle = json.loads(reply.body)
        entries = [each["resource"] for each in bundle.get("entry", ())]
        assert bundle["total"] == len(entries)
        return entries

    # --- the workspace -----------------------------------------------------------------------------------------------

    def course(self, request: Request, world: World, patient: str | None = None) -> list[Photo]:
        """The photos of her chart, or of everybody's."""
        people = world.patients if patient is None else [patient]
        return [photo for each in people for photo in self.chart.course(request, each, Question(), "chart").photos]

    def gallery(self, request: Request, area: str | None) -> list[Photo]:
        """Every page of the portfolio."""
        found: list[Photo] = []
        question = Question(area=frozenset({area} if area else ()))
        after, counted = None, 0
        while True:
            shown = self.chart.gallery(request, "portfolio", question, after)
            found += [photo for outcome in shown.outcomes for photo in outcome.photos]
            counted = shown.answer.total
            after = shown.following
            if after is None:
                break
        assert counted == len(found) == len({photo.number for photo in found})
        return found


def uids(answers: Sequence[Mapping[str, Any]]) -> set[str]:
    """SOP Instance UIDs of DICOM JSON answers."""
    return {_first(answer, "SOPInstanceUID") for answer in answers}


def _first(answer: Mapping[str, Any], keyword: str) -> Any:
    return (answer[tag(keyword)].get("Value") or [""])[0]


def of_documents(documents: Sequence[Mapping[str, Any]]) -> set[str]:
    """SOP Instance UIDs of DocumentReferences."""
    return {each["identifier"][0]["value"].removeprefix("urn:oid:") for each in documents}


def region_of(document: Mapping[str, Any]) -> str:
    """Code of the region that a DocumentReference shows."""
    return str(document["extension"][0]["extension"][0]["valueCodeableConcept"]["coding"][0]["code"])
