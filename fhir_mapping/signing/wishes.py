"""What a patient wishes about her photos: a Yes or a No for some uses, for some photos, until some day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from consent.directive import Region
from consent.purposes import BTG, HOPERAT, HPAYMT, HRESCH, SOCIAL, Catalog
from consent.site import Site


class Answer(StrEnum):
    """What she says of a use; a use that she says nothing of stays as it is."""

    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """One use of photos that she is asked about."""

    purpose: str
    place: str = ""
    """SOCIAL: the channel. HRESCH: the project; empty: every one."""

    @property
    def key(self) -> str:
        """Its name in forms: ``WEB``, ``SOCIAL:instagram``."""
        return f"{self.purpose}:{self.place}" if self.place else self.purpose


@dataclass(frozen=True, slots=True)
class Photos:
    """Which photos it is about: one of these three, or all of hers."""

    areas: tuple[Region, ...] = ()
    visits: tuple[str, ...] = ()
    """Ids of Encounters."""

    documents: tuple[str, ...] = ()
    """Ids of the photos' DocumentReferences."""

    @property
    def all(self) -> bool:
        """Whether it is about all of them, also later ones where the use reaches them."""
        return not (self.areas or self.visits or self.documents)


@dataclass(frozen=True, slots=True)
class Wishes:
    """One signing."""

    patient: str
    answers: Mapping[Use, Answer]
    photos: Photos = Photos()
    until: date | None = None
    """The last day on which a Yes holds; None: until she takes it back. A No always stays until then."""

    def said(self, answer: Answer) -> tuple[Use, ...]:
        """The uses that she answers so."""
        return tuple(use for use, each in self.answers.items() if each is answer)


def uses(site: Site) -> tuple[Use, ...]:
    """What a patient is asked about here, in the order of the catalogue: what she decides herself, and treatment."""
    catalog, found = Catalog.of(site), []
    for code in catalog.codes():
        if catalog.is_duty(code) or code in (BTG, HPAYMT, HOPERAT):
            continue
        places: Iterable[str] = ("",)
        if code == SOCIAL:
            places = sorted(site.channels)
        elif code == HRESCH and site.projects:
            places = sorted(site.projects)
        found += [Use(code, place) for place in places]
    return tuple(found)
