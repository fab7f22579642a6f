"""Which photo a result is held against, and which pairs a question finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.store.engine import reading
from consent.types import Request
from dicom_bridge.publish.exporting import FULFILS
from fhir_mapping.errors import Forbidden
from fhir_mapping.projections.written import Setting
from fhir_mapping.question.answer import Found, Portion
from fhir_mapping.question.asking import ask
from fhir_mapping.question.page import Place
from fhir_mapping.question.text import parse
from tests.fhir.clinic import BASE, SITE, Clinic, requesters
from tests.publish.scene import MARKETING, agree, procedure, scene, shoot, withdraw


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = scene(tmp_path)
    yield made
    made.close()


def _found(
    clinic: Clinic, question: str = "", *, account: str = MARKETING, most: int = 50, after: Place | None = None
) -> Found:
    request = Request(requesters()[account], "PORTFOLIO")
    with reading(clinic.engine) as connection:
        return ask(
            clinic.node.decisions, connection, Setting(SITE, BASE), request, parse(question, SITE.zone),
            Portion(most, after, pairs=True), route="test", fulfils=FULFILS,
        )  # fmt: skip


def _pairs(clinic: Clinic, question: str = "") -> list[tuple[int, int]]:
    return list(_found(clinic, question).pairs)


def test_a_result_is_held_against_the_first_photo_of_its_treatment(clinic: Clinic) -> None:
    shoot(clinic, "l1", "2025-01-10", "laser1")
    first = shoot(clinic, "t1", "2026-03-03", "toxin1")
    shoot(clinic, "t2", "2026-04-03", "toxin2")
    last = shoot(clinic, "t3", "2026-06-03", "toxin2")
    assert _pairs(clinic) == [(first, last)]
    assert _pairs(clinic, "treatment=laser") == [], "another treatment's result is no result of this one"


def test_a_first_result_is_held_against_the_last_photo_before_any_treatment(clinic: Clinic) -> None:
    shoot(clinic, "n1", "2025-02-01")
    untreated = shoot(clinic, "n2", "2026-02-01")
    shoot(clinic, "l1", "2026-02-20", "laser1")
    result = shoot(clinic, "t1", "2026-03-03", "toxin1")
    assert _pairs(clinic, "treatment=toxin") == [(untreated, result)]


def test_photos_of_one_day_of_other_views_or_without_a_time_are_no_pair(clinic: Clinic) -> None:
    shoot(clinic, "a", "2026-03-03", "toxin1")
    first = shoot(clinic, "b", "2026-03-03", "toxin1")  # of one time, the one that a list has last is the first
    shoot(clinic, "c", "2026-04-03", "toxin2", view="left-oblique")
    shoot(clinic, "d", "2026-04-03", "toxin2", expression="smile")
    shoot(clinic, "e", "2026-04-03", "toxin2", hand=True)
    assert _pairs(clinic) == []
    last = shoot(clinic, "f", "2026-04-04", "toxin2")
    assert _pairs(clinic) == [(first, last)]


def test_both_halves_must_be_permitted(clinic: Clinic) -> None:
    shoot(clinic, "t1", "2026-03-03", "toxin1")
    shoot(clinic, "t2", "2026-04-03", "toxin2")
    shoot(clinic, "h1", "2026-03-03", "his", patient="ben")
    shoot(clinic, "h2", "2026-04-03", "his", patient="ben")
    assert len(_pairs(clinic)) == 1, "Ben has not agreed"
    photo = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/t1"}}]}
    agree(clinic, "no", provision={"type": "deny"} | photo)
    assert _pairs(clinic) == []
    withdraw(clinic, "no")
    withdraw(clinic)
    assert _pairs(clinic) == []


def test_the_question_is_asked_of_the_result(clinic: Clinic) -> None:
    first = shoot(clinic, "t1", "2026-03-03", "toxin1")
    last = shoot(clinic, "t2", "2027-04-03", "toxin2")
    for question in ("session=2", "clinician=d", "taken=2027", "area=face&session=2", "taken=2026..2027"):
        assert _pairs(clinic, question) == [(first, last)], question
    for question in ("session=1", "clinician=e", "taken=2026", "area=hand"):
        assert _pairs(clinic, question) == [], question


def test_pages_of_pairs_neither_repeat_nor_drop_one(clinic: Clinic) -> None:
    views = ("frontal", "left-oblique", "right-oblique", "left-profile", "right-profile")
    numbers = []
    for place, view in enumerate(views):
        first = shoot(clinic, f"a{view}", "2026-03-03", "toxin1", view=view)
        numbers.append((first, shoot(clinic, f"b{view}", f"2026-04-{10 + place}", "toxin2", view=view)))
    listed: list[tuple[int, int]] = []
    after: Place | None = None
    for _ in range(9):
        page = _found(clinic, most=2, after=after)
        listed += page.pairs
        after = page.following
        if after is None:
            break
    assert listed == numbers[::-1]


def test_merged_records_are_one_person(clinic: Clinic) -> None:
    first = shoot(clinic, "t1", "2026-03-03", "toxin1")
    clinic.put({"resourceType": "Patient", "id": "old"})
    procedure(clinic, "older", "toxin", "old", "v1", "2026-02-01")
    shoot(clinic, "t2", "2026-04-03", "toxin2")
    link = {"other": {"reference": "Patient/anna"}, "type": "replaced-by"}
    clinic.put({"resourceType": "Patient", "id": "old", "link": [link]})
    assert [pair[0] for pair in _pairs(clinic)] == [first]


@pytest.mark.parametrize("question", ["taken=2026-03..2026-04", "taken=2026-03-03", "taken=..2026-06", "patient=anna"])
def test_a_day_or_a_month_is_not_asked_by_who_may_not_know_the_patient(clinic: Clinic, question: str) -> None:
    shoot(clinic, "t1", "2026-03-03", "toxin1")
    shoot(clinic, "t2", "2026-04-03", "toxin2")
    with pytest.raises(Forbidden):
        _found(clinic, question)
    if question.startswith("taken"):
        assert len(_found(clinic, question, account="doctor").pairs) in (0, 1), "who treats knows it anyway"
