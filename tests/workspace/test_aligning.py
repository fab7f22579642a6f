"""What the page of a comparison is told of two photos: where one lies on the other, or why that cannot be told."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from consent.types import Request
from fhir_mapping.resources.alignment import Kept, Side, Transform
from orthanc_plugin.workspace import aligning
from orthanc_plugin.workspace.aligning import Aligner, cannot
from orthanc_plugin.workspace.record import Picture
from tests.compare import drawn
from tests.workspace.clinic import Sessions

_PAIR = drawn.pair(drawn.scalp, 3)
_BODY = drawn.pair(drawn.body, 3)


@dataclass
class _Drawn:
    """Pictures by SOP Instance UID; what is not among them is refused."""

    pictures: dict[str, Picture]
    asked: list[tuple[str, str]] = field(default_factory=list)

    def picture(self, request: Request, sop_uid: str, *, route: str, width: int, publishing: bool) -> Picture | None:
        assert width > 0
        assert not publishing
        self.asked.append((sop_uid, route))
        return self.pictures.get(sop_uid)


@pytest.fixture
def pictures() -> _Drawn:
    return _Drawn(
        {
            "1.1": Picture(_PAIR.fixed),
            "1.2": Picture(_PAIR.moving),
            "1.3": Picture(_BODY.fixed),
            "1.4": Picture(_PAIR.fixed, marked=True),
        }
    )


def _ask(
    pictures: _Drawn, left: str, right: str, aligner: Aligner | None = None, kept: Kept | None = None
) -> dict[str, object] | None:
    sessions = Sessions()
    visitor = sessions.visitor(sessions.sign_in("clinician", "clinician-demo") or "")
    question = visitor.asks("TREAT") if visitor else None
    assert question is not None
    found = (aligner or Aligner(pictures)).find(question, left, right, route="/chart/compare/alignment", kept=kept)
    return None if found is None else cannot(found) if isinstance(found, str) else found.told()


def test_the_right_photo_is_placed_in_widths_of_the_left(pictures: _Drawn) -> None:
    told = _ask(pictures, "1.1", "1.2")
    assert told is not None
    assert told["aligned"] is True
    truth = _PAIR.truth
    assert told["scale"] == pytest.approx(truth.scale, abs=0.002)
    assert told["angle"] == pytest.approx(truth.angle, abs=0.1)
    assert told["width"] == pytest.approx(truth.scale, abs=0.002)
    x = truth.a * _PAIR.columns / 2 - truth.b * _PAIR.rows / 2 + truth.dx
    assert told["x"] == pytest.approx(x / _PAIR.columns, abs=0.002)


def test_each_answer_decides_both_photos_also_where_it_is_remembered(pictures: _Drawn) -> None:
    aligner = Aligner(pictures)
    first = _ask(pictures, "1.1", "1.2", aligner)
    assert _ask(pictures, "1.1", "1.2", aligner) == first
    assert pictures.asked == [("1.1", "/chart/compare/alignment"), ("1.2", "/chart/compare/alignment")] * 2
    del pictures.pictures["1.2"]
    assert _ask(pictures, "1.1", "1.2", aligner) is None


@pytest.mark.parametrize(("left", "right", "why"), [("1.1", "1.3", "different"), ("1.4", "1.2", "marked")])
def test_why_there_is_no_transform_is_said(pictures: _Drawn, left: str, right: str, why: str) -> None:
    told = _ask(pictures, left, right)
    assert told is not None
    assert (told["aligned"], told["why"]) == (False, why)
    assert str(told["text"]).startswith("Cannot be aligned")


def test_whoever_waits_too_long_is_told_so(pictures: _Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligning, "_SECONDS", 0.01)
    aligner = Aligner(pictures)
    assert aligner._turn.acquire(timeout=1)
    told = _ask(pictures, "1.1", "1.2", aligner)
    assert told is not None
    assert told["why"] == "busy"


def test_what_a_person_kept_is_used_after_both_photos_were_decided(pictures: _Drawn) -> None:
    sides = [Side(f"DocumentReference/{each}", f"1.{each}", "00", 1000, 800) for each in (1, 2)]
    kept = Kept(sides[0], sides[1], Transform(0.5, 0, 250, 200, 0.3), "1", "Dr Eleni")
    told = _ask(pictures, "1.1", "1.3", kept=kept)  # these two could not be aligned
    assert told is not None
    assert (told["aligned"], told["x"], told["y"], told["width"]) == (True, 0.5, 0.4, 0.5)
    assert [uid for uid, _ in pictures.asked] == ["1.1", "1.3"]
    del pictures.pictures["1.3"]
    assert _ask(pictures, "1.1", "1.3", kept=kept) is None
