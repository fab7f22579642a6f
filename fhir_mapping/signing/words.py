"""Uses, photos and a whole signing in plain words: the text that is shown, signed and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from consent.directive import Region
from consent.purposes import CONF, HRESCH, PATRQT, PORTFOLIO, SOCIAL, TEACH, TREAT, WEB, Catalog
from consent.regions import regions
from consent.site import Site
from consent.types import Laterality
from fhir_mapping.signing.wishes import Answer, Photos, Use, Wishes

_TITLES = {
    TREAT: "Treatment in this clinic",
    PATRQT: "Own view",
    PORTFOLIO: "Album in the clinic",
    WEB: "Website",
    SOCIAL: "Social media",
    CONF: "Conferences and journals",
    TEACH: "Teaching in the clinic",
    HRESCH: "Research",
}
_MEANING = {
    TREAT: "The people who treat you here look at the photos, to plan and to check your treatment.",
    PATRQT: "You see the photos yourself when you sign in.",
    PORTFOLIO: "Shown on a screen in the clinic to people who consider a treatment. Without your name.",
    WEB: "On the clinic's public website. Anybody can see and copy them. Without your name.",
    SOCIAL: "Published there. Anybody can see, copy and share them. Without your name.",
    CONF: "In talks and articles for professionals, also outside this clinic. Without your name.",
    TEACH: "To train people who work in this clinic. Without your name.",
    HRESCH: "In studies. Without your name.",
}
_SIDES = {Laterality.RIGHT: "right ", Laterality.LEFT: "left ", Laterality.BOTH: ""}
_REPLACES = "For these photos and uses, this takes the place of what I signed before."
_REPLACES_FOR_HER = (
    "For these photos and uses, this takes the place of what others signed before; what the patient signed stays."
)


@dataclass(frozen=True, slots=True)
class Called:
    """What things are called in the text."""

    patient: str = ""
    visits: Mapping[str, str] = field(default_factory=dict)
    """Encounter id -> ``12 May 2026``."""

    documents: Mapping[str, str] = field(default_factory=dict)
    """DocumentReference id -> ``Face, frontal, 12 May 2026``."""


def title(use: Use) -> str:
    """``Social media: instagram``."""
    named = _TITLES.get(use.purpose, use.purpose)
    return f"{named}: {use.place}" if use.place else named


def meaning(use: Use) -> str:
    """What the use is, in one or two sentences."""
    return _MEANING.get(use.purpose, "A use that this clinic has named so.")


def region_name(region: Region) -> str:
    """``right hand``."""
    known = regions().by_code(region.code)
    name = region.code if known is None else known.name.replace("-", " ")
    return f"{_SIDES[region.laterality]}{name}"


def lines(wishes: Wishes, site: Site, called: Called, *, herself: bool = True) -> tuple[str, ...]:
    """The text, a sentence a line: each Yes, each No, and what holds besides.

    What it says is what the Consents mean (:mod:`fhir_mapping.signing.build`); a test reads it and compares.

    Parameters
    ----------
    herself
        Whether the patient signs, and not somebody for her.
    """
    catalog = Catalog.of(site)
    made = [_yes(use, wishes, called, publishing=catalog.is_publishing(use.purpose)) for use in wishes.said(Answer.YES)]
    made += [_no(use, wishes.photos, called) for use in wishes.said(Answer.NO)]
    yes, no = wishes.said(Answer.YES), wishes.said(Answer.NO)
    if Use(TREAT) in yes and (not wishes.photos.all or wishes.until is not None):
        made.append("From now on the people who treat me see only photos that I have said Yes to for my treatment.")
    if yes:
        made.append(_REPLACES if herself else _REPLACES_FOR_HER)
        made.append("I can take back every Yes at any time, here or by telling the clinic. It then ends at once.")
    if no:
        made.append("A No stays until I take it back, and counts more than any Yes that I give without doing so.")
    made.append("Whatever is not named here stays as it is.")
    return tuple(made)


def until_words(until: date | None) -> str:
    """How long a Yes holds."""
    return "until I take it back" if until is None else f"up to and including {until.isoformat()}"


def _yes(use: Use, wishes: Wishes, called: Called, *, publishing: bool) -> str:
    photos = wishes.photos
    which = _which(photos, called, "that show nothing but")
    if photos.documents:
        later = ""
    elif publishing:
        later = ", as far as they are here today; no later ones"
    else:
        later = ", also later ones"
    return f"YES: {title(use)}. For {which}{later}; {until_words(wishes.until)}."


def _no(use: Use, photos: Photos, called: Called) -> str:
    later = "" if photos.documents else ", also later ones"
    return f"NO: {title(use)}. For {_which(photos, called, 'that show any part of')}{later}."


def _which(photos: Photos, called: Called, shows: str) -> str:
    if photos.areas:
        return f"photos of me {shows}: {' + '.join(region_name(each) for each in photos.areas)}"
    if photos.visits:
        return f"photos of me from the visits: {' + '.join(called.visits.get(each, each) for each in photos.visits)}"
    if photos.documents:
        named = (f"{called.documents.get(each, 'photo')} [{each}]" for each in photos.documents)
        return f"these photos of me: {' + '.join(named)}"
    return "all photos of me"
