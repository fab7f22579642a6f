"""A protocol in words, as a nurse reads it: on the card, on the page, in the terminal."""

from __future__ import annotations

from dicom_bridge.objects.photo import series_words
from dicom_bridge.protocols.protocol import Background, Lighting, Protocol, Shot, Since, Target, TimePoint

LIGHTING = {
    Lighting.TWO_DIFFUSE: "two diffused lights of the same power, 45° on either side",
    Lighting.EVEN: "even, diffused light from the front, no shadows",
    Lighting.RAKING: "one light from the side at a low angle",
    Lighting.CROSS_POLARISED: "cross-polarised light (filter on light and lens)",
    Lighting.OVERHEAD: "diffused light from above and in front",
}
BACKGROUND = {
    Background.BLUE: "plain medium blue",
    Background.BLACK: "plain black",
    Background.GREY: "plain neutral grey",
    Background.WHITE: "plain white",
}
TARGET = {
    Target.COLOUR_CARD: "a colour card of 24 patches in the picture, beside the area and in the same light",
}
_SINCE = {
    Since.FIRST_SESSION: "the first session",
    Since.EACH_SESSION: "each session",
    Since.LAST_SESSION: "the last session",
}
_WEEK, _MONTH = 7, 30.4
_LONG = 84  # days from which months are easier to read than weeks


def shot_words(shot: Shot) -> str:
    """``Right cheek, right lateral, face at rest``; for the treated area: ``Treated area, close-up``."""
    if shot.treated and shot.region.name == "body":
        seen = [each.meaning for each in (shot.view, shot.expression) if each is not None]
        return ", ".join(["Treated area", *seen])
    return series_words(shot.region, shot.side, shot.view, shot.expression)


def scale_words(shot: Shot) -> str:
    """``1:10 (frame 36 x 24 cm)`` or ``40 cm``."""
    if shot.ratio is None:
        return f"{shot.distance_cm:g} cm from the lens"
    return f"1:{shot.ratio:g} (frame {3.6 * shot.ratio:.3g} x {2.4 * shot.ratio:.3g} cm)"


def name_words(name: str) -> str:
    """A name within a protocol as people read it: ``Follow up 2 weeks``."""
    words = name.replace("-", " ")
    return words[:1].upper() + words[1:]


def due_words(time: TimePoint) -> str:
    """``2 weeks after each session (from day 10 to day 28)``."""
    since = _SINCE[time.since]
    first, last = time.days - time.before, time.days + time.after
    if last <= 0:
        ahead = f", at most {_span(-first)} ahead" if first else ""
        return f"before {since}{ahead}"
    when = f"{_span(time.days)} after {since}" if time.days else f"on the day of {since}"
    return when if first == last else f"{when} (day {first} to day {last})"


def _span(days: int) -> str:
    if days >= _LONG:
        return f"{round(days / _MONTH)} months"
    if days % _WEEK == 0:
        return "a week" if days == _WEEK else f"{days // _WEEK} weeks"
    return "a day" if days == 1 else f"{days} days"


def for_words(protocol: Protocol) -> str:
    """Areas that it is for."""
    return ", ".join(each.name.replace("-", " ") for each in protocol.applies.regions)
