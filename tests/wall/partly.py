"""A study of which a part may be seen, for tests of everything that answers with several photos."""

from __future__ import annotations

from dataclasses import dataclass

from consent.directive import Data, Reach
from dicom_bridge.query.orthanc_ids import OrthancIds, orthanc_ids
from tests.archive import Archive, Photo
from tests.store.world import consent


@dataclass(frozen=True)
class Partly:
    """Anna's first visit: one series whole, one in part, one not at all; of her second visit and of Ben nothing."""

    shown: tuple[Photo, ...]
    hidden: tuple[Photo, ...]

    def marks(self) -> list[bytes]:
        """What no answer may hold: ids and pixels of hidden photos, and of what consists of them alone."""
        found: set[str] = set()
        for photo in self.hidden:
            found |= {photo.sop, photo.orthanc_id, f"comment-{_seed(photo)}-of"}
            found |= {photo.series} - {one.series for one in self.shown}
            found |= {photo.study} - {one.study for one in self.shown}
            found |= set(vars_of(photo)) - {each for one in self.shown for each in vars_of(one)}
        return [mark.encode() for mark in sorted(found)] + [
            photo.pixels[len(photo.pixels) // 2 :][:48] for photo in self.hidden
        ]

    @property
    def ids(self) -> OrthancIds:
        """Orthanc ids of the first shown photo."""
        return ids_of(self.shown[0])


def ids_of(photo: Photo) -> OrthancIds:
    """The ids that a photo has in Orthanc."""
    return orthanc_ids(f"PID-{photo.facts.patients[0]}", photo.study, photo.series, photo.sop)


def vars_of(photo: Photo) -> tuple[str, str, str, str]:
    """The same, as a tuple."""
    ids = ids_of(photo)
    return ids.patient, ids.study, ids.series, ids.instance


def make(archive: Archive) -> Partly:
    """Store the photos, and deny those that are to be hidden."""
    first = [archive.photo("anna", visit="1", view=view) for view in "11223"]
    hidden = [first[3], first[4], archive.photo("anna", visit="2"), archive.photo("ben", visit="8")]
    for number, photo in enumerate(hidden):
        hide(archive, photo, f"hide{number}")
    return Partly((first[0], first[1], first[2]), tuple(hidden))


def hide(archive: Archive, photo: Photo, name: str) -> None:
    """Deny treatment the one photo."""
    data = (Data(Reach.PHOTO, str(photo.facts.document)),)
    archive.consent(consent(name, "deny", "TREAT", photo.facts.patients[0], data=data))


def _seed(photo: Photo) -> str:
    return str(photo.facts.document).rpartition("d")[2]
