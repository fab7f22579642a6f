"""One outcome: written as an Observation, and read from whatever Observation says it.

``code`` is the characteristic, ``value`` the change (a step of the Global Aesthetic Improvement Scale), ``component``
the steps of a validated scale before and after, ``derivedFrom`` the two photos, the earlier one first, ``performer``
and ``method`` whose judgement it is, ``effective`` the interval between them (R4 Observation).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_mapping import references
from fhir_mapping.outcome.vocabulary import SCALES, SYSTEM, Rater, Scale, vocabulary
from fhir_mapping.treatment.elements import Json, amount, codes, named, parts, place, quantity, site, text
from fhir_mapping.treatment.session import Amount, Place

BEFORE, AFTER = "before", "after"
_SURVEY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "exam"}
_INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
#: R4 v3 ObservationInterpretation: B better, W worse.
_INTERPRETED = {f"{_INTERPRETATION}|B": 1, f"{_INTERPRETATION}|W": -1}


@dataclass(frozen=True, slots=True)
class Graded:
    """Steps of a validated scale."""

    scale: str
    """Code in ``outcomes.toml``."""

    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one characteristic of one area has changed over an interval."""

    patient: str
    characteristic: str
    """Code in ``outcomes.toml``."""

    change: int | None = None
    """3 very much improved, 2, 1 improved, 0 no change, -1 worse; None: only a measurement is stated."""

    rater: Rater | None = None
    performer: str | None = None
    """``Practitioner/…``, ``Patient/…``, ``Device/…``."""

    place: Place | None = None
    graded: Graded | None = None
    measured: Amount | None = None
    """A measured change, such as hairs per square centimetre."""

    before: str | None = None
    """``DocumentReference/…`` of the earlier photo."""

    after: str | None = None
    start: str = ""
    """Of the interval; stated with its end alone."""

    end: str = ""
    """FHIR dateTime of the later photo, or of the judgement."""

    sessions: tuple[str, ...] = ()
    """``Procedure/…`` that it judges."""

    encounter: str | None = None


def observation(outcome: Outcome) -> dict[str, Any]:
    """The Observation.

    Raises
    ------
    ValueError
        A code that ``outcomes.toml`` does not have.
    """
    words = vocabulary()
    if outcome.characteristic not in words.characteristics:
        raise ValueError(f"no characteristic is called {outcome.characteristic}")
    made: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [_SURVEY]}],
        "code": _own(outcome.characteristic, words.characteristics[outcome.characteristic]),
        "subject": {"reference": f"Patient/{outcome.patient}"},
    }
    if outcome.encounter is not None:
        made["encounter"] = {"reference": outcome.encounter}
    if outcome.sessions:
        made["partOf"] = [{"reference": each} for each in outcome.sessions]
    if outcome.start and outcome.end:
        made["effectivePeriod"] = {"start": outcome.start, "end": outcome.end}
    elif outcome.end:
        made["effectiveDateTime"] = outcome.end
    if outcome.performer is not None and not outcome.performer.startswith("Device/"):
        made["performer"] = [{"reference": outcome.performer}]
    elif outcome.performer is not None:  # R4 Observation.performer names no Device
        made["device"] = {"reference": outcome.performer}
    if outcome.rater is not None:
        made["method"] = _own(outcome.rater.value, words.raters[outcome.rater.value])
    if outcome.place is not None:
        made["bodySite"] = site(outcome.place)
    if outcome.change is not None:
        grade = next((each for each in words.grades.values() if each.change == outcome.change), None)
        if grade is None:
            raise ValueError(f"no grade is a change of {outcome.change}")
        made["valueCodeableConcept"] = _own(grade.code, grade.name)
    photos = [each for each in (outcome.before, outcome.after) if each is not None]
    if photos:
        made["derivedFrom"] = [{"reference": each} for each in photos]
    components = [*_graded(outcome.graded), *_measured(outcome.measured)]
    if components:
        made["component"] = components
    return made


def read(observed: Json, base: str | None) -> Outcome | None:
    """The outcome that an Observation states; None where it is about nothing that outcomes are about.

    An Observation of another system counts where its code's text or display names a characteristic and its value, or
    its interpretation, a change.
    """
    words = vocabulary()
    own = False
    characteristic = None
    for code in codes(observed.get("code")):
        if code.startswith(f"{SYSTEM}|") and code.rpartition("|")[2] in words.characteristics:
            characteristic, own = code.rpartition("|")[2], True
    for said in _said(observed.get("code")):
        characteristic = characteristic or words.characteristic(said)
    if characteristic is None:
        return None
    graded = _read_graded(observed)
    change = _change(observed)
    if change is None and graded is not None:
        change = words.scales[graded.scale].change(graded.before, graded.after)
    if change is None and not own:
        return None
    photos = [
        each for each in references.local_of(observed, base, "derivedFrom") if each.startswith("DocumentReference/")
    ]
    performers = references.local_of(observed, base, "performer")
    performer = next(iter([*performers, *references.local_of(observed, base, "device")]), None)
    start, end = _interval(observed)
    subject = [each for each in references.local_of(observed, base, "subject") if each.startswith("Patient/")]
    sessions = references.local_of(observed, base, "partOf") + references.local_of(observed, base, "focus")
    visits = references.local_of(observed, base, "encounter")
    return Outcome(
        patient=references.id_of(subject[0]) if subject else "",
        characteristic=characteristic,
        change=change,
        rater=_rater(observed, performer),
        performer=performer,
        place=place(observed.get("bodySite")),
        graded=graded,
        measured=_read_measured(observed),
        before=photos[0] if len(photos) > 1 else None,
        after=photos[-1] if photos else None,
        start=start,
        end=end,
        sessions=tuple(dict.fromkeys(each for each in sessions if each.startswith("Procedure/"))),
        encounter=next((each for each in visits if each.startswith("Encounter/")), None),
    )


