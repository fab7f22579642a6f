"""Which grades are better than which: "improved or better" is a question."""

from __future__ import annotations

#: The Global Aesthetic Improvement Scale, the best first; codes of ``urn:photospine:gais``.
GAIS = ("very-much-improved", "much-improved", "improved", "no-change", "worse")

_SCALES = (GAIS,)


def at_least(grade: str) -> frozenset[str]:
    """A grade and those that are better, on each scale that has it; on none, itself."""
    better = {each for scale in _SCALES if grade in scale for each in scale[: scale.index(grade) + 1]}
    return frozenset(better | {grade})
