"""Cards of protocols, on paper and in the terminal, and the clinic's own files where they are asked for."""

from __future__ import annotations

import json
import re
import zlib
from base64 import a85decode
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_bridge.objects.vocabulary import terms
from dicom_bridge.protocols.card import card
from dicom_bridge.protocols.pictogram import SIZE, pictogram, svg_paths
from dicom_bridge.protocols.protocol import Protocol, Since, TimePoint
from dicom_bridge.protocols.reading import all_protocols, load
from dicom_bridge.protocols.words import due_words
from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.diagnosis import examine
from orthanc_plugin.assembly.settings import Settings
from tests.protocols.test_reading import GOOD

OURS = tuple(all_protocols())


def _contents(pdf: bytes) -> str:
    """The drawing operators of every page."""
    streams = re.findall(rb"/ASCII85Decode [^>]*>>\s*stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    made = []
    for each in streams:
        data = zlib.decompress(a85decode(each.strip().removesuffix(b"~>"), adobe=False))
        made.append(data.decode("latin-1"))
    return "\n".join(each for each in made if " Tf" in each)


def pages(pdf: bytes) -> int:
    """How many it has."""
    return len(re.findall(rb"/Type /Page\b", pdf))


def least_type(pdf: bytes) -> float:
    """The size of the smallest type, in points. Shrinking is a transformation of the page's contents."""
    drawn = _contents(pdf)
    scales = [float(each) for each in re.findall(r"^(\d?\.?\d+) 0 0 \1 0 0 cm", drawn, re.MULTILINE)]
    shrunk = min([each for each in scales if each <= 1], default=1.0)
    return shrunk * min(float(each) for each in re.findall(r"/F\S+ ([\d.]+) Tf", drawn))


@pytest.mark.parametrize("protocol", OURS, ids=lambda each: each.name)
def test_a_card_is_one_page_that_can_be_read(protocol: Protocol) -> None:
    pdf = card(protocol)
    assert pdf == card(protocol)
    assert pages(pdf) == 1
    assert least_type(pdf) >= 7


def test_a_target_stands_on_the_card() -> None:
    plain = load(GOOD, "peel-cheek", "x.toml")
    asked = load(GOOD.replace('background = "grey"', 'background = "grey"\ntarget = "colour-card"'), "peel-cheek", "x")
    assert pages(card(asked)) == 1
    assert len(_contents(card(asked))) > len(_contents(card(plain))) + 20


def test_a_card_of_very_many_shots_is_still_one_page() -> None:
    large = max(OURS, key=lambda each: len(each.shots))
    shots = tuple(replace(each, name=f"{each.name}-{turn}", note="One sentence. " * 20)
                  for turn in range(5) for each in large.shots)  # fmt: skip
    pdf = card(replace(large, shots=shots, times=(replace(large.times[0], shots=shots),)))
    assert pages(pdf) == 1


def test_every_view_and_expression_has_a_drawing_of_its_own() -> None:
    face = next(each for each in OURS if each.name == "thread-lift").shots[0]
    for view in terms("view"):
        for stroke in pictogram(replace(face, view=view, expression=None)):
            for _, numbers in stroke.steps:
                assert all(0 <= each <= SIZE for each in numbers)
    plain = {
        "rest",
        "lips-relaxed",
        "lips-closed",
        "jaw-forward",
        "chin-down",
        "contracted",
        "arms-raised",
        "arms-folded",
    }
    told = [each for each in terms("expression") if each.name not in plain]
    assert len({svg_paths(replace(face, expression=each)) for each in told}) == len(told)
    right, left = (next(each for each in terms("view") if each.name == f"{side}-lateral") for side in ("right", "left"))
    assert svg_paths(replace(face, view=right)) != svg_paths(replace(face, view=left))


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ((Since.FIRST_SESSION, 0, 30, 0), "before the first session, at most 30 days ahead"),
        ((Since.EACH_SESSION, 0, 3, 0), "before each session, at most 3 days ahead"),
        ((Since.EACH_SESSION, 14, 4, 14), "2 weeks after each session (day 10 to day 28)"),
        ((Since.LAST_SESSION, 365, 0, 0), "12 months after the last session"),
        ((Since.EACH_SESSION, 1, 0, 2), "a day after each session (day 1 to day 3)"),
        ((Since.EACH_SESSION, 0, 0, 2), "on the day of each session (day 0 to day 2)"),
    ],
)
def test_when_is_said_in_words(time: tuple[Since, int, int, int], said: str) -> None:
    assert due_words(TimePoint("x", *time, ())) == said


def _run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(build(), ["protocol", *words])
    return done.exit_code, done.output


def _settings(folder: Path) -> tuple[str, str]:
    (folder / "own").mkdir()
    (folder / "photospine.toml").write_text('protocols = "own"\n', "utf-8")
    return "--settings", str(folder / "photospine.toml")


def test_the_commands_know_the_clinics_own(tmp_path: Path) -> None:
    chosen = _settings(tmp_path)
    (tmp_path / "own" / "peel-cheek.toml").write_text(GOOD, "utf-8")
    status, told = _run("list", *chosen)
    assert status == 0
    assert "peel-cheek" in told
    assert "(own)" in told
    status, told = _run("show", "peel-cheek", *chosen)
    assert (status, "4 weeks after each session (day 21 to day 42): right, near" in told) == (0, True), told
    assert json.loads(_run("show", "peel-cheek", "--json", *chosen)[1])["shots"][1]["ratio"] == 2.0
    status, told = _run("card", "peel-cheek", "--output", str(tmp_path / "card.pdf"), *chosen)
    assert status == 0
    assert (tmp_path / "card.pdf").read_bytes().startswith(b"%PDF-")
    assert _run("card", "peel-cheek", "--output", str(tmp_path / "none" / "card.pdf"), *chosen)[0] == 1
    assert _run("show", "none", *chosen) == (1, "no protocol is called 'none'; 'photospine protocol list' lists them\n")


def test_a_bad_file_is_told_by_command_and_doctor(tmp_path: Path) -> None:
    chosen = _settings(tmp_path)
    bad = tmp_path / "own" / "peel-cheek.toml"
    bad.write_text(GOOD.replace('side = "right"', 'side = "west"'), "utf-8")
    line = f"{bad}:21: shot 1, side: 'west' is not one of right, left, both"
    for words in (("list", *chosen), ("show", "peel-cheek", *chosen), ("check", str(bad))):
        status, told = _run(*words)
        assert status == 1
        assert line in told
    settings = Settings(folder=tmp_path, database=f"sqlite:///{tmp_path}/none.sqlite3", protocols=tmp_path / "own",
                        orthanc="http://127.0.0.1:9")  # fmt: skip
    (found,) = [each for each in examine(settings) if each.what == "protocols"]
    assert (found.ok, found.says) == (False, line)
    bad.write_text(GOOD, "utf-8")
    (found,) = [each for each in examine(settings) if each.what == "protocols"]
    assert found.ok
    assert "1 of the clinic's own" in found.says
