"""Units that doses are counted in: as people read them, and in UCUM."""

from __future__ import annotations

#: Shown -> UCUM. Packs and applications are annotations: UCUM has no unit for what is merely counted.
DOSES = {
    "U": "[arb'U]",
    "mL": "mL",
    "mg": "mg",
    "g": "g",
    "cm²": "cm2",
    "piece": "{piece}",
    "tube": "{tube}",
    "bottle": "{bottle}",
    "application": "{application}",
}


def shown(code: str) -> str:
    """A UCUM unit as people read it."""
    return code.replace("/cm2", "/cm²").replace("mm2", "mm²").replace("us", "µs") if code != "1" else ""
