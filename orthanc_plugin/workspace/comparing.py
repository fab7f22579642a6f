"""What a page of comparisons shows: photos in their places, what else could stand there, how comparable they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from urllib.parse import urlencode

from consent.types import Request
from consent.wording import worded
from dicom_bridge.compare.comparability import Cause, CauseFound, Comparability, comparability
from dicom_bridge.compare.conditions import Conditions
from dicom_bridge.compare.held import Held, Mode
from dicom_bridge.compare.kept import KeptComparison
from fhir_mapping.resources.appraisal import Finding
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.record import Course, Photo, Record, Treatment, view_name, within_sentence
from orthanc_plugin.workspace.timeline import earlier_ones
from orthanc_plugin.workspace.viewer import COMPARE

MOST = 6
"""Photos that are seen at once; more of them are too small to see anything in."""

MODES = {"side": Mode.SIDE, "slider": Mode.SLIDER, "blend": Mode.BLEND, "blink": Mode.BLINK}
"""Ways of looking, as the page calls them."""

_PAIR = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """One photo in its place of a comparison."""

    side: str
    """``left`` or ``right``."""

    photo: Photo
    treatment: Treatment | None
    address: str
    """Where its pixels are, without a width."""

    strip: tuple[tuple[Photo, str, str], ...]
    """Photos of the same view: photo, its pixels' address, the comparison with it in this place."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two photos side by side; one alone where there is no second."""

    left: Frame
    right: Frame | None
    views: tuple[tuple[str, str, bool], ...]
    """Other views of the patient: name, address, whether it is the one shown."""

    swapped: str = ""
    """The same comparison the other way round."""

    earlier: tuple[tuple[str, str, str, bool], ...] = ()
    """What the right photo is often compared with: name of the key, words, address, whether it is the one shown."""


class Places:
    """Addresses below the pages of one purpose."""

    def __init__(self, base: str) -> None:
        self._base = base

    def compare(self, left: str, right: str) -> str:
        """Two photos side by side."""
        ends = {name: key for name, key in (("left", left), ("right", right)) if key}
        return f"{self._base}/compare?{urlencode(ends)}"

    def chosen(self, keys: Sequence[str]) -> str:
        """Two photos side by side, or more in a row."""
        if len(keys) == _PAIR:
            return self.compare(*keys)
        return f"{self._base}/compare/series?{urlencode([('photo', key) for key in keys])}"

    def pixels(self, photo: Photo) -> str:
        """A photo's pixels."""
        return self.photo(photo.key)

    def photo(self, key: str) -> str:
        """The pixels of the photo that is called so."""
        return f"{self._base}/photo/{key}"


def in_viewer(left: Photo, right: Photo | None) -> str:
    """Where OHIF lays the two beside each other; two of one visit it opens as its study."""
    photos = [photo for photo in (left, right) if photo is not None and photo.study]
    studies = list(dict.fromkeys(photo.study for photo in photos))
    if not studies:
        return ""
    asked = {"StudyInstanceUIDs": ",".join(studies)}
    if len(studies) == _PAIR:
        asked["initialSeriesInstanceUID"] = ",".join(photo.series_uid for photo in photos if photo.series_uid)
        asked["hangingProtocolId"] = COMPARE
    return f"/ohif/viewer?{urlencode(asked, safe=',')}"


