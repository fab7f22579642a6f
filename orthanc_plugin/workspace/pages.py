"""What all pages share: templates, the visitor, the one way to refuse."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, RedirectResponse, Response

from consent.purposes import HCOMPL
from consent.site import Site
from consent.types import Requester, Right
from consent.wording import worded
from fhir_mapping.question.text import UNNAMED, Names
from orthanc_plugin.workspace import language, shown_names, words
from orthanc_plugin.workspace.aligning import Aligner
from orthanc_plugin.workspace.alignment_book import AlignmentBook
from orthanc_plugin.workspace.files import Files
from orthanc_plugin.workspace.gap_book import GapBook
from orthanc_plugin.workspace.kept_book import KeptBook
from orthanc_plugin.workspace.portfolio_book import PortfolioBook
from orthanc_plugin.workspace.record import Pictures, Record, view_name, within_sentence
from orthanc_plugin.workspace.rooms import ROOMS
from orthanc_plugin.workspace.session_book import SessionBook
from orthanc_plugin.workspace.texts import Texts
from orthanc_plugin.workspace.treatment_names import treatment_name
from orthanc_plugin.workspace.visitor import Door, Visitor

THEMES = frozenset({"light", "dark"})


PUBLISHING = {
    "PORTFOLIO": worded("Portfolio"),
    "WEB": worded("Website"),
    "SOCIAL": worded("Social media"),
    "CONF": worded("Conferences"),
}
"""What pages call publishing purposes."""


@dataclass(frozen=True, slots=True)
class PublishingPage:
    """A publishing purpose as the header names it."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What pages are made of; put together by the assembly."""

    record: Record
    pictures: Pictures
    door: Door
    site: Site
    files: Files
    now: Callable[[], datetime]
    publishing: tuple[PublishingPage, ...]
    """Purposes with a gallery of their own, in the order of the header."""

    viewer: bool = False
    """Whether OHIF is installed."""

    sessions: SessionBook | None = None
    """Where the next session is read and written; None: there is no such page."""

    safety: bool = False
    """Whether there are pages for batch advisories."""

    aligner: Aligner | None = None
    """Lays photos upon each other; None where the packages for it are not installed."""

    kept: KeptBook | None = None
    """Where comparisons are kept; None: there is no archive to keep them in."""

    alignments: AlignmentBook | None = None
    """Where alignments are kept; None: none are."""

    gaps: GapBook | None = None
    """Where it is asked what is missing; None: pages say nothing of it."""

    portfolios: PortfolioBook | None = None
    """Where questions are kept and exported; None: nothing is kept."""

    names: Names = UNNAMED
    """Views and expressions by name, for the filters in addresses."""


class Pages:
    """Renders templates for one visitor at a time."""

    def __init__(
        self,
        parts: Parts,
        *,
        queue: bool = False,
        turns: bool = False,
        consents: bool = False,
        emergencies: bool = False,
        history: bool = False,
    ) -> None:
        """Put them together.

        Parameters
        ----------
        queue
            Whether there is a page of photos that wait.
        turns
            Whether the screen can be turned to somebody else.
        consents
            Whether there are pages of consent.
        emergencies
            Whether emergency access is opened on a page.
        history
            Whether pages tell who was shown what.
        """
        self.parts, self._queue, self.tells_history = parts, queue, history
        zone = parts.site.zone
        environment = Environment(
            loader=PackageLoader("orthanc_plugin.workspace"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n", Texts],
        )
        environment.globals["file"] = parts.files.address
        environment.globals["turns"] = turns
        environment.globals["consents"] = consents
        environment.globals["emergencies"] = emergencies
        environment.globals["history"] = history
        environment.globals["home_of"] = lambda visitor: ROOMS[visitor.shown.mode].home
        environment.globals["script_texts"] = language.script_texts
        environment.filters["day"] = lambda value: words.day(value, zone)
        environment.filters["when"] = lambda treatment: words.when(treatment.stated, treatment.at, zone)
        environment.filters["month"] = language.month
        environment.filters["long_month"] = language.long_month
        environment.filters["decimal"] = lambda value: language.number(value, "0.00")
        environment.filters["digits"] = lambda value: language.digits(f"{value:f}")
        environment.filters["partial_date"] = words.partial_date
        environment.filters["initials"] = words.initials
        environment.filters["sentence"] = words.sentence
        environment.filters["view_name"] = view_name
        environment.filters["in_sentence"] = within_sentence
        environment.filters["shot_name"] = shown_names.view_name
        environment.filters["treatment_name"] = treatment_name
        environment.filters["sized"] = sized
        environment.filters["within"] = within
        environment.globals["age"] = lambda birth: words.age(birth, self.today())
        environment.globals["interval"] = words.interval
        environment.globals["at_hour"] = lambda value: f"{value.astimezone(zone):%H:%M}"
        self._environment = environment

    def today(self) -> datetime:
        """The moment, in the site's time zone."""
        return self.parts.now().astimezone(self.parts.site.zone)

    def visitor(self, http: HttpRequest) -> Visitor | None:
        """Who is there."""
        return self.parts.door.visitor(http)

    def show(
        self, http: HttpRequest, template: str, visitor: Visitor | None, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A page. ``section`` among the values tells the header where the visitor is."""
        theme = http.cookies.get("photospine-theme")
        held = visitor.requester.purposes if visitor else ()
        text = self._environment.get_template(template).render(
            visitor=visitor,
            theme=theme if theme in THEMES else None,
            language=language.spoken(),
            languages=tuple(language.languages().values()),
            chart="TREAT" in held,
            own="PATRQT" in held,
            gallery=self.parts.portfolios is not None
            and "TREAT" in held
            and (visitor is None or visitor.requester.confined_to is None),
            due=self.parts.gaps is not None
            and "TREAT" in held
            and (visitor is None or visitor.requester.confined_to is None),
            safety=self.parts.safety and "PATSFTY" in held,
            review=self.tells_history and visitor is not None and may_review(visitor.requester),
            queue=self._queue and visitor is not None and may_link(visitor.requester),
            publishing=[page for page in self.parts.publishing if page.code in held],
            **values,
        )
        return HTMLResponse(text, status_code=status)

    def refuse(self, http: HttpRequest, visitor: Visitor | None) -> Response:
        """The same answer for what is refused and for what does not exist."""
        turned = visitor is not None and visitor.shown is not None
        return self.show(http, "shown_nothing.html" if turned else "not_found.html", visitor, status=404, section="")

    def sign_in_first(self, http: HttpRequest) -> Response:
        """Send a browser without session to the sign-in page, and back afterwards."""
        target = http.url.path + (f"?{http.url.query}" if http.url.query else "")
        return RedirectResponse(f"/login?next={quote(target, safe='')}", status_code=303)


def may_link(requester: Requester) -> bool:
    """Whether an account says of photos whose they are."""
    return Right.LINK in requester.rights and requester.confined_to is None


def may_review(requester: Requester) -> bool:
    """Whether an account reads the record of answers."""
    return HCOMPL in requester.purposes and requester.confined_to is None


def sized(address: str, width: int) -> str:
    """The address of a photo's pixels at a width."""
    return f"{address}{'&' if '?' in address else '?'}width={width}"


def within(picture: bytes) -> str:
    """A JPEG as an address that holds it: the page brings it along."""
    return f"data:image/jpeg;base64,{b64encode(picture).decode('ascii')}"


def refused_picture() -> Response:
    """The one answer for a photo that is refused, absent, or asked for without session."""
    return Response(status_code=404)
