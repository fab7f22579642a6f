"""Protocols as files: one TOML file for each, its name the protocol's. A site's file of the same name replaces ours."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from consent.types import Laterality
from consent.wording import worded
from dicom_bridge.errors import BridgeError, UnknownCode
from dicom_bridge.objects.vocabulary import Term, find_expression, find_region, find_view
from dicom_bridge.protocols.lines import line_of
from dicom_bridge.protocols.protocol import (
    Applies,
    Background,
    Lighting,
    Protocol,
    Shot,
    Since,
    Source,
    Target,
    TimePoint,
)

TREATED = "treated"
"""As a shot's region: the area that was treated."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_E = TypeVar("_E", bound=StrEnum)
_MOST_BYTES = 200_000
_MOST_DAYS = 3660
_MOST = 64
"""Shots, time points, words: more is a mistake, and no card for one page."""


class ProtocolRefused(BridgeError):
    """A protocol's file cannot be used. The text names file, line, field and reason."""


@dataclass(frozen=True, slots=True)
class Protocols:
    """All protocols of a site, by name, in order."""

    by_name: Mapping[str, Protocol]
    refused: tuple[str, ...] = ()
    """Why files of the site are left out: file, line and reason of each. What they replace still holds."""

    def __iter__(self) -> Iterator[Protocol]:
        return iter(self.by_name.values())


class _Bad(Exception):
    def __init__(self, path: Sequence[str | int], reason: str) -> None:
        super().__init__(reason)
        self.path = tuple(path)


def load(text: str, name: str, file: str, *, own: bool = True) -> Protocol:
    """Read one protocol.

    Parameters
    ----------
    name
        The file's name without its ending, which is the protocol's.
    file
        As errors name it.

    Raises
    ------
    ProtocolRefused
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else len(text.splitlines())
        raise ProtocolRefused(f"{file}:{line}: not valid TOML: {error}") from None
    try:
        return _protocol(_Table(values, ()), name, own)
    except _Bad as error:
        raise ProtocolRefused(f"{file}:{line_of(text, error.path)}: {_said(error.path)}: {error}") from None


def all_protocols(folder: Path | None = None) -> Protocols:
    """Those that come with Photospine, and those of the site's folder. A bad file of the site is told, not raised."""
    found = dict(_ours())
    refused = []
    for file in sorted(folder.glob("*.toml")) if folder is not None else ():
        try:
            protocol = load_file(file)
        except ProtocolRefused as error:
            refused.append(str(error))
        else:
            found[protocol.name] = protocol
    if folder is not None and not folder.is_dir():
        refused.append(f"{folder}: no such folder; make it, or leave the setting 'protocols' out")
    return Protocols({name: found[name] for name in sorted(found)}, tuple(refused))


