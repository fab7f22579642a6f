"""What was done and noted, as the pages draw it: injection points on their photos, outcomes in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from consent.wording import worded
from dicom_bridge.judging.sayings import read_back
from fhir_mapping.course.views import Shot
from fhir_mapping.outcome.outcome import Outcome
from fhir_mapping.outcome.vocabulary import Rater, Scale, vocabulary
from fhir_mapping.resources.appraisal import Appraisal, Finding
from fhir_mapping.treatment.session import Amount, Point, Session, plain
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import in_order, noted, said
from orthanc_plugin.workspace.shown_names import region_name, view_name

_BY = {
    Rater.INVESTIGATOR: noted("By clinician"),
    Rater.PATIENT: noted("By patient"),
    Rater.MEASURED: noted("By measured"),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One injection point: percent of the photo's width and height."""

    x: Decimal
    y: Decimal
    dose: str


@dataclass(frozen=True, slots=True)
class MarkedPhoto:
    """A photo with the points that one product was given at."""

    photo: str
    """Id."""

    view: str
    product: str
    marks: tuple[Mark, ...]
    total: str
    """Of the doses, where they have one unit."""

    @property
    def places(self) -> list[tuple[str, str]]:
        """Where its points are drawn."""
        return [(plain(each.x), plain(each.y)) for each in self.marks]


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """One outcome in words."""

    what: str
    where: str
    change: str
    better: int
    by: str
    scale: str
    measured: str
    compare: str
    """Query of the comparison of its two photos; empty where one may not be seen."""

    end: str


@dataclass(frozen=True, slots=True)
class TakenLine:
    """How a photo was taken."""

    off: tuple[str, ...]
    """What differs from the reference photo: "turned 5 degrees to the patient's left"."""

    otherwise: str
    """What is said where nothing differs."""


def maps(session: Session, shots: Iterable[Shot]) -> list[MarkedPhoto]:
    """The points of a session on those photos that may be seen."""
    seen = {each.reference: each for each in shots}
    used = [(each.product.name.text, each.maps) for each in session.given]
    used += [(each.name.text, each.maps) for each in session.implants]
    return [
        MarkedPhoto(
            shot.document,
            view_name(shot.view),
            name or _("Product"),
            tuple(map(_mark, each.points)),
            _total(each.points),
        )
        for name, some in used
        for each in some
        if (shot := seen.get(each.photo)) is not None
    ]


def line(outcome: Outcome) -> OutcomeLine:
    """An outcome in words."""
    words = vocabulary()
    graded = outcome.graded
    scale = ""
    if graded is not None:
        steps = " → ".join(filter(None, (graded.before, graded.after)))
        scale = f"{said(words.scales[graded.scale].name)}: {steps}"
    ends = [each.partition("/")[2] for each in (outcome.before, outcome.after) if each is not None]
    return OutcomeLine(
        what=words.characteristics[outcome.characteristic],
        where=region_name(outcome.place) if outcome.place is not None else "",
        change="" if outcome.change is None else words.of_change(outcome.change).name,
        better=(outcome.change or 0),
        by="" if outcome.rater is None else _(_BY[outcome.rater]),
        scale=scale,
        measured=outcome.measured.shown if outcome.measured is not None else "",
        compare=f"left={ends[0]}&right={ends[1]}" if len(ends) > 1 else "",
        end=outcome.end[:10],
    )


def taken(appraisal: Appraisal | None) -> TakenLine | None:
    """How a photo was taken, in words; None where nobody judged it, or that may not be told."""
    if appraisal is None:
        return None
    off = tuple(read_back(each.words) for each in appraisal.verdicts if each.finding is Finding.DIFFERS)
    unknown = next((read_back(each.words) for each in appraisal.verdicts if each.finding is Finding.UNKNOWN), "")
    if off or appraisal.finding is Finding.UNKNOWN:
        return TakenLine(off, "" if off else unknown)
    if appraisal.reference is None:
        return TakenLine((), _("the first photo of this view"))
    if unknown:
        return TakenLine((), _("nothing differs that could be judged; %s") % said(unknown))
    return TakenLine((), _("taken as the first photo of this view was"))


def choices() -> dict[str, Sequence[tuple[str, str]]]:
    """What an outcome can be: value and words of each choice."""
    words = vocabulary()
    return {
        "characteristics": sorted(words.characteristics.items(), key=lambda each: in_order(said(each[1]))),
        "grades": [(code, each.name) for code, each in words.grades.items()],
        "scales": [(code, _scale(each)) for code, each in words.scales.items()],
        "raters": list(words.raters.items()),
    }


def _scale(scale: Scale) -> str:
    if not scale.steps:
        return scale.name
    return worded("%(name)s (%(first)s to %(last)s)", name=scale.name, first=scale.steps[0], last=scale.steps[-1])


def _mark(point: Point) -> Mark:
    return Mark(_percent(point.x), _percent(point.y), point.dose.shown if point.dose is not None else "")


def _percent(fraction: Decimal) -> Decimal:
    return Decimal(plain((fraction * 100).normalize()))


def _total(points: Iterable[Point]) -> str:
    doses = [each.dose for each in points if each.dose is not None]
    units = {(each.unit, each.code) for each in doses}
    if len(units) != 1:
        return ""
    return Amount(sum((each.value for each in doses), Decimal(0)), *units.pop()).shown
