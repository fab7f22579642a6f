"""What a process that goes on for long holds from its start on."""

from __future__ import annotations

import gc


def begun() -> None:
    """Have the collector of garbage pass over all that is there by now: modules, models, tables, which stay for good.

    Whoever reads some thousand facts has it look through everything again and again otherwise: a third of the time.
    """
    gc.collect()
    gc.freeze()
