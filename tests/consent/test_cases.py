"""The rows of tests/tables/consent_cases.toml, each from R4 JSON to the answer."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from consent.reasons import Reason
from tests.consent.world import world_of

pytestmark = pytest.mark.fast

_KNOWN = {
    *("id", "says", "like", "site", "now", "stale", "patients", "photos", "belongs", "parents", "consents"),
    *(
        "ask",
        "effect",
        "reason",
        "obligations",
        "paths",
        "rule",
        "step",
        "element",
        "note",
        "denial",
        "reaches_treatment",
    ),
}


def _rows() -> list[dict[str, Any]]:
    path = Path(__file__).parent.parent / "tables" / "consent_cases.toml"
    rows: dict[str, dict[str, Any]] = {}
    for row in tomllib.loads(path.read_text("utf-8"))["case"]:
        situation = rows.get(row.get("like", ""), {})
        shared = {key: situation[key] for key in situation if key in _SITUATION}
        assert row["id"] not in rows, row["id"]
        assert set(row) <= _KNOWN, set(row) - _KNOWN
        rows[row["id"]] = {**shared, **row}
    return list(rows.values())


_SITUATION = ("site", "now", "stale", "patients", "photos", "belongs", "parents", "consents")
ROWS = _rows()


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['id']}: {row['says']}" for row in ROWS])
def test_consent_case(row: dict[str, Any]) -> None:
    world = world_of(row)
    for stated in row.get("consents", ()):
        world.write(stated)
    if row["effect"] == "refused":
        refusals = world.readings[-1].refusals
        assert world.readings[-1].directive is None
        assert any(row["element"] in refusal.element for refusal in refusals), refusals
    else:
        arrived = [isinstance(stated, dict) and stated.get("arrived") for stated in row.get("consents", ())]
        for reading, by_synchronisation in zip(world.readings, arrived, strict=True):
            assert by_synchronisation or not reading.refusals, reading.refusals
    if "note" in row:
        assert any(row["note"] in note for note in world.readings[-1].notes), world.readings[-1].notes
    if "denial" in row:
        assert world.readings[-1].has_denial is row["denial"]
    if "reaches_treatment" in row:
        assert world.readings[-1].denial_reaches_treatment is row["reaches_treatment"]
    if "ask" not in row:
        return
    decision = world.ask(row["ask"])
    assert (decision.effect.value, str(decision.reason)) == (row["effect"], row["reason"])
    if "obligations" in row:
        assert {each.value for each in decision.obligations} == set(row["obligations"])
    if "paths" in row:
        assert [f"{ref.consent} {ref.path}" for ref in decision.directives] == row["paths"]
    if "rule" in row:
        assert decision.rule == row["rule"]
    if "step" in row:
        assert decision.step == row["step"]


def test_every_reason_has_a_row() -> None:
    assert {row.get("reason") for row in ROWS} >= {reason.value for reason in Reason}
