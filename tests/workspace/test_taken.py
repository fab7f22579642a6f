"""The session's page says under each photo how it was taken, to who may see it and what it was held against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from consent.store.engine import glancing
from consent.store.tables import photo
from consent.types import Request
from dicom_bridge.compare.comparability import Cause, Kind, comparability
from fhir_mapping.resources.appraisal import Appraisal, Aspect, Finding, Verdict
from orthanc_plugin.workspace import done
from orthanc_plugin.workspace.stored import StoredRecord
from tests.fhir.clinic import Clinic, consent_of, requesters
from tests.fhir.test_appraisal import made
from tests.workspace.client import Client
from tests.workspace.planned import people, planned, signed_in

PAGE = "/chart/session/p1"


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    """Anna with a session of which there is the photo t1."""
    made_ = planned(tmp_path)
    yield made_
    made_.close()


@pytest.fixture
def client(clinic: Clinic) -> Client:
    return signed_in(clinic, people(), "clinician")


def test_what_differs_stands_under_the_photo(clinic: Clinic, client: Client) -> None:
    assert "Turned 5 degrees" not in client.get(PAGE).text
    clinic.judged(made("t1", "f1"))
    text = client.get(PAGE).text
    assert "Turned 5 degrees to her left" in text
    assert "As bright as the reference" not in text


@pytest.mark.parametrize("refused", ["t1", "f1"])
def test_of_a_refused_photo_nothing_is_said(clinic: Clinic, client: Client, refused: str) -> None:
    """Neither where the photo is refused nor where its reference is."""
    clinic.judged(made("t1", "f1"))
    provision = {"data": [{"meaning": "instance", "reference": {"reference": f"DocumentReference/{refused}"}}]}
    clinic.put(consent_of("no", "deny", "TREAT", provision=provision))
    assert "Turned 5 degrees" not in client.get(PAGE).text


def test_what_was_taken_back_is_not_said(clinic: Clinic, client: Client) -> None:
    clinic.judged(made("t1", "f1") | {"status": "entered-in-error"})
    assert "Turned 5 degrees" not in client.get(PAGE).text


@pytest.mark.parametrize(
    ("verdicts", "reference", "otherwise"),
    [
        ((Verdict(Aspect.YAW, Finding.GOOD, "as before", 0.0),), "f1", "taken as the first photo of this view was"),
        (
            (
                Verdict(Aspect.EXPOSURE, Finding.GOOD, "as before", 0.0),
                Verdict(Aspect.YAW, Finding.UNKNOWN, "unknown: x"),
            ),
            "f1",
            "nothing differs that could be judged; unknown: x",
        ),
        ((Verdict(Aspect.YAW, Finding.UNKNOWN, "unknown: x"),), None, "unknown: x"),
        ((Verdict(Aspect.RESOLUTION, Finding.GOOD, "enough", 9.0),), None, "the first photo of this view"),
    ],
)
def test_what_is_not_known_is_not_called_good(
    verdicts: tuple[Verdict, ...], reference: str | None, otherwise: str
) -> None:
    against = None if reference is None else f"DocumentReference/{reference}"
    told = done.taken(Appraisal("DocumentReference/t1", verdicts, "judge", "1", against))
    assert told is not None
    assert (told.off, told.otherwise) == ((), otherwise)
    assert done.taken(None) is None


@pytest.mark.parametrize("refused", [None, "f1", "t1"])
def test_how_two_photos_compare_is_told_of_what_may_be_seen_alone(clinic: Clinic, refused: str | None) -> None:
    """What was judged against a photo is unknown where that photo, or the one that was judged, is refused."""
    record = StoredRecord(clinic.engine, clinic.node.decisions, clinic.node.record)
    with glancing(clinic.engine) as connection:
        rows = connection.execute(select(photo.c.document, photo.c.photo).where(photo.c.document.in_(["t1", "f1"])))
        numbers = {row.document: row.photo for row in rows}
    clinic.judged(made("t1", "f1"))
    if refused is not None:
        provision = {"data": [{"meaning": "instance", "reference": {"reference": f"DocumentReference/{refused}"}}]}
        clinic.put(consent_of("no", "deny", "TREAT", provision=provision))
    known = record.conditions(Request(requesters()["clinician"], "TREAT"), list(numbers.values()))
    found = comparability(known[numbers["f1"]], known[numbers["t1"]])
    pose = next(each for each in found.causes if each.cause is Cause.POSE)
    turned = next(each for each in pose.facts if each.kind is Kind.YAW)
    assert turned.finding is (Finding.DIFFERS if refused is None else Finding.UNKNOWN)
    assert known[numbers["t1"]].document == "DocumentReference/t1"
