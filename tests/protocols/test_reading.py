"""A protocol's file is read whole, or refused with its line and the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from consent.types import Laterality
from dicom_bridge.protocols.protocol import Since, Target
from dicom_bridge.protocols.reading import ProtocolRefused, all_protocols, load

GOOD = """\
version = "3"
title = "Peel of the cheeks"

[applies]
words = ["Peel"]
regions = ["cheek"]

[[source]]
citation = "House rule of 2026"

[conditions]
distance_cm = 60
lighting = "even"
background = "grey"
lens = "50 mm"
posture = "Seated."

[[shot]]
name = "right"
region = "cheek"
side = "right"
view = "right-lateral"

[[shot]]
name = "near"
region = "cheek"
side = "right"
view = "close-up"
required = false
ratio = 2

[[time]]
name = "before"
since = "first-session"
days = 0
before = 7

[[time]]
name = "after"
since = "each-session"
days = 28
before = 7
after = 14
shots = ["near", "right"]
"""


def test_a_file_is_read() -> None:
    made = load(GOOD, "peel-cheek", "peel-cheek.toml")
    assert (made.name, made.version, made.own) == ("peel-cheek", "3", True)
    assert [(each.name, each.required, each.distance_cm, each.ratio) for each in made.shots] == [
        ("right", True, 60.0, None),
        ("near", False, None, 2.0),
    ]
    assert made.shots[0].side is Laterality.RIGHT
    assert made.baseline.shots == made.required == made.shots[:1]
    assert made.times[1].since is Since.EACH_SESSION
    assert made.times[1].shots == made.shots  # in the protocol's order


def test_a_target_is_asked_for_in_all_shots_or_in_some() -> None:
    assert [each.target for each in load(GOOD, "peel-cheek", "x.toml").shots] == [None, None]
    all_of_them = GOOD.replace('background = "grey"', 'background = "grey"\ntarget = "colour-card"')
    assert {each.target for each in load(all_of_them, "peel-cheek", "x.toml").shots} == {Target.COLOUR_CARD}
    but_one = all_of_them.replace("ratio = 2", 'ratio = 2\ntarget = "none"')
    made = load(but_one, "peel-cheek", "x.toml")
    assert [each.target for each in made.shots] == [Target.COLOUR_CARD, None]


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ('version = "3"', 'version = "3', 1, "not valid TOML"),
        ('version = "3"', "version = 3", 1, "version: must be a text"),
        ('version = "3"\n', "", 1, "version: is missing"),
        ('title = "Peel of the cheeks"', 'heading = "Peel"', 2, "heading: is not known here"),
        ('words = ["Peel"]', 'codes = ["peel"]', 5, "'peel' is not system|code"),
        ('words = ["Peel"]\n', "", 4, "names no treatment"),
        ('regions = ["cheek"]', 'regions = ["cheeks"]', 6, "unknown region 'cheeks'"),
        ('citation = "House rule of 2026"', 'citation = ""', 9, "source 1, citation: must be a text"),
        ("distance_cm = 60", "distance_cm = 60\nratio = 8", 12, "either distance_cm or ratio"),
        ('lighting = "even"', 'lighting = "sun"', 13, "'sun' is not one of two-diffuse, even"),
        ('background = "grey"\n', "", 11, "background: is missing"),
        ('background = "grey"', 'background = "grey"\ntarget = "ruler"', 15, "'ruler' is not one of colour-card"),
        ('view = "right-lateral"', 'view = "behind"', 22, "unknown view 'behind'"),
        ('side = "right"\nview = "close-up"', 'side = "west"\nview = "close-up"', 27, "'west' is not one of right"),
        ('region = "cheek"\nside = "right"\nview = "right', 'region = "chin"\nside = "right"\nview = "right', 21,
         "'chin' is not there on two sides"),
        ('view = "close-up"', 'view = "right-lateral"', 25, "another shot has the same"),
        ('name = "near"', 'name = "right"', 25, "'right' is there twice"),
        ("required = false", "required = 0", 29, "must be true or false"),
        ("before = 7\n\n[[time]]", "before = 7\nafter = 1\n\n[[time]]", 34, "the first time point is the baseline"),
        ("days = 28", "days = 2.5", 41, "whole number of days"),
        ("after = 14", "after = -1", 43, "must not be negative"),
        ('shots = ["near", "right"]', 'shots = ["far"]', 44, "no shot is called 'far'"),
    ],
)  # fmt: skip
def test_a_bad_file_gets_line_and_reason(old: str, new: str, line: int, reason: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(ProtocolRefused) as refused:
        load(GOOD.replace(old, new, 1), "peel-cheek", "peel-cheek.toml")
    assert str(refused.value).startswith(f"peel-cheek.toml:{line}: ")
    assert reason in str(refused.value)


def test_a_site_adds_and_replaces_and_its_bad_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "peel-cheek.toml").write_text(GOOD, "utf-8")
    (tmp_path / "toxin-glabella.toml").write_text(GOOD.replace('"Peel"', '"Botox"'), "utf-8")
    (tmp_path / "broken.toml").write_text("version", "utf-8")
    (tmp_path / "latin.toml").write_bytes(b"# one\n# two \xff\n")
    (tmp_path / "Big Name.toml").write_text(GOOD, "utf-8")
    known = all_protocols(tmp_path)
    assert known.by_name["peel-cheek"].own
    assert known.by_name["toxin-glabella"].applies.words == ("botox",)
    assert [each.split(": ")[0].rpartition("/")[2] for each in known.refused] == [
        "Big Name.toml:1",
        "broken.toml:1",
        "latin.toml:2",
    ]
    assert "peel-cheek" not in all_protocols().by_name


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "no such folder" in all_protocols(tmp_path / "none").refused[0]
