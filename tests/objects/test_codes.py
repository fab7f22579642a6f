"""Every code that is written: its check digit, and what pydicom's dictionaries say it means; else its other source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.sr._concepts_dict import concepts

from consent.regions import SNOMED, regions
from dicom_bridge.objects.vocabulary import OWN_SCHEME, terms
from dicom_bridge.protocols.reading import all_protocols

_CP_1570 = "CP-1570, CID 4062 and 4066"
_TOPOGRAPHY = "skin topography value set of the New Zealand edition of SNOMED CT, 2024-10"
#: Codes that pydicom does not know, or gives another description of the same concept, and where their meaning is from.
ELSEWHERE = {
    "399173006": _CP_1570,  # pydicom: Right-left lateral
    "260421001": _CP_1570,
    "260424009": _CP_1570,
    "260454004": _CP_1570,
    "260461000": _CP_1570,
    "1336028006": _CP_1570,
    "1336029003": _CP_1570,
    "225583004": _CP_1570,
    "262016004": _CP_1570,
    "1332210001": _CP_1570,
    "1336026005": _CP_1570,
    "130325": _CP_1570,  # DCM
    "244083007": _TOPOGRAPHY,
    "33049008": _TOPOGRAPHY,
    "14292005": _TOPOGRAPHY,
    "400033007": _TOPOGRAPHY,
    "87320006": _TOPOGRAPHY,
    "51215006": _TOPOGRAPHY,
    "244098009": _TOPOGRAPHY,
    "90568000": _TOPOGRAPHY,
    "34799006": _TOPOGRAPHY,
    "699936004": _TOPOGRAPHY,
    "280386003": _TOPOGRAPHY,
    "34284005": _TOPOGRAPHY,
    "88260007": _TOPOGRAPHY,
    "80001000": _TOPOGRAPHY,
    "21548009": _TOPOGRAPHY,
    "82038008": "CID 4029, version 20240913",
}
_BESIDE_THE_POINT = frozenset(
    [
        *("skin", "of", "structure", "body", "region", "area", "surface", "portion", "projection", "qualifier"),
        *("value", "and", "the", "part", "face", "ala", "nasi"),
    ]
)
_SAME = {"skin of side of nose": "lateral nose"}

#: DICOM's own concepts that objects of ours bear, beside those of the vocabulary.
CONCEPTS = {
    "130325": "Orthognathic Functional Condition",
    "128741": "Longitudinal Temporal Event Type",
    "128740": "Longitudinal Temporal Offset from Event",
    "121079": "Baseline",
    "113037": "Rejected for Patient Safety Reasons",
}

# Verhoeff's dihedral check (SNOMED CT Identifier, check-digit)
_TABLE = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
]
_ROUNDS = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
while len(_ROUNDS) < 8:
    _ROUNDS.append([_ROUNDS[-1][each] for each in _ROUNDS[1]])


def checks(code: str) -> bool:
    """Whether a SNOMED CT identifier's last digit is its check digit."""
    rest = 0
    for place, digit in enumerate(reversed(code)):
        rest = _TABLE[rest][_ROUNDS[place % 8][int(digit)]]
    return rest == 0


def _snomed() -> Iterator[tuple[str, str]]:
    for region in regions():
        if region.scheme == "SCT":
            yield region.value, region.display
        for code in region.also:
            yield code, region.name.replace("-", " ")
    for kind in ("view", "expression"):
        for term in terms(kind):
            if term.scheme == "SCT":
                yield term.value, term.meaning
    yield from (("24028007", "Right"), ("7771000", "Left"), ("51440002", "Bilateral"))
    for protocol in all_protocols():
        for each in protocol.applies.codes:
            system, _, code = each.rpartition("|")
            if system == SNOMED:
                yield code, {"302343007": "prosthesis breast", "37236007": "dermabrasion"}.get(code, "")


def _said(scheme: str, code: str) -> list[str]:
    known: Any = concepts[scheme]
    return [str(found[code][0]) for found in known.values() if code in found]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower())) - _BESIDE_THE_POINT


def test_a_wrong_check_digit_is_seen() -> None:
    assert checks("399033003")
    for wrong in ("787876008", "13413003", "302388006", "399033004", "390933003"):
        assert not checks(wrong)


@pytest.mark.parametrize(("code", "meaning"), sorted(set(_snomed())))
def test_a_snomed_code_is_what_it_is_called(code: str, meaning: str) -> None:
    assert checks(code)
    said = _said("SCT", code)
    if code in ELSEWHERE:
        assert ELSEWHERE[code]
        return
    if not said:
        assert code in ("37236007", "52852000"), f"{code} {meaning}: name the source in ELSEWHERE"
        return
    ours = _words(_SAME.get(meaning.lower(), meaning))
    assert any(ours <= _words(each) or _words(each) <= ours for each in said), f"{code}: {meaning!r}, pydicom {said}"


@pytest.mark.parametrize("code", sorted(CONCEPTS))
def test_a_concept_of_dicom_is_what_it_is_called(code: str) -> None:
    said = _said("DCM", code)
    assert code in ELSEWHERE if not said else CONCEPTS[code] in said


def test_nothing_is_said_to_be_from_elsewhere_that_nobody_uses() -> None:
    used = {code for code, _ in _snomed()} | set(CONCEPTS)
    assert set(ELSEWHERE) <= used


def test_our_own_codes_fit_and_are_declared() -> None:
    own = [each for kind in ("view", "expression") for each in terms(kind) if each.scheme == OWN_SCHEME]
    for each in own:
        assert len(each.value) <= 16
        assert re.fullmatch(r"[a-z0-9-]+", each.value)
        assert each.group.identifier in ("4062", "4066")
    assert len({each.code for each in own}) == len(own)


def test_the_words_of_the_trade_are_there() -> None:
    views = {each.name for each in terms("view")}
    body = {"frontal", "posterior"} | {
        f"{side}-{view}" for side in ("left", "right") for view in ("oblique", "lateral", "posterior-oblique")
    }
    assert body <= views  # eight views at 45 degrees
    assert {"vertex", "midline", "cephalic", "basal", "dorsal", "palmar", "close-up"} <= views
    expressions = {each.name for each in terms("expression")}
    assert {"rest", "smile", "frown", "brow-raise", "squint", "nasal-scrunch", "platysma", "pucker"} <= expressions
