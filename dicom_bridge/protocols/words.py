"""A protocol in words, as a nurse reads it: on the card, on the page, in the terminal."""

from __future__ import annotations

from collections.abc import Callable

from consent.regions import BodyRegion
from consent.wording import Wording, joined, worded, worded_by
from dicom_bridge.objects.photo import series_words
from dicom_bridge.protocols.protocol import Background, Lighting, Protocol, Shot, Since, Target, TimePoint

LIGHTING = {
    Lighting.TWO_DIFFUSE: worded("two diffused lights of the same power, 45° on either side"),
    Lighting.EVEN: worded("even, diffused light from the front, no shadows"),
    Lighting.RAKING: worded("one light from the side at a low angle"),
    Lighting.CROSS_POLARISED: worded("cross-polarised light (filter on light and lens)"),
    Lighting.OVERHEAD: worded("diffused light from above and in front"),
}
BACKGROUND = {
    Background.BLUE: worded("plain medium blue"),
    Background.BLACK: worded("plain black"),
    Background.GREY: worded("plain neutral grey"),
    Background.WHITE: worded("plain white"),
}
TARGET = {
    Target.COLOUR_CARD: worded(
        "a colour card of 24 patches in the picture, beside the area and in the same light",
    ),
}
_SINCE = {
    Since.FIRST_SESSION: worded("the first session"),
    Since.EACH_SESSION: worded("each session"),
    Since.LAST_SESSION: worded("the last session"),
}
_WEEK, _MONTH = 7, 30.4
_LONG = 84  # days from which months are easier to read than weeks


def shot_words(shot: Shot) -> Wording:
    """``Cheek, right, right lateral, face at rest``; for the treated area: ``Treated area, close-up``."""
    if shot.treated and shot.region.name == "body":
        seen = (worded(each.meaning) for each in (shot.view, shot.expression) if each is not None)
        return joined([worded("Treated area"), *seen])
    return series_words(shot.region, shot.side, shot.view, shot.expression)


def scale_words(shot: Shot) -> Wording:
    """``1:10 (frame 36 x 24 cm)`` or ``40 cm from the lens``."""
    if shot.ratio is None:
        return worded("%(distance)s cm from the lens", distance=shot.distance_cm or 0.0)
    width, height = (float(f"{each * shot.ratio:.3g}") for each in (3.6, 2.4))
    return worded("1:%(ratio)s (frame %(width)s x %(height)s cm)", ratio=shot.ratio, width=width, height=height)


def name_words(name: str) -> Wording:
    """A name within a protocol as people read it: ``Follow up 2 weeks``."""
    return worded(name.replace("-", " ").capitalize())


def due_words(time: TimePoint) -> Wording:
    """``2 weeks after each session (day 10 to day 28)``."""
    since = _SINCE[time.since]
    first, last = time.days - time.before, time.days + time.after
    if last <= 0 and first:
        return worded("before %(since)s, at most %(span)s ahead", since=since, span=_span(-first))
    if last <= 0:
        return worded("before %(since)s", since=since)
    when = worded("on the day of %(since)s", since=since)
    if time.days:
        when = worded("%(span)s after %(since)s", span=_span(time.days), since=since)
    return when if first == last else worded("%(when)s (day %(first)s to day %(last)s)", when=when, first=first,
                                             last=last)  # fmt: skip


def _span(days: int) -> Wording:
    if days >= _LONG:
        return worded("%(number)s months", number=round(days / _MONTH))
    if days % _WEEK == 0:
        return worded_by(days // _WEEK, "a week", "%(number)s weeks", number=days // _WEEK)
    return worded_by(days, "a day", "%(number)s days", number=days)


def area_words(region: BodyRegion) -> str:
    """``lower eyelid``, as within a sentence."""
    return region.name.replace("-", " ")


def for_words(protocol: Protocol, area: Callable[[BodyRegion], str] = area_words) -> str:
    """Areas that it is for, each as ``area`` calls it."""
    return ", ".join(map(area, protocol.applies.regions))