def load_file(file: Path) -> Protocol:
    """Read a site's file.

    Raises
    ------
    ProtocolRefused
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ProtocolRefused(f"{file}:1: cannot be read: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise ProtocolRefused(f"{file}:1: longer than {_MOST_BYTES:,} bytes; a protocol is one page")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ProtocolRefused(f"{file}:{line}: not UTF-8; save the file in that encoding") from None
    return load(text, file.stem, str(file))


@lru_cache(maxsize=1)
def _ours() -> dict[str, Protocol]:
    folder = resources.files("dicom_bridge.protocols") / "data"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".toml")), key=lambda each: each.name)
    made = [load(each.read_text("utf-8"), each.name[: -len(".toml")], each.name, own=False) for each in files]
    return {each.name: each for each in made}


class _Table:
    """A table of the file; what is asked of it is checked, and what was not asked for is refused."""

    def __init__(self, values: Mapping[str, Any], path: tuple[str | int, ...]) -> None:
        self._values = values
        self.path = path

    def known(self, *names: str) -> None:
        for each in self._values:
            if each not in names:
                raise _Bad((*self.path, each), f"is not known here; known are {', '.join(names)}")

    def has(self, name: str) -> bool:
        return name in self._values

    def refuse(self, name: str, reason: str) -> _Bad:
        return _Bad((*self.path, name), reason)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name, default)
        if value is None:
            raise self.refuse(name, "is missing")
        if not isinstance(value, str) or (not value.strip() and default is None):
            raise self.refuse(name, "must be a text")
        return value.strip()

    def flag(self, name: str, default: bool) -> bool:
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise self.refuse(name, "must be true or false")
        return value

    def days(self, name: str, default: int | None = None) -> int:
        value = self._values.get(name, default)
        if value is None:
            raise self.refuse(name, "is missing")
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MOST_DAYS:
            raise self.refuse(name, f"must be a whole number of days, at most {_MOST_DAYS}")
        return value

    def number(self, name: str, least: float, most: float) -> float | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
            raise self.refuse(name, f"must be a number from {least:g} to {most:g}")
        return float(value)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
            raise self.refuse(name, 'must be a list of texts, ["…", "…"]')
        if len(value) > _MOST:
            raise self.refuse(name, f"holds more than {_MOST}")
        return tuple(dict.fromkeys(each.strip() for each in value))

    def choice(self, name: str, kind: type[_E]) -> _E:
        said = self.text(name)
        try:
            return kind(said)
        except ValueError:
            raise self.refuse(name, f"{said!r} is not one of {', '.join(kind)}") from None

    def table(self, name: str) -> _Table:
        value = self._values.get(name, {})
        if not isinstance(value, Mapping):
            raise self.refuse(name, f"must be a table, [{name}]")
        return _Table(value, (*self.path, name))

    def tables(self, name: str) -> tuple[_Table, ...]:
        value = self._values.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(each, Mapping) for each in value):
            raise self.refuse(name, f"must be there at least once, as [[{name}]]")
        if len(value) > _MOST:
            raise self.refuse(name, f"is there more than {_MOST} times")
        return tuple(_Table(each, (*self.path, name, number)) for number, each in enumerate(value))


def _protocol(file: _Table, name: str, own: bool) -> Protocol:
    file.known("version", "title", "applies", "source", "conditions", "shot", "time")
    if not _NAME.fullmatch(name):
        raise _Bad((), "the file's name must be small letters, digits and single hyphens, as in toxin-glabella.toml")
    conditions = file.table("conditions")
    conditions.known("distance_cm", "ratio", "lighting", "background", "target", "lens", "posture")
    shots = tuple(_shot(each, conditions) for each in file.tables("shot"))
    for position, each in enumerate(shots):
        if each.name in {other.name for other in shots[:position]}:
            raise _Bad(("shot", position, "name"), f"{each.name!r} is there twice")
        if each.key in {other.key for other in shots[:position]}:
            raise _Bad(("shot", position, "name"), "another shot has the same region, side, view and expression")
    if not any(each.required for each in shots):
        raise _Bad(("shot", 0, "required"), "at least one shot must be required")
    times = tuple(_time(each, shots) for each in file.tables("time"))
    for position, time in enumerate(times):
        if time.name in {other.name for other in times[:position]}:
            raise _Bad(("time", position, "name"), f"{time.name!r} is there twice")
    if not times[0].baseline:
        raise _Bad(
            ("time", 0, "since"),
            "the first time point is the baseline: since 'first-session', and days + after at most 0",
        )
    sources = file.tables("source")
    for each_source in sources:
        each_source.known("citation", "url")
    return Protocol(
        name=name,
        version=file.text("version"),
        title=worded(file.text("title")),
        applies=_applies(file.table("applies")),
        sources=tuple(Source(each.text("citation"), each.text("url", "")) for each in sources),
        shots=shots,
        times=times,
        lens=worded(conditions.text("lens")),
        posture=worded(conditions.text("posture")),
        own=own,
    )


def _applies(table: _Table) -> Applies:
    table.known("codes", "words", "regions", "implied")
    codes, words = table.texts("codes"), table.texts("words")
    for each in codes:
        if "|" not in each:
            raise table.refuse("codes", f"{each!r} is not system|code")
    if not codes and not words:
        raise table.refuse("words", "names no treatment; give words, or codes as system|code")
    names = table.texts("regions")
    if not names:
        raise table.refuse("regions", "names no area")
    try:
        regions = tuple(find_region(each) for each in names)
    except UnknownCode as error:
        raise table.refuse("regions", str(error)) from None
    return Applies(frozenset(codes), tuple(each.casefold() for each in words), regions, table.flag("implied", False))


def _shot(table: _Table, conditions: _Table) -> Shot:
    table.known(
        "name", "region", "side", "view", "expression", "required", "distance_cm", "ratio", "lighting", "background",
        "target", "note",
    )  # fmt: skip
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise table.refuse("name", "must be small letters, digits and single hyphens, as in frontal-rest")
    treated = table.text("region") == TREATED
    try:
        region = find_region("body" if treated else table.text("region"))
    except UnknownCode as error:
        raise table.refuse("region", str(error)) from None
    sides = {"right": Laterality.RIGHT, "left": Laterality.LEFT, "both": Laterality.BOTH}
    said = table.text("side", "both")
    if said not in sides:
        raise table.refuse("side", f"{said!r} is not one of right, left, both")
    if said != "both" and not region.paired:
        raise table.refuse("side", f"{region.name!r} is not there on two sides; leave the side out")
    expression = _term(table, "expression") if table.has("expression") else None
    scaled = table if table.has("distance_cm") or table.has("ratio") else conditions
    distance, ratio = scaled.number("distance_cm", 1, 1000), scaled.number("ratio", 0.1, 100)
    if (distance is None) == (ratio is None):
        raise scaled.refuse("distance_cm", "give either distance_cm or ratio, here or in [conditions]")
    return Shot(
        name=name,
        region=region,
        side=sides[said],
        view=_term(table, "view"),
        expression=expression,
        required=table.flag("required", True),
        distance_cm=distance,
        ratio=ratio,
        lighting=(table if table.has("lighting") else conditions).choice("lighting", Lighting),
        background=(table if table.has("background") else conditions).choice("background", Background),
        note=worded(table.text("note", "")),
        target=_target(table if table.has("target") else conditions),
        treated=treated,
    )


def _target(table: _Table) -> Target | None:
    """``none`` where a shot goes without the target that all others have."""
    return None if table.text("target", "none") == "none" else table.choice("target", Target)


def _term(table: _Table, name: str) -> Term:
    try:
        return (find_view if name == "view" else find_expression)(table.text(name))
    except UnknownCode as error:
        raise table.refuse(name, str(error)) from None


def _time(table: _Table, shots: Sequence[Shot]) -> TimePoint:
    table.known("name", "since", "days", "before", "after", "shots")
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise table.refuse("name", "must be small letters, digits and single hyphens, as in follow-up-2-weeks")
    before, after = table.days("before", 0), table.days("after", 0)
    for key, value in (("before", before), ("after", after)):
        if value < 0:
            raise table.refuse(key, "must not be negative")
    known = {each.name: each for each in shots}
    named = table.texts("shots")
    for each in named:
        if each not in known:
            raise table.refuse("shots", f"no shot is called {each!r}; there are {', '.join(known)}")
    chosen = tuple(known[each] for each in known if each in named) if named else ()
    return TimePoint(
        name=name,
        since=table.choice("since", Since),
        days=table.days("days"),
        before=before,
        after=after,
        shots=chosen or tuple(each for each in shots if each.required),
    )


def _said(path: Sequence[str | int]) -> str:
    """``shot 2, view``: as people count."""
    words: list[str] = []
    for each in path:
        if isinstance(each, int):
            words[-1] += f" {each + 1}"
        else:
            words.append(each)
    return ", ".join(words) or "file"
