"""Uses, photos and a whole signing in plain words: the text that is shown, signed and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from consent.purposes import CONF, HRESCH, PATRQT, PORTFOLIO, SOCIAL, TEACH, TREAT, WEB, Catalog, named
from consent.site import Site
from consent.wording import Wording
from fhir_mapping.signing.spoken import ENGLISH, Spoken
from fhir_mapping.signing.wishes import Answer, Photos, Use, Wishes


@dataclass(frozen=True, slots=True)
class Called:
    """What things are called in the text."""

    patient: str = ""
    visits: Mapping[str, str] = field(default_factory=dict)
    """Encounter id -> ``12 May 2026``."""

    documents: Mapping[str, str] = field(default_factory=dict)
    """DocumentReference id -> ``Face, frontal, 12 May 2026``."""


def title(use: Use, spoken: Spoken = ENGLISH) -> str:
    """``Social media: instagram``."""
    known = named(use.purpose)
    name = spoken.phrase(known.message) if isinstance(known, Wording) else known
    return f"{name}: {use.place}" if use.place else name


def meaning(use: Use, spoken: Spoken = ENGLISH) -> str:
    """What the use is, in one or two sentences."""
    phrase = spoken.phrase
    return {
        TREAT: phrase("The people who treat you here look at the photos, to plan and to check your treatment."),
        PATRQT: phrase("You see the photos yourself when you sign in."),
        PORTFOLIO: phrase("Shown on a screen in the clinic to people who consider a treatment. Without your name."),
        WEB: phrase("On the clinic's public website. Anybody can see and copy them. Without your name."),
        SOCIAL: phrase("Published there. Anybody can see, copy and share them. Without your name."),
        CONF: phrase("In talks and articles for professionals, also outside this clinic. Without your name."),
        TEACH: phrase("To train people who work in this clinic. Without your name."),
        HRESCH: phrase("In studies. Without your name."),
    }.get(use.purpose) or phrase("A use that this clinic has named so.")


def verdict(answer: Answer, spoken: Spoken = ENGLISH) -> str:
    """How a line of the text begins that permits, or denies."""
    return (spoken.phrase("YES") if answer is Answer.YES else spoken.phrase("NO")) + ": "


def lines(
    wishes: Wishes, site: Site, called: Called, *, herself: bool = True, spoken: Spoken = ENGLISH
) -> tuple[str, ...]:
    """The text, a sentence a line: each Yes, each No, and what holds besides.

    What it says is what the Consents mean (:mod:`fhir_mapping.signing.build`); a test reads it and compares.

    Parameters
    ----------
    herself
        Whether the patient signs, and not somebody for her.
    """
    catalog, phrase = Catalog.of(site), spoken.phrase
    yes, no = wishes.said(Answer.YES), wishes.said(Answer.NO)
    made = [_yes(use, wishes, called, spoken, publishing=catalog.is_publishing(use.purpose)) for use in yes]
    made += [_no(use, wishes.photos, called, spoken) for use in no]
    if Use(TREAT) in yes and (not wishes.photos.all or wishes.until is not None):
        made.append(
            phrase("From now on the people who treat me see only photos that I have said Yes to for my treatment.")
        )
    if yes and herself:
        made.append(phrase("For these photos and uses, this takes the place of what I signed before."))
    elif yes:
        made.append(
            phrase(
                "For these photos and uses, this takes the place of what others signed before; what the patient signed "
                "stays."
            )
        )
    if yes:
        made.append(
            phrase("I can take back every Yes at any time, here or by telling the clinic. It then ends at once.")
        )
    if no:
        made.append(
            phrase("A No stays until I take it back, and counts more than any Yes that I give without doing so.")
        )
    made.append(phrase("Whatever is not named here stays as it is."))
    return tuple(made)


def _yes(use: Use, wishes: Wishes, called: Called, spoken: Spoken, *, publishing: bool) -> str:
    phrase, photos = spoken.phrase, wishes.photos
    told = {
        "use": title(use, spoken),
        "photos": _which(photos, called, phrase("photos of me that show nothing but: %s"), spoken),
        "until": phrase("until I take it back")
        if wishes.until is None
        else phrase("up to and including %s") % spoken.day(wishes.until),
    }
    if photos.documents:
        text = phrase("%(use)s. For %(photos)s; %(until)s.")
    elif publishing:
        text = phrase("%(use)s. For %(photos)s, as far as they are here today; no later ones; %(until)s.")
    else:
        text = phrase("%(use)s. For %(photos)s, also later ones; %(until)s.")
    return verdict(Answer.YES, spoken) + text % told


def _no(use: Use, photos: Photos, called: Called, spoken: Spoken) -> str:
    phrase = spoken.phrase
    which = _which(photos, called, phrase("photos of me that show any part of: %s"), spoken)
    text = (
        phrase("%(use)s. For %(photos)s.") if photos.documents else phrase("%(use)s. For %(photos)s, also later ones.")
    )
    return verdict(Answer.NO, spoken) + text % {"use": title(use, spoken), "photos": which}


def _which(photos: Photos, called: Called, shows: str, spoken: Spoken) -> str:
    phrase = spoken.phrase
    if photos.areas:
        return shows % " + ".join(spoken.region(each) for each in photos.areas)
    if photos.visits:
        named = " + ".join(called.visits.get(each, each) for each in photos.visits)
        return phrase("photos of me from the visits: %s") % named
    if photos.documents:
        unnamed = phrase("photo")
        named = " + ".join(f"{called.documents.get(each, unnamed)} [{each}]" for each in photos.documents)
        return phrase("these photos of me: %s") % named
    return phrase("all photos of me")
