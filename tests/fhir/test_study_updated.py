"""When a study was written: as the newest of its photos that the requester may see, found and ordered by that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import and_, func, or_, select

from consent.store.clock import now
from consent.store.engine import reading
from fhir_mapping.search import find
from fhir_mapping.search.condition import Rows, Scene, few_ids
from fhir_mapping.tables import fhir_token
from tests.fhir.clinic import BASE, SITE, Clinic, build, consent_of, open_clinic

#: In the order in which they are written; of the study v5 the newest is refused, of v6 all are.
WRITTEN = ("v3a", "v4a", "v6a", "v5a", "v4b", "v3b", "v7a", "v5b", "v6b")
REFUSED = ("v5b", "v6a", "v6b")
OLDEST_FIRST = ["v5", "v4", "v3", "v7"]


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    build(tmp_path)
    made = open_clinic(tmp_path)
    made.put({"resourceType": "Patient", "id": "carl"})
    for visit in sorted({name[:2] for name in WRITTEN}):
        made.put(
            {
                "resourceType": "Encounter",
                "id": visit,
                "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
                "subject": {"reference": "Patient/carl"},
                "period": {"start": "2026-05-03"},
            }
        )
    for name in WRITTEN:
        made.photo(name, "carl", name[:2])
    named = [{"meaning": "instance", "reference": {"reference": f"DocumentReference/{each}"}} for each in REFUSED]
    made.put(consent_of("no", "deny", "TREAT", "carl", provision={"data": named}))
    yield made
    made.close()


@pytest.fixture(params=["each is looked at", "an index is walked"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "each is looked at":
        monkeypatch.setattr(find, "FEW", -1)
        monkeypatch.setattr(find, "few_ids", lambda *_: None)


def _pages(clinic: Clinic, query: str, count: int) -> list[str]:
    path, found = f"/ImagingStudy?{query}&_count={count}&patient=carl", []
    for _ in range(20):
        bundle = clinic.get("clinician", path).json()
        assert bundle["resourceType"] == "Bundle", bundle
        found += [each["resource"]["id"] for each in bundle.get("entry", [])]
        following = [each["url"] for each in bundle["link"] if each["relation"] == "next"]
        if not following:
            return found
        path = following[0].removeprefix(BASE)
    pytest.fail("the pages have no end")


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("count", [1, 3, 20])
def test_studies_are_in_the_order_of_what_may_be_seen_of_them(clinic: Clinic, count: int) -> None:
    assert _pages(clinic, "_sort=_lastUpdated", count) == OLDEST_FIRST
    assert _pages(clinic, "_sort=-_lastUpdated", count) == OLDEST_FIRST[::-1]


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("study", OLDEST_FIRST)
def test_a_study_is_found_by_when_what_may_be_seen_of_it_was_written(clinic: Clinic, study: str) -> None:
    shown: Any = clinic.get("clinician", f"/ImagingStudy/{study}").json()
    moment = shown["meta"]["lastUpdated"].replace("+", "%2B")
    place = OLDEST_FIRST.index(study)
    for prefix, expected in {
        "": [study],
        "lt": OLDEST_FIRST[:place],
        "le": OLDEST_FIRST[: place + 1],
        "ge": OLDEST_FIRST[place:],
        "gt": OLDEST_FIRST[place + 1 :],
        "ne": [each for each in OLDEST_FIRST if each != study],
    }.items():
        assert sorted(_pages(clinic, f"_lastUpdated={prefix}{moment}", 2)) == sorted(expected), prefix


def test_ids_of_which_one_resource_has_many_rows_are_all_of_them_or_none(clinic: Clinic) -> None:
    """Many rows of one document lie before those of the other: as many as are read."""
    columns = fhir_token.c
    with reading(clinic.engine) as connection:
        last = connection.execute(
            select(func.max(columns.name)).where(columns.type == "DocumentReference")
        ).scalar_one()
        either = or_(columns.id == "v3a", and_(columns.id == "v7a", columns.name == last))
        scene = Scene(connection, SITE.zone, now(connection), BASE)
        tokens = Rows(fhir_token, "DocumentReference", (either,))
        assert few_ids(scene, [tokens], 2) is None
        assert few_ids(scene, [tokens]) == {"v3a", "v7a"}
