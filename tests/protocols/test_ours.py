"""The protocols that come with Photospine: enough of them, each different, each with its source."""

from __future__ import annotations

import pytest

from consent.regions import regions
from consent.types import Laterality
from dicom_bridge.protocols.choosing import concerning
from dicom_bridge.protocols.meeting import meets
from dicom_bridge.protocols.protocol import Protocol, Since
from dicom_bridge.protocols.reading import all_protocols
from fhir_mapping.course.views import View
from fhir_mapping.treatment.session import Named, Place

OURS = tuple(all_protocols())


def _place(name: str, side: Laterality | None = None) -> Place:
    region = regions().by_name(name)
    assert region is not None
    return Place(Named("", region.code), side)


def _asked(protocol: Protocol) -> tuple[object, ...]:
    shots = frozenset(each.key for each in protocol.shots if each.required)
    times = tuple((each.since, each.days, each.before, each.after) for each in protocol.times)
    return shots, times


def test_there_are_enough_and_none_is_left_out() -> None:
    assert len(OURS) >= 25
    assert not all_protocols().refused


def test_each_differs_in_views_or_in_timing() -> None:
    asked = [_asked(each) for each in OURS]
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("protocol", OURS, ids=lambda each: each.name)
def test_each_names_a_source_and_a_baseline_and_an_after(protocol: Protocol) -> None:
    for source in protocol.sources:
        assert len(source.citation) > 40
        assert source.citation.endswith(")")  # what of it is taken
        assert source.url == "" or source.url.startswith(("https://", "http://"))
    assert protocol.baseline.baseline
    assert any(each.days > 0 for each in protocol.times)
    for earlier, later in zip(protocol.times, protocol.times[1:], strict=False):
        assert (earlier.since is not Since.FIRST_SESSION) or earlier.days <= later.days
    for time in protocol.times:
        assert time.shots
        assert set(time.shots) <= set(protocol.shots)


@pytest.mark.parametrize(
    ("treatment", "places", "names"),
    [
        ("Botulinum toxin, glabella", ["glabella"], ["toxin-glabella"]),
        ("Botulinum toxin", ["glabella", "lateral-canthus"], ["toxin-crows-feet", "toxin-glabella"]),
        ("Botulinum toxin", ["face"], ["toxin-face"]),
        ("Botulinum toxin", ["nose"], ["toxin-face"]),
        ("Botulinum toxin", [], []),
        ("Botulinumtoxinfree cream", ["glabella"], []),
        ("Lip filler", ["upper-lip"], ["filler-lips"]),
        ("Lip filler", ["tear-trough"], ["filler-tear-trough"]),
        ("Septorhinoplasty", ["nose"], []),
        ("Rhinoplasty, revision", [], ["rhinoplasty"]),
        ("Microneedling of acne scars", ["cheek"], ["microneedling-face"]),
        ("Cryolipolysis", ["flank"], ["cryolipolysis-abdomen"]),
        ("Cryolipolysis", ["knee"], []),
        ("FUE", ["hairline"], ["hair-transplant"]),
    ],
)
def test_a_treatment_has_the_narrowest_protocols_of_its_areas(
    treatment: str, places: list[str], names: list[str]
) -> None:
    found = concerning(OURS, Named(treatment), [_place(each) for each in places])
    assert [each.name for each in found] == names


def test_a_code_that_is_known_decides_without_words() -> None:
    found = concerning(OURS, Named("", "urn:photospine:treatment|botulinum-toxin"), [_place("glabella")])
    assert [each.name for each in found] == ["toxin-glabella"]


def test_shots_of_the_treated_area_show_each_treated_area() -> None:
    places = [_place("forearm", Laterality.LEFT), _place("chest")]
    (found,) = concerning(OURS, Named("Tattoo removal"), places)
    required = [each for each in found.shots if each.required]
    assert [(each.name, each.region.name, each.side) for each in required] == [
        ("near-left-forearm", "forearm", Laterality.LEFT),
        ("near-chest", "chest", Laterality.BOTH),
    ]
    assert set(found.baseline.shots) == set(required)


def _view(region: str, side: str, view: str, expression: str = "") -> View:
    known = regions().by_name(region)
    assert known is not None
    code = expression and f"urn:photospine:expression|{expression}"
    views = {"frontal": "399033003", "right-lateral": "399198007"}
    return View(key=(known.code, side, f"http://snomed.info/sct|{views[view]}", code))


@pytest.mark.parametrize(
    ("protocol", "shot", "view", "met"),
    [
        ("toxin-glabella", "frontal-frown", _view("glabella", "B", "frontal", "frown"), True),
        ("toxin-glabella", "frontal-frown", _view("face", "B", "frontal", "frown"), True),
        ("toxin-glabella", "frontal-frown", _view("cheek", "B", "frontal", "frown"), False),
        ("toxin-glabella", "frontal-frown", _view("glabella", "B", "frontal", "rest"), False),
        ("toxin-glabella", "frontal-frown", _view("glabella", "B", "frontal"), False),
        ("toxin-face", "frontal-rest", _view("glabella", "B", "frontal", "rest"), False),
        ("breast-augmentation", "right-lateral", _view("breast", "R", "right-lateral"), True),
        ("breast-augmentation", "right-lateral", _view("breast", "B", "right-lateral"), True),
        ("breast-augmentation", "right-lateral", _view("breast", "L", "right-lateral"), False),
        ("breast-augmentation", "right-lateral", _view("chest", "B", "right-lateral"), True),
        ("breast-augmentation", "front", _view("breast", "R", "frontal"), False),
    ],
)
def test_a_photo_is_a_shot_by_what_its_record_says(protocol: str, shot: str, view: View, met: bool) -> None:
    (wanted,) = [each for each in all_protocols().by_name[protocol].shots if each.name == shot]
    assert meets(wanted, view) is met
