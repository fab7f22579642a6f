"""What both sides of a measurement have in common: the same stored objects, and the record of what was answered."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from consent.audit.read import Archive as AuditArchive
from tests.archive import Archive


def share(storage: Path, *others: Path) -> None:
    """Give other Orthancs what one that is stopped has stored: the same files, by hard links, and an index each."""
    for other in others:
        shutil.copytree(storage, other, copy_function=os.link)
        for index in other.glob("index*"):
            index.unlink()
            shutil.copy2(storage / index.name, index)


def recorded(archive: Archive, counts: Callable[[Mapping[str, Any]], bool]) -> int:
    """How many records of the walled node count, in all its chains."""
    chains = AuditArchive(archive.engine, archive.settings.audit_folder)
    return sum(counts(json.loads(row.body)) for chain in chains.chains() for row in chains.rows(chain))
