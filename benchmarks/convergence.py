"""An inconsistent clinic whose staff begins to act on its gaps: how its index moves, month by month.

The clinic is drawn from a seed. Before the list of gaps is looked at, each photo of a visit is taken by habit: views
are forgotten, expressions mixed up, cameras changed, follow-ups missed. From a month on the staff looks at the list:
of what it names for a patient who is here, so many are taken as the protocol asks for; of those overdue, some come when
they are called. How many act on it is all that differs between the lines of the table; the gaps and the index are the
product's own, over its own protocols. Nothing is stored: this measures what acting on the list does, and not how fast
it is.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from dicom_bridge.gaps.convergence import Month, months
from dicom_bridge.gaps.finding import Taken, asked, gaps
from dicom_bridge.gaps.gap import Kind, State
from dicom_bridge.gaps.timeline import Photo, Treatment, courses
from dicom_bridge.protocols.protocol import Protocol, Shot, TimePoint
from dicom_bridge.protocols.reading import all_protocols
from fhir_mapping.course.views import View
from fhir_mapping.treatment.session import Named, Place

SEED = 20260503
PATIENTS = 400
BEGINS, ENDS = date(2025, 1, 1), date(2026, 6, 30)
LIST_FROM = date(2025, 9, 1)
"""The day from which the staff looks at the list of gaps."""

NAMES = ("toxin-glabella", "filler-lips", "peel-face", "laser-resurfacing")
_CAMERAS = ("Maker One", "Maker Two")


@dataclass(frozen=True, slots=True)
class Habits:
    """How often a clinic does by itself what its protocols ask for. Shares, 0 to 1."""

    comes: float = 0.6
    """A follow-up takes place at all, in its window."""

    takes: float = 0.7
    """A view is taken."""

    expression: float = 0.85
    """With the right expression."""

    camera: float = 0.85
    """With the camera of the baseline."""


@dataclass(slots=True)
class _Patient:
    number: int
    protocol: Protocol
    first: date
    photos: list[Photo]

    def course(self) -> Treatment:
        area = self.protocol.applies.regions[0]
        code = min(self.protocol.applies.codes, default=None)
        place = Place(Named(area.display, area.code))
        title = Named(next(iter(self.protocol.applies.words), ""), code)
        return Treatment(f"Procedure/{self.number}", f"p{self.number}", self.first, title, (place,))


def simulate(acting: float, seed: int = SEED, patients: int = PATIENTS) -> tuple[Month, ...]:
    """The months of a clinic of whose staff a share acts on the list."""
    chance = random.Random(seed)
    protocols = {each.name: each for each in all_protocols()}
    known = [protocols[name] for name in NAMES if name in protocols]
    clinic = []
    for number in range(patients):
        first = BEGINS + timedelta(days=chance.randrange((ENDS - BEGINS).days))
        clinic.append(_Patient(number, known[number % len(known)], first, []))
    met: list[Taken] = []
    for each in clinic:
        _live(each, acting, random.Random(f"{seed} {each.number}"), Habits())
        for course in courses([each.course()], [each.protocol]):
            met += asked(course, each.photos, ENDS)
    return tuple(each for each in months(met, ENDS) if each.first >= BEGINS)


def _live(patient: _Patient, acting: float, chance: random.Random, habits: Habits) -> None:
    """A patient's time: the baseline, each follow-up, and where the list is looked at, what it brings about."""
    for time in patient.protocol.times:
        due = patient.first + timedelta(days=time.days)
        if due > ENDS:
            continue
        comes = time.baseline or chance.random() < habits.comes
        day = (
            due - timedelta(days=chance.randrange(time.before + 1))
            if time.baseline
            else due + timedelta(days=chance.randrange(-time.before, time.after + 1))
        )
        looks = day >= LIST_FROM and chance.random() < acting
        if comes:
            _by_habit(patient, time, day, chance, habits)
        elif looks and chance.random() < 0.8:  # who is on the list is called, and most of them come
            comes = True
        if comes and looks:
            _by_the_list(patient, day)


def _by_habit(patient: _Patient, time: TimePoint, day: date, chance: random.Random, habits: Habits) -> None:
    for shot in time.shots:
        if chance.random() > habits.takes:
            continue
        right = shot.expression is None or chance.random() < habits.expression
        camera = _CAMERAS[0 if time.baseline or chance.random() < habits.camera else 1]
        _take(patient, shot, day, camera=camera, right=right)


def _by_the_list(patient: _Patient, day: date) -> None:
    """Take what the list names for her, now that she is here; before a first session, that is planned for the day."""
    found = courses([replace(patient.course(), planned=day <= patient.first)], [patient.protocol])
    for gap in gaps(found, patient.photos, day):
        if gap.state is State.LOST or gap.kind is Kind.LATE:
            continue
        for shot in gap.shots:
            _take(patient, shot, day, camera=_CAMERAS[0], right=True)


def _take(patient: _Patient, shot: Shot, day: date, *, camera: str, right: bool) -> None:
    region, side, view, expression = shot.key
    key = (region, side, view, expression if right else "")
    patient.photos.append(Photo(len(patient.photos) + 1, day, View(key=key), camera))


def table(lines: Sequence[tuple[str, Sequence[Month]]]) -> str:
    """Markdown: a line for each clinic, a column for each quarter."""
    quarters = sorted({_quarter(each.first) for _, some in lines for each in some})
    rows = [
        f"| of the staff act on the list | {' | '.join(quarters)} |",
        f"|---|{'---|' * len(quarters)}",
    ]
    for name, some in lines:
        cells = []
        for quarter in quarters:
            within = [each for each in some if _quarter(each.first) == quarter]
            asked_for, good = sum(each.asked for each in within), sum(each.good for each in within)
            cells.append(f"{good / asked_for:.2f}" if asked_for else "")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _quarter(day: date) -> str:
    return f"{day.year} Q{(day.month + 2) // 3}"


def main() -> int:
    """Print the page."""
    lines = [(f"{share:.0%}", simulate(share)) for share in (0.0, 0.5, 0.9, 1.0)]
    print("## Convergence of an inconsistent clinic (simulated)\n")
    print(
        f"{PATIENTS} patients of {len(NAMES)} protocols, seed {SEED}; the list of gaps is looked at from "
        f"{LIST_FROM:%B %Y} on. The index is the share of photos whose window ended in the quarter that are there, in "
        "time and comparable with the baseline's.\n"
    )
    print(table(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
