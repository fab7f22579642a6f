"""Arguments of a query mean what their sender meant, whether Orthanc decodes them or not."""

from __future__ import annotations

import pytest

from orthanc_plugin.wall.spelling import ASKED, Spelling

pytestmark = pytest.mark.fast


def test_where_orthanc_decodes_nothing_is_decoded_twice() -> None:
    spelling = Spelling()
    spelling.learn("A")
    assert spelling.read({"PatientID": "100%2C5"}) == {"PatientID": "100%2C5"}


def test_where_orthanc_leaves_it_to_us_names_and_values_are_decoded() -> None:
    spelling = Spelling()
    spelling.learn(ASKED)
    assert spelling.read({"Patient%4eame": "DOE%5EJ+A%2C"}) == {"PatientName": "DOE^J A,"}


@pytest.mark.parametrize("first", ["A", ASKED])
def test_the_first_canary_decides_and_no_later_one_changes_it(first: str) -> None:
    spelling = Spelling()
    spelling.learn("")
    spelling.learn("nonsense")
    spelling.learn(first)
    before = spelling.read({"x": "%41"})
    spelling.learn(ASKED if first == "A" else "A")
    assert spelling.read({"x": "%41"}) == before


def test_no_arguments_are_none() -> None:
    assert Spelling().read(None) == {}
