"""What paths say, as a pattern reads them."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from dicom_bridge.legacy.patterns import PatternRefused, pattern

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("text", "path", "values", "date"),
    [
        (
            "{patient}/{date:%Y-%m-%d}/{region}_{view}.jpg",
            "4711/2019-03-05/upper-lip_frontal.JPG",
            {"patient": "4711", "region": "upper-lip", "view": "frontal"},
            datetime.fromisoformat("2019-03-05"),
        ),
        ("{patient}/**/{}.jpg", "P 1/a/b/IMG_1.jpg", {"patient": "P 1"}, None),
        ("{patient}/**/{}.jpg", "P 1/IMG.1.jpg", {"patient": "P 1"}, None),
        ("{date:%d%m%y}-{patient}", "050319-4711", {"patient": "4711"}, datetime.fromisoformat("2019-03-05")),
        (
            "{date:%Y%m%d_%H%M%S}_{patient}.jpg",
            "20190305_101112_é.jpg",
            {"patient": "é"},
            datetime.fromisoformat("2019-03-05T10:11:12"),
        ),
        ("{patient}.jpg", "a/b.jpg", None, None),
        ("{date:%Y-%m-%d}.jpg", "2019-13-05.jpg", None, None),
        ("{patient}_{view}.jpg", "a_b_c.jpg", {"patient": "a", "view": "b_c"}, None),
        ("fotos (alt)/{patient}.jpg", "Fotos (alt)/1.jpg", {"patient": "1"}, None),
    ],
)
def test_a_path_is_read(text: str, path: str, values: dict[str, str] | None, date: datetime | None) -> None:
    said = pattern(text).read(path)
    assert (None if said is None else dict(said.values)) == values
    assert (None if said is None else said.date) == date


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "write a path"),
        ("/home/{patient}", "relative"),
        ("{patient}\\{view}", "relative"),
        ("{patient}{view}", "nothing parts"),
        ("{name}.jpg", "unknown field {name}"),
        ("{patient}/{patient}", "stands twice"),
        ("{patient", "brace"),
        ("{date}", "how the date is written"),
        ("{date:%Y-%j}", "%j is unknown"),
        ("{date:%Y-%m}", "a year, a month and a day"),
        ("{date:%Y/%m/%d}", "within one folder"),
        ("{view:%Y}", "only a date"),
        ("{}.jpg", "no field"),
        ("**/**/{patient}", "once"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, word: str) -> None:
    with pytest.raises(PatternRefused) as refusal:
        pattern(text)
    assert word in str(refusal.value)


def test_no_path_takes_long() -> None:
    hard = pattern("{patient}_{view}_{region}_{side}_{expression}_{session}_{treatment}_{visit}/**/{}.jpg")
    started = time.process_time()
    for path in ("_" * 1024, "a_" * 512, "a_" * 8 + "/" + "b/" * 500, "/" * 1024):
        assert hard.read(path) is None
    assert time.process_time() - started < 0.5
