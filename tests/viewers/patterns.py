"""Studies of which some photos are refused, in twenty patterns: what a viewer must show of each without an error."""

from __future__ import annotations

from dataclasses import dataclass

from consent.directive import Data, Reach
from consent.types import Right
from tests.archive import Archive, Photo
from tests.photos import Shot, jpeg
from tests.store.world import consent

SERIES = ("1", "1", "2", "2", "3", "3")
"""The view, and so the series, of each photo of a study."""

#: One letter for each photo of a study: p permitted, d refused.
PATTERNS = (
    "pppppp", "dppppp", "pppppd", "pdpppp", "ddpppp", "ppddpp", "ppppdd", "ddddpp", "ppdddd", "ddppdd",
    "pddddd", "dddddp", "dpdpdp", "pdpdpd", "dppddp", "pddppd", "dppppd", "ddpdpp", "dddpdd", "dddddd",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Study:
    """One patient's study."""

    pattern: str
    photos: tuple[Photo, ...]

    @property
    def uid(self) -> str:
        """Study Instance UID."""
        return self.photos[0].study

    @property
    def permitted(self) -> tuple[Photo, ...]:
        """What the clinician may see."""
        return self._of("p")

    @property
    def refused(self) -> tuple[Photo, ...]:
        """What she may not."""
        return self._of("d")

    def _of(self, letter: str) -> tuple[Photo, ...]:
        return tuple(photo for photo, each in zip(self.photos, self.pattern, strict=True) if each == letter)


def populate(archive: Archive) -> tuple[Study, ...]:
    """The accounts ``clinician`` (TREAT) and ``marketing`` (PORTFOLIO), and a study for each pattern."""
    archive.account("clinician", "TREAT", rights=(Right.ARCHIVE,))
    archive.account("marketing", "PORTFOLIO")
    return tuple(_study(archive, f"p{number:02d}", pattern) for number, pattern in enumerate(PATTERNS))


def _study(archive: Archive, patient: str, pattern: str) -> Study:
    archive.patient(patient)
    photos = []
    for place, view in enumerate(SERIES):
        picture = jpeg(Shot(width=480, height=320, seed=place + 10 * int(patient[1:]), gps=False))
        photos.append(archive.photo(patient, view=view, pixels=picture, Rows=320, Columns=480))
    study = Study(pattern, tuple(photos))
    if study.refused:
        data = tuple(Data(Reach.PHOTO, str(photo.facts.document)) for photo in study.refused)
        archive.consent(consent(f"no-{patient}", "deny", "TREAT", patient, data=data))
    return study
