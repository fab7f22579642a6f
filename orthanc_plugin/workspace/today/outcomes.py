"""The outcomes of the form: what has changed, how much, by whose judgement, on which two photos."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_mapping.outcome.outcome import Graded, Outcome
from fhir_mapping.outcome.vocabulary import Rater, vocabulary
from fhir_mapping.treatment.session import Amount, Place
from orthanc_plugin.workspace.today.fields import Fields
from orthanc_plugin.workspace.today.state import Frame, State

MOST = 8
WITHOUT = "none"
"""Choice of a pair: judged without photos."""

_FILLED = ("what", "pair", "change", "scale", "before", "after", "value")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos of one view."""

    before: Frame
    after: Frame

    @property
    def value(self) -> str:
        """The choice."""
        return f"{self.before.document}|{self.after.document}"

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.before.name} – {self.after.name.rpartition(', ')[2]}"


def pairs(state: State) -> list[Pair]:
    """Photos of one view, an earlier and a later one; the longest interval first."""
    found = []
    for number, later in enumerate(state.frames):
        for earlier in state.frames[:number] + state.frames[number + 1 :]:
            if earlier.view == later.view and earlier.at and later.at and earlier.at < later.at:
                found.append(Pair(earlier, later))
    return sorted(found, key=lambda each: (each.before.view, each.before.at, each.after.at))


def read(state: State, fields: Fields, *, performer: str | None, moment: str) -> tuple[Outcome, ...]:
    """The outcomes that were noted.

    Parameters
    ----------
    performer
        ``Practitioner/…`` of the account.
    moment
        FHIR dateTime of the judgement, where it was made without photos.
    """
    made = []
    for number in range(fields.count("outcomes", MOST, 1)):
        key = str(number)
        if any(fields.text(f"{each}-{key}") for each in _FILLED):
            outcome = _outcome(state, fields, key, performer, moment)
            made += [] if outcome is None else [outcome]
    return tuple(made)


def _outcome(state: State, fields: Fields, key: str, performer: str | None, moment: str) -> Outcome | None:
    words = vocabulary()
    what = fields.text(f"what-{key}")
    if what not in words.characteristics:
        fields.wrong(f"what-{key}", "Choose what has changed.")
    said = fields.text(f"change-{key}")
    grade = words.grades.get(said)
    if said and grade is None:
        fields.wrong(f"change-{key}", "Choose a grade of the list.")
    graded = _graded(fields, key)
    value = fields.number(f"value-{key}", "A measured change is a number.")
    measured = None if value is None else Amount(value, fields.text(f"value-unit-{key}", 40))
    if grade is None and graded is None and measured is None:
        fields.wrong(f"change-{key}", "Say how much: a grade, steps of a scale, or a measured change.")
    steps = None if graded is None else words.scales[graded.scale].change(graded.before, graded.after)
    if grade is not None and steps is not None and grade.change * steps < 0:
        fields.wrong(f"change-{key}", "The steps of the scale say the opposite: correct one of them.")
    rater = fields.text(f"rater-{key}")
    if rater not in list(Rater):
        fields.wrong(f"rater-{key}", "Say whose judgement it is.")
        return None
    pair = _pair(state, fields, key)
    where: Place | None = fields.place(f"where-{key}", f"where-side-{key}")
    return Outcome(
        patient=state.patient,
        characteristic=what,
        change=steps if grade is None else grade.change,
        rater=Rater(rater),
        performer={Rater.PATIENT: f"Patient/{state.patient}", Rater.INVESTIGATOR: performer}.get(Rater(rater)),
        place=where or (pair.after.place if pair is not None else next(iter(state.places), None)),
        graded=graded,
        measured=measured,
        before=f"DocumentReference/{pair.before.document}" if pair is not None else None,
        after=f"DocumentReference/{pair.after.document}" if pair is not None else None,
        start=pair.before.at if pair is not None else "",
        end=pair.after.at if pair is not None else moment,
        sessions=(state.last,) if state.last is not None else (),
        encounter=state.visit,
    )


def _graded(fields: Fields, key: str) -> Graded | None:
    chosen = fields.text(f"scale-{key}")
    before, after = fields.text(f"before-{key}", 20), fields.text(f"after-{key}", 20)
    if not chosen:
        if before or after:
            fields.wrong(f"scale-{key}", "Choose the scale of these steps.")
        return None
    scale = vocabulary().scales.get(chosen)
    if scale is None:
        fields.wrong(f"scale-{key}", "Choose a scale of the list.")
        return None
    if not before and not after:
        fields.wrong(f"after-{key}", "Give the step now.")
    for name, step in (("before", before), ("after", after)):
        if step and scale.position(step) is None:
            if scale.steps:
                fields.wrong(f"{name}-{key}", "It has the steps %(steps)s.", steps=", ".join(scale.steps))
            else:
                fields.wrong(f"{name}-{key}", "Its steps are numbers.")
            return None
    return Graded(scale.code, before, after) if before or after else None


def _pair(state: State, fields: Fields, key: str) -> Pair | None:
    said = fields.text(f"pair-{key}")
    if said == WITHOUT:
        return None
    known = pairs(state)
    found = next((each for each in known if each.value == said), None)
    if found is None and (said or known):
        fields.wrong(f"pair-{key}", "Choose the two photos that it was judged on, or say that it was judged without.")
    return found
