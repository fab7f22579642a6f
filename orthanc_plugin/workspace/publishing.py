"""One request to a page of a publishing purpose that has passed the door, and photos as such pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request as HttpRequest

from consent.types import Request
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import said
from orthanc_plugin.workspace.pages import Pages, PublishingPage
from orthanc_plugin.workspace.record import Photo
from orthanc_plugin.workspace.sealed import Seal
from orthanc_plugin.workspace.visitor import Visitor


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo as the portfolio shows it."""

    name: str
    """Opaque name."""

    address: str
    when: str
    """``Before``, ``After 12 weeks``."""

    session: int | None
    width: int
    height: int
    compare: str = ""
    """Film strip: the comparison with this photo in the strip's place."""

    shown: bool = False
    basis: str = ""
    """Where it is told what it rests on."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to the portfolio that has passed the door."""

    visitor: Visitor
    page: PublishingPage
    question: Request
    seal: Seal
    base: str
    query: tuple[tuple[str, str], ...]
    """What every address of the page carries on: the channel."""

    def address(self, path: str, *more: tuple[str, str]) -> str:
        """An address below the page."""
        query = urlencode([*more, *self.query])
        return f"{self.base}{path}?{query}" if query else f"{self.base}{path}"

    @property
    def title(self) -> str:
        """What the page is called: ``Portfolio``, ``Social media, Instagram``."""
        channel = self.question.channel
        name = said(self.page.name)
        return f"{name}, {channel.capitalize()}" if channel else name


def visit(pages: Pages, http: HttpRequest, visitor: Visitor | None) -> Visit | None:
    """The visit of a request to ``/portfolio/PURPOSE``; None where there is no such page for the visitor."""
    code = http.path_params["purpose"]
    page = next((entry for entry in pages.parts.publishing if entry.code == code), None)
    if visitor is None or page is None:
        return None
    channel = http.query_params.get("channel") if code == "SOCIAL" else None
    if channel is not None and channel not in pages.parts.site.channels:
        return None
    question = visitor.asks(code, channel)
    if question is None:
        return None
    query = (("channel", channel),) if channel else ()
    return Visit(visitor, page, question, Seal(visitor.secret, code, channel or ""), f"/portfolio/{code}", query)


def shot(
    visit: Visit, photo: Photo, first: Photo, pair: tuple[Photo, Photo] | None = None, shown: Photo | None = None
) -> Shot:
    """A photo as it is shown.

    Parameters
    ----------
    first
        The one from which time is counted.
    """
    if photo is first or photo.at is None or first.at is None:
        when = _("Before") if photo is first else ""
    else:
        when = words.after(first.at, photo.at)
    name = visit.seal.name(photo.number)
    return Shot(
        name=name,
        address=visit.address(f"/photo/{name}"),
        when=when,
        session=photo.session,
        width=photo.width,
        height=photo.height,
        compare=compared(visit, *pair) if pair else "",
        shown=shown is not None and photo.number == shown.number,
        basis=visit.address(f"/basis/{name}"),
    )


def compared(visit: Visit, left: Photo, right: Photo) -> str:
    """The address of the comparison of two photos."""
    ends = (("left", visit.seal.name(left.number)), ("right", visit.seal.name(right.number)))
    return visit.address("/compare", *ends)
