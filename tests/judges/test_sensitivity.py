"""The comparison notices when the product is wrong: each of these mistakes is found within the small count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.judges.test_agreement import REQUESTS, SEED, SMALL, disagreements

pytestmark = pytest.mark.fast


def _always(answer: Any) -> Callable[..., Any]:
    return lambda *_: answer


MISTAKES = {
    "a publishing permit reaches photos taken after it was signed": ("matching._known_when_signed", _always(True)),
    "a permit of a region covers whatever else is shown": ("matching._covers_regions", _always(True)),
    "a denial of a region reaches only photos that show it whole": ("matching._touches_regions", _always(False)),
    "a denial without a purpose reaches her own view": ("matching.reached_without_purpose", _always(True)),
    "a denial by author leaves the photographer's photos": ("matching._was_made_by", _always(False)),
    "a denial that names a photo is lost when it is corrected": ("matching._was_named_so", _always(False)),
    "a permit that names a photo is lost when it is corrected": ("matching._was_hers_then", _always(False)),
    "a permit follows a photo to another patient": (
        "matching._was_hers_then",
        lambda entry, photo: entry.reference in photo.formerly,
    ),
    "labels do not matter to permits": ("matching._covers_labels", _always(True)),
    "a replaced Consent speaks on": ("standing._is_silent", _always(False)),
    "an organisation above the holder is no party": ("standing._is_part_of", _always(False)),
    "who has spoken about treatment keeps the default": ("decision.has_spoken_about_treatment", _always(False)),
    "break-glass opens whatever she said of it": ("decision.names_purpose", _always(False)),
    "minors are published": ("decision._surely_adult", _always(True)),
    "a confined account sees everybody": ("decision._is_within_confinement", _always(True)),
    "everybody is of the care team": ("decision._is_of_care_team", _always(True)),
    "a denial reaches no child of its purpose": ("purposes.Catalog.line", lambda _, code: (code,)),
    "nobody is of age": ("prepared.majority", _always(None)),
}


@pytest.mark.parametrize(("place", "instead"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_noticed(place: str, instead: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"consent.{place}", instead)
    seen: Counter[str] = Counter()
    assert any(True for seed in range(SEED, SEED + SMALL // REQUESTS) for _ in disagreements(seed, seen))
