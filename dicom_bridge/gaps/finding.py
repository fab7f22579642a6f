"""Which gaps a patient's photos have, on a day: a function of what is given, and of nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from dicom_bridge.gaps.gap import COMPARED, Gap, Kind, Severity, State
from dicom_bridge.gaps.timeline import Course, Excused, Photo
from dicom_bridge.gaps.windows import Window, windows
from dicom_bridge.protocols.meeting import meets
from dicom_bridge.protocols.protocol import Shot


@dataclass(frozen=True, slots=True)
class Taken:
    """One photo that a protocol asks for, and how it was met."""

    window: Window
    shot: Shot
    photo: Photo | None = None
    """The photo that meets it."""

    late: bool = False
    differs: frozenset[Kind] = frozenset()
    """In what it differs from the baseline's."""

    other: Photo | None = None
    """Where none meets it: one of the same view with another expression."""

    excused: Excused | None = None
    """Where none meets it: why nobody is asked for it any more."""

    @property
    def good(self) -> bool:
        """There, in time, and comparable with the baseline's."""
        return self.photo is not None and not self.late and not self.differs


def gaps(
    found: Iterable[Course], photos: Sequence[Photo], today: date, excused: Collection[Excused] = ()
) -> tuple[Gap, ...]:
    """The gaps of one patient's courses, the gravest first, then by the last day to mend them.

    Parameters
    ----------
    photos
        Of this patient; a photo that whoever asks may not see is not among them, as if it had never been taken.
    """
    made: list[Gap] = []
    for course in found:
        for window, shots in _by_window(asked(course, photos, today, excused)):
            made += _of_window(course, window, shots, today)
    order = list(Severity)
    return tuple(
        sorted(made, key=lambda each: (order.index(each.severity), each.until or date.max, each.due, each.time,
                                       [shot.name for shot in each.shots], each.kind))
    )  # fmt: skip


def asked(course: Course, photos: Sequence[Photo], today: date, excused: Collection[Excused] = ()) -> tuple[Taken, ...]:
    """What a course's protocol has asked for until today, in order of time, and how each was met.

    Of several photos that meet a shot, one that is comparable with the baseline's counts before one that is not, then
    the earliest.
    """
    ordered = sorted((each for each in photos if each.day is not None and each.day <= today), key=_day)
    made: list[Taken] = []
    baseline: dict[str, Photo] = {}
    name = course.protocol.name
    by_shot = {(each.session, each.time, each.shot): each for each in excused if each.protocol == name}
    for window in windows(course):
        if window.opens > today:
            continue
        free = [each for each in ordered if window.opens <= _day(each)[0] <= window.ends]
        spoken_for = {each.number for each in free if any(meets(shot, each.view) for shot in window.time.shots)}
        for shot in window.time.shots:
            taken = _taken(window, shot, [each for each in free if meets(shot, each.view)], baseline.get(shot.name))
            why = by_shot.get((window.session.reference, window.time.name, shot.name))
            if taken.photo is None and why is not None:
                if why.hers:
                    continue
                taken = replace(taken, excused=why)
            elif taken.photo is None:
                other = _with_other_expression(shot, free, spoken_for)
                if other is not None:
                    spoken_for.add(other.number)
                    taken = replace(taken, other=other)
            made.append(taken)
            if window.time.baseline and taken.photo is not None:
                baseline[shot.name] = taken.photo
    return tuple(made)


def _taken(window: Window, shot: Shot, meeting: Sequence[Photo], baseline: Photo | None) -> Taken:
    in_time = [each for each in meeting if _day(each)[0] <= window.closes]
    chosen = in_time or list(meeting)
    if not chosen:
        return Taken(window, shot)
    differing = [(_differs(each, baseline), each) for each in chosen]
    differs, photo = min(differing, key=lambda each: (len(each[0]), _day(each[1])))
    return Taken(window, shot, photo, late=not in_time, differs=differs)


def _differs(photo: Photo, baseline: Photo | None) -> frozenset[Kind]:
    """In what a photo differs from the baseline's; of what is not known, nothing is said."""
    if baseline is None or baseline.number == photo.number:
        return frozenset()
    device = {Kind.DEVICE} if photo.device and baseline.device and photo.device != baseline.device else set()
    return frozenset(photo.differs.intersection(COMPARED) - {Kind.DEVICE} | device)


def _with_other_expression(shot: Shot, free: Sequence[Photo], spoken_for: Collection[int]) -> Photo | None:
    """A photo that would be the shot but for the expression, and that is asked for by no other."""
    if shot.expression is None:
        return None
    any_expression = replace(shot, expression=None)
    return next((each for each in free if each.number not in spoken_for and meets(any_expression, each.view)), None)


def _by_window(asked_for: Iterable[Taken]) -> Iterable[tuple[Window, list[Taken]]]:
    made: dict[tuple[str, str], tuple[Window, list[Taken]]] = {}
    for each in asked_for:
        key = (each.window.session.reference, each.window.time.name)
        made.setdefault(key, (each.window, []))[1].append(each)
    return made.values()


def _of_window(course: Course, window: Window, taken: Sequence[Taken], today: date) -> list[Gap]:
    shots = [each for each in taken if each.excused is None]
    if shots and all(each.photo is None and each.other is None for each in shots):
        return [_gap(course, window, Kind.TIME_POINT, tuple(each.shot for each in shots), today)]
    made = []
    for each in shots:
        if each.photo is None:
            kind = Kind.VIEW if each.other is None else Kind.EXPRESSION
            made.append(_gap(course, window, kind, (each.shot,), today, each.other))
            continue
        kinds = [Kind.LATE] if each.late else []
        kinds += [kind for kind in COMPARED if kind in each.differs]
        made += [_gap(course, window, kind, (each.shot,), today, each.photo) for kind in kinds]
    return made


def _gap(
    course: Course, window: Window, kind: Kind, shots: tuple[Shot, ...], today: date, photo: Photo | None = None
) -> Gap:
    state, since, until = _state(window, today)
    if kind is Kind.LATE:  # the photo is there; another one would be later still
        state, until = State.LOST, None
    if photo is not None:
        since = _day(photo)[0]
    return Gap(
        patient=window.session.patient,
        course=course.sessions[0].reference,
        session=window.session.reference,
        treatment=window.session.title.text or course.protocol.title,
        protocol=course.protocol.name,
        time=window.time.name,
        kind=kind,
        state=state,
        severity=_severity(window, kind, state),
        shots=shots,
        due=window.due,
        since=since,
        until=until,
        photo=photo.number if photo is not None else None,
    )


def _state(window: Window, today: date) -> tuple[State, date, date | None]:
    """State, its first day, and the last day on which the gap can be mended: in time while it is due, else late."""
    if today <= window.closes:
        return State.DUE, window.opens, window.closes
    if today <= window.ends:
        return State.OVERDUE, window.closes + timedelta(days=1), window.ends
    return State.LOST, window.ends + timedelta(days=1), None


def _severity(window: Window, kind: Kind, state: State) -> Severity:
    """Nothing can be compared without a baseline; what is about to be lost is next; what is there comes last."""
    if kind in (Kind.TIME_POINT, Kind.VIEW):
        grave = window.time.baseline or state is State.OVERDUE
        return Severity.HIGH if grave else Severity.MIDDLE
    return Severity.MIDDLE if kind is Kind.EXPRESSION else Severity.LOW


def _day(photo: Photo) -> tuple[date, int]:
    """To put photos in order."""
    assert photo.day is not None
    return photo.day, photo.number
