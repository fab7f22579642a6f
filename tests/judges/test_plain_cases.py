"""The rows of tests/tables/consent_cases.toml, answered by the judge that shares no code with the product."""

from __future__ import annotations

from typing import Any

import pytest

from tests.judges.plain import PlainJudge
from tests.judges.table import request, rows, world

pytestmark = pytest.mark.fast

ROWS = rows()


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['id']}: {row['says']}" for row in ROWS])
def test_the_plain_judge_answers_as_the_table_says(row: dict[str, Any]) -> None:
    made = world(row)
    judge = PlainJudge(made)
    if row["effect"] == "refused":
        named = row["element"].replace("photo-region", "extension")
        assert any(element in named for element in judge.reads[-1].refused), judge.reads[-1].refused
    else:
        refused = [
            read.refused
            for read, one in zip(judge.reads, made["consents"], strict=True)
            if read.refused and not one["synchronised"]
        ]
        assert not refused
    if "denial" in row:
        assert judge.reads[-1].denies is row["denial"]
    if "reaches_treatment" in row:
        assert judge.reads[-1].may_deny_treatment is row["reaches_treatment"]
    if "ask" not in row:
        return
    answer = judge.answer(request(row))
    assert ("permit" if answer.permit else "deny", answer.reason) == (row["effect"], row["reason"])
    if "step" in row:
        assert answer.step == row["step"]
    if "paths" in row:
        assert sorted(f"{consent} {path}" for consent, _, path in answer.by) == sorted(row["paths"])
    if "obligations" in row:
        assert judge.obligations(request(row)) == set(row["obligations"])
