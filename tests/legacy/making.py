"""What an import is given in tests: folders of photos, ZIPs, lists."""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.photos import Shot, jpeg


def photo(seed: int, taken: str | None = None, offset: str | None = "+03:00") -> bytes:
    """A photo that no other one equals; ``taken`` as EXIF writes it."""
    return jpeg(Shot(seed=seed, taken=taken, offset=offset))


def folder(place: Path, files: Mapping[str, bytes], modified: float = 1_600_000_000) -> Path:
    """A folder with these files, last written at that time."""
    for name, data in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (modified, modified))
    return place


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    """A ZIP with these files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2019, 3, 5, 10, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return path


def listed(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """A manifest."""
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
