"""``/chart/basis/TYPE/ID``: what a photo, session, plan or outcome was decided on, and what rests on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from fhir_mapping.course.basis import POINTING, Basis, How, Link, Thing
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted, said
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.session_book import SessionBook
from orthanc_plugin.workspace.shown_names import view_name
from orthanc_plugin.workspace.treatment_names import part_name

ROUTE = "/chart/basis"
_KINDS = {
    "DocumentReference": noted("Photo"),
    "Procedure": noted("Session"),
    "CarePlan": noted("Plan"),
    "Observation": noted("Outcome"),
}
_CALLED = {**_KINDS, "MedicationAdministration": noted("Given in the clinic")}
"""What is named where it has no name of its own."""

_LONGEST_ID = 64
_PHOTO = "DocumentReference/"

#: Of what something rests on: as a heading, and as a sentence about what lies further down, with its name in it.
_BELOW = {
    How.SHOWN: (noted("On the screen when it was decided"), noted("On the screen when {} was decided")),
    How.PLANNED_ON: (noted("Decided on these photos"), noted("{} was decided on")),
    How.PLAN: (noted("Its plan"), noted("{} belongs to the plan")),
    How.JUDGED_ON: (noted("Judged on these photos"), noted("{} was judged on")),
    How.MADE_FROM: (noted("Made from"), noted("{} was made from")),
    How.TAKEN_FOR: (noted("Taken for"), noted("{} was taken for")),
    How.SESSION: (noted("Judges"), noted("{} judges")),
}
_ABOVE = {
    How.SHOWN: noted("Decided while this was on the screen"),
    How.PLANNED_ON: noted("Plans that were decided on it"),
    How.PLAN: noted("Sessions of this plan"),
    How.JUDGED_ON: noted("Judged or marked on it"),
    How.MADE_FROM: noted("Made from it"),
    How.TAKEN_FOR: noted("Photos of it"),
    How.SESSION: noted("Outcomes that judge it"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a group names."""

    reference: str
    name: str
    photo: str
    """Id, where it is one."""

    told: str


@dataclass(frozen=True, slots=True)
class Group:
    """What rests on something, or it on others, in one way."""

    title: str
    told: str
    """Who decided it and when, where all agree."""

    entries: tuple[Entry, ...]

    @property
    def photos(self) -> list[Entry]:
        """Those that are photos."""
        return [each for each in self.entries if each.photo]

    @property
    def others(self) -> list[Entry]:
        """Those that are none."""
        return [each for each in self.entries if not each.photo]


class BasisPage:
    """The page."""

    def __init__(self, pages: Pages, book: SessionBook) -> None:
        self._pages, self._book = pages, book

    def routes(self) -> list[BaseRoute]:
        """Its route."""
        return [Route("/chart/basis/{kind}/{identity}", self._look, methods=["GET"])]

    def _look(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        question = visitor.asks("TREAT")
        kind, identity = http.path_params["kind"], http.path_params["identity"]
        found = None
        if question is not None and kind in _KINDS and len(identity) <= _LONGEST_ID and "\x00" not in identity:
            found = self._book.basis(question, f"{kind}/{identity}", ROUTE)
        if found is None:
            return self._pages.refuse(http, visitor)
        return self._pages.show(
            http,
            "basis.html",
            visitor,
            section="chart",
            kind=_(_KINDS[kind]),
            title=_said(found, found.about),
            photo=identity if kind == "DocumentReference" else "",
            session=identity if kind == "Procedure" else "",
            patient=found.patient,
            below=below(found),
            above=above(found),
            more=POINTING if found.more else 0,
        )


def below(found: Basis) -> list[Group]:
    """What it rests on: its own first, then what lies further down."""
    own = [link for link in found.rests_on if link.upper == found.about]
    further = [link for link in found.rests_on if link.upper != found.about and _leads_on(link, found)]
    made = [_group(found, _(_BELOW[how][0]), links) for how, links in _by_how(own)]
    for upper in dict.fromkeys(link.upper for link in further):
        name = _said(found, upper)
        made += [
            _group(found, _(_BELOW[how][1]).format(name), links)
            for how, links in _by_how(link for link in further if link.upper == upper)
        ]
    return made


def _leads_on(link: Link, found: Basis) -> bool:
    """Whether a link further down tells more of what something rests on.

    What stood on the screen with a plan is told with its sessions. What a plan's photos were taken for is another
    question; what the photo was taken for that a copy was made from is not.
    """
    if link.how is How.SHOWN:
        return not link.upper.startswith("CarePlan/")
    copied = {each.lower for each in found.rests_on if each.how is How.MADE_FROM}
    return link.how is not How.TAKEN_FOR or link.upper in copied


def above(found: Basis) -> list[Group]:
    """What rests on it."""
    return [_group(found, _(_ABOVE[how]), links, upwards=True) for how, links in _by_how(found.carries)]


def _by_how(links: Iterable[Link]) -> list[tuple[How, list[Link]]]:
    kept = list(links)
    return [(how, some) for how in How if (some := [link for link in kept if link.how is how])]


def _group(found: Basis, title: str, links: list[Link], *, upwards: bool = False) -> Group:
    told = {_told(link) for link in links}
    common = told.pop() if len(told) == 1 and not upwards else ""
    entries = []
    for link in links:
        end = link.upper if upwards else link.lower
        version = _("version %(version)s") % {"version": link.version} if link.version is not None else ""
        how = " · ".join(filter(None, ("" if common else _told(link), version)))
        photo = end.partition("/")[2] if end.startswith(_PHOTO) else ""
        entries.append(Entry(end, _said(found, end), photo, how))
    return Group(title, common, tuple(dict.fromkeys(entries)))


def _told(link: Link) -> str:
    """By whom and when it was decided."""
    if link.how is not How.SHOWN:
        return ""
    by = _("by %(name)s") % {"name": link.by} if link.by else ""
    return " · ".join(filter(None, (words.partial_date(link.when), by)))


def _said(found: Basis, reference: str) -> str:
    """A name as people read it: its day in words."""
    thing = found.things.get(reference, Thing())
    name = view_name(thing.view) if thing.view is not None else said(part_name(thing.called))
    kind = reference.partition("/")[0]
    return ", ".join(filter(None, (name or _(_CALLED.get(kind, kind)), words.partial_date(thing.day))))
