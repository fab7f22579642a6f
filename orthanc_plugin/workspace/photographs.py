"""What a visit is asked for by protocol, as pages draw it: what is there, what is missing, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from dicom_bridge.protocols.choosing import concerning
from dicom_bridge.protocols.closing import Why
from dicom_bridge.protocols.closings import Looked
from dicom_bridge.protocols.meeting import meets
from dicom_bridge.protocols.pictogram import svg_paths
from dicom_bridge.protocols.protocol import Protocol, Shot
from dicom_bridge.protocols.reasons import reasons
from dicom_bridge.protocols.words import scale_words, shot_words
from fhir_mapping import dates
from fhir_mapping.course.upcoming import Upcoming
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.language import gettext as _


@dataclass(frozen=True, slots=True)
class AskedLine:
    """One photo that is asked for."""

    code: str
    name: str
    note: str
    scale: str
    protocol: str
    paths: tuple[tuple[str, str], ...]
    """Class and path of each stroke of its drawing."""

    photo: str
    """Id of the document that is there; empty where none is."""

    baseline: bool
    reason: str = ""
    told: str = ""

    @property
    def why(self) -> str:
        """The reason in words."""
        return reasons()[self.reason].name if self.reason in reasons() else ""


@dataclass(frozen=True, slots=True)
class Photographs:
    """All of a visit."""

    lines: tuple[AskedLine, ...]
    state: str
    """``open``, ``closed`` or ``reopened``."""

    by: str
    at: str
    version: int
    protocols: tuple[tuple[str, str], ...]
    """Name and title of each that asks."""

    @property
    def there(self) -> int:
        """How many are there."""
        return sum(bool(each.photo) for each in self.lines)

    @property
    def missing(self) -> int:
        """How many are not."""
        return len(self.lines) - self.there


def drawn(looked: Looked, zone: ZoneInfo, typed: Mapping[str, Why] | None = None) -> Photographs:
    """A visit's photographs for a page.

    Parameters
    ----------
    zone
        The site's, in which it is told when they were closed.
    typed
        Reasons that came back with a form, in place of those on record.
    """
    closed = looked.closed
    why = typed if typed is not None else closed.why if closed is not None else {}
    lines = []
    for each in looked.visited.asked:
        given = why.get(each.code) if each.photo is None else None
        lines.append(
            AskedLine(
                code=each.code,
                name=shot_words(each.shot),
                note=each.shot.note,
                scale=scale_words(each.shot),
                protocol=each.protocol.name,
                paths=svg_paths(each.shot),
                photo=each.photo.document if each.photo is not None else "",
                baseline=each.baseline,
                reason=given.reason if given is not None else "",
                told=given.told if given is not None else "",
            )
        )
    return Photographs(
        tuple(lines),
        "open" if closed is None else "reopened" if closed.open else "closed",
        closed.by if closed is not None else "",
        _moment(closed.at, zone) if closed is not None else "",
        closed.version if closed is not None else 0,
        tuple(dict.fromkeys((each.protocol.name, each.protocol.title) for each in looked.visited.asked)),
    )


def _moment(at: str, zone: ZoneInfo) -> str:
    try:
        moment = dates.span(at, zone).start
    except (ValueError, OverflowError):
        return at
    return at if moment is None else f"{words.day(moment, zone)}, {moment.astimezone(zone):%H:%M}"


def read(fields: Mapping[str, str]) -> dict[str, Why]:
    """The reasons that a form brought, by code."""
    found = {}
    for key, value in fields.items():
        if key.startswith("why-") and value:
            code = key.removeprefix("why-")
            found[code] = Why(value, fields.get(f"told-{code}", "").strip())
    return found


def choices() -> list[tuple[str, str]]:
    """Reasons that a photo is not there: code and words."""
    return [(each.code, _(each.name)) for each in reasons().values()]


@dataclass(frozen=True, slots=True)
class Still:
    """What the protocols of the next session still want today."""

    lines: tuple[AskedLine, ...]
    protocols: tuple[tuple[str, str], ...]


def still(protocols: Iterable[Protocol], found: Upcoming) -> Still:
    """What today's visit lacks of the protocols of what is planned."""
    plan, form = found.plan, found.form
    named = plan.treatment if plan is not None and (plan.treatment.text or plan.treatment.code) else form.title
    places = plan.places if plan is not None and plan.places else form.places
    chosen = concerning(protocols, named, places)
    wanted: dict[tuple[str, str, str, str], tuple[Protocol, Shot]] = {}
    for protocol in chosen:
        for shot in protocol.required:
            wanted.setdefault(shot.key, (protocol, shot))
    lines = [_line(protocol, shot) for protocol, shot in wanted.values() if not _there(shot, found)]
    return Still(tuple(lines), tuple((each.name, each.title) for each in chosen))


def _there(shot: Shot, found: Upcoming) -> bool:
    return any(meets(shot, each.view) for each in found.today)


def _line(protocol: Protocol, shot: Shot) -> AskedLine:
    return AskedLine(
        f"{protocol.name}/{shot.name}", shot_words(shot), shot.note, scale_words(shot), protocol.name,
        svg_paths(shot), "", False,
    )  # fmt: skip


def lines_of(protocol: Protocol, shots: Sequence[Shot]) -> list[AskedLine]:
    """Shots of a protocol, for its own page."""
    return [_line(protocol, each) for each in shots]
