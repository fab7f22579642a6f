"""A protocol: which photos a treatment of an area needs, how each is taken, and when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from consent.regions import BodyRegion
from consent.types import Laterality
from dicom_bridge.objects.vocabulary import Term


class Lighting(StrEnum):
    """How the subject is lit."""

    TWO_DIFFUSE = "two-diffuse"
    """Two diffused lights of the same power, at 45 degrees on either side."""

    EVEN = "even"
    """Even, diffused, from the front; no shadow."""

    RAKING = "raking"
    """One light from the side or from above, so that relief throws shadows."""

    CROSS_POLARISED = "cross-polarised"
    """Light and lens polarised at right angles: no glare, colour and vessels stand out."""

    OVERHEAD = "overhead"
    """Diffused, from above and in front: the scalp between the hairs is lit without glare."""


class Background(StrEnum):
    """What is behind the subject: plain, without reflections."""

    BLUE = "blue"
    """Medium blue."""

    BLACK = "black"
    GREY = "grey"
    """Neutral grey."""

    WHITE = "white"


class Target(StrEnum):
    """What is held into the picture, so that colour and exposure can be judged by it."""

    COLOUR_CARD = "colour-card"
    """A colour card of 24 patches, four rows of six."""


class Since(StrEnum):
    """The day from which a time point is counted."""

    FIRST_SESSION = "first-session"
    """Once in a course: from its first session."""

    EACH_SESSION = "each-session"
    """Again for every session: from that session."""

    LAST_SESSION = "last-session"
    """Once in a course: from its last session, while no other is planned."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo that a protocol names. What two photos of one view share is :attr:`key`."""

    name: str
    """Within the protocol: ``frontal-rest``."""

    region: BodyRegion
    side: Laterality
    """B for a region in the middle, and for both sides at once."""

    view: Term
    expression: Term | None
    required: bool
    distance_cm: float | None
    """From the lens to the subject, in centimetres; None where the ratio says it."""

    ratio: float | None
    """Reproduction ratio, ``n`` of ``1:n`` on a frame of 36 x 24 mm; None where the distance says it."""

    lighting: Lighting
    background: Background
    note: str = ""
    """How the patient stands, sits, or holds still: one sentence for the person who photographs."""

    target: Target | None = None
    treated: bool = False
    """Whether it shows the treated area, whichever that is: ``region`` and ``side`` are then those of the treatment
    (:func:`dicom_bridge.protocols.choosing.concerning`), and the whole body's in the protocol itself."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Region, side, view, expression as codes: what :class:`fhir_mapping.course.views.View` calls its key."""
        return (
            self.region.code,
            self.side.value,
            self.view.code,
            self.expression.code if self.expression is not None else "",
        )


@dataclass(frozen=True, slots=True)
class TimePoint:
    """When photos are due. Days are calendar days of the site; a window of 0 and 0 is that day alone.

    Two time points whose windows hold the same day are both met by that day's photos.
    """

    name: str
    """Within the protocol: ``baseline``, ``follow-up-2-weeks``."""

    since: Since
    days: int
    """From that day to the due day; 0 is the session's own day, negative is before it."""

    before: int
    """Days before the due day from which on a photo counts."""

    after: int
    """Days after the due day until which a photo counts; past them it is late."""

    shots: tuple[Shot, ...]
    """The photos due there, each of them required."""

    @property
    def baseline(self) -> bool:
        """Whether it is met before the first treatment, and can never be made up for."""
        return self.since is Since.FIRST_SESSION and self.days + self.after <= 0


@dataclass(frozen=True, slots=True)
class Source:
    """Where the protocol is taken from."""

    citation: str
    """As it is cited, with what of it the protocol takes."""

    url: str
    """Of the text, best its DOI; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Applies:
    """Which treatments a protocol is for."""

    codes: frozenset[str]
    """``system|code`` of Procedure.code or of a plan's activity."""

    words: tuple[str, ...]
    """In small letters: words that name the treatment where it has no code that is known."""

    regions: tuple[BodyRegion, ...]
    """Areas that it is for, with all their parts."""

    implied: bool
    """The treatment's name says the area already (rhinoplasty): it need not be told."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """One treatment of one area."""

    name: str
    """``toxin-glabella``: the file's name, and how commands and pages call it."""

    version: str
    """Changes with every change of what it asks for."""

    title: str
    applies: Applies
    sources: tuple[Source, ...]
    """At least one."""

    shots: tuple[Shot, ...]
    """In the order in which they are taken."""

    times: tuple[TimePoint, ...]
    """In order of time; the first is the baseline."""

    lens: str
    """Focal length and what else is kept alike from one time to the next."""

    posture: str
    """How the patient is placed, for all shots."""

    own: bool = False
    """Whether it is the site's, and not one of those that come with Photospine."""

    @property
    def required(self) -> tuple[Shot, ...]:
        """The shots that no session goes without."""
        return tuple(each for each in self.shots if each.required)

    @property
    def baseline(self) -> TimePoint:
        """The set before the first treatment."""
        return self.times[0]