def compared(course: Course, left: Photo, right: Photo | None, places: Places, zone: tzinfo) -> Comparison:
    """Two photos of a course."""

    def frame(side: str, photo: Photo, other: Photo | None) -> Frame:
        strip = []
        for entry in course.photos:
            if entry.series == photo.series:
                ends = (entry, other) if side == "left" else (other, entry)
                keys = [end.key if end else "" for end in ends]
                strip.append((entry, places.pixels(entry), places.compare(*keys)))
        return Frame(side, photo, course.treatment(photo), places.pixels(photo), tuple(strip))

    views: dict[tuple[str, str, str], list[Photo]] = {}
    for photo in course.photos:
        views.setdefault(photo.series, []).append(photo)
    shown = {left.series, right.series if right else left.series}
    return Comparison(
        left=frame("left", left, right),
        right=frame("right", right, left) if right else None,
        views=tuple(
            (view_name(entry[0]), places.compare(entry[0].key, entry[-1].key), series in shown)
            for series, entry in views.items()
            if len(entry) > 1
        ),
        swapped=places.compare(right.key, left.key) if right else "",
        earlier=tuple(
            (name, words, places.compare(photo.key, right.key), photo.number == left.number)
            for name, words, photo in earlier_ones(right, course.photos, zone)
        )
        if right
        else (),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One photo of a series."""

    photo: Photo
    treatment: Treatment | None
    address: str
    comparable: ComparableLine | None
    """With the first of the series; None: it is the first."""

    compare: str
    """The comparison of the two, side by side."""


def chosen_of(course: Course, keys: Sequence[str], whole: str, zone: tzinfo) -> list[Photo]:
    """The photos that a series shows, in order of time; none where one of them may not be seen.

    Parameters
    ----------
    whole
        A photo whose view is asked for as a whole: the last photo of each day, and where these are too many, the first,
        the last, and some that lie evenly between.
    """
    known = {photo.key: photo for photo in (*course.photos, *course.kept)}
    if whole:
        one = known.get(whole)
        days = {
            photo.at.astimezone(zone).date(): photo
            for photo in course.photos
            if one is not None and photo.series == one.series and photo.at is not None
        }
        every = list(days.values())
        if len(every) <= MOST:
            return every
        return [every[round(place * (len(every) - 1) / (MOST - 1))] for place in range(MOST)]
    if not all(key in known for key in keys):
        return []
    wanted = {key: known[key] for key in keys}
    return sorted(wanted.values(), key=lambda photo: (photo.at is not None, photo.at or _EVER, photo.number))


def conditions_of(record: Record, question: Request, photos: Sequence[Photo]) -> Mapping[int, Conditions]:
    """How photos were taken, by number; of one that was corrected meanwhile nothing is known."""
    found = record.conditions(question, [each.number for each in photos])
    return {each.number: found.get(each.number) or Conditions(f"DocumentReference/{each.key}") for each in photos}


def step(course: Course, first: Photo, photo: Photo, known: Mapping[int, Conditions], places: Places) -> Step:
    """A photo of a series that begins with ``first``."""
    same = photo.number == first.number
    return Step(
        photo,
        course.treatment(photo),
        places.pixels(photo),
        None if same else comparable(comparability(known[first.number], known[photo.number])),
        "" if same else places.compare(first.key, photo.key),
    )


_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class KeepForm:
    """What the page sends to keep a comparison."""

    address: str
    csrf: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class KeptLine:
    """A kept comparison as pages show it."""

    left: Photo | None
    """None: it is not among the photos that the page has at hand."""

    right: Photo | None
    thumbs: tuple[str, str]
    mode: str
    """As the comparison's script calls it."""

    aligned: bool
    words: str
    areas: tuple[str, str]
    """Left, top, right and bottom of each photo's part, in pixels from 1 on."""

    address: str
    day: date | None
    """When it was kept."""


def kept_line(kept: KeptComparison, known: Mapping[str, Photo], places: Places) -> KeptLine:
    """A kept comparison, with the photos that are at hand."""
    halves = (kept.left, kept.right)
    left, right = (known.get(each.photo) for each in halves)
    areas = [f"{each.area.left},{each.area.top},{each.area.right},{each.area.bottom}" for each in halves]
    stops = kept.held.stops
    opened = {"kept": kept.id} | ({} if stops is None else {"light": f"{stops:.2f}"})
    return KeptLine(
        left,
        right,
        (places.photo(kept.left.photo), places.photo(kept.right.photo)),
        next(name for name, mode in MODES.items() if mode is kept.held.mode),
        kept.held.aligned,
        _held_in_words(kept.held),
        (areas[0], areas[1]),
        f"{places.compare(kept.left.photo, kept.right.photo)}&{urlencode(opened)}",
        datetime.strptime(kept.at[:_DAY], "%Y%m%d").replace(tzinfo=UTC).date() if len(kept.at) >= _DAY else None,
    )


def _held_in_words(held: Held) -> str:
    words = [_(_MODES[held.mode])]
    words += [_("aligned")] if held.aligned else []
    words += [_("equal light")] if held.stops is not None else []
    return ", ".join(words)


_MODES = {
    Mode.SIDE: noted("side by side"),
    Mode.SLIDER: noted("slider"),
    Mode.BLEND: noted("onion skin"),
    Mode.BLINK: noted("blink"),
}

_DAY = len("20260503")

_NAMES: Mapping[Cause, str] = {
    Cause.DISTANCE: worded("Distance"),
    Cause.POSE: worded("Pose"),
    Cause.LIGHT: worded("Light"),
    Cause.COLOUR: worded("Colour"),
    Cause.EXPRESSION: worded("Expression"),
    Cause.INTERVAL: worded("Interval"),
    Cause.DEVICE: worded("Device"),
}


@dataclass(frozen=True, slots=True)
class CauseLine:
    """One cause as the page shows it."""

    name: str
    state: str
    """``good``, ``differs``, ``unknown``, or ``partly``."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComparableLine:
    """How far two photos are comparable."""

    least: int
    """Per cent, what is proved."""

    most: int
    """Per cent, if everything that is not known were alike."""

    causes: tuple[CauseLine, ...]
    warnings: tuple[str, ...]

    def named(self, state: str) -> str:
        """Causes in that state, as a sentence has them."""
        return ", ".join(within_sentence(each.name) for each in self.causes if each.state == state)


def comparable(found: Comparability) -> ComparableLine:
    """As the page shows it; rounded downwards, so that nothing is promised that was not found."""
    return ComparableLine(
        int(found.score * 100 + 1e-6),
        int(found.possible * 100 + 1e-6),
        tuple(CauseLine(_NAMES[each.cause], _state(each), _words(each)) for each in found.causes),
        tuple(each.words for each in found.warnings),
    )


def _state(found: CauseFound) -> str:
    return "partly" if found.finding is Finding.GOOD and found.partly else found.finding.value


def _words(found: CauseFound) -> tuple[str, ...]:
    """What differs, else all; of a cause of which nothing is known its facts are told all the same."""
    differing = tuple(each.words for each in found.facts if each.finding is Finding.DIFFERS)
    return differing or tuple(each.words for each in found.facts)
