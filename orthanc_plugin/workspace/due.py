"""``/chart/due``: the photos that are due, of whoever is here first; and how near the clinic comes to its protocols."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dicom_bridge.gaps.arrivals import Presence
from dicom_bridge.gaps.convergence import Month, together
from dicom_bridge.gaps.gap import Gap, Kind, Severity, State, time_name
from dicom_bridge.gaps.report import Hers
from orthanc_plugin.workspace.gap_book import GapBook
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.record import Person
from orthanc_plugin.workspace.shown_names import shot_name
from orthanc_plugin.workspace.treatment_names import told_treatment

ROUTE = "/chart/due"
_LISTED = 100
"""Patients on the page who are not here today."""

_MONTHS = 12
_WORDS = {State.DUE: noted("due"), State.OVERDUE: noted("overdue"), State.LOST: noted("lost")}
_NOTES = {
    Kind.TIME_POINT: "",
    Kind.VIEW: "",
    Kind.EXPRESSION: noted("taken with another expression"),
    Kind.LATE: noted("taken late"),
    Kind.DISTANCE: noted("taken from another distance"),
    Kind.LIGHT: noted("taken in another light"),
    Kind.DEVICE: noted("taken with another camera"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Photos that are to be taken at one time point of one treatment."""

    treatment: str
    time: str
    state: str
    grave: bool
    due: date
    until: date | None
    shots: tuple[tuple[str, str], ...]
    """What each shows, and what is the matter with the one that is there."""


@dataclass(frozen=True, slots=True)
class Line:
    """One patient of the list."""

    person: Person
    hers: Hers
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One month of the index, as it is drawn. Units: of the drawing, 100 high."""

    month: Month
    x: float
    height: float


class DuePage:
    """The page."""

    def __init__(self, pages: Pages, gaps: GapBook) -> None:
        self._pages, self._gaps = pages, gaps

    def routes(self) -> list[BaseRoute]:
        """Its route."""
        return [Route(ROUTE, self._show, methods=["GET"])]

    def _show(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        question = visitor.asks("TREAT")
        report = self._gaps.of_clinic(question, ROUTE) if question is not None else None
        if report is None:
            return self._pages.refuse(http, visitor)
        with_visit = [each for each in report.people if each.arrival is not None]
        others = [each for each in report.people if each.arrival is None and each.open]
        shown = [*with_visit, *others[:_LISTED]]
        people = {each.id: each for each in self._pages.parts.record.persons([each.patient for each in shown])}
        lines = [Line(people[each.patient], each, wanted(each.open)) for each in shown if each.patient in people]
        months = report.months[-_MONTHS:]
        return self._pages.show(
            http,
            "due.html",
            visitor,
            section="due",
            groups=[
                (_("Here now"), [each for each in lines if _is(each, Presence.HERE)]),
                (_("Expected today"), [each for each in lines if _is(each, Presence.EXPECTED)]),
                (_("Other patients"), [each for each in lines if each.hers.arrival is None]),
            ],
            bars=bars(months),
            index=together(months[-3:]),
            more=report.more or len(others) > _LISTED,
            today=report.today,
        )


def wanted(gaps: Iterable[Gap]) -> tuple[Wanted, ...]:
    """Gaps by time point, in the order in which they come."""
    grouped: dict[tuple[str, str, State], list[Gap]] = {}
    for each in gaps:
        grouped.setdefault((each.session, each.time, each.state), []).append(each)
    return tuple(
        Wanted(
            treatment=told_treatment(some[0].treatment),
            time=time_name(some[0].time),
            state=_WORDS[some[0].state],
            grave=any(each.severity is Severity.HIGH for each in some),
            due=some[0].due,
            until=some[0].until,
            shots=tuple(_shots(some)),
        )
        for some in grouped.values()
    )


def _shots(gaps: Sequence[Gap]) -> Iterable[tuple[str, str]]:
    notes: dict[str, list[str]] = {}
    for each in gaps:
        for shot in each.shots:
            notes.setdefault(shot_name(shot), []).append(_(_NOTES[each.kind]))
    for name, said in notes.items():
        yield name, ", ".join(dict.fromkeys(filter(None, said)))


def bars(months: Sequence[Month]) -> list[Bar]:
    """The drawing of the index."""
    return [Bar(each, place * 44.0 + 8, round(each.index * 100, 1)) for place, each in enumerate(months)]


def _is(line: Line, presence: Presence) -> bool:
    return line.hers.arrival is not None and line.hers.arrival.presence is presence
