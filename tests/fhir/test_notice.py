"""What a notice's free text names, with the place in the text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.store.engine import reading
from fhir_mapping.advisory.notice import LONGEST, Mark, Recognised, recognise
from fhir_mapping.errors import Invalid
from tests.counts import count
from tests.fhir.clinic import Clinic, build, open_clinic
from tests.fhir.written import agree

pytestmark = pytest.mark.fast


def _read(clinic: Clinic, text: str) -> list[Recognised]:
    with reading(clinic.engine) as connection:
        return recognise(connection, text)


def _lots(clinic: Clinic, text: str) -> list[tuple[str, str | None]]:
    return [(each.value, each.expiry) for each in _read(clinic, text) if each.mark is Mark.LOT]


@pytest.mark.parametrize(
    ("text", "lots"),
    [
        ("Lot: C3709C3", [("C3709C3", None)]),
        ("Lot number C3709C3, expiry 12/2023.", [("C3709C3", "2023-12")]),
        ("lots C3709C3, C7654C3F and AB-12/7", [("C3709C3", None), ("C7654C3F", None), ("AB-12/7", None)]),
        ("Batch No. X12 (exp 31.01.2027); Batch No. X13 (exp 28/02/2027)", [
            ("X12", "2027-01-31"), ("X13", "2027-02-28")]),
        ("LOT C3016 C3", [("C3016 C3", None)]),
        ("batches: A100 through A120", [("A100", None), ("A120", None)]),
        ("Charge 4711B, verwendbar bis 2027-05", [("4711B", "2027-05")]),
        ("use by 3 March 2027: lot Z99", [("Z99", None)]),
        ("lot Z99\nuse by 3 March 2027", [("Z99", "2027-03-03")]),
        ("Item\tLot No.\tExpiry\nA 12\tQ-900\t2027-01\nB 13\tQ-901\t2027-02-28\nCall 555123 by 2027-03-01", [
            ("Q-900", "2027-01"), ("Q-901", "2027-02-28")]),
        ("| Product | Lot | Exp |\n| Gel 2 | H77 | 06/2028 |", [("H77", "2028-06")]),
        ("UDI (01)09504000059118(17)270131(10)G55", [("G55", "2027-01-31")]),
        ("UDI +A123BJC5D6E71/$$3270131LOT7H", [("LOT7", "2027-01-31")]),
        ("We gave LOT-0071 to many.", [("LOT-0071", None)]),
        ("Please reply before 2026-12-01 to 0800 123456.", []),
        ("A lot of people ask about batch release.", []),
        ("lot Z99, expiry 03/04/2027", [("Z99", None)]),
        ("Affected lots:\n- A1234\n- B4567 (exp 06/27)\n\u2022 C789", [
            ("A1234", None), ("B4567", "2027-06"), ("C789", None)]),
        ("The following lots are affected: A123, B456.", [("A123", None), ("B456", None)]),
        ("Lots:\n1. A123\n2. B456", [("A123", None), ("B456", None)]),
        ("Lot/Serial No: A1234", [("A1234", None)]),
        ("Betroffene Chargen: 4711B, verwendbar bis 05/2027; 4712B, Verfalldatum 31. Januar 2028", [
            ("4711B", "2027-05"), ("4712B", "2028-01-31")]),
        ("Ch.-B.: 77001X, verw. bis 06/27", [("77001X", "2027-06")]),
        ("Lots concern\u00e9s : n\u00b0 A123 et B456, date de p\u00e9remption 31 ao\u00fbt 2027", [
            ("A123", None), ("B456", "2027-08-31")]),
        ("Charge  Verfall\nA4711  06/27\nA4712  07/27", [("A4711", "2027-06"), ("A4712", "2027-07")]),
        ("Product;Lot;Expiry\nGel;Q900;2027-01\nGel;Q901;2027-02", [("Q900", "2027-01"), ("Q901", "2027-02")]),
        ("Product\tLot\nGel\tQ-900\nGel\tQ-901", [("Q-900", None), ("Q-901", None)]),
        ("lots LOT\u20110071 and \uff21\uff11\uff12", [("LOT-0071", None), ("A12", None)]),
        ("lot A12, expiring before 2027-03-01", [("A12", None)]),
        ("\u6279\u53f7: 20240101", [("20240101", None)]),
        ("https://id.gs1.org/01/09504000059118/10/G55?17=270131", [("G55", "2027-01-31")]),
        ("batches: A100 \u2013 A103, exp 01/2027", [("A100", "2027-01"), ("A103", "2027-01")]),
    ],
)  # fmt: skip
def test_lots_and_their_expiries_are_recognised(clinic: Clinic, text: str, lots: list[tuple[str, str | None]]) -> None:
    assert _lots(clinic, text) == lots


def test_places_are_those_of_the_text_and_products_on_record_are_named(clinic: Clinic) -> None:
    text = "ÄÖ\u2014Recall of TOXIN A (not toxin ab): lots LOT-0071, L0T-0O71, NEW-1."
    found = _read(clinic, text)
    assert {(each.mark, text[each.start : each.end]) for each in found} == {
        (Mark.PRODUCT, "TOXIN A"),
        (Mark.LOT, "LOT-0071"),
        (Mark.LOT, "L0T-0O71"),
        (Mark.LOT, "NEW-1"),
    }
    assert {each.value: each.on_record for each in found if each.mark is Mark.LOT} == {
        "LOT-0071": True,
        "L0T-0O71": True,
        "NEW-1": False,
    }


@pytest.mark.parametrize(
    ("text", "within"),
    [
        ("lots A0098-A0101", ("A0098", "A0099", "A0100", "A0101")),
        ("lots A98 through A100", ()),
        ("lots B7 to 12/9C", ()),
        ("Chargen 4711 bis 4713", ("4711", "4712", "4713")),
        ("lots A1000-A9000", ()),
    ],
)
def test_a_range_is_told_with_the_lots_in_it_where_they_can_be_counted(
    clinic: Clinic, text: str, within: tuple[str, ...]
) -> None:
    found = [each.within for each in _read(clinic, text) if each.mark is Mark.RANGE]
    assert (found or [()]) == [within]


@pytest.mark.parametrize("text", ["All lots of Toxin A", "Alle Chargen", "tous les lots expirant avant 2027"])
def test_that_all_lots_are_meant_is_told(clinic: Clinic, text: str) -> None:
    assert Mark.EVERY in {each.mark for each in _read(clinic, text)}


def test_a_notice_has_its_limits(clinic: Clinic) -> None:
    with pytest.raises(Invalid, match="100000"):
        _read(clinic, "x" * (LONGEST + 1))
    with pytest.raises(Invalid, match="more than"):
        _read(clinic, "lots " + ", ".join(f"L{each:05d}" for each in range(500)))


@pytest.mark.parametrize(
    "piece",
    [
        "lot ",
        "lot A1 (",
        "(01)",
        "+A123",
        "exp 1 ",
        "A1-",
        "\n| ",
        "lot A1, exp ",
        "1 jan ",
        "LOT-0071, ",
        "lot a a a a ",
        "exp 01/27 lot A123 ",
        "all lots ",
        "lots A100-A101 ",
    ],
)
def test_a_hostile_notice_is_read_in_bounded_time(clinic: Clinic, piece: str) -> None:
    started = time.monotonic()
    with suppress(Invalid):
        _read(clinic, piece * (LONGEST // len(piece)))
    assert time.monotonic() - started < 20


_PIECES = (
    "lot", "Batch no.", " ", "\n", "\t", "A12", "X-9", "exp", "12/2027", "2027-01-31", ",", "and", "to", "(", ")",
    "toxin a", "|", "é", "through", "(01)09504000059118(10)Z9",
)  # fmt: skip


@agree(count("notices", small=60, full=3000))
@given(text=st.lists(st.sampled_from(_PIECES), max_size=60).map("".join))
def test_any_text_is_read_and_every_place_lies_in_it(made_notices: Clinic, text: str) -> None:
    for each in _read(made_notices, text):
        assert 0 <= each.start < each.end <= len(text)


@pytest.fixture(scope="module")
def made_notices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    folder = tmp_path_factory.mktemp("notices")
    build(folder)
    made = open_clinic(folder)
    yield made
    made.close()
