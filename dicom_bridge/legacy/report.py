"""What an import found and did: a line for each file, and sums for people."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from consent.regions import regions
from dicom_bridge.legacy.alike import ALIKE
from dicom_bridge.legacy.dating import CERTAINTY
from dicom_bridge.legacy.importing import Done
from dicom_bridge.legacy.manifest import Manifest
from dicom_bridge.legacy.survey import Candidate, Verdict
from dicom_bridge.objects.vocabulary import terms
from dicom_bridge.pipeline import Outcome

COLUMNS = (
    "file", "result", "why", "patient", "date", "certainty", "date_from", "taken", "visit", "visit_made",
    "region", "side", "view", "expression", "session", "treatment", "notes", "sha256", "photo",
)  # fmt: skip
"""Of the report, a row for each file."""

IMPORTED, UNLINKED, WOULD = "imported", "waits", "would-import"


def lines(found: Sequence[Candidate], done: Sequence[Done] | None) -> list[dict[str, Any]]:
    """A line for each file, in their order; ``done`` None: nothing was carried out."""
    by_name = {each.candidate.file.name: each for each in done or ()}
    return [_line(each, by_name.get(each.file.name), dry=done is None) for each in found]


def _line(found: Candidate, done: Done | None, *, dry: bool) -> dict[str, Any]:
    each = found if done is None else done.candidate
    result = each.verdict.value
    if each.verdict is Verdict.READY:
        result = WOULD if dry else "not-begun"
    if done is not None and done.outcome is not None:
        result = {Outcome.ADDED: IMPORTED, Outcome.KNOWN: Verdict.KNOWN.value, Outcome.UNLINKED: UNLINKED}[done.outcome]
    return {
        "file": each.file.name,
        "result": result,
        "why": each.why,
        "patient": each.patient,
        "date": "" if each.day is None else each.day.isoformat(),
        "certainty": _certainty(each),
        "date_from": each.source.value,
        "taken": each.taken or "",
        "visit": each.visit,
        "visit_made": each.new_visit,
        "region": _code(each.region),
        "side": each.laterality,
        "view": _code(each.view),
        "expression": _code(each.expression or ""),
        "session": each.session or "",
        "treatment": each.procedure or "",
        "notes": "; ".join(each.notes),
        "sha256": each.sha256,
        "photo": "" if done is None else done.photo,
    }


def _certainty(each: Candidate) -> str:
    return CERTAINTY[each.source]


def _code(code: str) -> str:
    """A code by its name."""
    return _names().get(code, code)


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return {each.code: each.name for each in (*regions(), *terms("view"), *terms("expression"))}


def sums(rows: Sequence[dict[str, Any]], manifest: Manifest) -> dict[str, Any]:
    """Counts of results, of certainties of dates, of what is not known and of why files are left."""
    taken = [each for each in rows if each["result"] in (IMPORTED, WOULD)]
    return {
        "results": dict(Counter(each["result"] for each in rows).most_common()),
        "dates": dict(Counter(f"{each['certainty']} ({each['date_from']})" for each in taken).most_common()),
        "patients": len({each["patient"] for each in taken}),
        "visits": len({each["visit"] for each in taken}),
        "visits_made": len({each["visit"] for each in taken if each["visit_made"]}),
        "unknown": dict(
            Counter(
                note for each in taken for note in str(each["notes"]).split("; ") if note.endswith(" unknown")
            ).most_common()
        ),
        "alike": sum(ALIKE in str(each["notes"]) for each in rows),
        "left": dict(Counter(each["why"] for each in rows if each["result"] == Verdict.LEFT.value).most_common()),
        "manifest": [{"line": line, "why": why} for line, why in manifest.faults],
    }


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The report for a spreadsheet. A text that one would take for a formula begins with an apostrophe."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _harmless(value) for name, value in row.items()})
    return out.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def as_json(rows: Sequence[dict[str, Any]], manifest: Manifest) -> str:
    """The report for machines."""
    return json.dumps({"sums": sums(rows, manifest), "files": list(rows)}, ensure_ascii=False)
