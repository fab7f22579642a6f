"""What is found in Orthanc beside the wall: other plugins, the room for photos, and how answers are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orthanc_plugin.assembly.finding import LEAST_FREE, Finding

_PLUGINS = frozenset({"python", "dicom-web", "explorer.js", "gdcm"}) | {
    f"{database}-{what}" for database in ("postgresql", "mysql", "odbc") for what in ("index", "storage")
}
"""What may stand in Orthanc beside the wall: nothing of it opens a door, or serves a copy of its own."""


def plugins(found: Sequence[str] | None) -> Iterator[Finding]:
    """Plugins that are not expected: their routes are refused, but one may open a port, or keep copies of its own."""
    if found is None:
        return
    strangers = sorted(set(found) - _PLUGINS)
    if strangers:
        yield Finding(
            "plugins",
            False,
            f"Orthanc has plugins that the wall does not know: {', '.join(strangers)}",
            "take them out of 'Plugins' and start Orthanc anew; the wall refuses their routes, but guards no port and "
            "no copy of theirs",
        )
    else:
        yield Finding("plugins", True, f"none that the wall does not know ({', '.join(sorted(found))})")


def storage(free: Mapping[str, int] | None) -> Iterator[Finding]:
    """Where Orthanc keeps objects and its index."""
    short = {folder: left for folder, left in (free or {}).items() if left < LEAST_FREE}
    for folder, left in short.items():
        yield Finding(
            "storage",
            False,
            f"{folder} has {left // 2**20} MB left: no photo comes in",
            f"free some space there: {LEAST_FREE // 2**20} MB at least; photos that are there are shown as ever",
        )
    if free and not short:
        yield Finding("storage", True, "Orthanc has room for photos")


def sending(holds_up: bool | None) -> Iterator[Finding]:
    """How the Python plugin sends: one that keeps Python's lock meanwhile lets one slow reader stop everybody."""
    if holds_up:
        yield Finding(
            "sending",
            False,
            "one client that reads slowly holds up everybody: this Python plugin sends one answer at a time",
            "install the orthanc-python of Debian 13, or another newer than 4.0, then start Orthanc anew",
        )
