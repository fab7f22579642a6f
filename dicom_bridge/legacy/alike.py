"""Files of an import that are nearly the same picture of one patient: told, and never merged."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from dicom_bridge.legacy.survey import Candidate, Verdict
from dicom_bridge.objects.likeness import MEAN

ALIKE = "nearly the same picture as "
"""How the note begins; the name of the other file follows."""

_LOOKED_AT = (Verdict.READY, Verdict.KNOWN)


def noted(found: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, each with a note of the first one before it that is nearly the same picture."""
    of_patient: dict[str, list[int]] = {}
    for place, each in enumerate(found):
        if each.likeness is not None and each.patient and each.verdict in _LOOKED_AT:
            of_patient.setdefault(each.patient, []).append(place)
    made = list(found)
    for places in of_patient.values():
        for place, first in _first_alike(found, places).items():
            note = ALIKE + found[first].file.name
            made[place] = replace(found[place], notes=(*found[place].notes, note))
    return made


def _first_alike(found: Sequence[Candidate], places: Sequence[int]) -> dict[int, int]:
    """Of each place that is like an earlier one, the first of these; only pictures as bright as it are looked at."""
    by_mean = sorted((likeness.mean, place) for place in places if (likeness := found[place].likeness) is not None)
    alike: dict[int, int] = {}
    for mean, place in by_mean:
        mine = found[place].likeness
        start = bisect_left(by_mean, (mean - MEAN, -1))
        for other_mean, other in by_mean[start:]:
            if other_mean > mean + MEAN:
                break
            theirs = found[other].likeness
            if other < alike.get(place, place) and mine is not None and theirs is not None and mine.is_of(theirs):
                alike[place] = other
    return alike
