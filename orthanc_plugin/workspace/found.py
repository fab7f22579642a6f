"""Pages that a question found: single photos of everybody, and pairs of before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dicom_bridge.publish.fallen import Changes
from orthanc_plugin.workspace.record import Answer, Person, Photo


@dataclass(frozen=True, slots=True)
class PhotoPage:
    """One page of single photos of everybody, the newest first."""

    photos: tuple[Photo, ...] = ()
    people: Mapping[str, Person] = field(default_factory=dict)
    """Whose they are, by patient id."""

    answer: Answer = field(default_factory=Answer)
    following: str = ""
    """Where the next page begins; empty: there is none."""


@dataclass(frozen=True, slots=True)
class Coupled:
    """A result that may be published, and the photo that it is held against."""

    before: Photo
    after: Photo
    title: str = ""
    """Name of the treatment by its code alone."""

    alike: int = 0
    """Percent of comparability that is proved."""


@dataclass(frozen=True, slots=True)
class PairPage:
    """One page of pairs, the newest result first."""

    pairs: tuple[Coupled, ...] = ()
    answer: Answer = field(default_factory=Answer)
    following: int | None = None
    """The result behind which the next page begins; None: there is none."""

    changes: Changes = field(default_factory=Changes)
    """Since the pairs were taken in that were kept."""