def is_outcome(observed: Json) -> bool:
    """Whether an Observation is an outcome, and no setting of a machine."""
    return read(observed, None) is not None


def _own(code: str, name: str) -> dict[str, Any]:
    return {"coding": [{"system": SYSTEM, "code": code, "display": name}], "text": name}


def _graded(graded: Graded | None) -> Iterator[dict[str, Any]]:
    if graded is None:
        return
    scale = vocabulary().scales.get(graded.scale)
    if scale is None:
        raise ValueError(f"no scale is called {graded.scale}")
    for moment, step in ((BEFORE, graded.before), (AFTER, graded.after)):
        if not step:
            continue
        if scale.position(step) is None:
            raise ValueError(f"{scale.name} has no step {step}")
        yield {
            "code": {
                "coding": [{"system": SCALES, "code": scale.code, "display": scale.name}, _moment(moment)],
                "text": f"{scale.name}, {moment}",
            },
            "valueCodeableConcept": {
                "coding": [{"system": f"{SCALES}:{scale.code}", "code": step}],
                "text": step,
            },
        }


def _moment(moment: str) -> dict[str, Any]:
    return {"system": SYSTEM, "code": moment}


def _measured(value: Amount | None) -> Iterator[dict[str, Any]]:
    if value is not None:
        yield {"code": _own("measured-change", "Measured change"), "valueQuantity": quantity(value)}


def _read_graded(observed: Json) -> Graded | None:
    stated: dict[str, dict[str, str]] = {}
    for component in parts(observed, "component"):
        found = codes(component.get("code"))
        scale = next((known for each in found if (known := _scale(each)) is not None), None)
        if scale is None:
            continue
        step = named(component.get("valueCodeableConcept")).text
        for code in codes(component.get("valueCodeableConcept")):
            step = code.rpartition("|")[2] if scale.position(code.rpartition("|")[2]) is not None else step
        number = amount(component.get("valueQuantity"))
        step = step or text(component, "valueString") or ("" if number is None else number.shown.split()[0])
        if not step and isinstance(component.get("valueInteger"), int):
            step = str(component["valueInteger"])
        if step and scale.position(step) is not None:
            earlier = f"{SYSTEM}|{BEFORE}" in found
            stated.setdefault(scale.code, {}).setdefault(BEFORE if earlier else AFTER, step)
    for code, steps in stated.items():
        return Graded(code, steps.get(BEFORE, ""), steps.get(AFTER, ""))
    return None


def _scale(code: str) -> Scale | None:
    return vocabulary().scales.get(code.rpartition("|")[2]) if code.startswith(f"{SCALES}|") else None


def _read_measured(observed: Json) -> Amount | None:
    for component in parts(observed, "component"):
        if f"{SYSTEM}|measured-change" in codes(component.get("code")):
            return amount(component.get("valueQuantity"))
    return amount(observed.get("valueQuantity"))


def _change(observed: Json) -> int | None:
    words = vocabulary()
    for code in codes(observed.get("valueCodeableConcept")):
        grade = words.grades.get(code.rpartition("|")[2]) if code.startswith(f"{SYSTEM}|") else None
        if grade is not None:
            return grade.change
    for said in [*_said(observed.get("valueCodeableConcept")), text(observed, "valueString")]:
        grade = words.grade(said) if said else None
        if grade is not None:
            return grade.change
    for each in parts(observed, "interpretation"):
        for code in codes(each):
            if code in _INTERPRETED:
                return _INTERPRETED[code]
    return None


def _rater(observed: Json, performer: str | None) -> Rater | None:
    for code in codes(observed.get("method")):
        if code.startswith(f"{SYSTEM}|") and code.rpartition("|")[2] in list(Rater):
            return Rater(code.rpartition("|")[2])
    kind = (performer or "").partition("/")[0]
    if kind in ("Patient", "RelatedPerson"):
        return Rater.PATIENT
    if kind in ("Practitioner", "PractitionerRole"):
        return Rater.INVESTIGATOR
    return Rater.MEASURED if kind == "Device" or "device" in observed else None


def _interval(observed: Json) -> tuple[str, str]:
    stated = observed.get("effectivePeriod")
    if isinstance(stated, Mapping):
        return text(stated, "start"), text(stated, "end")
    return "", text(observed, "effectiveDateTime") or text(observed, "effectiveInstant")


def _said(value: Any) -> list[str]:
    """Every way in which a concept says itself in words."""
    found = [text(value, "text")] if isinstance(value, Mapping) else []
    for coding in parts(value, "coding"):
        found += [text(coding, "display"), text(coding, "code")]
    return [each for each in found if each]
