"""On which line of a TOML file a value stands: what its parser does not tell."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]\]?\s*(?:#.*)?$")


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The line, from 1, of a value in a file of plain tables and arrays of tables.

    Parameters
    ----------
    path
        ``("version",)``, ``("source", 0, "citation")``; what is not in the file is where its table begins.
    """
    key = path[-1] if path and isinstance(path[-1], str) else ""
    table = tuple(path[:-1] if key else path)
    counted: dict[str, int] = {}
    current: tuple[str | int, ...] = ()
    begins = 1
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            name = header[2]
            current = (name,)
            if header[1] == "[[":
                counted[name] = counted.get(name, -1) + 1
                current = (name, counted[name])
            if current == table or (current[:1] == (key,) and not table):
                begins = number
                if not key or not table:
                    return number
        elif key and current == table and re.match(rf"^\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return begins
